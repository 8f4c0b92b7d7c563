//! Two organizations, one of which never answers.

use ephemerald::sandbox::{
    control_plane::JobSpec,
    jumpcloud::{Fault, Rule},
};

use crate::process::{
    World,
    asking::{Ask, grant_claims},
};

/// Nothing is answered while a client is willing to wait.
fn silence() -> Rule {
    serde_json::from_value(serde_json::json!({"delay_ms": 3_600_000, "fault": {"kind": "latency"}})).unwrap()
}

#[tokio::test]
async fn an_organization_that_never_answers_delays_nobody_else_and_its_own_jobs_wait_for_it() {
    let mut world = World::enrolled().await;
    let silent = world.with_neighbour("silent").await;
    assert_eq!(silence().fault, Fault::Latency);
    silent.add_faults(vec![silence()]);
    world.agent.start();
    world.agent.ready().await;
    let waiting = world.approved(Ask::ephemeral("visitor@example.com", "Help Desk", 60).at("silent")).await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 3)).await;
    let ephemeral = world.approved(Ask::ephemeral("other@example.com", "Help Desk", 3)).await;

    for request in [&request, &ephemeral] {
        world.about(request, "granted").await;
        let ended = world.about(request, "grant_ended").await;
        assert_eq!((&ended["reason"], &ended["evidence"]["woken_by"]), (&"expired".into(), &"wheel".into()));
    }
    world.sees("dmitri@example.com", Some("Help Desk")).await;
    assert!(world.results_of(&waiting).await.is_empty(), "neither lost nor refused yet");

    silent.set_faults(Vec::new(), 0);
    let granted = world.about(&waiting, "granted").await;
    assert_eq!(granted["integration"], "silent");
}

#[tokio::test]
async fn a_flood_of_jobs_for_an_organization_that_never_answers_leaves_room_for_the_others() {
    let mut world = World::enrolled().await;
    world.with_neighbour("silent").await.add_faults(vec![silence()]);
    let config = std::fs::read_to_string(&world.files.config).unwrap();
    std::fs::write(&world.files.config, config.replace("raise_timeout = \"10s\"", "raise_timeout = \"60s\""))
        .unwrap();
    world.agent.start();
    world.agent.ready().await;
    let mut flood = Vec::new();
    for n in 0..70 {
        let mut claims = grant_claims(&format!("flood-{n}"), &format!("p{n}@example.com"), "Manager", 60);
        claims["integration"] = "silent".into();
        flood.push(world.sent(JobSpec { claims, ..JobSpec::default() }).await);
    }

    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 60)).await;

    world.about(&request, "granted").await;
    let reports = world.reports().await;
    let answered = flood.iter().filter(|job| reports.iter().any(|r| r["job_id"] == job.as_str()));
    assert_eq!(answered.count(), 0, "they still wait for their own organization");
}
