//! The table for people, `docs/jumpcloud/matrix.md`: written by a run, and true as long as a run
//! comes to the same.

use std::{fmt::Write as _, fs, path::PathBuf};

use crate::{
    Outcome,
    grid::{self, Cell},
    pairs,
    stories::Story,
    words::MEANINGS,
};

/// Set to anything, it makes a run play everything and write the table instead of comparing it.
pub(crate) const WRITE: &str = "EPHEMERALD_WRITE_MATRIX";

/// The sections of the file that the outcomes make up, in its order.
pub(crate) fn sections(outcomes: &[Outcome]) -> Vec<String> {
    let mut sections = vec![head()];
    for mode in ["single", "multiple"] {
        let of_mode = |o: &&Outcome| o.cell.role_mode == mode && !o.cell.is_pairwise();
        let of_this: Vec<&Outcome> = outcomes.iter().filter(of_mode).collect();
        if !of_this.is_empty() {
            sections.push(alone(mode, &of_this, outcomes));
        }
    }
    let outcomes: Vec<&Outcome> = outcomes.iter().filter(|o| o.cell.is_pairwise()).collect();
    sections.push(pairwise(&outcomes));
    sections
}

/// Writes the file.
pub(crate) fn write(sections: &[String]) {
    fs::write(file(), sections.join("\n")).unwrap();
}

/// What is not as the file says: its head, the rows of single values, and what each row of pairs is made of.
/// What came of a row of pairs is the oracle's to judge: there, much depends on how fast things are.
pub(crate) fn differences(outcomes: &[Outcome]) -> Vec<String> {
    let known = fs::read_to_string(file()).unwrap_or_default();
    let mut wrong = Vec::new();
    if !known.starts_with(&head()) {
        wrong.push("its head: the stories, the numbers of switches, values and cells".to_owned());
    }
    let pairs = outcomes.iter().filter(|outcome| outcome.cell.is_pairwise()).map(|o| made_of(&o.cell));
    wrong.extend(pairs.filter(|line| !known.lines().any(|other| other == line)));
    let other = outcomes.iter().filter(|outcome| !agrees(outcome, outcomes));
    wrong.extend(other.map(|outcome| row(outcome, usual(outcome, outcomes))));
    wrong
}

/// Whether the file says what came of a cell, as far as it can.
pub(crate) fn agrees(outcome: &Outcome, outcomes: &[Outcome]) -> bool {
    outcome.cell.is_pairwise() || outcome.cell.depends_on_time() || knows(outcome, outcomes)
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/jumpcloud/matrix.md")
}

fn head() -> String {
    let factors = grid::factors();
    let sizes = grid::sizes(&factors);
    let mut text = format!(
        "# What the agent does in each kind of tenant\n\n\
        Written by `{WRITE}=1 cargo test --test matrix`; do not edit it by hand. `cargo test --test matrix` plays\n\
        all pairs again; `EPHEMERALD_MATRIX=all` adds the single values and fails if one comes out otherwise\n\
        than here (but where JumpCloud is slow, lags, throttles or sorts anew, and outcomes depend on time).\n\n\
        JumpCloud's API leaves much open ([`unknowns.md`](unknowns.md)); each open point is a switch of the\n\
        simulated JumpCloud. In each cell a JumpCloud with the cell's switches, a control plane and the shipped\n\
        program play the stories below over TLS. The simulator's own log, not the agent's word, says what came\n\
        of it, and a run fails if access outlives its grant, or if a report says what is not so.\n\n\
        | | |\n|---|---|\n\
        | switches, and what the agent is configured with | {} |\n\
        | their values | {} |\n\
        | pairs of values, each in some cell | {} |\n\
        | cells: a covering array over all pairs | {} |\n\
        | cells: each value alone, in both role modes | {} |\n\n\
        | story | |\n|---|---|\n",
        factors.len(),
        sizes.iter().sum::<usize>(),
        pairs::all(&sizes).len(),
        grid::pairwise().len(),
        grid::alone().len(),
    );
    for story in Story::ALL {
        let _ = writeln!(text, "| {} | {} |", story.name(), story.about());
    }
    text += "\n| outcome | meaning |\n|---|---|\n";
    for (word, meaning) in MEANINGS {
        let _ = writeln!(text, "| {word} | {meaning} |");
    }
    text
}

/// Whether the file has this row.
fn knows(outcome: &Outcome, outcomes: &[Outcome]) -> bool {
    let known = fs::read_to_string(file()).unwrap_or_default();
    let title = |mode: &str| format!("\n{}\n", alone_title(mode));
    let section = title(&outcome.cell.role_mode);
    let Some((_, rest)) = known.split_once(section.as_str()) else { return false };
    let section = rest.split_once("\n## ").map_or(rest, |(section, _)| section);
    section.lines().any(|line| line == row(outcome, usual(outcome, outcomes)))
}

/// The outcome under the defaults that one is compared with.
fn usual<'o>(outcome: &Outcome, outcomes: &'o [Outcome]) -> Option<&'o Outcome> {
    let defaults = |o: &&Outcome| o.cell.is_the_default() && o.cell.role_mode == outcome.cell.role_mode;
    outcomes.iter().find(defaults).filter(|_| !outcome.cell.is_pairwise())
}

/// The line of a cell: a row of its table or, where nothing is other than usual, an item of a list.
fn row(outcome: &Outcome, usual: Option<&Outcome>) -> String {
    let name = code(&outcome.cell.name);
    if usual.is_some_and(|usual| usual.words == outcome.words) && !outcome.cell.is_the_default() {
        return format!("- {name}");
    }
    let mut row = format!("| {name} ");
    for (story, words) in &outcome.words {
        let mark = if usual.is_some_and(|usual| usual.words[story] != *words) { "**" } else { "" };
        let _ = write!(row, "| {mark}{words}{mark} ");
    }
    row + "|"
}

fn alone_title(mode: &str) -> String {
    format!("## One value alone, `role_mode = \"{mode}\"`")
}

fn alone(mode: &str, outcomes: &[&Outcome], all: &[Outcome]) -> String {
    let (same, other): (Vec<String>, Vec<String>) = outcomes
        .iter()
        .map(|outcome| row(outcome, usual(outcome, all)))
        .partition(|row| row.starts_with('-'));
    format!(
        "{}\n\nEverything else as by default; in **bold** what is other than in the first row.\n\n\
        {}\n{}\n\n{} values change nothing in these stories:\n\n{}\n",
        alone_title(mode),
        header(),
        other.join("\n"),
        same.len(),
        same.join("\n"),
    )
}

const PAIRS: &str = "## All pairs";

fn pairwise(outcomes: &[&Outcome]) -> String {
    let of = |hindered: bool| outcomes.iter().filter(move |outcome| outcome.cell.hindered == hindered);
    let rows = |hindered| of(hindered).map(|outcome| row(outcome, None)).collect::<Vec<_>>().join("\n");
    let differing = outcomes.iter().map(|o| made_of(&o.cell));
    format!(
        "{PAIRS}\n\nThe first {} cells hold every pair of values that can do without the values that hinder all\n\
        grants; the last {} hold the rest.\n\n{}\n{}\n{}\n\nWhat is not as by default in each of them:\n\n{}\n",
        of(false).count(),
        of(true).count(),
        header(),
        rows(false),
        rows(true),
        differing.collect::<Vec<_>>().join("\n"),
    )
}

fn header() -> String {
    let names: Vec<&str> = Story::ALL.into_iter().map(Story::name).collect();
    format!("| tenant | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()))
}

/// The values of a cell that are not the default.
fn made_of(cell: &Cell) -> String {
    let values: Vec<String> =
        cell.differs.iter().map(|(name, value)| code(&grid::shown(name, value))).collect();
    let values = if values.is_empty() { "nothing".to_owned() } else { values.join(", ") };
    format!("- {}: {values}", cell.name)
}

fn code(name: &str) -> String {
    if name.contains('=') { format!("`{name}`") } else { name.to_owned() }
}
