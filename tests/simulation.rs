//! The engine in a world where everything that can go wrong does, and one seed decides all of it.
//!
//! A failing seed prints how to run it alone, and its story.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "simulation/chance.rs"]
mod chance;
#[path = "simulation/checks.rs"]
mod checks;
#[path = "simulation/faults.rs"]
mod faults;
#[path = "simulation/jobs.rs"]
mod jobs;
#[path = "simulation/run.rs"]
mod run;
#[path = "support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use run::Run;

/// What must have happened at least this often over 300 seeds, lest the simulation prove nothing.
const QUOTAS: [(&str, u64); 29] = [
    ("active", 300),
    ("gone", 300),
    ("indeterminate", 50),
    ("reappearance", 5),
    ("late write", 50),
    ("late raise after the end", 3),
    ("overdue", 2),
    ("baseline moved", 50),
    ("equivocation", 20),
    ("duplicate", 100),
    ("console", 100),
    ("outage", 50),
    ("wall clock jump", 50),
    ("reboot", 50),
    ("suspend", 20),
    ("days off", 10),
    ("outage of hours", 10),
    ("silence of the control plane", 50),
    ("crash in applying", 20),
    ("crash in indeterminate", 5),
    ("crash in revoking", 10),
    ("crash before durable", 20),
    ("gates closed while healing", 20),
    ("ledger lost", 50),
    ("ledger lost before durable", 10),
    ("extend at the end", 50),
    ("extended", 30),
    ("extension too late", 10),
    ("extension withdrawn", 3),
];

fn seeds() -> u64 {
    std::env::var("EPHEMERALD_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000)
}

#[test]
fn every_invariant_holds_in_every_seed() {
    let seeds = seeds();
    #[expect(clippy::disallowed_methods, reason = "the throughput is told to people and judges nothing")]
    let begun = std::time::Instant::now();
    let halves: Vec<_> = (0..2)
        .map(|half| {
            std::thread::spawn(move || (0..seeds).filter(|s| s % 2 == half).map(judged).collect::<Vec<_>>())
        })
        .collect();
    let judged: Vec<Judged> = halves.into_iter().flat_map(|half| half.join().unwrap()).collect();
    let took = begun.elapsed().as_secs_f64();
    println!("{seeds} seeds in {took:.0} s, {:.1} a second in two threads", seeds as f64 / took);
    let mut total: BTreeMap<&str, u64> = BTreeMap::new();
    let mut broken: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for one in &judged {
        one.seen.iter().for_each(|(what, n)| *total.entry(what).or_default() += n);
        if let Some((invariant, _)) = &one.violation {
            broken.entry(invariant).or_default().push(one.seed);
        }
    }
    if let Some(first) = judged.iter().filter(|j| j.violation.is_some()).min_by_key(|j| j.seed) {
        let (invariant, what) = first.violation.as_ref().unwrap();
        let (seed, story) = (first.seed, &first.story);
        panic!(
            "{story}\n{invariant}: {what}\nall: {broken:?}\n\
             EPHEMERALD_SEED={seed} cargo test --test simulation one_seed -- --nocapture"
        );
    }
    let missing: Vec<_> = QUOTAS
        .iter()
        .filter(|(what, least)| total.get(what).copied().unwrap_or(0) < least * seeds / 300)
        .collect();
    assert!(missing.is_empty(), "happened too seldom: {missing:?} of {total:?}");
}

#[test]
fn the_same_seed_twice_is_the_same_run() {
    // In 111 calls are given up as lost at one instant: their order was once left to chance.
    for seed in (0..8).chain(108..114) {
        let twice = [0, 1].map(|_| {
            let mut run = Run::new(seed);
            run.whole();
            run.trace_hash()
        });
        assert_eq!(twice[0], twice[1], "seed {seed}");
    }
}

#[test]
fn one_seed() {
    let Some(seed) = std::env::var("EPHEMERALD_SEED").ok().and_then(|n| n.parse().ok()) else { return };
    let judged = judged(seed);
    assert!(judged.violation.is_none(), "{}\n{:?}", judged.story, judged.violation);
}

/// For tests/mutation: what happens in each of so many seeds, as a line of numbers (records and roles, warnings,
/// reads), or in one seed in full. A mutant that breaks no invariant may still change what is done.
#[test]
fn traces() {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let whole = |seed| {
        let mut run = Run::new(seed);
        let _ = catch_unwind(AssertUnwindSafe(|| run.whole()));
        run
    };
    for seed in 0..number("EPHEMERALD_TRACES").unwrap_or(0) {
        let run = whole(seed);
        let warnings = run::hash(&format!("{:?}", run.world.warnings));
        println!("seed {seed} {:x} {warnings:x} {}", run.trace_hash(), run.world.cloud.reads);
    }
    if let Some(seed) = number("EPHEMERALD_TRACE") {
        let run = whole(seed);
        let warnings = run.world.warnings.iter().map(|w| format!("{w:?}\n")).collect::<String>();
        println!("{}{warnings}{} reads", run.world.story(), run.world.cloud.reads);
    }
}

struct Judged {
    seed: u64,
    seen: BTreeMap<&'static str, u64>,
    violation: Option<(&'static str, String)>,
    story: String,
}

fn judged(seed: u64) -> Judged {
    let mut run = Run::new(seed);
    let panicked = catch_unwind(AssertUnwindSafe(|| run.whole()));
    let found = run.world.witness.violations.first().cloned();
    let violation = panicked.err().map(|_| ("no_panic", String::new())).or(found);
    let story = if violation.is_some() { run.world.story() } else { String::new() };
    Judged { seed, seen: run.world.witness.seen.clone(), violation, story }
}
