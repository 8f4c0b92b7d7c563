//! The main stories under every answer that JumpCloud might give: each value of each switch of the
//! simulated JumpCloud alone, and all pairs of values, in both role modes.
//!
//! A normal run plays all pairs. `EPHEMERALD_MATRIX=all` plays the single values too, and holds the table to
//! them; `EPHEMERALD_WRITE_MATRIX=1` plays everything and writes `docs/jumpcloud/matrix.md`;
//! `EPHEMERALD_MATRIX_CELLS=TEXT` plays the cells whose name contains the text and compares nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod batch;
mod grid;
mod inventory;
mod model;
mod oracle;
mod oracle_tests;
mod pairs;
mod play;
#[allow(dead_code, reason = "the stories use the rest")]
#[path = "../process/mod.rs"]
mod process;
mod standing;
mod stories;
mod table;
mod truth;
mod unknowns;
mod words;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use grid::Cell;
use play::Happened;
use stories::Story;

/// Plays only cells whose name contains this.
const ONLY: &str = "EPHEMERALD_MATRIX_CELLS";
/// `all`: plays everything.
const EXTENT: &str = "EPHEMERALD_MATRIX";
/// Cells that share an agent.
const BATCH: usize = 8;
/// Batches played at the same time; most of their time is waiting.
const AT_ONCE: usize = 8;
/// The same for what is played again.
const AGAIN_AT_ONCE: usize = 2;

/// A cell and what came of it.
struct Outcome {
    cell: Cell,
    words: BTreeMap<Story, String>,
    wrong: Vec<String>,
    /// See [`oracle::Verdict`].
    misplaced: bool,
}

#[test]
fn in_every_kind_of_tenant_access_goes_when_it_is_due_and_the_agent_says_what_is_so() {
    let only = env::var(ONLY).ok();
    let write = env::var_os(table::WRITE).is_some();
    let everything = write || only.is_some() || env::var(EXTENT).is_ok_and(|extent| extent == "all");
    let wanted = |cell: &Cell| match &only {
        Some(text) => cell.file().contains(text),
        None => everything || cell.is_pairwise(),
    };
    let cells: Vec<Cell> = grid::alone().into_iter().chain(grid::pairwise()).filter(wanted).collect();
    println!("{} cells", cells.len());
    let mut outcomes = all(&cells, AT_ONCE);
    if only.is_none() && !write {
        println!("{} cells are played again", again(&mut outcomes));
    }
    let wrong: Vec<String> = outcomes.iter().flat_map(said).collect();
    let sections = table::sections(&outcomes);
    fs::write(evidence().join("matrix.md"), sections.join("\n")).unwrap();

    assert!(
        wrong.is_empty(),
        "{} findings; evidence in {}\n{}",
        wrong.len(),
        evidence().display(),
        wrong.join("\n")
    );
    if write {
        table::write(&sections);
    } else if only.is_some() {
        println!("{}", sections[1..].join("\n"));
    } else {
        let other = table::differences(&outcomes);
        assert!(other.is_empty(), "docs/jumpcloud/matrix.md is not true any more:\n{}", other.join("\n"));
    }
}

/// What is right but not as the table says is played once more with less at the same time: a machine that
/// is too busy to report a grant before its end is not the subject.
fn again(outcomes: &mut [Outcome]) -> usize {
    let other: Vec<usize> = (0..outcomes.len())
        .filter(|&at| outcomes[at].wrong.is_empty())
        .filter(|&at| outcomes[at].misplaced || !table::agrees(&outcomes[at], outcomes))
        .collect();
    let cells: Vec<Cell> = other.iter().map(|&at| outcomes[at].cell.clone()).collect();
    for (at, outcome) in other.into_iter().zip(all(&cells, AGAIN_AT_ONCE)) {
        outcomes[at] = outcome;
    }
    cells.len()
}

/// Plays cells, several at once, and gives them back in their order.
fn all(cells: &[Cell], at_once: usize) -> Vec<Outcome> {
    let population = evidence().join("population.json");
    fs::write(&population, stories::population().to_string()).unwrap();
    let batches = cells.chunks(BATCH).map(<[Cell]>::to_vec).enumerate().rev();
    let waiting = Mutex::new(batches.collect::<Vec<_>>());
    let done = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some((at, cells)) = { waiting.lock().unwrap().pop() } {
                    let outcomes = together(cells, &population);
                    done.lock().unwrap().insert(at, outcomes);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().flatten().collect()
}

fn together(cells: Vec<Cell>, population: &Path) -> Vec<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let happened = runtime.block_on(batch::play(&cells, population));
    cells.into_iter().zip(happened).map(|(cell, happened)| one(cell, &happened)).collect()
}

fn one(cell: Cell, happened: &Happened) -> Outcome {
    let verdict = oracle::judge(&cell, happened);
    if !verdict.wrong.is_empty() || verdict.misplaced {
        keep(&cell, happened, &verdict.wrong);
    }
    Outcome { cell, words: verdict.words, wrong: verdict.wrong, misplaced: verdict.misplaced }
}

/// Keeps what happened in a cell that came out wrong.
fn keep(cell: &Cell, happened: &Happened, wrong: &[String]) {
    let dir = evidence().join(cell.file());
    fs::create_dir_all(&dir).unwrap();
    let lines = |texts: Vec<String>| texts.join("\n") + "\n";
    fs::write(dir.join("agent.log"), &happened.agent_log).unwrap();
    let log = happened.log.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    fs::write(dir.join("jumpcloud.log"), lines(log)).unwrap();
    let reports = happened.reports.iter().map(|view| view.report.to_string()).collect();
    fs::write(dir.join("reports.log"), lines(reports)).unwrap();
    fs::write(dir.join("wrong.txt"), format!("{cell:#?}\n{}", lines(wrong.to_vec()))).unwrap();
}

fn said(outcome: &Outcome) -> Vec<String> {
    let cell = &outcome.cell;
    let misplaced = outcome.misplaced.then_some(if cell.hindered {
        "nothing hinders every grant any more: say so in HINDERING, grid.rs"
    } else {
        "something hinders every grant: say so in HINDERING, grid.rs"
    });
    let wrong = outcome.wrong.iter().map(String::as_str).chain(misplaced);
    wrong.map(|wrong| format!("[{}, {}] {wrong}", cell.name, cell.role_mode)).collect()
}

fn evidence() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("matrix");
    fs::create_dir_all(&dir).unwrap();
    dir
}
