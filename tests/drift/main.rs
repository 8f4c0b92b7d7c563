//! People in the console, at any moment of a grant's life, and a JumpCloud that loses answers and lags.
//!
//! What people did is kept apart from the engine and held against what JumpCloud shows in the end, each write
//! against the read it was based on. Writes that a person's edit overtook are counted and told, not excused:
//! `docs/semantics-races.md`. The normal run plays 2,000 cases;
//! `cargo test --release --test drift -- --ignored` plays 100,000.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/cases.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod cases;
#[path = "../simulation/chance.rs"]
mod chance;
#[path = "mod.rs"]
mod drift;
#[path = "../support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use drift::DRIFT;

#[test]
fn people_win_and_nothing_of_ours_stays() {
    DRIFT.holds(cases::normal());
}

#[test]
#[ignore = "the extended run: minutes in a release build"]
fn people_win_and_nothing_of_ours_stays_in_a_hundred_thousand_cases() {
    DRIFT.holds(cases::extended());
}

#[test]
fn one_case() {
    DRIFT.one();
}
