//! Two organizations, one of which never answers.

use ephemerald::sandbox::jumpcloud::{Fault, Rule};

use crate::process::{World, asking::Ask};

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
