//! A key of JumpCloud is exchanged while the agent runs: what is taken, what is not, and what an ending does
//! meanwhile. Keys are named by a part of their digest everywhere.

use ephemerald::{
    sandbox::{control_plane::RequestView, jumpcloud::Edit},
    secrets::Secret,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    check::mounted,
    process::{World, asking::Ask},
};

const NEW: &str = "jca_canary_of_the_new_key";

fn digest(key: &str) -> String {
    Secret::new(key.to_owned()).digest()
}

/// The owner gets this key in the console; the one before is dead at once.
fn reset(world: &World, key: &str) {
    let edit = Edit { api_key: Some(key.to_owned()), ..Edit::default() };
    world.cloud.change("owner@example.com", &edit).unwrap();
}

fn write(world: &World, key: &str) {
    world.rewrite_connection(|connection| connection["token"] = json!(key));
}

fn names_no_key(world: &World) {
    let log = world.files.log_text();
    assert!(!log.contains(NEW) && !log.contains(&world.api_key), "a key is in the log");
}

async fn status(world: &World) -> Value {
    let said = world.agent.command(&["status", "--output", "json"]).await;
    serde_json::from_str(&said.text).unwrap()
}

#[tokio::test]
async fn a_new_key_is_taken_from_its_file_while_the_agent_runs() {
    let world = World::ready().await;
    assert_eq!(status(&world).await["integrations"][0]["key"], digest(&world.api_key));
    reset(&world, NEW);
    write(&world, NEW);

    world.logs("connection: a new key is in use").await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 2)).await;

    world.about(&request, "granted").await;
    assert_eq!(world.about(&request, "grant_ended").await["reason"], "expired");
    assert_eq!(status(&world).await["integrations"][0]["key"], digest(NEW));
    names_no_key(&world);
}

#[tokio::test]
async fn an_ending_that_met_a_dead_key_is_carried_out_with_the_new_one() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 3)).await;
    world.about(&request, "granted").await;

    reset(&world, NEW);
    world.logs("the key is not accepted (401)").await;
    let alarm = |line: &&str| line.contains("is not accepted (401)");
    let line = world.files.log_text().lines().find(alarm).unwrap().to_owned();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["key"], digest(&world.api_key));
    let paused = status(&world).await["integrations"][0]["raises_paused"].as_str().unwrap().to_owned();
    assert!(paused.ends_with(&digest(&world.api_key)), "{paused}");
    world.sees("dmitri@example.com", Some("Manager")).await;
    write(&world, NEW);

    assert_eq!(world.about(&request, "grant_ended").await["reason"], "expired");
    world.sees("dmitri@example.com", Some("Help Desk")).await;
    names_no_key(&world);
}

#[tokio::test]
async fn a_key_that_jumpcloud_refuses_is_not_taken_and_the_one_in_use_stays() {
    let world = World::ready().await;
    write(&world, NEW); // nobody's
    world.logs("connection: the newest key is not taken; the one in use stays").await;

    let said = world.agent.command(&["connection", "rotate"]).await;

    assert_eq!(said.code, Some(4), "{}", said.text);
    for words in ["NOT taken", &digest(NEW), &digest(&world.api_key), "does not accept it (401)"] {
        assert!(said.text.contains(words), "{words}: {}", said.text);
    }
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 2)).await;
    world.about(&request, "granted").await;
    assert_eq!(world.about(&request, "grant_ended").await["reason"], "expired");
    names_no_key(&world);
}

#[tokio::test]
async fn a_key_of_another_organization_than_the_pinned_one_is_not_taken() {
    let world = World::enrolled_at(|cloud| cloud.multi_tenant = true).await.started().await;
    let theirs = Edit { api_key: Some(NEW.into()), ..Edit::default() };
    world.cloud.change("owner@example.net", &theirs).unwrap();
    world.rewrite_connection(|connection| {
        let (url, ca) = (&connection["url"], &connection["ssl_ca_cert"]);
        *connection = json!({"url": url, "ssl_ca_cert": ca, "token": NEW});
    });

    let said = world.agent.command(&["connection", "rotate", "main"]).await;

    assert!(said.text.contains("NOT taken") && said.text.contains("is the pinned one"), "{}", said.text);
    assert_eq!(status(&world).await["integrations"][0]["key"], digest(&world.api_key));
    names_no_key(&world);
}

#[tokio::test]
async fn what_a_program_prints_is_read_again_at_a_sighup() {
    let world = World::enrolled().await;
    let path = world.files.connection.display().to_string();
    world.rewrite_config(|text| {
        text.replace(
            &format!("connection_file = \"{path}\""),
            &format!("connection_command = [\"cat\", \"{path}\"]"),
        )
    });
    let world = world.started().await;
    reset(&world, NEW);
    write(&world, NEW);

    let pid = i32::try_from(world.agent.running.as_ref().unwrap().id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();

    world.logs("connection: a new key is in use").await;
    names_no_key(&world);
}

#[tokio::test]
async fn a_connection_is_tested_without_being_taken_and_its_end_is_told_days_before() {
    let world = World::enrolled().await;
    let days = 3 * 24 * 60 * 60 * 1000 + 60_000;
    let edit = Edit { api_key_ttl_ms: Some(days), ..Edit::default() };
    world.cloud.change("owner@example.com", &edit).unwrap();
    let world = world.started().await;

    let said = world.agent.command(&["connection", "test", "main"]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    for words in ["accepted", &digest(&world.api_key), "owner@example.com", "Billing", "ends  ", "main.json"]
    {
        assert!(said.text.contains(words), "{words}: {}", said.text);
    }
    let said = world.agent.command(&["status"]).await;
    assert!(said.text.contains("integration main: its key ends in 3 days"), "{}", said.text);
    world.logs("the credential expires soon").await;

    write(&world, NEW);
    let said = world.agent.command(&["connection", "test"]).await;
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert!(said.text.contains(&digest(NEW)) && said.text.contains("answered 401"), "{}", said.text);
    let said = world.agent.command(&["connection", "test", "other"]).await;
    assert!(said.code == Some(3) && said.text.contains("no integration \"other\""), "{}", said.text);
    assert_eq!(status(&world).await["integrations"][0]["key"], digest(&world.api_key));
    names_no_key(&world);
}

/// A second owner's key, beside the first one's: both are accepted.
const SECOND: &str = "breakglass@example.com";

fn second_owner(world: &World, key: &str) {
    let edit = Edit { api_key: Some(key.to_owned()), ..Edit::default() };
    world.cloud.change(SECOND, &edit).unwrap();
}

/// An agent that has taken the second owner's key, and a grant of three seconds.
async fn granted_with_a_second_owners_key() -> (World, RequestView) {
    let world = World::ready().await;
    second_owner(&world, NEW);
    write(&world, NEW);
    world.logs("connection: a new key is in use").await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 3)).await;
    world.about(&request, "granted").await;
    (world, request)
}

#[tokio::test]
async fn the_key_of_before_is_used_again_if_the_newest_one_dies() {
    let (world, request) = granted_with_a_second_owners_key().await;

    second_owner(&world, "jca_nobody_has_this_one");

    assert_eq!(world.about(&request, "grant_ended").await["reason"], "expired");
    world.logs("connection: the key of before is in use again").await;
    assert_eq!(status(&world).await["integrations"][0]["key"], digest(&world.api_key));
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 2)).await;
    world.about(&request, "granted").await;
    names_no_key(&world);
}

#[tokio::test]
async fn the_account_behind_the_new_key_is_not_raised_from_the_first_moment_on() {
    let world = World::ready().await;
    let billing = Some(vec!["Administrator With Billing".to_owned()]);
    let edit = Edit { api_key: Some(NEW.into()), roles: billing, ..Edit::default() };
    world.cloud.change("greta@example.com", &edit).unwrap();
    let before = world.approved(Ask::role("dmitri@example.com", "Manager", 2)).await;
    world.about(&before, "granted").await; // whose the old key is has been asked just now
    write(&world, NEW);
    world.logs("connection: a new key is in use").await;

    let request = world.approved(Ask::role("greta@example.com", "Manager", 60)).await;

    let refused = world.result(&request.job_id.unwrap().to_string()).await;
    assert_eq!((&refused["code"], &refused["rule"]), (&json!("rejected"), &json!("own_account")));
}

#[tokio::test]
async fn an_ending_is_carried_out_with_the_key_of_before_although_nobody_says_whose_that_is() {
    let (world, request) = granted_with_a_second_owners_key().await;

    let silent =
        json!({"path_prefix": "/api/users/getSelf", "fault": {"kind": "error_before", "status": 500}});
    world.cloud.add_faults(vec![serde_json::from_value(silent).unwrap()]);
    second_owner(&world, "jca_nobody_has_this_one");

    assert_eq!(world.about(&request, "grant_ended").await["reason"], "expired");
    world.sees("dmitri@example.com", Some("Help Desk")).await;
    assert!(!world.files.log_text().contains("the key of before is in use again"));
    names_no_key(&world);
}

#[tokio::test]
async fn a_connection_that_is_not_there_at_the_start_is_used_as_soon_as_it_is() {
    let mut world = World::enrolled().await;
    let aside = world.files.root.join("aside.json");
    std::fs::rename(&world.files.connection, &aside).unwrap();
    world.agent.start();
    world.logs("connection: cannot be used").await;

    std::fs::rename(&aside, &world.files.connection).unwrap();

    world.agent.ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 2)).await;
    world.about(&request, "granted").await;
    assert_eq!(world.about(&request, "grant_ended").await["reason"], "expired");
}

#[tokio::test]
async fn a_mounted_kubernetes_secret_that_changes_brings_its_new_key() {
    let mut world = World::enrolled().await;
    let dir = mounted(&world);
    world.agent.environment.push(("CREDENTIALS_DIRECTORY".into(), dir.clone().into()));
    let world = world.started().await;
    reset(&world, NEW);
    write(&world, NEW);

    // As the kubelet does it: a new folder, a new link, one rename.
    let version = dir.join("..2026_11_27");
    std::fs::create_dir(&version).unwrap();
    std::fs::copy(&world.files.connection, version.join("main.json")).unwrap();
    std::os::unix::fs::symlink("..2026_11_27", dir.join("..data_tmp")).unwrap();
    std::fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();

    world.logs("connection: a new key is in use").await;
    assert_eq!(status(&world).await["integrations"][0]["key"], digest(NEW));
}
