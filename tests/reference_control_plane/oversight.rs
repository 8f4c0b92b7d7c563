//! What an operator must see: clones, replaced processes, leaked tokens, journals that went back; and
//! what agents offer.

use ephemerald::sandbox::control_plane::{AlarmKind, Faults, RequestState, SyncSpec};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::bench::{Agent, Plane, approved, email, help_desk, new_token, result};

fn nothing() -> Value {
    json!({ "capacity": 0, "wait_s": 0, "integrations": [], "known": [] })
}

pub(crate) fn status(more: &Value) -> Value {
    let mut status = json!({ "version": "test", "at": "2026-11-24T10:00:00.000Z",
        "started_at": "2026-11-24T10:00:00.000Z", "live_grants": 0, "overdue": 0, "stuck": 0, "outbox": 0,
        "frozen": false, "dry_run": false, "revoke_only": false, "key_set_version": 1, "integrations": [] });
    status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    status
}

fn offers(versions: &Value, targets: &Value) -> Value {
    json!({ "versions": versions, "job_types": ["grant", "revoke", "juggle"], "features": ["fly"],
        "limits": { "jobs": 1, "job_bytes": 65536, "answer_bytes": 8388608, "start_by_s": 604800, "skew_s": 120 },
        "integrations": [{ "name": "prod", "role_mode": "some_day", "targets": targets, "later": {} }] })
}

async fn kinds(plane: &Plane) -> Vec<AlarmKind> {
    plane.operator().alarms().await.unwrap().iter().map(|alarm| alarm.kind).collect()
}

#[tokio::test]
async fn two_processes_that_speak_in_turn_with_one_epoch_are_a_clone() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let mut agent = Agent::enrolled(&plane).await;
    agent.post("jobs/acquire", &nothing()).await.unwrap();
    // A start that left no trace in its ledger looks like this, and is none.
    "second".clone_into(&mut agent.instance);
    agent.post("jobs/acquire", &nothing()).await.unwrap();
    agent.post("jobs/acquire", &nothing()).await.unwrap();
    assert!(kinds(&plane).await.is_empty());

    "test".clone_into(&mut agent.instance);
    agent.post("jobs/acquire", &nothing()).await.unwrap();
    "second".clone_into(&mut agent.instance);
    agent.post("jobs/acquire", &nothing()).await.unwrap();

    let alarms = plane.operator().alarms().await.unwrap();
    assert_eq!((alarms.len(), alarms[0].kind, alarms[0].count), (1, AlarmKind::Clone, 2));
    assert_eq!(alarms[0].agent.as_ref().unwrap().as_str(), agent.id);
    approved(&plane.operator()).await;
    assert_eq!(agent.acquire(0, &[]).await.len(), 1, "it is served all the same");
    let agents = plane.operator().agents().await.unwrap();
    assert_eq!(agents[0].instances.len(), 2);
}

#[tokio::test]
async fn a_process_of_an_earlier_epoch_is_told_that_it_was_replaced_and_alarmed() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let mut agent = Agent::enrolled(&plane).await;
    agent.epoch = 5;
    assert_eq!(agent.post("status", &status(&json!({}))).await.unwrap().get("replaced"), None);
    approved(&plane.operator()).await;

    let mut old = agent;
    old.epoch = 4;
    "old".clone_into(&mut old.instance);
    assert!(old.acquire(0, &[]).await.is_empty());
    assert_eq!(old.post("status", &status(&json!({}))).await.unwrap()["replaced"], true);
    assert_eq!(old.report(&[&result(1, "j", "g", "tested")]).await, [1]);
    assert_eq!(kinds(&plane).await, [AlarmKind::ReplacedProcess]);

    let mut newest = old;
    newest.epoch = 6;
    assert_eq!(newest.acquire(0, &[]).await.len(), 1);

    // A poll that waits while a later process speaks gets nothing either.
    let mut later = newest.twin();
    later.epoch = 7;
    let meanwhile = async {
        later.post("jobs/acquire", &nothing()).await.unwrap();
        approved(&plane.operator()).await;
    };
    let (waited, ()) = tokio::join!(newest.acquire(3, &[]), meanwhile);
    assert!(waited.is_empty());
    assert_eq!(later.acquire(0, &[]).await.len(), 1);
}

#[tokio::test]
async fn a_leaked_token_and_a_journal_that_went_back_or_forked_are_alarmed() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let token = new_token(&plane).await;
    let mut agent = Agent::new(&plane, 1);
    agent.id = agent.enroll(&token).await.unwrap().agent_id.to_string();
    assert!(kinds(&plane).await.is_empty());
    Agent::new(&plane, 2).enroll(&token).await.unwrap_err();
    assert_eq!(kinds(&plane).await, [AlarmKind::TokenLeaked]);

    for (seq, hash) in [(7, "aa"), (7, "aa"), (5, "aa"), (7, "bb")] {
        let head = json!({ "journal": { "seq": seq, "hash": hash } });
        agent.post("status", &status(&head)).await.unwrap();
    }
    let expected = [AlarmKind::TokenLeaked, AlarmKind::JournalWentBack, AlarmKind::JournalForked];
    assert_eq!(kinds(&plane).await, expected);

    let plane = plane.restart().await;
    assert_eq!(kinds(&plane).await, expected, "alarms are durable");
}

#[tokio::test]
async fn without_a_common_version_every_call_that_negotiates_says_which_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let operator = plane.operator();
    let agent = Agent::enrolled(&plane).await;
    let future = offers(&json!([2, 9]), &json!([]));
    let mut acquire = nothing();
    acquire["offers"] = future.clone();
    let told = status(&json!({ "offers": future }));
    for (path, body) in [("status", &told), ("jobs/acquire", &acquire)] {
        let text = body.to_string();
        let answer = agent.send(path, &agent.proof(path, &text), &text).await;
        assert_eq!(answer.status(), StatusCode::CONFLICT, "{path}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], "urn:ephemerald:problem:no-common-version");
        assert_eq!(problem["versions"], json!([1]));
    }
    let newcomer = Agent::new(&plane, 2);
    let token = new_token(&plane).await;
    let body = json!({ "secret": token.secret, "key": newcomer.key.public().to_jwk(), "version": "test",
                       "offers": offers(&json!([2]), &json!([])) });
    assert_eq!(newcomer.post("enroll", &body).await.unwrap_err(), StatusCode::CONFLICT);
    newcomer.enroll(&token).await.expect("the token is not spent by a refusal");

    operator.faults(&Faults { versions: Some(vec![1, 2, 3]), ..Faults::default() }).await.unwrap();
    assert_eq!(agent.post("status", &told).await.unwrap()["version"], 2, "the highest that both know");
    assert_eq!(agent.post("jobs/acquire", &nothing()).await.unwrap()["version"], 1, "no offers: version 1");
}

#[tokio::test]
async fn a_job_that_the_agent_does_not_offer_is_not_signed_until_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let operator = plane.operator();
    let mut early = help_desk();
    early.target =
        serde_json::from_value(json!({ "ephemeral": { "requester": "ada@example.com" } })).unwrap();
    let asked = operator.request(&early).await.unwrap();
    operator.approve(&asked.number, &[email("bob@example.com")]).await.unwrap();

    let mut agent = Agent::new(&plane, 1);
    let token = new_token(&plane).await;
    let enrol = json!({ "secret": token.secret, "key": agent.key.public().to_jwk(), "version": "test",
                        "offers": offers(&json!([1]), &json!(["email"])) });
    let id = agent.post("enroll", &enrol).await.unwrap()["agent_id"].as_str().unwrap().to_owned();
    agent.id = id;
    assert!(agent.acquire(0, &[]).await.is_empty());
    assert_eq!(operator.show(&asked.number).await.unwrap().state, RequestState::Approved);

    let late = operator.request(&early).await.unwrap();
    let refused = operator.approve(&late.number, &[email("bob@example.com")]).await.unwrap_err();
    assert!(refused.to_string().contains("does not offer grants for the target ephemeral"), "{refused}");
    assert_eq!(operator.show(&late.number).await.unwrap().state, RequestState::Requested);

    let sync = SyncSpec { integration: help_desk().integration, agent: None };
    let refused = operator.sync(&sync).await.unwrap_err();
    assert!(refused.to_string().contains("does not offer jobs of the type sync"), "{refused}");

    let grown = status(&json!({ "offers": offers(&json!([1]), &json!(["email", "ephemeral"])) }));
    let (jobs, _) = tokio::join!(agent.acquire(55, &[]), agent.post("status", &grown));
    assert_eq!(jobs.len(), 1);
    let offers = operator.agents().await.unwrap()[0].offers.clone().unwrap();
    assert!(offers.job_types.contains(&"juggle".to_owned()), "words of a newer agent are kept");
}

#[tokio::test]
async fn a_call_that_is_not_there_and_a_body_that_is_too_long_are_problems_too() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let agent = Agent::enrolled(&plane).await;
    let long = format!("\"{}\"", "x".repeat(3 << 20));
    for (path, body, kind) in [("juggle", "{}", "not-found"), ("reports", long.as_str(), "too-large")] {
        let answer = agent.send(path, &agent.proof(path, body), body).await;
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["type"], format!("urn:ephemerald:problem:{kind}"));
    }
}
