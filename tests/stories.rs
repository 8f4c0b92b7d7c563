//! Whole stories: what a person asks for, what JumpCloud then shows, what the control plane hears.

#[path = "process/mod.rs"]
mod process;
#[path = "stories/access.rs"]
mod access;
