//! Whole stories: what a person asks for, what JumpCloud then shows, what the control plane hears.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "stories/absence.rs"]
mod absence;
#[path = "stories/access.rs"]
mod access;
#[path = "stories/alone.rs"]
mod alone;
#[path = "stories/cancel.rs"]
mod cancel;
#[path = "stories/check.rs"]
mod check;
#[path = "stories/connections.rs"]
mod connections;
#[path = "stories/evidence.rs"]
mod evidence;
#[path = "stories/extend.rs"]
mod extend;
#[path = "stories/fresh_keys.rs"]
mod fresh_keys;
#[path = "stories/fresh_secrets.rs"]
mod fresh_secrets;
#[path = "stories/inventory.rs"]
mod inventory;
#[path = "stories/keys.rs"]
mod keys;
#[path = "stories/neighbours.rs"]
mod neighbours;
#[path = "stories/operator.rs"]
mod operator;
#[path = "stories/oversight.rs"]
mod oversight;
#[path = "stories/policy.rs"]
mod policy;
#[path = "stories/probes.rs"]
mod probes;
#[path = "process/mod.rs"]
mod process;
#[path = "stories/progress.rs"]
mod progress;
#[path = "stories/refusals.rs"]
mod refusals;
#[path = "stories/scenes.rs"]
mod scenes;
#[path = "stories/secrets.rs"]
mod secrets;
#[path = "stories/shapes.rs"]
mod shapes;
#[path = "stories/support.rs"]
mod support;
#[path = "stories/terminal.rs"]
mod terminal;
#[path = "stories/versions.rs"]
mod versions;
