//! What is said of a panic, in a process of its own: the hook is the whole process's.

use std::{
    process::{Command, Output},
    thread,
};

use ephemerald::{
    config::{Log, LogFormat},
    telemetry::{self, panics},
};
use serde_json::Value;

/// A thread's name, and how it panics.
type Panic = (&'static str, fn(String));

const CHILD: &str = "EPHEMERALD_TEST_PANICS";
const SECRET: &str = "jca_canary_of_a_panic";

/// Runs the ignored test below as a process; with a log or without.
fn child(log: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "panics::threads_panic", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, log)
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap()
}

#[test]
#[ignore = "the child of the tests below"]
fn threads_panic() {
    let Ok(log) = std::env::var(CHILD) else { return };
    println!(); // the harness has begun a line
    panics::install();
    if log == "json" {
        telemetry::init(&Log { format: LogFormat::Json, level: "info".to_owned() }).unwrap();
    }
    let panics: [Panic; 3] = [
        ("literal", |_| panic!("a sentence of the source")),
        ("formatted", |secret| panic!("found {secret}")),
        ("expect", |secret| secret.parse::<u8>().map_err(|_| secret).map(drop).expect("a number")),
    ];
    for (name, panics) in panics {
        let thread = thread::Builder::new().name(name.to_owned());
        assert!(thread.spawn(move || panics(SECRET.to_owned())).unwrap().join().is_err());
    }
}

#[test]
fn a_panic_is_a_line_of_the_log_with_its_place_and_without_data() {
    let output = child("json");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && !text.contains(SECRET) && !text.contains("backtrace"), "{text}");
    let told: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(told.len(), 3, "{text}");
    for (line, name) in told.iter().zip(["literal", "formatted", "expect"]) {
        assert_eq!((&line["level"], &line["thread"]), (&"error".into(), &name.into()), "{line}");
        assert!(line["msg"].as_str().unwrap().starts_with("panic: "), "{line}");
        assert!(line["place"].as_str().unwrap().starts_with("tests/hardening/panics.rs:"), "{line}");
        let shown = line["panic"] == "a sentence of the source";
        assert_eq!(shown, name == "literal", "{line}");
    }
}

#[test]
fn without_a_log_it_is_one_line_on_standard_error() {
    let output = child("none");
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("panic: thread ")).collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains("literal, tests/hardening/panics.rs:") && !text.contains(SECRET), "{text}");
}
