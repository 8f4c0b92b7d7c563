//! Any number of grants on one account, against a small model of what JumpCloud must show at every instant.
//!
//! The normal run plays 2,000 cases; `cargo test --release --test overlaps -- --ignored` plays 100,000.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/cases.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod cases;
#[path = "../simulation/chance.rs"]
mod chance;
#[path = "mod.rs"]
mod overlaps;
#[path = "../support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use overlaps::OVERLAPS;

#[test]
fn any_set_of_grants_shows_what_the_model_says_and_loses_nothing_early() {
    OVERLAPS.holds(cases::normal());
}

#[test]
#[ignore = "the extended run: minutes in a release build"]
fn any_set_of_grants_shows_what_the_model_says_in_a_hundred_thousand_cases() {
    OVERLAPS.holds(cases::extended());
}

#[test]
fn one_case() {
    OVERLAPS.one();
}
