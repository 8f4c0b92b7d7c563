//! More time for access that is there.

use ephemerald::{
    engine::ids::Email,
    sandbox::control_plane::{ExtensionSpec, JobSpec},
};
use serde_json::{Value, json};

use crate::process::{World, asking::Ask};

fn more(seconds: u64) -> ExtensionSpec {
    ExtensionSpec {
        duration_s: seconds,
        requester: None,
        approvers: vec![Email::new("boss@example.com").unwrap()],
        justification: Some("not done yet".into()),
    }
}

/// Instants of one form compare as texts do.
fn instant(report: &Value, field: &str) -> String {
    report[field].as_str().unwrap_or_else(|| panic!("{field} of {report}")).to_owned()
}

#[tokio::test]
async fn an_extended_role_ends_at_its_new_end_by_the_wheel() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 5)).await;
    let granted = world.about(&request, "granted").await;

    let job = world.operator.extend(&request.number, &more(8)).await.unwrap();

    let extended = world.result(job.job_id.as_str()).await;
    assert_eq!(extended["code"], "extended", "{extended}");
    assert!(instant(&extended, "ends_at") > instant(&granted, "ends_at"));
    assert_ne!(extended["receipt"], granted["receipt"], "a receipt for the new end");
    assert!(extended["receipt"].is_string() && extended["policy_hash"].is_string(), "{extended}");
    world.until_past(&instant(&granted, "ends_at")).await;
    world.sees("dmitri@example.com", Some("Manager")).await;
    let ended = world.about(&request, "grant_ended").await;
    assert_eq!(ended["reason"], "expired");
    assert_eq!(ended["evidence"]["woken_by"], "wheel");
    assert!(instant(&ended, "at") >= instant(&extended, "ends_at"), "{ended}");
    world.sees("dmitri@example.com", Some("Help Desk")).await;
}

#[tokio::test]
async fn a_killed_agent_keeps_the_extension_over_the_restart() {
    let mut world = World::ready().await;
    let request = world.approved(Ask::role("elif@example.com", "Manager", 5)).await;
    let granted = world.about(&request, "granted").await;
    let job = world.operator.extend(&request.number, &more(14)).await.unwrap();
    let extended = world.result(job.job_id.as_str()).await;
    assert_eq!(extended["code"], "extended", "{extended}");
    assert!(world.agent.kill().await, "it ran until then");
    world.until_past(&instant(&granted, "ends_at")).await;

    world.agent.start();
    world.agent.ready().await;

    world.sees("elif@example.com", Some("Manager")).await;
    let ended = world.about(&request, "grant_ended").await;
    assert_eq!(ended["evidence"]["woken_by"], "wheel");
    assert!(instant(&ended, "at") >= instant(&extended, "ends_at"), "{ended}");
    world.sees("elif@example.com", Some("Help Desk")).await;
}

#[tokio::test]
async fn an_extension_after_the_end_is_too_late_and_one_without_approval_is_refused() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("farid@example.com", "Manager", 4)).await;
    world.about(&request, "granted").await;
    let grant = request.grant_id.clone().unwrap();
    let ask = |request: Value| {
        let job = json!({"type": "extend", "grant_id": grant, "duration_s": 60, "request": request});
        JobSpec { claims: json!({"integration": "main", "job": job}), ..JobSpec::default() }
    };

    let unapproved =
        world.sent(ask(json!({"number": "AR-1", "justification": "x", "requester": "v@example.com"}))).await;
    let refused = world.result(&unapproved).await;
    assert_eq!((&refused["code"], &refused["rule"]), (&json!("rejected"), &json!("approvers_required")));

    let by_himself = ExtensionSpec { requester: Some(Email::new("boss@example.com").unwrap()), ..more(60) };
    let refused = world.operator.extend(&request.number, &by_himself).await.unwrap_err();
    assert!(refused.to_string().contains("another person must"), "{refused}");

    world.about(&request, "grant_ended").await;
    let refused = world.operator.extend(&request.number, &more(60)).await.unwrap_err();
    assert!(refused.to_string().contains("only granted access can be extended"), "{refused}");
    let late = world.sent(ask(json!({
        "number": "AR-2", "justification": "x", "requester": "v@example.com", "approvers": ["boss@example.com"]
    })));
    let late = world.result(&late.await).await;
    assert_eq!(late["code"], "too_late", "{late}");
    world.sees("farid@example.com", Some("Help Desk")).await;
}
