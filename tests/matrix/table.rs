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
        let outcomes: Vec<&Outcome> = outcomes.iter().filter(of_mode).collect();
        if !outcomes.is_empty() {
            sections.push(alone(mode, &outcomes));
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

/// What is not as the file says: lines of sections that it does not hold as a whole.
pub(crate) fn differences(sections: &[String]) -> Vec<String> {
    let known = fs::read_to_string(file()).unwrap_or_default();
    let wrong = sections.iter().filter(|section| !known.contains(section.as_str()));
    let lines = wrong.flat_map(|section| section.lines());
    let mut lines: Vec<String> =
        lines.filter(|line| !known.lines().any(|other| other == *line)).map(str::to_owned).collect();
    if lines.is_empty() && sections.iter().any(|section| !known.contains(section.as_str())) {
        lines.push("lines are missing or in another order".to_owned());
    }
    lines
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
        the pairs and the single values in single mode again and fails if anything comes out otherwise;\n\
        `EPHEMERALD_MATRIX=all` adds the rest.\n\n\
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

fn alone(mode: &str, outcomes: &[&Outcome]) -> String {
    let mut text = format!(
        "## One value alone, `role_mode = \"{mode}\"`\n\n\
        Everything else as by default; in **bold** what the value changes.\n\n{}\n",
        header()
    );
    let usual = outcomes[0];
    let (same, other): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().skip(1).partition(|outcome| outcome.words == usual.words);
    for outcome in [usual].into_iter().chain(other) {
        let mut row = format!("| {} ", code(&outcome.cell.name));
        for (story, words) in &outcome.words {
            let mark = if usual.words[story] == *words { "" } else { "**" };
            let _ = write!(row, "| {mark}{words}{mark} ");
        }
        let _ = writeln!(text, "{row}|");
    }
    let _ = writeln!(text, "\n{} values change nothing in these stories:\n", same.len());
    for outcome in same {
        let _ = writeln!(text, "- {}", code(&outcome.cell.name));
    }
    text
}

fn pairwise(outcomes: &[&Outcome]) -> String {
    let mut text = format!("## All pairs\n\n{}\n", header());
    for outcome in outcomes {
        let words: Vec<&str> = outcome.words.values().map(String::as_str).collect();
        let _ = writeln!(text, "| {} | {} |", outcome.cell.name, words.join(" | "));
    }
    text += "\nWhat is not as by default in each of them:\n\n";
    for outcome in outcomes {
        let _ = writeln!(text, "- {}: {}", outcome.cell.name, differing(&outcome.cell));
    }
    text
}

fn header() -> String {
    let names: Vec<&str> = Story::ALL.into_iter().map(Story::name).collect();
    format!("| tenant | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()))
}

/// The values of a cell that are not the default.
fn differing(cell: &Cell) -> String {
    let values: Vec<String> =
        cell.differs.iter().map(|(name, value)| code(&grid::shown(name, value))).collect();
    if values.is_empty() { "nothing".to_owned() } else { values.join(", ") }
}

fn code(name: &str) -> String {
    if name.contains('=') { format!("`{name}`") } else { name.to_owned() }
}
