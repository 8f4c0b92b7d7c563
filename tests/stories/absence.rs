//! Somebody is away while access is out: the control plane, or the agent itself.

use crate::process::{World, asking::Ask};

#[tokio::test]
async fn access_is_revoked_on_time_while_the_control_plane_is_away_and_reported_when_it_returns() {
    let mut world = World::ready().await;
    let request = world.approved(Ask::role("amara@example.com", "Help Desk", 3)).await;
    world.about(&request, "granted").await;
    world.stop_control_plane().await;

    world.sees("amara@example.com", Some("Read Only")).await;

    world.restart_control_plane().await;
    let ended = world.about(&request, "grant_ended").await;
    assert_eq!(ended["reason"], "expired");
    assert_eq!(ended["evidence"]["woken_by"], "wheel");
}

#[tokio::test]
async fn a_killed_agent_revokes_at_its_next_start_what_came_due_while_it_was_dead() {
    let mut world = World::ready().await;
    let request = world.approved(Ask::role("bruno@example.com", "Help Desk", 4)).await;
    let granted = world.about(&request, "granted").await;
    assert!(world.agent.kill().await, "it ran until then");
    world.until_past(granted["ends_at"].as_str().unwrap()).await;
    world.sees("bruno@example.com", Some("Help Desk")).await;

    world.agent.start();

    let ended = world.about(&request, "grant_ended").await;
    assert_eq!(ended["reason"], "expired");
    assert_eq!(ended["evidence"]["woken_by"], "start");
    world.sees("bruno@example.com", Some("Read Only")).await;
}

#[tokio::test]
async fn a_killed_agent_keeps_a_live_grant_over_the_restart_and_ends_it_by_the_wheel() {
    let mut world = World::ready().await;
    let request = world.approved(Ask::role("chiara@example.com", "Help Desk", 8)).await;
    world.about(&request, "granted").await;
    assert!(world.agent.kill().await, "it ran until then");

    world.agent.start();
    world.agent.ready().await;

    world.sees("chiara@example.com", Some("Help Desk")).await;
    let ended = world.about(&request, "grant_ended").await;
    assert_eq!(ended["reason"], "expired");
    assert_eq!(ended["evidence"]["woken_by"], "wheel");
    world.sees("chiara@example.com", Some("Read Only")).await;
    assert_eq!(world.results_of(&request).await, ["granted"], "one job, one result");
}

#[tokio::test]
async fn a_job_approved_while_the_agent_is_dead_is_done_after_its_start() {
    let mut world = World::ready().await;
    world.agent.kill().await;
    let request = world.approved(Ask::role("farid@example.com", "Manager", 2)).await;

    world.agent.start();

    world.about(&request, "granted").await;
    world.about(&request, "grant_ended").await;
    world.sees("farid@example.com", Some("Help Desk")).await;
}
