//! Every command of ours that a page, a unit, a chart or a message of the program names is one that the program takes:
//! whole lines with all that they need, names in running text as far as they go.
//!
//! Refuses to run them: what they do is told by the stories.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Parser as _, error::ErrorKind};
use ephemerald::cli::Cli;

/// Where people are told what to type.
const PLACES: [&str; 8] =
    ["README.md", "SECURITY.md", "CONTRIBUTING.md", "docs", "systemd", "deploy", "config", "src"];

/// A command as it is written somewhere.
#[derive(Debug)]
struct Written {
    place: String,
    words: Vec<String>,
    /// A line to be typed as it is, and no name in running text.
    whole: bool,
}

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if let Ok(entries) = fs::read_dir(path) {
        entries.for_each(|entry| files(&entry.unwrap().path(), found));
    } else if path.extension().is_some_and(|end| {
        ["md", "txt", "rs", "service", "conf", "toml", "yaml"].iter().any(|known| end == *known)
    }) {
        found.push(path.to_owned());
    }
}

/// Words as a shell makes them of simple quotes; nothing else of a shell is in these commands.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => all.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}

/// The commands of ours in a line that is typed: behind a prompt, `sudo`, settings of the environment, `cargo run --`.
fn typed(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or_default();
    let parts = line.split(['&', '|', ';', '<', '>']);
    parts.filter_map(|part| ours(words(part.trim().trim_start_matches("$ ")))).collect()
}

fn ours(mut words: Vec<String>) -> Option<Vec<String>> {
    let run = words.iter().position(|w| w == "run").filter(|_| words.first().is_some_and(|w| w == "cargo"));
    if run.is_some() {
        let rest = words.iter().position(|w| w == "--")?;
        words.drain(..rest);
    }
    while let Some(first) = words.first() {
        let skips = match first.as_str() {
            "sudo" => 1,
            "-u" => 2,
            word if word.contains('=') && !word.starts_with('-') => 1,
            _ => break,
        };
        words.drain(..skips.min(words.len()));
    }
    // A drawing, a mode, a word that stands for any command: none that somebody types.
    let typed =
        words.get(1).is_none_or(|word| word.starts_with(|c: char| c == '-' || c.is_ascii_lowercase()));
    let name = words.first().filter(|_| typed)?;
    (name == "--" || Path::new(name).file_name().is_some_and(|name| name == "ephemerald")).then_some(words)
}

/// Lines between fences, with continued ones joined; and what stands between backticks elsewhere.
fn of_page(place: &str, text: &str) -> Vec<Written> {
    let (mut found, mut fenced, mut continued) = (Vec::new(), false, String::new());
    let written = |words, whole| Written { place: place.to_owned(), words, whole };
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            continued += line;
            if continued.ends_with('\\') {
                continued.pop();
                continue;
            }
            found
                .extend(typed(&std::mem::take(&mut continued)).into_iter().map(|words| written(words, true)));
        } else {
            found.extend(named(line).into_iter().map(|words| written(words, false)));
        }
    }
    found
}

fn named(line: &str) -> Vec<Vec<String>> {
    line.split('`').skip(1).step_by(2).filter_map(|text| ours(words(text))).collect()
}

fn every_command() -> Vec<Written> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    PLACES.iter().for_each(|place| files(&root.join(place), &mut paths));
    let mut all = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let place = path.strip_prefix(root).unwrap().display().to_string();
        if path.extension().is_some_and(|end| end == "md") {
            all.extend(of_page(&place, &text));
        } else {
            let names = text.lines().flat_map(named);
            all.extend(names.map(|words| Written { place: place.clone(), words, whole: false }));
        }
    }
    all
}

/// What the program would say to it, if it would not take it.
fn refusal(command: &Written) -> Option<String> {
    let error = Cli::try_parse_from(&command.words).err()?;
    let unfinished = matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    let fine = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
        || (unfinished && !command.whole)
        || command.words.len() == 1;
    (!fine).then(|| format!("{}: {}\n{error}", command.place, command.words.join(" ")))
}

#[test]
fn every_command_that_is_written_down_is_one_that_the_program_takes() {
    let all = every_command();
    let wrong: Vec<String> = all.iter().filter_map(refusal).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    let whole = all.iter().filter(|command| command.whole).count();
    assert!(
        whole >= 40 && all.len() >= whole + 100,
        "{whole} lines, {} in all: they are not found",
        all.len()
    );
}

#[test]
fn a_command_that_nobody_takes_is_found_wherever_it_stands() {
    let page =
        "Say `ephemerald grant list`.\n```sh\nsudo -u x A=b ephemerald revoke \\\n  --every | jq .\n```\n";
    let found = of_page("page", page);
    assert_eq!(
        found.iter().map(|c| c.words.join(" ")).collect::<Vec<_>>(),
        ["ephemerald grant list", "ephemerald revoke --every"]
    );
    assert!(found.iter().all(|command| refusal(command).is_some()));
    let page = "Say `ephemerald ledger claim GRANT`.\n```sh\n$ cargo run --locked -- sandbox --once\n```\n";
    assert!(of_page("page", page).iter().all(|command| refusal(command).is_none()));
    assert_eq!(of_page("page", page).len(), 2);
}
