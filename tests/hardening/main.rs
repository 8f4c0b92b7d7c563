//! What the daemon takes from itself, seen from inside (somebody who has got in tries what he would try) and from
//! outside (the kernel's word, the log), while whole stories go on.
//!
//! Refuses to be skipped: the kernels that this is developed on have seccomp and Landlock.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod commands;
#[allow(dead_code, reason = "inside needs the compiler only")]
#[path = "../preload/compile.rs"]
mod compile;
mod inside;
mod outside;
mod panics;
#[allow(dead_code, reason = "the stories use the rest")]
#[path = "../process/mod.rs"]
mod process;
