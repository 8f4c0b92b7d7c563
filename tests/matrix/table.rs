//! The table for people, `docs/jumpcloud/matrix.md`: written by a run, and true as long as a run
//! comes to the same.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use crate::{
    Outcome,
    grid::{self, Cell},
    pairs,
    stories::Story,
    words::MEANINGS,
};

/// Set to anything, it makes a run write the table instead of comparing it.
pub(crate) const WRITE: &str = "EPHEMERALD_WRITE_MATRIX";

pub(crate) fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/jumpcloud/matrix.md")
}

/// The whole file.
pub(crate) fn text(alone: &[Outcome], pairwise: &[Outcome]) -> String {
    let mut text = head(alone.len(), pairwise.len());
    text += "\n## Outcome words\n\n| word | meaning |\n|---|---|\n";
    for (word, meaning) in MEANINGS {
        let _ = writeln!(text, "| `{word}` | {meaning} |");
    }
    text += "\n## One value alone\n\nEverything else as by default. What a value changes against the first rows is in **bold**.\n";
    for mode in ["single", "multiple"] {
        let of_mode: Vec<&Outcome> = alone.iter().filter(|o| o.cell.role_mode == mode).collect();
        let _ = writeln!(text, "\n### `role_mode = \"{mode}\"`\n\n{}", header());
        for outcome in &of_mode {
            text += &row(outcome, of_mode.first().map(|first| &first.words), |cell| code(&cell.name));
        }
    }
    let _ = writeln!(text, "\n## Pairs\n\n{}", header());
    for outcome in pairwise {
        text += &row(outcome, None, differences);
    }
    text
}

fn head(alone: usize, pairwise: usize) -> String {
    let factors = grid::factors();
    let sizes = grid::sizes(&factors);
    let values: usize = sizes.iter().sum();
    let mut text = format!(
        "# What the agent does in each kind of tenant\n\n\
        Written by `{WRITE}=1 cargo test --test matrix`; `cargo test --test matrix` fails when a run comes to\n\
        anything else. Do not edit it by hand.\n\n\
        JumpCloud's API leaves much open ([`unknowns.md`](unknowns.md)). Each open point is a switch of the\n\
        simulated JumpCloud. In each cell the shipped program, a control plane and a JumpCloud with the cell's\n\
        switches play the stories below over TLS; the simulator's own log, not the agent's word, says what came\n\
        of it.\n\n\
        | | |\n|---|---|\n\
        | switches and the agent's `role_mode` | {} |\n\
        | their values | {values} |\n\
        | pairs of values, each in some cell | {} |\n\
        | cells: a covering array over all pairs | {pairwise} |\n\
        | cells: each value alone, in both role modes | {alone} |\n\n\
        | story | |\n|---|---|\n",
        factors.len(),
        pairs::all(&sizes).len(),
    );
    for story in Story::ALL {
        let _ = writeln!(text, "| {} | {} |", story.name(), story.about());
    }
    text
}

fn header() -> String {
    let names: Vec<&str> = Story::ALL.into_iter().map(Story::name).collect();
    format!("| tenant | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()))
}

fn row(
    outcome: &Outcome,
    usual: Option<&BTreeMap<Story, String>>,
    tenant: impl Fn(&Cell) -> String,
) -> String {
    let mut row = format!("| {} ", tenant(&outcome.cell));
    for (story, words) in &outcome.words {
        let other = usual.is_some_and(|usual| usual[story] != *words);
        let mark = if other { "**" } else { "" };
        let _ = write!(row, "| {mark}{words}{mark} ");
    }
    row + "|\n"
}

/// The values of a cell that are not the default.
fn differences(cell: &Cell) -> String {
    let values: Vec<String> =
        cell.differs.iter().map(|(name, value)| code(&grid::shown(name, value))).collect();
    if values.is_empty() { "the defaults".to_owned() } else { values.join(" ") }
}

fn code(name: &str) -> String {
    if name.contains('=') { format!("`{name}`") } else { name.to_owned() }
}
