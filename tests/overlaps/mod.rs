//! The property, its cases and its model; `main.rs` plays them, and so does the test of planted faults.

mod case;
mod model;
pub(crate) mod play;

use super::{
    cases::{self, Property},
    chance, world,
};

pub(crate) const OVERLAPS: Property = Property {
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
