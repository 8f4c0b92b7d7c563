//! What two protections cost: the state key (each record of the ledger authenticated) and the egress guard (all that
//! leaves searched for secrets). `cargo bench --bench protection`.
//!
//! With and without stand side by side in each run, in turns, on a real file with real syncs; figures are medians of the
//! runs. Without `--bench` (as `cargo test --all-targets` runs it) it only proves on a few records that it works.
#![expect(clippy::print_stdout, reason = "the table is its output")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench may panic, and measures")]

#[path = "../../tests/support/world/mod.rs"]
#[allow(dead_code, reason = "each user has its own part of the world")]
mod world;

use std::{
    env,
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ephemerald::{
    engine::{action::Entry, settings::RoleMode, state::State},
    ledger::{Batch, Event, JournalKey, Keying, Ledger, OnLoss, Options, Row, codec},
    secrets::{
        Secret,
        guard::{self, Outlet},
    },
};
use world::World;

const RUNS: usize = 5;

fn main() {
    let long = env::args().any(|arg| arg == "--bench");
    let (grants, runs) = if long { (300, RUNS) } else { (3, 1) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ledger(grants, runs));
    guarded(if long { 20_000 } else { 10 }, runs);
}

/// The records of so many grants, one after the other, each ended after a minute.
fn lives(grants: usize) -> Vec<Entry> {
    let mut world = World::new(RoleMode::Multiple);
    for n in 0..grants {
        world.hire(&format!("person{n}@example.com"), &["Read Only"]);
    }
    world.start();
    world.run(1_000);
    for n in 0..grants {
        world.grant(&format!("person{n}@example.com"), "Help Desk", 1);
        world.run(100);
    }
    world.run(20 * 60_000);
    world.durable
}

async fn ledger(grants: usize, runs: usize) {
    let entries = lives(grants);
    let mut state = State::default();
    let rows: Vec<Row> = entries
        .iter()
        .map(|entry| {
            state.apply(entry.seq, entry.at, &entry.record);
            codec::row(entry, &state)
        })
        .collect();
    let key = Keying::Known(Arc::new(JournalKey::new(&[7; 32])));
    let mut took = [const { Vec::new() }; 6];
    for _ in 0..runs {
        for (with, key) in [(0, Keying::None), (1, key.clone())] {
            let dir = tempfile::tempdir().unwrap();
            let whole = append(dir.path(), &key, &rows, rows.len()).await;
            took[with].push(whole / u32::try_from(rows.len()).unwrap());
            let many: Vec<Duration> = opened(dir.path(), &key, runs).await;
            took[2 + with].extend(many);
            let dir = tempfile::tempdir().unwrap();
            let some = &rows[..rows.len().min(600)];
            let batches = append(dir.path(), &key, some, 3).await;
            took[4 + with].push(batches / u32::try_from(some.len().div_ceil(3)).unwrap());
        }
    }
    println!("| {} records of {grants} grants | without | with the state key | ratio |", rows.len());
    println!("|---|---:|---:|---:|");
    let names =
        ["a record, in one batch of all (µs)", "a start over all of them (µs)", "a commit of three (µs)"];
    for (name, pair) in names.iter().zip(took.chunks(2)) {
        line(name, median(&pair[0]), median(&pair[1]));
    }
}

/// Appends the rows in batches, each durable before the next is handed over.
async fn append(dir: &Path, key: &Keying, rows: &[Row], batch: usize) -> Duration {
    let options = Options { created_at: world::START, on_loss: OnLoss::BeginAnew, key: key.clone() };
    let (ledger, _, mut events) = Ledger::<()>::open(dir, options).await.unwrap();
    let began = Instant::now();
    for rows in rows.chunks(batch) {
        ledger.submit(Batch { rows: rows.to_vec(), raises: vec![] }).unwrap();
        assert!(matches!(events.recv().await, Some(Event::Durable { .. })));
    }
    let took = began.elapsed();
    ledger.close().await;
    took
}

/// How long it takes to open a ledger and to read what is open, as a start does.
async fn opened(dir: &Path, key: &Keying, times: usize) -> Vec<Duration> {
    let mut took = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        let options = Options { created_at: world::START, on_loss: OnLoss::BeginAnew, key: key.clone() };
        let (ledger, opened, _) = Ledger::<()>::open(dir, options).await.unwrap();
        black_box(codec::restore(&ledger.load_open().await.unwrap(), &opened));
        took.push(began.elapsed());
        ledger.close().await;
    }
    took
}

/// A line of the log and a page of the inventory, searched while so many secrets are alive.
fn guarded(times: u32, runs: usize) {
    let line: String = (0..30).map(|n| format!("\"field{n}\":\"value {n}\",")).collect();
    let page = line.repeat(160);
    println!("\n| searched | bytes | copied only (ns) | 2 secrets (ns) | 20 secrets (ns) |");
    println!("|---|---:|---:|---:|---:|");
    for (name, text, times) in
        [("a line of the log", &line, times), ("a page of reports", &page, times / 100 + 1)]
    {
        let copied = each(times, runs, || drop(black_box(text.clone())));
        let [few, many] = [2, 20].map(|secrets| {
            let alive: Vec<Secret> =
                (0..secrets).map(|n| Secret::new(format!("jca_{n:02}{}", "0a1B2c3D4e".repeat(4)))).collect();
            let took =
                each(times, runs, || guard::judge(Outlet::Log, black_box(text.as_bytes()), None).unwrap());
            drop(alive);
            took
        });
        println!("| {name} | {} | {copied:.0} | {few:.0} | {many:.0} |", text.len());
    }
}

/// Nanoseconds that one call takes; the median of the runs.
fn each(times: u32, runs: usize, mut what: impl FnMut()) -> f64 {
    let took: Vec<Duration> = (0..runs)
        .map(|_| {
            let began = Instant::now();
            (0..times).for_each(|_| what());
            began.elapsed() / times
        })
        .collect();
    median(&took) * 1_000.0
}

fn line(name: &str, without: f64, with: f64) {
    println!("| {name} | {without:.1} | {with:.1} | {:.2} |", with / without);
}

/// In microseconds.
fn median(took: &[Duration]) -> f64 {
    let mut took = took.to_vec();
    took.sort();
    took[took.len() / 2].as_secs_f64() * 1e6
}
