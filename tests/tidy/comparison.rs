//! `docs/comparison.md` has all of its rows, and each that claims something names what shows it, or says
//! that no test does. Refuses to judge whether it does show it: people read.

use std::collections::BTreeSet;

use crate::{report, root};

/// The features are numbered from 1 to this, the complaints from R1 to the other.
const FEATURES: usize = 34;
const COMPLAINTS: usize = 25;
/// Where scripts lie that show something.
const SCRIPTS: [&str; 2] = ["tests/", ".ci/"];

#[test]
fn the_comparison_has_every_row_and_each_claim_names_what_shows_it() {
    let page = std::fs::read_to_string(root().join("docs/comparison.md")).expect("the page is there");
    let code = super::code();
    let shows = |word: &str| is_script(word) || super::is_test(&code, word);
    report(&wrong(&page, &numbers(), shows));
}

/// Every number that the page must have.
fn numbers() -> Vec<String> {
    let features = (1..=FEATURES).map(|n| n.to_string());
    features.chain((1..=COMPLAINTS).map(|n| format!("R{n}"))).collect()
}

/// A file that is there, with or without arguments.
fn is_script(words: &str) -> bool {
    let path = words.split(' ').next().unwrap_or_default();
    SCRIPTS.iter().any(|folder| path.starts_with(folder)) && root().join(path).is_file()
}

fn wrong(page: &str, numbers: &[String], shows: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut wrong = Vec::new();
    for cells in page.lines().filter_map(row) {
        let [number, _, claim, .., shown] = cells[..] else { continue };
        if !numbers.iter().any(|known| known == number) {
            continue;
        }
        if !found.insert(number) {
            wrong.push(format!("docs/comparison.md: {number} has two rows"));
        }
        let problem = match claim {
            "no" => None,
            "yes" | "partly" => (!is_shown(shown, &shows)).then_some("names no test that exists"),
            _ => Some("says neither yes nor partly nor no"),
        };
        wrong.extend(problem.map(|problem| format!("docs/comparison.md: row {number} {problem}")));
    }
    let missing = numbers.iter().filter(|number| !found.contains(number.as_str()));
    wrong.extend(missing.map(|number| format!("docs/comparison.md: no row {number}")));
    wrong
}

/// The cells of a table's row.
fn row(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

/// Whether the cell says that nothing shows it, or names something and all that it names is there.
fn is_shown(cell: &str, shows: impl Fn(&str) -> bool) -> bool {
    let mut words = cell.split('`').skip(1).step_by(2).peekable();
    cell.starts_with("no test") || words.peek().is_some() && words.all(shows)
}

#[test]
fn a_claim_without_anything_that_shows_it_is_found() {
    let numbers = ["1", "2", "3", "4", "R1"].map(str::to_owned);
    let shows = |word: &str| word == "a_test" || is_script(word);
    let page = |shown: &str| {
        format!(
            "| # | feature | | ours | shown by |\n|---|---|---|---|---|\n| 1 | a | yes | b | {shown} |\n\
             | 2 | a | no | b | |\n| 3 | a | partly | b | no test |\n| R1 | a | yes | b | `.ci/run unit` |\n\
             | 4 | a | yes | b | `a_test`, `tests/tidy.rs` |\n"
        )
    };
    assert_eq!(wrong(&page("`a_test`"), &numbers, shows), Vec::<String>::new());
    for shown in
        ["", "`none`", "`a_test`, `none`", "[a page](metrics.md)", "`src/main.rs`", "`tests/none.sh`"]
    {
        let found = wrong(&page(shown), &numbers, shows);
        assert_eq!(found, ["docs/comparison.md: row 1 names no test that exists"], "{shown}");
    }
    let worse = page("`a_test`").replace("| 2 |", "| 3 |").replace("| yes | b | `.ci", "| sure | b | `.ci");
    assert_eq!(
        wrong(&worse, &numbers, shows),
        [
            "docs/comparison.md: 3 has two rows",
            "docs/comparison.md: row R1 says neither yes nor partly nor no",
            "docs/comparison.md: no row 2",
        ]
    );
}
