//! Each rule that must be missed when it is gone: taken out of the engine, and caught by a property or a
//! timeline that passes with it. Part of the library's own tests (`cargo test --lib planted`), for nobody else
//! can plant anything; see `src/engine/planted.rs`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/cases.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod cases;
#[path = "../simulation/chance.rs"]
mod chance;
#[path = "../support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

#[path = "../simulation/checks.rs"]
mod checks;
#[path = "../simulation/faults.rs"]
mod faults;
#[path = "../simulation/jobs.rs"]
mod jobs;
#[path = "../simulation/run.rs"]
#[allow(dead_code, reason = "each test file uses its own part")]
mod run;

#[path = "../drift/mod.rs"]
#[allow(dead_code, reason = "the property itself is played elsewhere")]
mod drift;
#[path = "../overlaps/mod.rs"]
#[allow(dead_code, reason = "the property itself is played elsewhere")]
mod overlaps;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Planted, with};
use crate::engine::settings::RoleMode;
use world::World;

const MINUTE: u64 = 60_000;

fn world(mode: RoleMode) -> World {
    let mut world = World::new(mode);
    world.start();
    world.run(1_000);
    world
}

macro_rules! check {
    ($world:expr, $left:expr, $right:expr) => {
        assert_eq!($left, $right, "\n{}", $world.story())
    };
}

#[path = "../timelines/abroad.rs"]
mod abroad;
#[path = "../policy/chain.rs"]
mod chain;
#[path = "../timelines/people.rs"]
mod people;
#[path = "../timelines/uncertain.rs"]
mod uncertain;

/// Cases that suffice to notice a fault, and that hold without one.
const CASES: u64 = 150;

fn overlaps_hold() -> bool {
    (0..CASES).all(|case| overlaps::play::judge(case).failure.is_none())
}

fn drift_holds() -> bool {
    (0..CASES).all(|case| drift::play::judge(case).failure.is_none())
}

fn passes(timeline: fn()) -> bool {
    catch_unwind(timeline).is_ok()
}

/// A fault, by what it is noticed, and that.
struct Row(Planted, &'static str, fn() -> bool);

const ROWS: [Row; 8] = [
    Row(Planted::NoReferenceCount, "overlaps", overlaps_hold),
    Row(Planted::MayRaise, "an ending over what a person left", || {
        passes(people::an_ending_gives_nothing_that_is_not_there)
    }),
    Row(Planted::NoPin, "T10", || {
        passes(abroad::t10_with_another_organizations_key_nothing_closes_and_nothing_is_written_until_the_right_one_is_back)
    }),
    Row(Planted::NoWatch, "T6", || {
        passes(uncertain::t6_a_late_raise_of_an_ended_grant_is_not_taken_for_a_baseline)
    }),
    Row(Planted::NoWatch, "drift", drift_holds),
    Row(Planted::NoSendBy, "T9", || {
        passes(uncertain::t9_a_raise_that_slept_between_its_commit_and_its_sending_is_not_sent)
    }),
    Row(Planted::NoMaxContinuous, "a chain", || {
        passes(chain::a_chain_of_grants_and_extensions_is_no_standing_access)
    }),
    Row(Planted::Unwritten, "overlaps", overlaps_hold),
];

/// What the simulation alone has to notice, with the invariants that may be the first to break.
const SIMULATED: [Planted; 11] = [
    Planted::NoReferenceCount,
    Planted::NoWatch,
    Planted::Unwritten,
    Planted::BlindRetry,
    Planted::NotFoundIsGone,
    Planted::GivesUp,
    Planted::LostTimer,
    Planted::RemainingTime,
    Planted::WallClockOnly,
    Planted::ForgetfulJobs,
    Planted::BaselineOverwritten,
];
/// Seeds that must suffice; the same seeds hold without a fault (`tests/simulation.rs`).
const SEEDS: u64 = 300;

/// The first seed in which an invariant breaks, and its name.
fn first_violation() -> Option<(u64, String)> {
    (0..SEEDS).find_map(|seed| {
        let mut run = run::Run::new(seed);
        let panicked = catch_unwind(AssertUnwindSafe(|| run.whole())).is_err();
        let broken = run.world.witness.violations.first().map(|(name, _)| (*name).to_owned());
        broken.or_else(|| panicked.then(|| "no_panic".to_owned())).map(|name| (seed, name))
    })
}

#[test]
fn the_simulation_notices_each_planted_fault() {
    let mut missed = Vec::new();
    for fault in SIMULATED {
        match with(fault, first_violation) {
            Some((seed, invariant)) => println!("{fault:?}: {} seeds, {invariant}", seed + 1),
            None => missed.push(fault),
        }
    }
    assert!(missed.is_empty(), "not noticed in {SEEDS} seeds: {missed:?}");
}

#[test]
fn each_planted_fault_is_caught_by_what_passes_without_it() {
    for Row(fault, by, holds) in ROWS {
        assert!(holds(), "{by} fails without any planted fault");
        assert!(!with(fault, holds), "{fault:?} is in the engine, and {by} does not notice");
    }
}
