//! The house rules that a compiler does not hold: who may import whom, who reads clocks, how long a
//! file may be, what never appears in a source file. Refuses nothing at run time; it reads `src`.
//!
//! Test code (`#[cfg(test)]` items and `tests.rs` files) may import and unwrap what it likes.

#[path = "tidy/evidence.rs"]
mod evidence;
#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/observability.rs"]
mod observability;
#[path = "tidy/samples.rs"]
mod samples;
#[path = "tidy/source.rs"]
mod source;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use source::Source;

/// Above this a file fails; above the second it is listed.
const LINES_LIMIT: usize = 400;
const LINES_NOTED: usize = 300;

/// Modules with a closed list of what they may import of ours. A module is always allowed itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("columns", &[]),
    ("strict", &[]),
    ("hardening", &[]),
    ("clock", &["engine"]),
    ("secrets", &["engine"]),
    ("http", &["secrets", "clock"]),
    ("telemetry", &["config", "clock", "engine", "secrets"]),
    ("ledger", &["engine"]),
    ("control", &["http", "secrets", "engine", "clock", "strict"]),
    ("jumpcloud", &["http", "secrets", "engine", "strict"]),
    ("executor", &["jumpcloud", "ledger", "engine", "secrets"]),
    ("config", &["http", "secrets", "engine"]),
    ("admin", &["engine", "secrets"]),
    (
        "agent",
        &[
            "admin",
            "clock",
            "config",
            "control",
            "engine",
            "executor",
            "hardening",
            "http",
            "jumpcloud",
            "ledger",
            "secrets",
            "strict",
            "telemetry",
        ],
    ),
];

/// Foreign paths that would give the engine a clock, a disk, a network, a thread or a die.
const NOT_IN_ENGINE: &[&str] = &[
    "async",
    "tokio",
    "reqwest",
    "rusqlite",
    "rustix",
    "rand",
    "aws_lc_rs::rand",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "std::io",
];

/// Ways to read a clock, as the last two segments of a path.
const CLOCK_READS: &[&str] =
    &["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now", "Utc::now", "time::clock_gettime"];

const VAGUE_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "types"];

/// Written in two halves, so that this file does not find itself.
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
const REGISTRY_HOSTS: &[&str] = &[
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("registry.npmjs", ".org"),
    concat!("pypi", ".org"),
    concat!("proxy.golang", ".org"),
    concat!("artifact", "ory"),
];

type Rule = fn(&Source) -> Vec<String>;

const SOURCE_RULES: &[Rule] = &[
    layers,
    engine_is_pure,
    executor_has_no_engine,
    clocks,
    unwraps,
    lengths,
    names,
    headers,
    machine_traces,
];

#[test]
fn the_source_keeps_the_house_rules() {
    let sources = read_tree("src", "rs");
    assert!(!sources.is_empty(), "no file was read below src: this test checks nothing");
    report(&broken(&sources, SOURCE_RULES));
    for source in &sources {
        let lines = source.text.lines().count();
        if lines > LINES_NOTED {
            println!("note: {} has {lines} lines; split it before it reaches {LINES_LIMIT}", source.path);
        }
    }
}

#[test]
fn tests_and_benches_keep_the_rules_of_length_and_naming() {
    let mut sources = read_tree("tests", "rs");
    sources.extend(read_tree("benches", "rs"));
    sources.extend(read_tree("fuzz/src", "rs"));
    sources.extend(read_tree("fuzz/fuzz_targets", "rs"));
    report(&broken(&sources, &[lengths, headers, machine_traces]));
}

#[test]
fn files_around_the_source_name_no_machine_and_no_registry() {
    let mut sources = Vec::new();
    for folder in ["config", "deploy", "docs", "systemd", ".ci"] {
        sources.extend(read_tree(folder, ""));
    }
    for file in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "Cargo.toml",
        "Dockerfile",
    ] {
        if let Ok(text) = fs::read_to_string(root().join(file)) {
            sources.push(Source::new(file, &text));
        }
    }
    report(&broken(&sources, &[machine_traces]));
}

#[test]
fn every_dependency_comes_from_the_one_registry() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is in the repository");
    report(&foreign_sources(&lock));
}

fn layers(source: &Source) -> Vec<String> {
    let Some(own) = source.module() else { return Vec::new() };
    let allowed = LAYERS.iter().find(|(module, _)| *module == own).map(|(_, allowed)| *allowed);
    let refused = |target: &str| match target {
        _ if target == own => false,
        "cli" => own != "main",
        "sandbox" => own != "cli",
        _ => allowed.is_some_and(|allowed| !allowed.contains(&target)),
    };
    let mut found: Vec<String> = (source.paths().iter())
        .filter_map(|path| Some((path.line, source.target_module(path)?)))
        .filter(|(_, target)| refused(target))
        .map(|(line, target)| {
            let may = match allowed {
                _ if target == "cli" => "nobody imports cli".to_owned(),
                _ if target == "sandbox" => "only cli imports sandbox".to_owned(),
                Some([]) => format!("{own} imports nothing of ours"),
                allowed => format!("{own} may import {}", allowed.unwrap_or_default().join(", ")),
            };
            format!("{}:{line}: {own} imports {target}; {may}", source.path)
        })
        .collect();
    found.dedup();
    found
}

fn engine_is_pure(source: &Source) -> Vec<String> {
    if source.module() != Some("engine") {
        return Vec::new();
    }
    let impure = |path: &str| {
        let inside = |banned: &&&str| path == **banned || path.starts_with(&format!("{banned}::"));
        NOT_IN_ENGINE.iter().find(inside)
    };
    (source.paths().iter())
        .filter_map(|path| Some((path.line, impure(&path.text)?)))
        .map(|(line, banned)| format!("{}:{line}: the engine is pure, it may not use {banned}", source.path))
        .collect()
}

fn executor_has_no_engine(source: &Source) -> Vec<String> {
    if source.module() != Some("executor") {
        return Vec::new();
    }
    (source.paths().iter())
        .filter(|path| path.text.split("::").any(|segment| segment == "Engine"))
        .map(|path| {
            format!("{}:{}: the executor runs actions, it may not name Engine", source.path, path.line)
        })
        .collect()
}

fn clocks(source: &Source) -> Vec<String> {
    if matches!(source.module(), Some("clock" | "sandbox")) {
        return Vec::new();
    }
    let reads =
        |path: &str| CLOCK_READS.iter().any(|read| path == *read || path.ends_with(&format!("::{read}")));
    (source.paths().iter())
        .filter(|path| reads(&path.text))
        .map(|path| {
            format!("{}:{}: only src/clock.rs reads clocks, this is {}", source.path, path.line, path.text)
        })
        .collect()
}

fn unwraps(source: &Source) -> Vec<String> {
    (source.code_lines())
        .filter(|(_, text)| text.contains(".unwrap()"))
        .map(|(line, _)| {
            format!(
                "{}:{line}: .unwrap() outside tests; use expect(\"why it cannot fail\") or an error",
                source.path
            )
        })
        .collect()
}

fn lengths(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if lines <= LINES_LIMIT {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines, the limit is {LINES_LIMIT}; split it by subject", source.path)]
}

fn names(source: &Source) -> Vec<String> {
    (source.path.split('/'))
        .map(|part| part.trim_end_matches(".rs"))
        .filter(|part| VAGUE_NAMES.contains(part))
        .map(|part| format!("{}: '{part}' says nothing; name the module after what it holds", source.path))
        .collect()
}

fn headers(source: &Source) -> Vec<String> {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![format!("{}:1: the first line must be //!: what the module is for and what it refuses", source.path)]
}

fn machine_traces(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (index, text) in source.text.lines().enumerate() {
        let at = format!("{}:{}", source.path, index + 1);
        for trace in MACHINE_PATHS {
            // A path of its own, not the tail of an address.
            let own = text.find(trace).filter(|at| !text[..*at].ends_with(|c: char| c.is_alphanumeric()));
            if own.is_some() {
                found.push(format!("{at}: {trace} is a path of somebody's machine"));
            }
        }
        for host in REGISTRY_HOSTS.iter().filter(|host| text.contains(**host)) {
            found.push(format!(
                "{at}: {host} is a package registry; the build uses what cargo is configured with"
            ));
        }
    }
    found
}

fn foreign_sources(lock: &str) -> Vec<String> {
    (lock.lines().enumerate())
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix("source = ")?)))
        .filter(|(_, source)| *source != "\"registry+https://github.com/rust-lang/crates.io-index\"")
        .map(|(line, source)| format!("Cargo.lock:{line}: {source} is not the public registry"))
        .collect()
}

fn broken(sources: &[Source], rules: &[Rule]) -> Vec<String> {
    sources.iter().flat_map(|source| rules.iter().flat_map(move |rule| rule(source))).collect()
}

fn report(found: &[String]) {
    let mut list = String::new();
    for line in found {
        let _ = writeln!(list, "  {line}");
    }
    assert!(found.is_empty(), "{} house rules are broken:\n{list}", found.len());
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` whose name ends in `extension`; none if the folder is not there.
fn read_tree(folder: &str, extension: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(next) = open.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for entry in entries {
            let path = entry.expect("an entry of a readable folder").path();
            if path.is_dir() {
                open.push(path);
            } else if extension.is_empty() || path.extension().is_some_and(|own| own == extension) {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy();
                if let Ok(text) = fs::read_to_string(&path) {
                    found.push(Source::new(&name, &text));
                }
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}
