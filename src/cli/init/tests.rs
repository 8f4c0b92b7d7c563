//! Whole conversations, typed into a buffer, without JumpCloud; `tests/cli_init` has those with it.

use std::{fs, io::Cursor, os::unix::fs::MetadataExt as _, path::Path};

use super::*;
use crate::{config::Sources, engine::ids::RoleName};

/// Types `lines` in answer to the questions; what was shown, and how it ended.
async fn typed(root: &Path, force: bool, lines: &[&str]) -> (String, Result<Exit, Failure>) {
    let host = Host { home: Some(root.into()), current_dir: root.into(), ..Host::default() };
    let global = Global::default();
    let mut job = Job { global: &global, host, offline: true, force, show: false };
    let mut screen = Vec::new();
    let mut prompt = Prompt::new(Cursor::new(lines.join("\n") + "\n"), &mut screen, false);
    let ended = job.with_questions(Given::default(), &mut prompt).await;
    drop(prompt);
    (String::from_utf8(screen).unwrap(), ended)
}

const PLAIN: [&str; 12] =
    ["", "", "", "", "jca_canary5f", "", "owner@example.com", "", "Help Desk", "2h", "", ""];

#[tokio::test]
async fn the_usual_answers_make_files_that_load_and_show_no_secret() {
    let root = tempfile::tempdir().unwrap();
    let lines: Vec<&str> = PLAIN.into_iter().chain(["", "", ""]).collect();
    let (screen, ended) = typed(root.path(), false, &lines).await;
    assert_eq!(ended.unwrap(), Exit::Done, "{screen}");
    let dir = root.path().join(".config/ephemerald");
    let sources = Sources { file: Some(dir.join("ephemerald.toml")), ..Sources::default() };
    let config = crate::config::Config::load(&sources).unwrap().config;
    assert_eq!(config.integrations[0].settings.id.as_str(), "main");
    let policy = crate::config::policy_file::load(&config.policy_file).unwrap();
    assert!(policy.dry_run && policy.ephemeral.is_none());
    assert_eq!(policy.roles[&RoleName::new("Help Desk").unwrap()].0, 2 * 3_600_000);
    assert_eq!(policy.protected_accounts[0].as_str(), "owner@example.com");
    let connection = dir.join("main.json");
    assert!(fs::read_to_string(&connection).unwrap().contains("jca_canary5f"));
    assert_eq!(fs::metadata(&connection).unwrap().mode() & 0o7777, 0o600);
    assert!(screen.contains("\"token\": \"(not shown)\"") && !screen.contains("canary"), "{screen}");
}

#[tokio::test]
async fn a_no_at_the_end_or_a_closed_terminal_writes_nothing() {
    let root = tempfile::tempdir().unwrap();
    for end in [&["", "", "no"][..], &[]] {
        let lines: Vec<&str> = PLAIN.into_iter().chain(end.iter().copied()).collect();
        let (screen, ended) = typed(root.path(), false, &lines).await;
        assert!(ended.unwrap_err().to_string().contains("nothing was written"), "{screen}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{screen}");
    }
}

#[tokio::test]
async fn wrong_answers_are_refused_by_the_parsers_of_the_files_and_asked_again() {
    let root = tempfile::tempdir().unwrap();
    let here = root.path().to_str().unwrap();
    let typed_lines = format!(
        "no|etc|/etc/x|/var/x|no|relative|{here}|||a/b|jc|9|4|nonsense|https://127.0.0.1:1/|/none.pem\
         ||||k||nobody||*x@y|*@example.com|Help Desk|4|5m|yes||bad domain|example.com|maybe|no|eph1.junk|||"
    );
    let lines: Vec<&str> = typed_lines.split('|').collect();
    let (screen, ended) = typed(root.path(), false, &lines).await;
    assert_eq!(ended.unwrap(), Exit::Done, "{screen}");
    for words in [
        "an absolute path",
        "expected a name that",
        "a number from 1 to 4",
        "a URL such as",
        "/none.pem",
        "it is needed",
        "`protected_accounts`: expected",
        "`accounts.allow`: expected",
        "expected a duration",
        "at least one domain",
        "`ephemeral.domains`: expected a domain",
        "yes or no?",
        "agent token",
    ] {
        assert!(screen.contains(words), "{words:?} is missing in:\n{screen}");
    }
    let policy = crate::config::policy_file::load(&root.path().join("policy.toml")).unwrap();
    assert!(!policy.dry_run && policy.ephemeral.unwrap().domains == ["example.com"]);
}

#[tokio::test]
async fn files_that_exist_are_named_as_soon_as_their_names_are_known() {
    for (name, asked) in [("policy.toml", false), ("main.json", true)] {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(".config/ephemerald").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "mine").unwrap();
        let (screen, ended) = typed(root.path(), false, &PLAIN).await;
        let error = ended.unwrap_err();
        assert_eq!(error.exit, Exit::Refused);
        assert!(error.to_string().contains(name) && !screen.contains("Never raise"), "{error}\n{screen}");
        assert_eq!(screen.contains("API key"), asked, "{screen}");
        assert_eq!(fs::read(file).unwrap(), b"mine");
    }
}
