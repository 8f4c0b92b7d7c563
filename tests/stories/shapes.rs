//! What the commands print as JSON, as docs/output.md lists it: a script that was written from that page goes on working.
//!
//! `EPHEMERALD_WRITE_OUTPUT=1 cargo test --test stories shapes` writes the page's lists anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::Duration,
};

use clap::CommandFactory as _;
use ephemerald::cli::Cli;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    process::{Agent, PATIENCE},
    scenes,
    terminal::Seen,
};

const BEGIN: &str = "<!-- lists -->\n";
/// These print no JSON of their own, and the page says so.
const WITHOUT: [&str; 3] = ["run", "completions", "manual"];

/// The fields of one command, or of several that print the same.
type Shape = BTreeSet<String>;

/// Every path of a value with what is there: `grants[].role  text`.
fn paths(value: &Value, at: &str, into: &mut Shape) {
    let kind = match value {
        // What a step of the story has seen is its own; what agents say of themselves is the protocol's to list.
        _ if at == "seen" => "anything",
        Value::Object(_) if ["offers", "status"].contains(&at.trim_start_matches("[].")) => "object",
        Value::Null => return, // what it is where there is something, another command or another moment shows
        Value::Bool(_) => "true or false",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(items) => {
            items.iter().for_each(|item| paths(item, &format!("{at}[]"), into));
            return;
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let dot = if at.is_empty() { "" } else { "." };
                paths(field, &format!("{at}{dot}{name}"), into);
            }
            return;
        }
    };
    into.insert(format!("{at}  {kind}"));
}

/// The page as it is found, and as it should be.
#[derive(Default)]
pub(crate) struct Page {
    listed: BTreeMap<String, Shape>,
    made: Vec<(String, Shape)>,
    /// Instead of all that: what is printed for eyes at a terminal, and is too wide for it.
    wide: Option<Vec<String>>,
}

impl Page {
    /// A command that changes nothing is asked again until all that is listed was shown: what the control plane has
    /// answered by now, say.
    pub(crate) async fn show(&mut self, agent: &Agent, args: &[&str], shown: &str) {
        let deadline = Instant::now() + if is_writing() { Duration::from_secs(3) } else { PATIENCE };
        loop {
            self.order(agent, args, shown).await;
            if self.wide.is_some() {
                return;
            }
            let made = self.made.iter().find(|(name, _)| name == shown).map(|(_, made)| made);
            let is_all =
                self.listed.get(shown).zip(made).is_some_and(|(listed, made)| listed.is_subset(made));
            if Instant::now() > deadline || (is_all && !is_writing()) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asked once; what it prints belongs to the section `shown`, with what was printed there before.
    pub(crate) async fn order(&mut self, agent: &Agent, args: &[&str], shown: &str) {
        if self.wide.is_some() {
            let mut command = agent.program();
            command.args(args);
            let (_, screen) = Seen::by(command).whole().await;
            return self.told(shown, &screen);
        }
        let said = agent.command(&[&["--output", "json"], args].concat()).await;
        // A list is a value, and what comes line by line is many.
        let whole = serde_json::from_str(&said.printed).map(|value| vec![value]);
        let lines = || said.printed.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
        let values = whole.or_else(|_| lines()).unwrap_or_else(|_| panic!("{args:?}: {}", said.text));
        assert!(!values.is_empty(), "{args:?}: {}", said.text);
        values.iter().for_each(|value| self.add(shown, value));
    }

    /// How the form is called that is looked at.
    pub(crate) fn form(&self) -> &'static str {
        if self.wide.is_some() { "human" } else { "json" }
    }

    /// What was printed line by line, if something else asked for it.
    pub(crate) fn told(&mut self, shown: &str, text: &str) {
        let Some(wide) = &mut self.wide else {
            return text.lines().for_each(|line| self.add(shown, &serde_json::from_str(line).unwrap()));
        };
        let lines = text.split(['\r', '\n']).map(|line| line.trim_start_matches("\u{1b}[K"));
        // A line of progress that is drawn anew is the one thing that is not plain.
        let is_wrong = |line: &&str| is_too_wide(line) || line.contains('\u{1b}');
        wide.extend(lines.filter(is_wrong).map(|line| format!("{shown}: {line}")));
    }

    /// What was printed, if something else asked for it.
    pub(crate) fn add(&mut self, shown: &str, value: &Value) {
        if self.made.iter().all(|(name, _)| name != shown) {
            self.made.push((shown.to_owned(), Shape::new()));
        }
        let (_, shape) = self.made.iter_mut().find(|(name, _)| name == shown).unwrap();
        paths(value, "", shape);
    }

    /// What only root may ask for stays as it is listed, if nobody here is root.
    pub(crate) fn keep(&mut self, shown: &str) {
        eprintln!("NOT TRIED: {shown}: this needs root");
        self.made.push((shown.to_owned(), self.listed.get(shown).cloned().unwrap_or_default()));
    }

    /// The lists as they stand on the page: in the order of `--help`.
    fn text(&self) -> String {
        let (known, mut made) = (commands(), self.made.clone());
        made.sort_by_key(|(shown, _)| known.iter().position(|words| is_of(shown, words)));
        let section = |(shown, shape): &(String, Shape)| {
            let lines: String = shape.iter().map(|line| format!("{line}\n")).collect();
            format!("\n### `{shown}`\n\n```text\n{lines}```\n")
        };
        made.iter().map(section).collect()
    }
}

fn is_writing() -> bool {
    std::env::var_os("EPHEMERALD_WRITE_OUTPUT").is_some()
}

fn file() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/output.md"))
}

/// The page's text before the lists, and the lists.
fn read() -> (String, BTreeMap<String, Shape>) {
    let text = fs::read_to_string(file()).unwrap();
    let (head, lists) = text.split_once(BEGIN).unwrap();
    let section = |text: &str| {
        let (shown, rest) = text.split_once("`\n\n```text\n").unwrap();
        let lines = rest.trim_end().trim_end_matches("```");
        (shown.trim_start_matches('`').to_owned(), lines.lines().map(str::to_owned).collect())
    };
    (head.to_owned(), lists.split("\n### ").skip(1).map(section).collect())
}

#[tokio::test]
async fn the_json_of_each_command_is_what_its_page_lists() {
    let (head, listed) = read();
    let mut page = Page { listed, ..Page::default() };
    scenes::all(&mut page).await;
    if is_writing() {
        fs::write(file(), format!("{head}{BEGIN}{}", page.text())).unwrap();
        return;
    }
    let made: BTreeMap<String, Shape> = page.made.into_iter().collect();
    let wrong = |shown: &&String| page.listed.get(*shown) != made.get(*shown);
    let names: BTreeSet<&String> = page.listed.keys().chain(made.keys()).collect();
    let wrong = names.iter().filter(|shown| wrong(shown)).map(|shown| {
        let of = |from: &BTreeMap<String, Shape>| from.get(*shown).cloned().unwrap_or_default();
        let (listed, made) = (of(&page.listed), of(&made));
        format!("{shown}: listed only {:?}, printed only {:?}", &listed - &made, &made - &listed)
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(
        wrong.is_empty(),
        "{}\nEPHEMERALD_WRITE_OUTPUT=1 cargo test --test stories shapes",
        wrong.join("\n")
    );
}

/// A path, an address, a line of JSON or a command that is to be typed stays whole, on a line of its own.
fn is_too_wide(line: &str) -> bool {
    let text = line.trim();
    let first = text.split(' ').next().unwrap_or_default();
    let is_typed = ["ephemerald", "curl", "tail"].contains(&first.rsplit('/').next().unwrap_or_default());
    let is_whole = first == text || is_typed || text.starts_with("{\"");
    line.chars().count() > 80 && !is_whole
}

#[tokio::test]
async fn what_each_command_prints_for_eyes_is_plain_and_fits_eighty_columns() {
    let mut page = Page { wide: Some(Vec::new()), ..Page::default() };
    scenes::all(&mut page).await;
    let wide = page.wide.unwrap();
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}

/// Every command that does something, by its words.
fn commands() -> Vec<String> {
    fn below(command: &clap::Command, before: &str, into: &mut Vec<String>) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let words = format!("{before} {}", sub.get_name()).trim_start().to_owned();
            if !sub.is_subcommand_required_set() {
                into.push(words.clone());
            }
            below(sub, &words, into);
        }
    }
    let mut found = Vec::new();
    below(&Cli::command(), "", &mut found);
    found
}

/// Whether a heading names this command: `grants show GRANT` names `grants show`, and `freeze, thaw` both.
fn is_of(shown: &str, words: &str) -> bool {
    let names = |title: &str| {
        let rest =
            title.strip_prefix(words).map(|rest| rest.strip_prefix(' ').unwrap_or(rest).chars().next());
        rest.is_some_and(|first| first.is_none_or(|c| !c.is_ascii_lowercase()))
    };
    shown.split(", ").any(names)
}

#[test]
fn every_command_that_prints_json_is_listed_on_the_page_and_nothing_else_is() {
    let ((head, listed), known) = (read(), commands());
    assert!(known.len() > 30, "{known:?}");
    for words in known.iter().filter(|words| !WITHOUT.contains(&&***words)) {
        assert!(listed.keys().any(|shown| is_of(shown, words)), "docs/output.md does not list `{words}`");
    }
    for title in listed.keys().flat_map(|shown| shown.split(", ")) {
        assert!(known.iter().any(|words| is_of(title, words)), "there is no command `{title}`");
    }
    for words in WITHOUT {
        assert!(
            head.contains(&format!("`{words}`")),
            "docs/output.md does not say that `{words}` prints none"
        );
    }
}
