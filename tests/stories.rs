//! Whole stories: what a person asks for, what JumpCloud then shows, what the control plane hears.

#[path = "process/mod.rs"]
mod process;
#[path = "stories/access.rs"]
mod access;
#[path = "stories/absence.rs"]
mod absence;
#[path = "stories/refusals.rs"]
mod refusals;
#[path = "stories/secrets.rs"]
mod secrets;
