//! The property, its cases and its judges; `main.rs` plays them, and so does the test of planted faults.

mod case;
mod outcomes;
pub(crate) mod play;
mod truth;
mod writes;

use super::{
    cases::{self, Property},
    chance, world,
};

pub(crate) const DRIFT: Property = Property {
    name: "people_win_and_nothing_of_ours_stays",
    target: "drift",
    judge: play::judge,
    tell: play::tell,
    quotas: &[
        ("granted", 2_000),
        ("edit", 4_000),
        ("revoked externally", 150),
        ("superseded", 50),
        ("target gone", 40),
        ("reappeared", 20),
        ("rests that people decided", 1_000),
        ("edits that a write of ours overtook", 10),
        ("residual race", 5),
    ],
};
