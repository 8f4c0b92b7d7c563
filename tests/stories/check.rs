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

/// A key of a mounted Kubernetes Secret, as the kubelet writes it; the integration takes it as a credential.
pub(crate) fn mounted(world: &World) -> std::path::PathBuf {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let dir = world.files.root.join("credentials");
    let version = dir.join("..2026_11_26");
    std::fs::create_dir_all(&version).unwrap();
    std::fs::copy(&world.files.connection, version.join("main.json")).unwrap();
    std::fs::set_permissions(version.join("main.json"), std::fs::Permissions::from_mode(0o440)).unwrap();
    symlink("..2026_11_26", dir.join("..data")).unwrap();
    symlink("..data/main.json", dir.join("main.json")).unwrap();
    world.rewrite_config(|text| {
        let file = format!("connection_file = \"{}\"", world.files.connection.display());
        assert!(text.contains(&file), "{text}");
        text.replace(&file, "connection_credential = \"main.json\"")
    });
    dir
}

#[tokio::test]
async fn a_mounted_kubernetes_secret_is_a_credential_as_it_is() {
    let mut world = World::enrolled().await;
    let dir = mounted(&world);

    let said = world.agent.command(&["check"]).await;
    assert_mentions(&said, &["credential main.json: $CREDENTIALS_DIRECTORY is not set"]);

    world.agent.environment.push(("CREDENTIALS_DIRECTORY".into(), dir.into()));
    let said = world.agent.command_in(&world.agent.environment, &["check"]).await;
    assert_mentions(&said, &["credentials/main.json", "accepted, of "]);
    world.started().await;
}

#[tokio::test]
async fn a_connection_that_a_program_prints_is_used_and_its_failure_is_told_without_its_words() {
    let world = World::enrolled().await;
    let file = format!("connection_file = \"{}\"", world.files.connection.display());
    let command =
        format!("connection_command = [\"/bin/cat\", {:?}]", world.files.connection.display().to_string());
    world.rewrite_config(|text| text.replace(&file, &command));

    let said = world.agent.command(&["check"]).await;
    assert_mentions(&said, &["from command /bin/cat", "accepted, of "]);

    world.rewrite_config(|text| {
        let fails = "connection_command = [\"/bin/sh\", \"-c\", \"echo canary-words >&2; exit 3\"]";
        text.replace(&command, fails)
    });
    let said = world.agent.command(&["check"]).await;
    assert_eq!(said.code, Some(3), "{}", said.text);
    assert_mentions(&said, &["command /bin/sh: exit status: 3", "13 bytes"]);
    assert!(!said.text.contains("canary-words"), "{}", said.text);
}

#[tokio::test]
async fn check_tells_where_the_key_belongs_and_what_it_may_do() {
    let world = World::enrolled().await;

    let said = world.agent.command(&["check"]).await;

    assert_mentions(
        &said,
        &["no known region", "API key", "accepted, of ", "organization", "own role", "Billing"],
    );
    assert!(!said.text.contains(&world.api_key), "{}", said.text);
}

#[tokio::test]
async fn an_organization_that_is_not_the_keys_is_named_by_check() {
    let world = World::enrolled().await;
    world.rewrite_connection(|connection| connection["org_id"] = json!("5f00000000000000000000ff"));

    let said = world.agent.command(&["check"]).await;

    assert_ne!(said.code, Some(0), "{}", said.text);
    assert_mentions(&said, &["5f00000000000000000000ff", "org_id"]);
}

#[tokio::test]
async fn a_service_account_that_gets_no_token_is_told_by_check_with_the_endpoint() {
    let world = World::enrolled().await;
    world.rewrite_connection(|connection| {
        connection.as_object_mut().unwrap().remove("token");
        connection["client_id"] = json!("nobody");
        connection["client_secret"] = json!("canary-secret");
    });

    let said = world.agent.command(&["check"]).await;

    assert_ne!(said.code, Some(0), "{}", said.text);
    assert_mentions(&said, &["service account", "/oauth2/token", "answered 4"]);
    assert!(!said.text.contains("canary-secret"), "{}", said.text);
}

#[tokio::test]
async fn a_setting_that_is_said_twice_and_not_the_same_is_told_with_both_places() {
    let world = World::enrolled().await;
    world.rewrite_connection(|connection| connection["options"] = json!({"rate_limit": 5}));

    let said = world.agent.command(&["check"]).await;

    assert_eq!(said.code, Some(3), "{}", said.text);
    assert_mentions(&said, &["rate_limit", "ephemerald.toml", "main.json", "remove one"]);
}

#[tokio::test]
async fn two_integrations_of_one_organization_are_named_by_check() {
    let mut world = World::enrolled().await;
    let _console = world.with_neighbour("twin").await;

    let said = world.agent.command(&["check"]).await;

    assert_ne!(said.code, Some(0), "{}", said.text);
    assert_mentions(&said, &["main and twin are one organization", "keep one integration"]);
}

fn assert_mentions(said: &Said, words: &[&str]) {
    for word in words {
        assert!(said.prose().contains(word), "{word:?} is missing in: {}", said.text);
    }
}
