//! A ledger that is lost, older than it was, copied or damaged: in the engine's world, and with the shipped
//! program between the two simulated parts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod clock;
mod damage;
mod deeds;
mod forgery;
mod losses;
#[path = "../process/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod process;
mod restores;
mod sealed;
mod timelines;
mod timelines_of_doubt;
#[path = "../support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;
