//! `docs/testing.md`, `docs/comparison.md` and `docs/threat-model.md` name tests that exist, and the first
//! leaves no fault of the catalogue out. Refuses to believe that a test shows what the page says: people read.

#[path = "comparison.rs"]
mod comparison;

use std::collections::BTreeSet;

use super::{read_tree, report, root, source::Source};

/// The catalogue's faults are numbered from 1 to this.
const FAULTS: usize = 108;
/// Shorter words in code style are other things than tests: quotas, commands, fields.
const SHORTEST: usize = 28;

#[test]
fn the_page_about_tests_names_tests_that_exist_and_every_fault() {
    let page =
        std::fs::read_to_string(root().join("docs/testing.md")).expect("the page is in the repository");
    let code = code();
    let exists = |name: &str| is_function(&code, name);
    let compared = std::fs::read_to_string(root().join("docs/comparison.md")).expect("so is this one");
    let threats = std::fs::read_to_string(root().join("docs/threat-model.md")).expect("and this one");
    let mut wrong: Vec<String> = named(&page)
        .chain(named(&compared))
        .chain(named(&threats))
        .filter(|name| !exists(name))
        .map(|name| format!("docs/testing.md, comparison.md or threat-model.md: no test {name}"))
        .collect();
    let numbers = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    let known: BTreeSet<usize> = numbers.iter().copied().collect();
    wrong.extend(
        (1..=FAULTS).filter(|n| !known.contains(n)).map(|n| format!("docs/testing.md: no fault {n}")),
    );
    if known.len() != numbers.len() {
        wrong.push("docs/testing.md: a fault has two rows".to_owned());
    }
    report(&wrong);
}

/// Everything that may hold a test.
fn code() -> Vec<Source> {
    read_tree("tests", "rs").into_iter().chain(read_tree("src", "rs")).collect()
}

fn is_function(code: &[Source], name: &str) -> bool {
    let declared = format!("fn {name}(");
    code.iter().any(|file| file.text.contains(&declared))
}

/// Whether a function of this name stands below `#[test]` or the like.
fn is_test(code: &[Source], name: &str) -> bool {
    let declared = format!("fn {name}(");
    let marked = |(at, _): (usize, &str), text: &str| {
        let (above, _) = text[..at].rsplit_once('\n').unwrap_or_default();
        let above = above.lines().rev().map(str::trim);
        let mut above = above.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        above.any(|line| line.starts_with("#[") && line.contains("test"))
    };
    code.iter().any(|file| file.text.match_indices(&declared).any(|hit| marked(hit, &file.text)))
}

/// Names of tests in code style.
fn named(page: &str) -> impl Iterator<Item = &str> {
    let is_name = |word: &&str| {
        word.len() >= SHORTEST
            && word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    page.split('`').skip(1).step_by(2).filter(is_name)
}
