//! Holds `docs/jumpcloud/unknowns.md` and the simulator together: every switch stands for a named
//! unknown, every name in the document is a switch or a fault that exists, and every test it cites is
//! there. Refuses prose in the second column.

use std::{collections::BTreeSet, fs, path::Path};

use ephemerald::sandbox::jumpcloud::{Fault, Switches};
use serde_json::json;

/// A row of the document's tables.
struct Row {
    unknown: String,
    /// Switches and `fault:` names, or `none`.
    stands: Vec<String>,
    does: String,
    shown: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows(text: &str) -> Vec<Row> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let rows = lines.map(cells).filter(|cells| cells.len() == 4 && cells[0] != "unknown");
    rows.map(|cells| Row {
        unknown: cells[0].clone(),
        stands: quoted(&cells[1]),
        does: cells[2].clone(),
        shown: cells[3].clone(),
    })
    .collect()
}

/// What stands between backquotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn document() -> Vec<Row> {
    rows(&fs::read_to_string(root().join("docs/jumpcloud/unknowns.md")).unwrap())
}

/// Switches that no row names, and names that are neither a switch nor a fault.
fn astray(rows: &[Row]) -> Vec<String> {
    let switches: BTreeSet<&str> = Switches::domain().into_iter().map(|(name, _)| name).collect();
    let named: BTreeSet<&str> = rows.iter().flat_map(|row| &row.stands).map(String::as_str).collect();
    let unnamed = switches.difference(&named).map(|name| format!("no row names the switch {name}"));
    let unknown = named.iter().filter(|name| !switches.contains(**name) && !is_fault(name));
    unnamed.chain(unknown.map(|name| format!("{name} is neither a switch nor a fault"))).collect()
}

fn is_fault(name: &str) -> bool {
    let Some(kind) = name.strip_prefix("fault:") else { return false };
    // What a kind needs beside its name differs; what it does not need is refused or left out.
    let more = [
        json!({}),
        json!({"status": 500}),
        json!({"status": 500, "executed": false}),
        json!({"after_ms": 1}),
        json!({"pause_ms": 1}),
        json!({"retry_after": "1"}),
    ];
    more.into_iter().any(|mut fault| {
        fault["kind"] = kind.into();
        serde_json::from_value::<Fault>(fault).is_ok()
    })
}

#[test]
fn every_switch_stands_for_a_named_unknown_and_every_name_exists() {
    assert_eq!(astray(&document()), Vec::<String>::new());
}

#[test]
fn a_switch_without_a_row_and_a_row_without_a_switch_are_noticed() {
    let mut rows = document();
    rows.retain(|row| !row.stands.contains(&"role_name".to_owned()));
    rows.push(Row {
        unknown: String::new(),
        stands: vec!["role_nam".into(), "fault:resett".into(), "fault:reset_after".into()],
        does: String::new(),
        shown: String::new(),
    });
    let found = astray(&rows);
    assert!(found.contains(&"no row names the switch role_name".to_owned()), "{found:?}");
    assert!(found.contains(&"role_nam is neither a switch nor a fault".to_owned()), "{found:?}");
    assert!(found.contains(&"fault:resett is neither a switch nor a fault".to_owned()), "{found:?}");
    assert!(!found.iter().any(|text| text.contains("reset_after")), "{found:?}");
}

#[test]
fn every_row_says_what_the_agent_does_and_cites_a_test_that_exists() {
    for row in document() {
        assert!(!row.unknown.is_empty() && !row.does.is_empty(), "an empty cell: {}", row.unknown);
        let cites = row.shown.contains("matrix") || row.shown.contains("::");
        assert_eq!(
            !row.stands.is_empty(),
            cites,
            "{}: what stands for it is shown, nothing else",
            row.unknown
        );
        for cited in quoted(&row.shown) {
            let (file, name) = cited.split_once("::").unwrap();
            let text = fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            assert!(text.contains(&format!("fn {name}(")), "{file} has no test {name}");
        }
    }
}
