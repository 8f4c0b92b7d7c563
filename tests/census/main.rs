//! The request census: what each thing costs at JumpCloud, counted from the simulated JumpCloud's log
//! while the shipped agent does it, and held against the table in `docs/jumpcloud/census.md`.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod aged;
mod counting;
mod plays;
#[allow(dead_code, reason = "the stories use the rest")]
#[path = "../process/mod.rs"]
mod process;
mod table;
#[allow(dead_code, reason = "each test file uses its own part of the world")]
#[path = "../support/world/mod.rs"]
mod world;

use std::{fs, path::PathBuf};

use table::Row;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/jumpcloud/census.md")
}

/// The effects, and what runs in the background, as they are now.
async fn counted() -> (Vec<Row>, Vec<Row>) {
    let (short, calm, watched) = tokio::join!(plays::quiet(), plays::effects(), plays::afterwards());
    let mut background = short;
    background.extend(watched);
    background.extend(aged::rows());
    (calm, background)
}

#[tokio::test]
async fn the_numbers_in_the_census_are_still_true_and_within_their_targets() {
    let (effects, background) = counted().await;
    for row in &effects {
        let (requests, target) = (row.requests(), row.target.unwrap());
        assert!(requests <= target, "{}: {requests} requests, target {target}", row.what);
    }
    let text = fs::read_to_string(file()).unwrap();
    let now = table::written_into(&text, &effects, &background);
    assert_eq!(text, now, "if this is as it should be: cargo test --test census -- --ignored");
}

#[tokio::test]
#[ignore = "writes docs/jumpcloud/census.md: cargo test --test census -- --ignored"]
async fn write_the_census() {
    let (effects, background) = counted().await;
    let text = fs::read_to_string(file()).unwrap();
    fs::write(file(), table::written_into(&text, &effects, &background)).unwrap();
}
