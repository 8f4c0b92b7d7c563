//! The journal taken out, and judged by somebody who has nothing else.

use std::{fs, path::Path, process::Command};

use crate::process::{World, asking::Ask};

async fn exported(world: &World, args: &[&str], name: &str) -> std::path::PathBuf {
    let said = world.agent.command(&[&["audit", "export"], args].concat()).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    let file = world.files.root.join(name);
    fs::write(&file, said.text).unwrap();
    file
}

async fn verified(world: &World, file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let args = [&["audit", "verify", "--file", file.to_str().unwrap()], more].concat();
    let said = world.agent.command(&args).await;
    (said.code, said.text)
}

/// The end of the journal as the control plane was told it.
async fn head_of(world: &World) -> String {
    let said = world.agent.command(&["status", "--output", "json"]).await;
    let status: serde_json::Value = serde_json::from_str(&said.text).unwrap();
    format!("{}:{}", status["ledger"]["head_seq"], status["ledger"]["head_hash"].as_str().unwrap())
}

#[tokio::test]
async fn an_export_verifies_offline_and_not_after_one_byte_was_changed() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 1)).await;
    world.about(&request, "grant_settled").await;
    let head = head_of(&world).await;

    let whole = exported(&world, &[], "whole.jsonl").await;

    let (code, text) = verified(&world, &whole, &["--head", &head]).await;
    assert!(code == Some(0) && text.contains("one unbroken hash chain"), "{text}");
    assert!(text.contains("is in the chain"), "{text}");
    let (code, text) = verified(&world, &whole, &["--head", &format!("1:{}", "0".repeat(64))]).await;
    assert!(code == Some(7) && text.contains("NOT HERE"), "{text}");
    let (code, text) = python(&whole);
    assert!(code != Some(1), "the program of the documents: {text}");

    let text = fs::read_to_string(&whole).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let middle = lines.len() / 2;
    let without = [&lines[..middle], &lines[middle + 1..]].concat().join("\n");
    for (changed, what) in [
        (text.replacen("Manager", "Managor", 1), "a word of a body"),
        (text.replacen("\"kind\":\"grant_accepted\"", "\"kind\":\"grant_accepteb\"", 1), "a kind"),
        (text.replacen("\"stream\":\"grant/", "\"stream\":\"grent/", 1), "a stream"),
        (without, "a line that is missing"),
        (lines[..lines.len() - 1].join("\n"), "an end that is missing"),
        (text.replacen("\"ledger_id\":\"", "\"ledger_id\":\"0", 1), "another ledger"),
    ] {
        assert_ne!(changed, text, "{what}");
        let file = world.files.root.join("changed.jsonl");
        fs::write(&file, changed).unwrap();
        let (code, said) = verified(&world, &file, &[]).await;
        assert_eq!(code, Some(7), "{what}: {said}");
        assert!(!matches!(python(&file).0, Some(0)), "{what}: the program of the documents");
    }
    let nonsense = world.files.policy.clone();
    assert_eq!(verified(&world, &nonsense, &[]).await.0, Some(3));
}

#[tokio::test]
async fn an_excerpt_verifies_record_by_record_and_as_a_chain_with_the_rest_without_bodies() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 1)).await;
    world.about(&request, "grant_settled").await;
    let grant = request.grant_id.clone().unwrap();

    let excerpt = exported(&world, &["--grant", grant.as_str()], "excerpt.jsonl").await;
    let (code, text) = verified(&world, &excerpt, &[]).await;
    assert!(code == Some(0) && text.contains("what is left out is not judged"), "{text}");
    let lines = fs::read_to_string(&excerpt).unwrap();
    assert!(lines.lines().count() > 4 && !lines.contains("agent_started"), "{lines}");

    let chained = exported(&world, &["--grant", grant.as_str(), "--with-chain"], "chained.jsonl").await;
    let (code, text) = verified(&world, &chained, &[]).await;
    assert!(code == Some(0) && text.contains("one unbroken hash chain"), "{text}");
    let lines = fs::read_to_string(&chained).unwrap();
    assert!(!lines.contains("clock_was_dead"), "no body of what was not asked for: {lines}");
    let person =
        exported(&world, &["--account", "DMITRI@example.com", "--since", "1h"], "person.jsonl").await;
    let lines = fs::read_to_string(&person).unwrap();
    assert!(lines.contains("\"attempt_started\""), "also by the account's id: {lines}");
    assert_eq!(world.agent.command(&["audit", "export", "--since", "soon"]).await.code, Some(2));
}

/// The program of `docs/operations.md`, if there is a Python: its exit code and what it says.
fn python(file: &Path) -> (Option<i32>, String) {
    let page = include_str!("../../docs/operations.md");
    let program = page.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    match Command::new("python3").arg("-c").arg(program).arg(file).output() {
        Ok(output) => (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => {
            eprintln!("NOT TRIED: no python3: {error}");
            (None, String::new())
        }
    }
}
