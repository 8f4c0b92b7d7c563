//! The shipped program on a machine that misbehaves: signals, clocks, disks. JumpCloud and the control plane
//! are in the test's own process and stay on true time; what they show is the judge.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod clocks;
mod disks;
mod machine;
#[allow(dead_code, reason = "the kills use the rest")]
#[path = "../preload/mod.rs"]
mod preload;
#[allow(dead_code, reason = "the stories use the rest")]
#[path = "../process/mod.rs"]
mod process;
mod signals;
mod standstill;
