//! `check` names what is wrong with a connection.

use serde_json::json;

use crate::process::{World, agent::Said};

#[tokio::test]
async fn a_key_that_jumpcloud_does_not_accept_is_named_by_check() {
    let world = World::enrolled().await;
    world.rewrite_connection(|connection| connection["token"] = json!("jca_wrong"));

    let said = world.agent.command(&["check"]).await;

    assert_ne!(said.code, Some(0), "{}", said.text);
    assert_mentions(&said, &["main", "401"]);
    assert!(!said.text.contains("jca_wrong"), "the key itself is not shown: {}", said.text);
}

#[tokio::test]
async fn a_connection_without_a_token_is_named_by_check_with_its_file() {
    let world = World::enrolled().await;
    world.misspell_token();

    let said = world.agent.command(&["check"]).await;

    assert_ne!(said.code, Some(0), "{}", said.text);
    assert_mentions(&said, &["main.json", "tokne"]);
    assert!(!said.text.contains(&world.api_key), "{}", said.text);
}

fn assert_mentions(said: &Said, words: &[&str]) {
    for word in words {
        assert!(said.text.contains(word), "{word:?} is missing in: {}", said.text);
    }
}
