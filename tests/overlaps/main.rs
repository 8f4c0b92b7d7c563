//! Any number of grants on one account, against a small model of what JumpCloud must show at every instant.
//!
//! The normal run plays 2,000 cases; `cargo test --release --test overlaps -- --ignored` plays 100,000.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod case;
#[path = "../support/cases.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod cases;
#[path = "../simulation/chance.rs"]
mod chance;
mod model;
mod play;
#[path = "../support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use cases::Property;

const OVERLAPS: Property = Property {
    name: "any_set_of_grants_shows_what_the_model_says",
    target: "overlaps",
    judge: play::judge,
    tell: play::tell,
    quotas: &[
        ("raised", 3_000),
        ("counted", 1_000),
        ("conflict", 300),
        ("already granted", 300),
        ("extended", 300),
        ("revoked early", 300),
        ("quiet spans", 8_000),
    ],
};

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
