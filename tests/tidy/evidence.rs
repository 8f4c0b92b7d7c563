//! `docs/testing.md` and `docs/comparison.md` name tests that exist, and the first leaves no fault of the
//! catalogue out. Refuses to believe
//! that a test shows what the page says: people read.

use std::collections::BTreeSet;

use super::{read_tree, report, root};

/// The catalogue's faults are numbered from 1 to this.
const FAULTS: usize = 108;
/// Shorter words in code style are other things than tests: quotas, commands, fields.
const SHORTEST: usize = 28;

#[test]
fn the_page_about_tests_names_tests_that_exist_and_every_fault() {
    let page =
        std::fs::read_to_string(root().join("docs/testing.md")).expect("the page is in the repository");
    let code: Vec<_> = read_tree("tests", "rs").into_iter().chain(read_tree("src", "rs")).collect();
    let exists = |name: &str| code.iter().any(|file| file.text.contains(&format!("fn {name}(")));
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

/// Names of tests in code style.
fn named(page: &str) -> impl Iterator<Item = &str> {
    let is_name = |word: &&str| {
        word.len() >= SHORTEST
            && word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    page.split('`').skip(1).step_by(2).filter(is_name)
}
