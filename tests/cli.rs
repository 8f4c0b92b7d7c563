//! The shipped binary, asked from outside: output, messages and exit codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use clap::CommandFactory as _;
use ephemerald::cli::Cli;

fn ephemerald(dir: &Path, args: &[&str]) -> Output {
    let config = dir.join("ephemerald.toml");
    if !config.exists() {
        let socket = dir.join("control.sock");
        fs::write(&config, format!("[agent]\ncontrol_socket = {socket:?}\n")).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_ephemerald"));
    command.env_clear().arg("--config").arg(config).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn version_is_printed_for_people_and_for_machines() {
    let dir = tempfile::tempdir().unwrap();
    let human = ephemerald(dir.path(), &["version"]);
    assert_eq!(stdout(&human), format!("ephemerald {}\n", env!("CARGO_PKG_VERSION")));
    let json = ephemerald(dir.path(), &["version", "--output", "json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn asking_a_daemon_that_is_not_running_exits_6_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for command in [&["status"][..], &["grants"], &["grants", "list"], &["grants", "watch"], &["health"]] {
        let output = ephemerald(dir.path(), command);
        assert_eq!(output.status.code(), Some(6), "{command:?}");
        assert!(stderr(&output).contains("the daemon is not running"), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn wrong_usage_exits_2_and_a_wrong_configuration_3() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(ephemerald(dir.path(), &["stats"]).status.code(), Some(2));
    assert_eq!(ephemerald(dir.path(), &["--help"]).status.code(), Some(0));
    fs::write(dir.path().join("ephemerald.toml"), "[agent]\nnmae = \"x\"\n").unwrap();
    for command in [&["config", "show"][..], &["run"], &["status"]] {
        let output = ephemerald(dir.path(), command);
        assert_eq!(output.status.code(), Some(3), "{command:?}");
        let said = stderr(&output);
        assert!(said.contains("unknown key `agent.nmae`; did you mean `agent.name`"), "{said}");
    }
}

#[test]
fn each_wrong_configuration_is_named_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let agent = format!("[agent]\nstate_dir = {state:?}\n");
    for (text, words) in [
        ("[agent\nname = 1\n".to_owned(), "ephemerald.toml"),
        (format!("{agent}nmae = \"x\"\n"), "unknown key `agent.nmae`"),
        (format!("{agent}[control_plane]\nurl = \"ftp://cp.example\"\n"), "control_plane.url"),
        (format!("{agent}[control_plane]\nurl = \"http://cp.example\"\n"), "control_plane.url"),
        (format!("{agent}[timing]\nsettle = 5\n"), "timing.settle"),
    ] {
        fs::write(dir.path().join("ephemerald.toml"), &text).unwrap();
        for command in [&["run"][..], &["enroll"], &["audit", "verify"], &["config", "show"]] {
            let output = ephemerald(dir.path(), command);
            assert_eq!(output.status.code(), Some(3), "{command:?} with {text}");
            assert!(stderr(&output).contains(words), "{command:?}: {}", stderr(&output));
        }
        let check = ephemerald(dir.path(), &["check"]);
        assert_eq!(check.status.code(), Some(3));
        let said = stdout(&check);
        let prose = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("FAIL  configuration") && prose.contains(words), "{said}");
        assert!(!state.exists(), "the state directory was made");
    }
}

#[test]
fn a_journal_that_is_not_there_is_a_wrong_directory_and_not_an_intact_chain() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let output = ephemerald(dir.path(), &["audit", "verify", "--state-dir", state.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("no ledger here"), "{}", stderr(&output));
    assert!(!state.exists());
}

#[test]
fn config_show_prints_each_value_with_its_origin() {
    let dir = tempfile::tempdir().unwrap();
    let output = ephemerald(dir.path(), &["config", "show", "--output", "json", "--log-level", "debug"]);
    let entries: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let origin = |key: &str| entries.iter().find(|e| e["key"] == key).unwrap()["origin"].clone();
    assert_eq!(origin("log.level"), "flag --log-level");
    assert_eq!(origin("log.format"), "default");
    assert!(origin("agent.control_socket").as_str().unwrap().ends_with("ephemerald.toml"));
    let human = stdout(&ephemerald(dir.path(), &["config", "show"]));
    assert!(human.contains("log.format = \"auto\"\n    # default\n"), "{human}");
}

/// The words of every command of `parent`, and of those below.
fn below(parent: &clap::Command, words: &[String], into: &mut Vec<Vec<String>>) {
    into.push(words.to_vec());
    for sub in parent.get_subcommands() {
        below(sub, &[words, &[sub.get_name().to_owned()]].concat(), into);
    }
}

fn every_command() -> Vec<Vec<String>> {
    let mut all = Vec::new();
    below(&Cli::command(), &[], &mut all);
    assert!(all.len() > 40, "{all:?}");
    all
}

#[test]
fn every_help_fits_eighty_columns() {
    let dir = tempfile::tempdir().unwrap();
    for words in every_command() {
        for flag in ["-h", "--help"] {
            let args: Vec<&str> = words.iter().map(String::as_str).chain([flag]).collect();
            let output = ephemerald(dir.path(), &args);
            assert_eq!(output.status.code(), Some(0), "{args:?}");
            let wide: Vec<String> =
                stdout(&output).lines().filter(|line| line.chars().count() > 80).map(str::to_owned).collect();
            assert!(wide.is_empty(), "{args:?}: {wide:#?}");
        }
    }
}

#[test]
fn help_and_the_documentation_list_the_same_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let help = stdout(&ephemerald(dir.path(), &["--help"]));
    let page = include_str!("../docs/exit-codes.md");
    for code in 0..=9 {
        assert!(help.contains(&format!("\n  {code}  ")), "--help lacks {code}: {help}");
        assert!(page.contains(&format!("| {code} | ")), "the page lacks {code}");
    }
}

/// The words of every command that has others below it, and those.
fn parents() -> Vec<(Vec<String>, Vec<String>)> {
    let all = every_command();
    let of = |words: &Vec<String>| {
        let is_below = |sub: &&Vec<String>| sub.len() == words.len() + 1 && sub.starts_with(words);
        all.iter().filter(is_below).filter_map(|sub| sub.last().cloned()).collect::<Vec<_>>()
    };
    all.iter().map(|words| (words.clone(), of(words))).filter(|(_, subs)| !subs.is_empty()).collect()
}

#[test]
fn a_shell_that_loads_the_completions_offers_every_command() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = ephemerald(dir.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = stdout(&output);
        for name in every_command().iter().filter_map(|words| words.last()) {
            assert!(script.contains(name.as_str()), "{shell}: {name} is not completed");
        }
        fs::write(dir.path().join(shell), script).unwrap();
    }
    if Command::new("bash").arg("--version").output().is_err() {
        eprintln!("NOT TRIED: there is no bash");
        return;
    }
    let bash = |program: &str| {
        let output = Command::new("bash").args(["--norc", "-c", program]).current_dir(&dir).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{program}: {}", stderr(&output));
        stdout(&output)
    };
    bash("bash -n ./bash");
    let registered = bash("source ./bash; complete -p ephemerald");
    assert!(registered.contains("-F _ephemerald") && registered.ends_with(" ephemerald\n"), "{registered}");
    for (words, subs) in parents() {
        let line = [&["ephemerald".to_owned()], &words[..]].concat();
        let (last, count) = (line.last().unwrap(), line.len());
        let typed = line.join(" ");
        let offered = bash(&format!(
            "source ./bash; COMP_WORDS=({typed} ''); COMP_CWORD={count}; _ephemerald ephemerald '' {last}; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        ));
        for sub in subs {
            assert!(offered.lines().any(|word| word == sub), "`{typed}` does not offer {sub}: {offered}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page_that_a_formatter_takes() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man");
    fs::create_dir(&pages).unwrap();
    let output = ephemerald(dir.path(), &["manual", "--to", pages.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mut tried = false;
    for words in every_command() {
        let name = [&["ephemerald".to_owned()], &words[..]].concat().join("-") + ".1";
        let page = pages.join(&name);
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
        for section in [".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS"] {
            assert!(text.contains(section), "{name} has no {section}");
        }
        let lint = [&["groff", "-man", "-ww", "-z"][..], &["mandoc", "-Tlint", "-Werror"]];
        for formatter in lint {
            let Ok(said) = Command::new(formatter[0]).args(&formatter[1..]).arg(&page).output() else {
                continue;
            };
            assert!(said.status.success() && said.stderr.is_empty(), "{name}: {}", stderr(&said));
            tried = true;
        }
    }
    assert_eq!(fs::read_dir(&pages).unwrap().count(), every_command().len(), "a page of no command");
    if !tried {
        eprintln!("NOT TRIED: there is neither groff nor mandoc");
    }
}
