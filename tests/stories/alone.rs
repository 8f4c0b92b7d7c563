//! No daemon runs, and somebody must end access: twice at once, and in a process that is killed as well.

use std::time::Duration;

use serde_json::json;

use crate::process::{PATIENCE, World, asking::Ask};

const PERSON: &str = "dmitri@example.com";

async fn granted_and_killed() -> (World, ephemerald::sandbox::control_plane::RequestView) {
    let mut world = World::ready().await;
    let request = world.approved(Ask::role(PERSON, "Manager", 300)).await;
    world.about(&request, "granted").await;
    world.agent.kill().await;
    (world, request)
}

#[tokio::test]
async fn two_who_revoke_at_the_same_time_wait_for_each_other_and_both_see_it_gone() {
    let (world, _) = granted_and_killed().await;
    let revoke = || world.agent.command(&["revoke", "--all"]);
    let (one, other) = tokio::join!(revoke(), revoke());
    for said in [one, other] {
        assert_eq!(said.code, Some(0), "{}", said.text);
    }
    world.sees(PERSON, Some("Help Desk")).await;
    assert_eq!(world.agent.command(&["audit", "verify"]).await.code, Some(0));
}

#[tokio::test]
async fn a_revocation_whose_process_was_killed_is_finished_by_the_next_daemon() {
    let (mut world, request) = granted_and_killed().await;
    let refuses = json!({"method": "PUT", "fault": {"kind": "error_before", "status": 503}});
    world.cloud.set_faults(vec![serde_json::from_value(refuses).unwrap()], 1);
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_ephemerald"));
    command.arg("--config").arg(&world.files.config).args(["revoke", "--all", "--reason", "killed"]);
    let mut revoke = command.kill_on_drop(true).spawn().unwrap();
    let begun = async {
        while !world
            .agent
            .command(&["audit", "export", "--kind", "attempt_ended"])
            .await
            .text
            .contains(r#"\"status\":503"#)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.expect("it tried");
    revoke.kill().await.unwrap();
    world.sees(PERSON, Some("Manager")).await;

    world.cloud.set_faults(Vec::new(), 1);
    world.agent.start();

    let ended = world.about(&request, "grant_ended").await;
    assert_eq!(ended["reason"], "operator");
    assert!(ended["detail"].as_str().unwrap().ends_with(": killed"), "{ended}");
    world.sees(PERSON, Some("Help Desk")).await;
    assert_eq!(world.results_of(&request).await, ["granted"], "one job, one result");
}

#[tokio::test]
async fn a_process_that_only_ends_grants_never_raises_what_the_daemon_had_begun() {
    let mut world = World::ready().await;
    // Accepted, and not sent: JumpCloud throttles the write until the daemon is dead.
    let throttles = json!({"method": "PUT", "fault": {"kind": "error_before", "status": 429}});
    world.cloud.set_faults(vec![serde_json::from_value(throttles).unwrap()], 1);
    let request = world.approved(Ask::role(PERSON, "Manager", 300)).await;
    world.logs("\"kind\":\"attempt_ended\"").await;
    world.agent.kill().await;
    world.cloud.set_faults(Vec::new(), 1);

    let said = world.agent.command(&["revoke", "--role", "Read Only", "--timeout", "1s"]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    let said = world.agent.command(&["revoke", "--all"]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);

    let account = world.cloud.id_of(PERSON).unwrap();
    let history = world.cloud.roles_over_time(&account);
    assert!(!history.iter().any(|(_, roles)| roles.contains(&"Manager".to_owned())), "{history:?}");
    let ended = world.agent.command(&["audit", "export", "--kind", "grant_ending"]).await;
    assert!(ended.text.contains("grant_ending"), "it had been accepted: {}", ended.text);
    world.sees(PERSON, Some("Help Desk")).await;
    world.agent.start();
    world.about(&request, "grant_ended").await;
    assert_eq!(world.results_of(&request).await.len(), 1, "one job, one result");
}
