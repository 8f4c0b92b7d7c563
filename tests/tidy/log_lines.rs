//! `docs/logs.md` names every line that a person must or should look at and every kind of record, and names
//! none that is not there; `docs/operations.md` says what to do about each. Refuses to judge what they say.
//!
//! A line is named by a piece of code style that it begins with: `journal: ` names all that begin so. Pieces
//! of one word are fields, kinds and levels, and name no line.

use std::{collections::BTreeSet, fs};

use crate::{
    read_tree, report, root,
    source::{Source, literal},
};

/// Where a record's kind gets its word.
const KINDS: [&str; 2] = ["src/engine/record.rs", "src/engine/recovery/facts.rs"];

/// A line of the log as the source has it.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    place: String,
    message: String,
    /// It stands for a record: the table of kinds names it.
    has_kind: bool,
}

#[test]
fn every_error_and_warning_and_every_kind_of_record_is_on_its_page_and_the_reverse() {
    let sources: Vec<Source> =
        read_tree("src", "rs").into_iter().filter(|source| source.module() != Some("sandbox")).collect();
    let lines = |call: &str| sources.iter().flat_map(|source| lines(source, call)).collect::<Vec<_>>();
    let (errors, warnings) = (lines("error!("), lines("warn!("));
    let kinds: BTreeSet<String> = KINDS.iter().flat_map(|path| kinds(&page(path))).collect();
    assert!(errors.len() > 50 && warnings.len() > 20 && kinds.len() > 40, "this test checks nothing");
    report(&wrong(&page("docs/logs.md"), (&errors, &warnings), &kinds));
}

#[test]
fn every_line_to_alarm_on_has_a_row_that_says_what_to_do() {
    let (logs, operations) = (page("docs/logs.md"), page("docs/operations.md"));
    let known = first_cells(section(&operations, "Alarms"));
    let is_known = |begin: &&str| known.iter().any(|row| row.starts_with(*begin) || begin.starts_with(row));
    let begins = first_cells(section(&logs, "Lines to alarm on"));
    let missing = begins.into_iter().filter(|begin| !is_known(begin));
    report(&missing.map(|begin| format!("docs/operations.md: no alarm `{begin}`")).collect::<Vec<_>>());
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn wrong(page: &str, (errors, warnings): (&[Line], &[Line]), kinds: &BTreeSet<String>) -> Vec<String> {
    let alarms = first_cells(section(page, "Lines to alarm on"));
    let anywhere: Vec<&str> = spans(page).filter(|span| span.contains(' ')).collect();
    let begins = |line: &Line, spans: &[&str]| spans.iter().any(|span| line.message.starts_with(span));
    let alarming = errors.iter().filter(|line| !begins(line, &alarms));
    let quiet = warnings.iter().filter(|line| !line.has_kind && !begins(line, &anywhere));
    let unnamed = alarming.chain(quiet);
    let mut wrong: Vec<String> =
        unnamed.map(|line| format!("{}: docs/logs.md lacks `{}`", line.place, line.message)).collect();
    let dead =
        alarms.iter().filter(|begin| !errors.iter().chain(warnings).any(|line| begins(line, &[begin])));
    wrong.extend(dead.map(|begin| format!("docs/logs.md: no line begins with `{begin}`")));
    let listed: BTreeSet<String> =
        first_cells(section(page, "Journal records")).into_iter().map(str::to_owned).collect();
    wrong.extend(kinds.difference(&listed).map(|kind| format!("docs/logs.md: no kind `{kind}`")));
    wrong.extend(listed.difference(kinds).map(|kind| format!("docs/logs.md: `{kind}` is no kind")));
    wrong
}

/// What stands under a heading of the second level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let mut sections = page.split("\n## ").skip(1);
    sections.find_map(|text| text.strip_prefix(heading)?.strip_prefix('\n')).unwrap_or_default()
}

/// Pieces of code style.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The pieces of code style in the first cells of a section's tables, without their heads.
fn first_cells(section: &str) -> Vec<&str> {
    let rows = section.split("\n|---").skip(1).flat_map(|table| table.lines().skip(1));
    let rows = rows.filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.flat_map(spans).collect()
}

/// The lines that a file writes by calls of this macro, outside of tests.
fn lines(source: &Source, call: &str) -> Vec<Line> {
    let mut found = Vec::new();
    for (number, _) in source.code_lines().filter(|(_, code)| code.contains(call)) {
        let rest: Vec<&str> = source.text.split_inclusive('\n').skip(number - 1).collect();
        let rest = rest.concat();
        let Some((_, inside)) = rest.split_once(call) else { continue };
        let (message, has_kind) = arguments(inside);
        found.push(Line { place: format!("{}:{number}", source.path), message, has_kind });
    }
    found
}

/// The last text among the arguments of a call, which is its message, and whether one of them is `kind`.
fn arguments(inside: &str) -> (String, bool) {
    let (mut depth, mut rest, mut code, mut message) = (1, inside, String::new(), "");
    while let Some(next) = rest.chars().next().filter(|_| depth > 0) {
        let text = literal(rest, code.chars().last());
        if let Some(length) = text.filter(|_| next == '"') {
            message = &rest[1..length - 1];
        }
        match next {
            _ if text.is_some() => code.push(' '),
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => code.push(next),
        }
        rest = &rest[text.unwrap_or_else(|| next.len_utf8())..];
    }
    let mut words = code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
    (message.replace("\\\"", "\""), words.any(|word| word == "kind"))
}

/// The words that `fn kind` gives.
fn kinds(text: &str) -> BTreeSet<String> {
    let (_, rest) = text.split_once("fn kind(&self)").expect("a kind has its word");
    let (body, _) = rest.split_once("\n    }\n").expect("a function ends");
    body.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn a_line_is_found_with_its_message_whatever_stands_around_it() {
    let text = "fn f() {\n    tracing::error!(seq, kind, grant.id = %a(1), \"a \\\"b\\\": c {}\", d());\n    \
                error!(text = g(\")\"), \"x: y\");\n    // error!(\"no\")\n}\n\
                #[cfg(test)]\nmod tests { fn f() { error!(\"no\"); } }\n";
    let line = |number, message: &str, has_kind| Line {
        place: format!("src/agent.rs:{number}"),
        message: message.to_owned(),
        has_kind,
    };
    let found = lines(&Source::new("src/agent.rs", text), "error!(");
    assert_eq!(found, [line(2, "a \"b\": c {}", true), line(3, "x: y", false)]);
}

#[test]
fn what_a_page_lacks_or_has_too_much_is_named() {
    let line = |message: &str, has_kind| Line { place: "a:1".into(), message: message.into(), has_kind };
    let page = "\n## Journal records\n| kind | |\n|---|---|\n| `a_b`, `c_d` | `e_f` |\n\
                \n## Lines to alarm on\n| `msg` | |\n|---|---|\n| `x: ` | `y` |\n| `is so` | |\n\nAlso `w: v`.\n";
    let kinds = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    let (errors, warnings) = ([line("x: 1", false), line("is so", true)], [line("w: v", false)]);
    assert_eq!(wrong(page, (&errors, &warnings), &kinds(&["a_b", "c_d"])), Vec::<String>::new());
    let recorded = [line("k", true)];
    assert_eq!(wrong(page, (&errors, &recorded), &kinds(&["a_b", "c_d"])), Vec::<String>::new());
    let (errors, warnings) = ([line("x: 1", false), line("w: v", true)], [line("y", false)]);
    assert_eq!(
        wrong(page, (&errors, &warnings), &kinds(&["a_b", "e_f"])),
        [
            "a:1: docs/logs.md lacks `w: v`",
            "a:1: docs/logs.md lacks `y`",
            "docs/logs.md: no line begins with `is so`",
            "docs/logs.md: no kind `e_f`",
            "docs/logs.md: `c_d` is no kind",
        ]
    );
}
