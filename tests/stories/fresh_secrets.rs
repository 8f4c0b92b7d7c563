//! A service account's secret is exchanged while the agent runs, and its end is told before it comes: JumpCloud shows the
//! end of an API key only, so that of a secret is what `expires_at` says.

use ephemerald::{
    sandbox::jumpcloud::{NewService, ServiceAccount},
    secrets::Secret,
};
use serde_json::{Value, json};

use crate::process::{World, asking::Ask};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

async fn connected_by_a_service_account() -> World {
    World::enrolled_at(|cloud| cloud.service_account = true).await
}

/// A second service account, as a person makes it in the console.
fn another(world: &World) -> ServiceAccount {
    let new = NewService { name: "next".into(), ..NewService::default() };
    world.cloud.add_service_account(&new).unwrap()
}

fn write(world: &World, service: &ServiceAccount) {
    world.rewrite_connection(|connection| {
        connection["client_id"] = json!(service.client_id);
        connection["client_secret"] = json!(service.client_secret);
    });
}

fn secret_in_use(world: &World) -> String {
    let connection = std::fs::read(&world.files.connection).unwrap();
    let connection: Value = serde_json::from_slice(&connection).unwrap();
    connection["client_secret"].as_str().unwrap().to_owned()
}

async fn integration(world: &World) -> Value {
    let said = world.agent.command(&["status", "--output", "json"]).await;
    let status: Value = serde_json::from_str(&said.text).unwrap();
    status["integrations"][0].clone()
}

fn names_no_secret(world: &World, secrets: &[&str]) {
    let log = world.files.log_text();
    assert!(secrets.iter().all(|secret| !log.contains(secret)), "a secret is in the log");
}

#[tokio::test]
async fn the_end_of_a_client_secret_is_told_days_before_in_the_log_the_status_and_the_test() {
    let world = connected_by_a_service_account().await;
    let end = ephemerald::clock::now().wall.0 + 3 * DAY_MS + DAY_MS / 2;
    let day = jiff::Timestamp::from_millisecond(end).unwrap().to_string();
    world.rewrite_connection(|connection| connection["expires_at"] = json!(day));
    let world = world.started().await;

    world.logs("the credential expires soon").await;
    let line = world.files.log_text().lines().find(|line| line.contains("expires soon")).unwrap().to_owned();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["credential"], &line["days"]), (&json!("client secret"), &json!(3)));
    assert_eq!(line["key"], Secret::new(secret_in_use(&world)).digest());
    let said = world.agent.command(&["status"]).await;
    assert!(said.text.contains("integration main: its key ends in 3 days"), "{}", said.text);
    let said = world.agent.command(&["connection", "test"]).await;
    assert!(said.code == Some(0) && said.text.contains("ends  "), "{}", said.text);
    names_no_secret(&world, &[&secret_in_use(&world)]);
}

#[tokio::test]
async fn a_new_client_secret_is_taken_while_a_grant_lives_and_the_old_one_may_go() {
    let world = connected_by_a_service_account().await.started().await;
    let old = secret_in_use(&world);
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 3)).await;
    world.about(&request, "granted").await;

    let next = another(&world);
    write(&world, &next);
    world.logs("connection: a new key is in use").await;
    world.cloud.delete_service_account("service").unwrap();

    assert_eq!(world.about(&request, "grant_ended").await["reason"], "expired");
    world.sees("dmitri@example.com", Some("Help Desk")).await;
    let new = next.client_secret.unwrap();
    assert_eq!(integration(&world).await["key"], Secret::new(new.clone()).digest());
    names_no_secret(&world, &[&old, &new]);
}

#[tokio::test]
async fn a_client_secret_that_jumpcloud_refuses_is_not_taken_and_a_dead_one_pauses_raises_only() {
    let world = connected_by_a_service_account().await.started().await;
    let old = secret_in_use(&world);
    let mut nobodys = another(&world);
    world.cloud.delete_service_account("next").unwrap();
    write(&world, &nobodys);
    world.logs("connection: the newest key is not taken; the one in use stays").await;
    assert_eq!(integration(&world).await["key"], Secret::new(old.clone()).digest());
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 3)).await;
    world.about(&request, "granted").await;

    world.cloud.delete_service_account("service").unwrap();
    world.logs("is not accepted (401)").await;
    assert!(integration(&world).await["raises_paused"].is_string());
    let second = world.approved(Ask::role("elif@example.com", "Manager", 3)).await;
    nobodys = another(&world);
    write(&world, &nobodys);

    assert_eq!(world.about(&request, "grant_ended").await["reason"], "expired");
    world.sees("dmitri@example.com", Some("Help Desk")).await;
    world.about(&second, "granted").await;
    names_no_secret(&world, &[&old, &nobodys.client_secret.unwrap()]);
}
