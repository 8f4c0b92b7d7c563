//! Small bad files: each rule must be able to fail, and must leave the good twin alone.

use super::{
    Rule, clocks, engine_is_pure, executor_has_no_engine, foreign_sources, headers, layers, lengths,
    machine_traces, names, source::Source, unwraps,
};

#[track_caller]
fn refuses(rule: Rule, path: &str, text: &str, word: &str) {
    let found = rule(&Source::new(path, text));
    assert!(found.len() == 1 && found[0].contains(word), "expected one finding with '{word}': {found:?}");
}

#[track_caller]
fn accepts(rule: Rule, path: &str, text: &str) {
    assert_eq!(rule(&Source::new(path, text)), Vec::<String>::new());
}

#[test]
fn a_layer_may_not_reach_across() {
    refuses(layers, "src/control/poll.rs", "use crate::jumpcloud::Client;", "control imports jumpcloud");
    refuses(
        layers,
        "src/jumpcloud/mod.rs",
        "use crate::{engine::ids, control::Wire};",
        "jumpcloud imports control",
    );
    refuses(
        layers,
        "src/engine/plan.rs",
        "fn f() { crate::ledger::open(); }",
        "engine imports nothing of ours",
    );
    refuses(layers, "src/engine/plan.rs", "use super::super::http::Door;", "engine imports http");
    refuses(layers, "src/ledger/mod.rs", "use super::{clock, engine};", "ledger imports clock");
    refuses(layers, "src/strict.rs", "use crate::engine::ids;", "strict imports nothing of ours");
    refuses(layers, "src/executor.rs", "use crate::control::client;", "executor imports control");
    refuses(layers, "src/agent/turn.rs", "use crate::cli::run;", "nobody imports cli");
    refuses(layers, "src/agent/turn.rs", "use crate::sandbox::story;", "only cli imports sandbox");
}

#[test]
fn a_layer_may_use_what_lies_below_and_itself() {
    accepts(
        layers,
        "src/control/poll.rs",
        "use crate::{clock, engine::{ids, time}, http, secrets};\nuse super::wire;",
    );
    accepts(layers, "src/jumpcloud/connection.rs", "use crate::strict;");
    accepts(layers, "src/agent/turn.rs", "use crate::{control, executor, jumpcloud, ledger};");
    accepts(layers, "src/engine/plan.rs", "use super::roles; use crate::engine::ids::JobId;");
    accepts(layers, "src/main.rs", "fn main() { ephemerald::cli::main(); }");
    accepts(layers, "src/cli/sandbox.rs", "use crate::sandbox::story;");
}

#[test]
fn words_in_comments_strings_and_tests_are_no_imports() {
    accepts(
        layers,
        "src/engine/plan.rs",
        "/// As crate::http does.\nconst A: &str = \"crate::http\"; // crate::http",
    );
    accepts(layers, "src/engine/plan.rs", "const A: &str = r#\"a \" crate::http\"#;");
    accepts(layers, "src/engine/plan.rs", "#[cfg(test)]\nmod tests { use crate::ledger::X; fn f() {} }");
    accepts(layers, "src/engine/tests.rs", "use crate::ledger::X;");
    refuses(
        layers,
        "src/engine/plan.rs",
        "#[cfg(test)]\nmod tests { fn f() {} }\nuse crate::ledger::X;",
        ":3:",
    );
    refuses(layers, "src/engine/plan.rs", "const Q: char = '\"'; use crate::ledger::X;", "ledger");
}

#[test]
fn the_engine_has_no_clock_no_disk_and_no_runtime() {
    refuses(
        engine_is_pure,
        "src/engine/plan.rs",
        "use std::time::{Duration, Instant};",
        "std::time::Instant",
    );
    refuses(engine_is_pure, "src/engine/plan.rs", "use std::{collections::BTreeMap, fs};", "std::fs");
    refuses(engine_is_pure, "src/engine/plan.rs", "fn f() { tokio::spawn(g()); }", "tokio");
    refuses(engine_is_pure, "src/engine/plan.rs", "pub async fn f() {}", "async");
    accepts(engine_is_pure, "src/engine/plan.rs", "use std::time::Duration; fn f(fs: u8) {}");
    accepts(engine_is_pure, "src/http.rs", "use std::fs;");
}

#[test]
fn the_executor_does_not_know_the_engine_itself() {
    refuses(executor_has_no_engine, "src/executor.rs", "use crate::engine::Engine;", "Engine");
    refuses(executor_has_no_engine, "src/executor/run.rs", "use crate::engine::{Engine, ids};", "Engine");
    accepts(executor_has_no_engine, "src/executor.rs", "use crate::engine::{action::Lower, ids};");
}

#[test]
fn only_the_clock_reads_clocks() {
    refuses(clocks, "src/agent.rs", "fn f() { let t = std::time::Instant::now(); }", "Instant::now");
    refuses(clocks, "src/agent.rs", "fn f() { SystemTime::now(); }", "SystemTime::now");
    accepts(clocks, "src/agent.rs", "fn f() { clock::now(); }");
    accepts(clocks, "src/clock.rs", "fn f() { SystemTime::now(); }");
    accepts(clocks, "src/sandbox/story.rs", "fn f() { Instant::now(); }");
}

#[test]
fn unwrap_is_for_tests() {
    refuses(unwraps, "src/agent.rs", "fn f() { a().unwrap(); }", "agent.rs:1");
    accepts(unwraps, "src/agent.rs", "fn f() { a().unwrap_or_default(); } // .unwrap()");
    accepts(unwraps, "src/agent.rs", "#[cfg(test)]\nfn f() { a().unwrap(); }");
}

#[test]
fn a_file_is_short_named_and_introduced() {
    refuses(lengths, "src/agent.rs", &"\n".repeat(401), "401 lines");
    accepts(lengths, "src/agent.rs", &"\n".repeat(400));
    refuses(names, "src/control/utils.rs", "", "'utils'");
    refuses(names, "src/common/mod.rs", "", "'common'");
    accepts(names, "src/control/wire.rs", "");
    refuses(headers, "src/agent.rs", "// The loop.\n", "//!");
    accepts(headers, "src/agent.rs", "//! The loop.\n");
}

#[test]
fn nothing_tells_where_it_was_written() {
    refuses(machine_traces, "docs/a.md", concat!("cd /wo", "rk/main"), "machine");
    refuses(machine_traces, "docs/a.md", concat!("see \"/ho", "me/ann/x\""), "machine");
    accepts(machine_traces, "docs/a.md", concat!("https://example.com/ho", "me/page"));
    refuses(machine_traces, "docs/a.md", concat!("https://index.crates", ".io/"), "registry");
}

#[test]
fn a_dependency_from_elsewhere_is_found() {
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    assert!(foreign_sources(public).is_empty());
    let found = foreign_sources(&format!("{public}\nsource = \"git+https://example.com/x\""));
    assert!(found.len() == 1 && found[0].contains("Cargo.lock:2"), "{found:?}");
}
