//! Whole stories: what a person asks for, what JumpCloud then shows, what the control plane hears.

#[path = "stories/absence.rs"]
mod absence;
#[path = "stories/access.rs"]
mod access;
#[path = "process/mod.rs"]
mod process;
#[path = "stories/refusals.rs"]
mod refusals;
#[path = "stories/secrets.rs"]
mod secrets;
