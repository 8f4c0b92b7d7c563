//! What the agent does not do, and which rule it names.

use ephemerald::sandbox::control_plane::{Faults, JobSpec, SignWith};
use serde_json::{Value, json};

use crate::process::{
    World,
    asking::{Ask, grant_claims},
};

const PERSON: &str = "dmitri@example.com";

#[tokio::test]
async fn a_job_delivered_twice_has_one_effect_and_one_result() {
    let world = World::ready().await;
    world.operator.faults(&Faults { deliver_twice: true, ..Faults::default() }).await.unwrap();

    let request = world.approved(Ask::role(PERSON, "Manager", 2)).await;
    world.about(&request, "grant_settled").await;

    assert_eq!(world.results_of(&request).await, ["granted"]);
    let id = world.cloud.state().accounts.into_iter().find(|a| a.email == PERSON).unwrap().id;
    assert_eq!(world.cloud.roles_over_time(&id).len(), 2, "raised once, lowered once");
}

#[tokio::test]
async fn a_replayed_job_is_answered_again_but_not_carried_out_again() {
    let world = World::ready().await;
    let claims = grant_claims("grant-replay", PERSON, "Manager", 1);
    let sent = world.operator.send(&JobSpec { claims, ..JobSpec::default() }).await.unwrap();
    let job = sent.job_id.to_string();
    assert_eq!(world.result(&job).await["code"], "granted");
    world.event("grant-replay", "grant_settled").await;
    let writes = world.writes();

    // The same signed bytes under the same id, as a thief of a job would send them.
    let claims = json!({"job_id": job, "integration": "main"});
    world.operator.send(&JobSpec { claims, jws: Some(sent.jws), ..JobSpec::default() }).await.unwrap();
    let marker = world.sent(test_job()).await;
    world.result(&marker).await;

    assert_eq!(world.writes(), writes, "nothing was written for the replay");
    world.sees(PERSON, Some("Help Desk")).await;
}

#[tokio::test]
async fn jobs_that_do_not_verify_are_refused_with_their_rule_and_touch_nothing() {
    let world = World::ready().await;
    let claims = || grant_claims("grant-x", PERSON, "Manager", 60);
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        JobSpec { claims, ..JobSpec::default() }
    };
    let now = jiff::Timestamp::now().as_second();
    let bad = [
        ("bad_signature", JobSpec { key: SignWith::Forged, ..with("v", json!(1)) }),
        ("unknown_key", JobSpec { key: SignWith::Unknown, ..with("v", json!(1)) }),
        ("wrong_agent", with("aud", json!("somebody-else"))),
        ("issued_in_future", with("iat", json!(now + 3600))),
        ("start_by_too_far", with("start_by", json!(now + 400 * 86_400))),
        ("issued_before_ledger", with("iat", json!(now - 86_400))),
        ("malformed", with("surprise", json!(true))),
        ("unsupported_version", with("v", json!(2))),
    ];
    for (rule, spec) in bad {
        let job = world.sent(spec).await;
        let result = world.result(&job).await;
        assert_eq!(result["rule"], rule, "{result}");
    }
    let late = with("start_by", json!(now - 1));
    let job = world.sent(late).await;
    assert_eq!(world.result(&job).await["code"], "expired_before_start");
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn access_that_may_not_be_given_is_refused_with_its_rule_and_touches_nothing() {
    let world = World::ready().await;
    let bad = [
        ("role_not_grantable", Ask::role(PERSON, "Chief Pirate", 60)),
        ("role_not_grantable", Ask::role(PERSON, "Administrator", 60)),
        ("account_not_found", Ask::role("nobody@example.com", "Manager", 60)),
        ("protected_account", Ask::role("breakglass@example.com", "Manager", 60)),
        ("own_account", Ask::role("owner@example.com", "Manager", 60)),
        ("unknown_integration", Ask::role(PERSON, "Manager", 60).at("elsewhere")),
        ("duration_too_long", Ask::role(PERSON, "Manager", 3600)),
        ("domain_not_allowed", Ask::ephemeral("visitor@elsewhere.example", "Help Desk", 60)),
    ];
    for (rule, ask) in bad {
        let request = world.approved(ask).await;
        let result = world.result(request.job_id.unwrap().as_str()).await;
        assert_eq!((&result["code"], &result["rule"]), (&json!("rejected"), &json!(rule)), "{result}");
    }
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn a_role_that_the_policy_names_but_jumpcloud_lacks_is_unknown() {
    let world = World::enrolled().await;
    let mut world = world.with_policy(|text| text.replace("\"Manager\"", "\"Chief Pirate\""));
    world.agent.start();
    world.agent.ready().await;

    let request = world.approved(Ask::role(PERSON, "Chief Pirate", 60)).await;

    let result = world.result(request.job_id.unwrap().as_str()).await;
    assert_eq!(result["rule"], "role_unknown", "{result}");
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn a_test_job_is_answered_tested() {
    let world = World::ready().await;
    let job = world.sent(test_job()).await;
    assert_eq!(world.result(&job).await["code"], "tested");
    assert_eq!(world.writes(), 0);
}

fn test_job() -> JobSpec {
    let claims = json!({"integration": "main", "job": {"type": "test"}});
    JobSpec { claims, ..JobSpec::default() }
}
