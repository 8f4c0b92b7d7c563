//! Agent and control plane find out what the other can do.

use ephemerald::{
    control::{
        client::Speaker,
        wire::{AcquireRequest, StatusRequest},
    },
    sandbox::control_plane::{AlarmKind, Faults},
};
use serde_json::json;

use crate::process::{World, asking::Ask};

#[tokio::test]
async fn without_a_common_version_the_operator_is_told_and_live_grants_end_on_time() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 6)).await;
    world.about(&request, "granted").await;
    world.operator.faults(&Faults { versions: Some(vec![2, 3]), ..Faults::default() }).await.unwrap();
    world.logs("the control plane speaks 2, 3; update the older of the two").await;
    world.logs("control plane: does not go along; live grants are ended on time").await;
    let said = world.agent.command(&["--output", "json", "status"]).await;
    assert!(said.text.contains("no common protocol version"), "{}", said.text);

    world.sees("dmitri@example.com", Some("Help Desk")).await;

    world.operator.faults(&Faults::default()).await.unwrap();
    assert_eq!(world.about(&request, "grant_ended").await["evidence"]["woken_by"], "wheel");
}

#[tokio::test]
async fn a_process_that_was_replaced_says_so_gets_no_jobs_and_still_ends_its_grants() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 6)).await;
    world.about(&request, "granted").await;
    // Another machine on a copy of the files, which has started more often.
    let other = world.client_of(Speaker { instance: "copy".to_owned(), epoch: 1_000_000 });
    other.acquire(&AcquireRequest::default()).await.unwrap();
    other.status(&status_of_a_longer_journal()).await.unwrap();

    world.logs("it knows a record of this agent's journal that is not here").await;
    world.logs("another process of this agent with a later epoch is known there").await;

    let late = world.approved(Ask::role("farid@example.com", "Manager", 60)).await;
    assert_eq!(world.about(&request, "grant_ended").await["reason"], "expired");
    world.sees("dmitri@example.com", Some("Help Desk")).await;
    assert!(world.results_of(&late).await.is_empty(), "jobs are for the newest process");
    let alarms = world.operator.alarms().await.unwrap();
    assert!(alarms.iter().any(|alarm| alarm.kind == AlarmKind::ReplacedProcess), "{alarms:?}");
}

fn status_of_a_longer_journal() -> StatusRequest {
    serde_json::from_value(json!({
        "version": "test", "at": "2026-11-24T10:00:00.000Z", "started_at": "2026-11-24T10:00:00.000Z",
        "live_grants": 0, "overdue": 0, "stuck": 0, "outbox": 0, "frozen": false, "dry_run": false,
        "revoke_only": false, "key_set_version": 1, "integrations": [],
        "journal": {"seq": 1_000_000, "hash": "ab".repeat(32)},
    }))
    .unwrap()
}

#[tokio::test]
async fn the_agent_offers_what_it_does_in_each_integration_and_no_more() {
    let world = World::ready().await;
    let offers = world.operator.agents().await.unwrap().pop().unwrap().offers.unwrap();
    assert_eq!(offers.versions, [1]);
    let here = &offers.integrations[0];
    assert_eq!((here.name.as_str(), here.role_mode.as_str()), ("main", "single"));
    assert_eq!(here.targets, ["email", "account_id", "ephemeral"]);
    for kind in ephemerald::control::wire::JOB_TYPES {
        let body = match kind {
            "grant" => continue, // other stories
            "revoke" => json!({"type": kind, "grant_id": "nobodys"}),
            "extend" => json!({"type": kind, "grant_id": "nobodys", "duration_s": 60, "request": {}}),
            _ => json!({ "type": kind }),
        };
        let claims = json!({"integration": "main", "job": body});
        let spec = ephemerald::sandbox::control_plane::JobSpec { claims, ..Default::default() };
        let job = world.sent(spec).await;
        let refused = world.result(&job).await["code"] == "unsupported_job_type";
        let offered = offers.job_types.iter().any(|word| word == kind);
        assert_eq!(offered, !refused, "{kind}");
    }
}
