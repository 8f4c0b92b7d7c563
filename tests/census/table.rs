//! Rows, and the two tables in the census.

use std::fmt::Write as _;

use crate::counting::{Calls, KINDS};

/// What one thing costs.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) calls: Calls,
    /// What the API makes necessary.
    pub(crate) minimum: &'static str,
    /// The most that is allowed, where there is such a number.
    pub(crate) target: Option<usize>,
}

impl Row {
    pub(crate) fn of(what: &'static str, calls: Calls) -> Self {
        Self { what, calls, minimum: "", target: None }
    }

    pub(crate) fn at_most(self, target: usize) -> Self {
        Self { target: Some(target), ..self }
    }

    pub(crate) fn because(self, minimum: &'static str) -> Self {
        Self { minimum, ..self }
    }

    pub(crate) fn requests(&self) -> usize {
        self.calls.values().sum()
    }
}

/// The text with both tables as they are now.
pub(crate) fn written_into(text: &str, effects: &[Row], background: &[Row]) -> String {
    let text = between(text, "effects", &effects_table(effects));
    between(&text, "background", &background_table(background))
}

fn between(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: counted -->\n"), format!("<!-- {name}: end -->"));
    let (head, rest) = text.split_once(&begin).expect("the mark at which the table begins");
    let (_, tail) = rest.split_once(&end).expect("the mark at which the table ends");
    format!("{head}{begin}\n{table}\n{end}{tail}")
}

fn effects_table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| what | requests | target | which | what the API makes necessary |\n|---|---|---|---|---|\n",
    );
    for row in rows {
        let (requests, which) = (row.requests(), which(&row.calls));
        writeln!(
            table,
            "| {} | **{requests}** | {} | {which} | {} |",
            row.what,
            row.target.unwrap(),
            row.minimum
        )
        .unwrap();
    }
    table
}

fn background_table(rows: &[Row]) -> String {
    let mut table = String::from("| what | requests | which | why |\n|---|---|---|---|\n");
    for row in rows {
        writeln!(
            table,
            "| {} | **{}** | {} | {} |",
            row.what,
            row.requests(),
            which(&row.calls),
            row.minimum
        )
        .unwrap();
    }
    table
}

fn which(calls: &Calls) -> String {
    let shown = KINDS.iter().filter_map(|kind| Some((kind, calls.get(kind)?)));
    let shown: Vec<String> = shown.map(|(kind, count)| format!("{count} × {kind}")).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}
