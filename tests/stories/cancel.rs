//! A job is withdrawn at each stage of its life: queued, waiting, sent, active.

use ephemerald::sandbox::control_plane::{JobSpec, RequestState};
use serde_json::{Value, json};

use crate::process::{World, asking::Ask};

const PERSON: &str = "dmitri@example.com";

/// An agent that waits long enough for its heartbeats to be heard.
async fn patient() -> World {
    let mut world = World::enrolled().await;
    let text = std::fs::read_to_string(&world.files.config).unwrap();
    let text = text.replace("raise_timeout = \"10s\"", "raise_timeout = \"2m\"");
    let text = text.replace("in_flight_window = \"3s\"", "in_flight_window = \"2m\"");
    let text = text.replace("watch = [\"2s\", \"3s\"]", "watch = [\"2s\", \"121s\"]");
    std::fs::write(&world.files.config, text).unwrap();
    world.agent.start();
    world.agent.ready().await;
    world
}

fn strikes(rule: Value) -> ephemerald::sandbox::jumpcloud::Rule {
    serde_json::from_value(rule).unwrap()
}

#[tokio::test]
async fn a_job_withdrawn_before_it_was_handed_out_is_never_heard_of() {
    let mut world = World::enrolled().await;
    let request = world.approved(Ask::role(PERSON, "Manager", 60)).await;
    let withdrawn = world.operator.revoke(&request.number, None).await.unwrap();
    assert_eq!(withdrawn.state, RequestState::Withdrawn);

    world.agent.start();
    world.agent.ready().await;

    let marker = world.approved(Ask::role("farid@example.com", "Manager", 2)).await;
    world.about(&marker, "granted").await;
    assert!(world.results_of(&request).await.is_empty());
    world.sees(PERSON, Some("Help Desk")).await;
}

#[tokio::test]
async fn a_job_withdrawn_while_it_waits_is_cancelled_and_nothing_is_written() {
    let world = patient().await;
    let unreadable = json!({"method": "GET", "fault": {"kind": "error_before", "status": 503}});
    world.cloud.set_faults(vec![strikes(unreadable)], 1);
    let request = world.approved(Ask::role(PERSON, "Manager", 60)).await;
    world.leased(&request).await;

    let job = request.job_id.clone().unwrap();
    assert!(!world.operator.cancel(&job).await.unwrap().dropped, "the agent has it");

    assert_eq!(world.result(job.as_str()).await["code"], "cancelled");
    world.cloud.set_faults(Vec::new(), 1);
    let marker = world.approved(Ask::role("farid@example.com", "Manager", 2)).await;
    world.about(&marker, "granted").await;
    assert_eq!(world.results_of(&request).await, ["cancelled"]);
    world.sees(PERSON, Some("Help Desk")).await;
}

#[tokio::test]
async fn a_job_withdrawn_after_its_raise_was_sent_is_ended_and_cancelled() {
    let world = patient().await;
    // Sent, and nobody knows what became of it: it is not repeated while it may still arrive.
    let lost = json!({"method": "PUT", "count": 1, "fault": {"kind": "reset_before"}});
    world.cloud.set_faults(vec![strikes(lost)], 1);
    let request = world.approved(Ask::role(PERSON, "Manager", 110)).await;
    world.logs("\"kind\":\"grant_indeterminate\"").await;

    world.operator.cancel(request.job_id.as_ref().unwrap()).await.unwrap();

    assert_eq!(world.about(&request, "cancelled").await["kind"], "result");
    assert_eq!(world.about(&request, "grant_ended").await["reason"], "requested");
    assert_eq!(world.results_of(&request).await, ["cancelled"]);
    world.sees(PERSON, Some("Help Desk")).await;
}

#[tokio::test]
async fn a_cancellation_after_the_result_changes_nothing_and_a_revoke_ends_the_grant() {
    let world = World::ready().await;
    let request = world.approved(Ask::role(PERSON, "Manager", 120)).await;
    world.about(&request, "granted").await;

    world.operator.cancel(request.job_id.as_ref().unwrap()).await.unwrap();
    let marker = world.approved(Ask::role("farid@example.com", "Manager", 2)).await;
    world.about(&marker, "grant_ended").await;
    world.sees(PERSON, Some("Manager")).await;

    world.operator.revoke(&request.number, Some("done")).await.unwrap();
    assert_eq!(world.about(&request, "grant_ended").await["reason"], "requested");
    assert_eq!(world.results_of(&request).await, ["granted"]);
    world.sees(PERSON, Some("Help Desk")).await;
}

#[tokio::test]
async fn a_revoke_is_judged_by_its_grant_alone_whatever_integration_it_names() {
    let world = World::ready().await;
    let request = world.approved(Ask::role(PERSON, "Manager", 120)).await;
    world.about(&request, "granted").await;
    let grant = request.grant_id.clone().unwrap();
    let claims = json!({"integration": "elsewhere", "job": {"type": "revoke", "grant_id": grant}});
    let job = world.sent(JobSpec { claims, ..JobSpec::default() }).await;
    assert_eq!(world.result(&job).await["code"], "revoked");
    world.sees(PERSON, Some("Help Desk")).await;
}
