//! Secrets that were made for one run of the tests, every kind that the agent holds, and every way out of its process: none of
//! the ones is to be seen on any of the others.
//!
//! The scan (`scan`) was written apart from the guard that the program itself has, and shares no code with it. Each way out must
//! show something that it is known to show, so that an empty page is no proof. `tests/canary/unguarded.py` takes one guard of
//! the program away after the other and expects this suite to find what leaves then.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod belongs;
mod ends;
mod hostile;
mod noisy;
mod outlets;
#[allow(dead_code, reason = "the stories use the rest")]
#[path = "../process/mod.rs"]
mod process;
mod scan;
mod stories;
#[path = "../networks/tiny.rs"]
mod tiny;

/// Says aloud that a part was not tried.
fn skipped(what: &str, why: &str) {
    assert!(std::env::var_os("EPHEMERALD_NETWORKS").is_none_or(|asked| asked != "whole"), "{what}: {why}");
    eprintln!("SKIPPED: {what}: {why}");
}
