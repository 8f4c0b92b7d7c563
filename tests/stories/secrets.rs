//! The key of the connection: where it must work, and where it must never be seen.

use std::{fs, path::Path};

use serde_json::json;

use crate::process::{World, asking::Ask};

#[tokio::test]
async fn the_connections_key_is_never_seen_in_anything_that_the_agent_leaves_behind() {
    let mut world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 1)).await;
    let refused = world.approved(Ask::role("nobody@example.com", "Manager", 1)).await;
    world.about(&request, "grant_settled").await;
    world.about(&refused, "rejected").await;
    let commands: [&[&str]; 6] = [
        &["check"],
        &["status"],
        &["--output", "json", "status"],
        &["--output", "json", "grants"],
        &["health"],
        &["config", "show"],
    ];
    for command in commands {
        let said = world.agent.command(command).await;
        assert_eq!(said.code, Some(0), "{command:?}: {}", said.text);
    }
    // A key that is refused is the likeliest to be quoted.
    world.cloud.set_faults(vec![refuse_the_key()], 1);
    world.agent.command(&["check"]).await;
    world.agent.kill().await;

    let canary = world.api_key.clone();
    let reports = world.operator.results().await.unwrap();
    assert!(!serde_json::to_string(&reports).unwrap().contains(&canary), "in a report");
    assert!(!world.files.log_text().contains(&canary), "in the log or what a command printed");
    let looked_at = assert_absent(&world.files.state, canary.as_bytes());
    assert!(looked_at >= 3, "the ledger, the keys and the identity were looked at, not {looked_at} files");
    assert!(fs::read_to_string(&world.files.connection).unwrap().contains(&canary), "it is where it belongs");
}

#[tokio::test]
async fn a_key_that_jumpcloud_does_not_accept_is_named_in_the_log_but_not_shown() {
    let mut world = World::enrolled().await;
    world.rewrite_connection(|connection| connection["token"] = json!("jca_wrong"));

    world.agent.start();

    world.logs("the key is not accepted").await;
    assert!(!world.files.log_text().contains("jca_wrong"));
}

#[tokio::test]
async fn an_unknown_key_of_the_connection_is_named_in_the_log_with_its_file() {
    let mut world = World::enrolled().await;
    world.misspell_token();

    world.agent.start();

    world.logs("main.json: unknown key `tokne`").await;
    assert!(!world.files.log_text().contains(&world.api_key));
}

/// How many files were searched.
fn assert_absent(dir: &Path, canary: &[u8]) -> usize {
    let mut searched = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            searched += assert_absent(&path, canary);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(canary.len()).any(|window| window == canary), "in {}", path.display());
        searched += 1;
    }
    searched
}

fn refuse_the_key() -> ephemerald::sandbox::jumpcloud::Rule {
    serde_json::from_value(json!({"fault": {"kind": "unauthorized"}})).unwrap()
}
