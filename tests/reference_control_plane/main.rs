//! The reference control plane over real TLS, with an agent written by hand for these tests.
#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod bench;
mod inventory;
mod keys;
mod killed;
mod operator;
mod oversight;
mod shipped_client;

use std::time::Duration;

use ephemerald::{
    control::{
        jws,
        keys::KeySet,
        wire::{
            JOB_TYP, JobBody, JobClaims, MAX_JOB_BYTES, NONCE_HEADER, ROTATION_TYP, RotationClaims, Target,
        },
    },
    sandbox::control_plane::{Faults, RequestState},
};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use bench::{Agent, Plane, approved, claims, email, ended, new_token, now_s, result};

#[tokio::test]
async fn a_token_enrols_one_key_once_and_the_same_key_gets_the_same_answer() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let token = new_token(&plane).await;
    assert_eq!(token.url, plane.running.url);

    let agent = Agent::new(&plane, 1);
    let first = agent.enroll(&token).await.unwrap();
    assert_eq!(agent.enroll(&token).await.unwrap().agent_id, first.agent_id);
    KeySet::verify(&first.key_set, &first.root, &token.root).unwrap();

    assert_eq!(Agent::new(&plane, 2).enroll(&token).await.unwrap_err(), StatusCode::UNAUTHORIZED);
    let mut invented = token.clone();
    "invented, but long enough".clone_into(&mut invented.secret);
    assert_eq!(Agent::new(&plane, 3).enroll(&invented).await.unwrap_err(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_approved_request_reaches_a_waiting_poll_as_a_job_under_the_pinned_root() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let operator = plane.operator();
    let token = new_token(&plane).await;
    let mut agent = Agent::new(&plane, 1);
    let enrolled = agent.enroll(&token).await.unwrap();
    agent.id = enrolled.agent_id.to_string();
    let keys = KeySet::verify(&enrolled.key_set, &enrolled.root, &token.root).unwrap();

    let (jobs, number) = tokio::join!(agent.acquire(55, &[]), approved(&operator));
    let job = jws::verify(jobs[0]["jws"].as_str().unwrap(), JOB_TYP, MAX_JOB_BYTES, |kid| keys.find(kid));
    let job: JobClaims = serde_json::from_slice(&job.unwrap().payload).unwrap();
    assert_eq!((job.aud, job.iss), (enrolled.agent_id, plane.running.url.clone()));
    assert_eq!(job.job_id.as_str(), jobs[0]["job_id"]);
    let JobBody::Grant(grant) = job.job else { panic!("not a grant") };
    assert_eq!(grant.target, Target::Email(email("ada@example.com")));
    assert_eq!(grant.request.number.as_deref(), Some(number.as_str()));
    assert_eq!(grant.request.approvers, ["bob@example.com"]);
    assert_eq!(operator.show(&number).await.unwrap().state, RequestState::Leased);
}

#[tokio::test]
async fn repeated_reports_are_acknowledged_again_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let operator = plane.operator();
    let agent = Agent::enrolled(&plane).await;
    let number = approved(&operator).await;
    let job = claims(&agent.acquire(0, &[]).await[0]);
    let (job, grant) = (job["job_id"].as_str().unwrap(), job["job"]["grant_id"].as_str().unwrap());

    let (granted, ended) = (result(7, job, grant, "granted"), ended(9, grant));
    operator.faults(&Faults { drop_acks: 1, ..Faults::default() }).await.unwrap();
    assert!(agent.report(&[&granted]).await.is_empty());
    assert_eq!(operator.show(&number).await.unwrap().state, RequestState::Granted);
    assert_eq!(agent.report(&[&granted, &ended]).await, [7, 9]);
    assert_eq!(agent.report(&[&ended, &granted]).await, [9, 7]);

    let results = operator.results().await.unwrap();
    let counts: Vec<_> = results.iter().map(|r| (r.seq, r.repeats, r.conflicting)).collect();
    assert_eq!(counts, [(7, 2, 0), (9, 1, 0)]);
    assert!(results.iter().all(|result| result.malformed.is_none()), "{results:?}");
    let request = operator.show(&number).await.unwrap();
    assert_eq!(request.state, RequestState::Ended);
    assert_eq!(request.detail.as_deref(), Some("grant_ended (expired)"));

    assert_eq!(agent.report(&[&result(7, job, grant, "failed")]).await, [7]);
    assert_eq!(operator.results().await.unwrap()[0].conflicting, 1);
}

#[tokio::test]
async fn a_lease_that_runs_out_is_delivered_again_and_a_known_job_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::with_lease(dir.path(), Duration::from_millis(200)).await;
    let agent = Agent::enrolled(&plane).await;
    approved(&plane.operator()).await;

    let first = agent.acquire(0, &[]).await;
    let id = first[0]["job_id"].as_str().unwrap();
    // The waiting poll itself notices that the lease has run out.
    assert_eq!(agent.acquire(55, &[]).await, first);
    assert!(agent.acquire(0, &[id]).await.is_empty());

    assert_eq!(agent.heartbeat(id).await.unwrap()["cancelled"], false);
    agent.report(&[&result(1, id, "g", "failed")]).await;
    assert_eq!(agent.heartbeat(id).await.unwrap_err(), StatusCode::NOT_FOUND);
    assert!(agent.acquire(1, &[]).await.is_empty());
}

#[tokio::test]
async fn a_restart_keeps_agents_jobs_leases_reports_and_used_proofs() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let agent = Agent::enrolled(&plane).await;
    let held = approved(&plane.operator()).await;
    let leased = agent.acquire(0, &[]).await;
    let waiting = approved(&plane.operator()).await;
    let body = json!({ "reports": [result(3, "other", "other", "tested")] }).to_string();
    let used = agent.proof("reports", &body);
    assert_eq!(agent.send("reports", &used, &body).await.status(), StatusCode::OK);

    let plane = plane.restart().await;
    let operator = plane.operator();
    assert_eq!(agent.send("reports", &used, &body).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(operator.show(&held).await.unwrap().state, RequestState::Leased);
    assert_eq!(operator.results().await.unwrap()[0].seq, 3);
    let jobs = agent.acquire(0, &[]).await;
    assert_eq!(jobs.len(), 1, "only the job that is not leased");
    assert_ne!(jobs[0]["job_id"], leased[0]["job_id"]);
    assert_eq!(claims(&jobs[0])["job"]["request"]["number"], waiting);
}

#[tokio::test]
async fn a_stopping_control_plane_answers_its_waiting_polls() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let agent = Agent::enrolled(&plane).await;
    let restart = async {
        let operator = plane.operator();
        while operator.agents().await.unwrap()[0].last_seen_at.is_none() {}
        plane.restart().await
    };
    let (jobs, _) = tokio::join!(agent.acquire(55, &[]), restart);
    assert!(jobs.is_empty());
}

#[tokio::test]
async fn a_proof_for_another_request_another_key_or_used_before_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let agent = Agent::enrolled(&plane).await;
    let body = json!({ "reports": [result(1, "j", "g", "tested")] }).to_string();
    let other = body.replace("tested", "failed");

    let proof = agent.proof("reports", &body);
    assert_eq!(agent.send("reports", &proof, &other).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(agent.send("status", &proof, &body).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(agent.send("reports", &proof, &body).await.status(), StatusCode::OK);
    assert_eq!(agent.send("reports", &proof, &body).await.status(), StatusCode::UNAUTHORIZED);

    let mut thief = Agent::new(&plane, 2);
    thief.id.clone_from(&agent.id);
    let stolen = thief.proof("reports", &body);
    assert_eq!(thief.send("reports", &stolen, &body).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(plane.operator().results().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_wrong_clock_is_let_in_by_the_nonce_and_only_by_a_fresh_one() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let mut agent = Agent::enrolled(&plane).await;
    agent.skew_s = -3600;
    let body = json!({ "reports": [result(1, "j", "g", "tested")] }).to_string();

    let answer = agent.send("reports", &agent.proof("reports", &body), &body).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let nonce = answer.headers()[NONCE_HEADER].to_str().unwrap().to_owned();
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["type"], "urn:ephemerald:problem:use-nonce");

    agent.nonce = Some("stale".to_owned());
    let proof = agent.proof("reports", &body);
    assert_eq!(agent.send("reports", &proof, &body).await.status(), StatusCode::UNAUTHORIZED);
    agent.nonce = Some(nonce);
    let proof = agent.proof("reports", &body);
    assert_eq!(agent.send("reports", &proof, &body).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_new_key_takes_over_once_it_has_been_used() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let old = Agent::enrolled(&plane).await;
    let mut new = Agent::new(&plane, 2);
    new.id.clone_from(&old.id);
    let rotation = RotationClaims {
        v: 1,
        iss: serde_json::from_value(json!(old.id)).unwrap(),
        aud: old.url.clone(),
        old: old.key.kid().to_owned(),
        new: new.key.kid().to_owned(),
        iat: now_s(),
    };
    let proof = jws::sign(ROTATION_TYP, &new.key, &serde_json::to_vec(&rotation).unwrap());
    let body = json!({ "key": new.key.public().to_jwk(), "proof": proof });
    old.post("rotate-key", &body).await.unwrap();

    let nothing = json!({ "capacity": 0, "wait_s": 0, "integrations": [], "known": [] });
    old.post("jobs/acquire", &nothing).await.unwrap();
    new.post("jobs/acquire", &nothing).await.unwrap();
    assert_eq!(old.post("jobs/acquire", &nothing).await.unwrap_err(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_process_that_was_replaced_gets_no_jobs_and_may_still_report() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let mut agent = Agent::enrolled(&plane).await;
    approved(&plane.operator()).await;
    agent.epoch = 2;
    let nothing = json!({ "capacity": 0, "wait_s": 0, "integrations": [], "known": [] });
    agent.post("jobs/acquire", &nothing).await.unwrap();

    agent.epoch = 1;
    assert!(agent.acquire(0, &[]).await.is_empty());
    assert_eq!(agent.report(&[&result(1, "j", "g", "tested")]).await, [1]);
    agent.epoch = 2;
    assert_eq!(agent.acquire(0, &[]).await.len(), 1);
}

#[tokio::test]
async fn a_report_that_cannot_be_read_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let agent = Agent::enrolled(&plane).await;
    let (good, strange) = (result(1, "j", "g", "tested"), result(2, "j", "g", "no_such_code"));
    assert_eq!(agent.report(&[&json!({ "seq": "x" }), &strange, &good]).await, [2, 1]);
    let malformed: Vec<_> = plane.operator().results().await.unwrap();
    let malformed: Vec<_> = malformed.iter().map(|report| report.malformed.is_some()).collect();
    assert_eq!(malformed, [true, false]);
}

#[tokio::test]
async fn an_outage_reaches_agents_only_and_says_how_long() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let agent = Agent::enrolled(&plane).await;
    let operator = plane.operator();
    operator.faults(&Faults { unavailable_s: 3600, ..Faults::default() }).await.unwrap();
    let answer = agent.send("reports", "x", "").await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key(header::RETRY_AFTER));
    operator.faults(&Faults::default()).await.unwrap();
    assert!(agent.acquire(0, &[]).await.is_empty());
}

#[tokio::test]
async fn recovery_names_what_was_granted_and_not_ended_with_its_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let agent = Agent::enrolled(&plane).await;
    let granted = |seq: u64, grant: &str| {
        let mut report = result(seq, &format!("j{seq}"), grant, "granted");
        let more = json!({ "integration": "prod", "role": "Help Desk", "receipt": format!("receipt-{grant}"),
                           "account": { "id": "5f", "email": "ada@example.com" },
                           "ends_at": "2026-11-24T11:00:00.000Z" });
        report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        report
    };
    agent.report(&[&granted(1, "g1"), &granted(2, "g2"), &ended(3, "g1")]).await;

    let ask = json!({ "reason": "empty_ledger", "ledger_created_at": "2026-11-24T10:40:00.000Z" });
    let answer = agent.post("recover", &ask).await.unwrap();
    let receipts: Vec<_> =
        answer["grants"].as_array().unwrap().iter().map(|g| g["receipt"].clone()).collect();
    assert_eq!(receipts, ["receipt-g2"]);
}

#[tokio::test]
async fn the_newest_journal_head_is_given_back_to_an_agent_whose_ledger_went_back() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let agent = Agent::enrolled(&plane).await;
    let status = |seq: u64| {
        json!({ "version": "test", "at": "2026-11-24T10:00:00.000Z", "started_at": "2026-11-24T10:00:00.000Z",
                "live_grants": 0, "overdue": 0, "stuck": 0, "outbox": 0, "frozen": false, "dry_run": false,
                "revoke_only": false, "journal": { "seq": seq, "hash": format!("h{seq}") },
                "key_set_version": 0, "integrations": [] })
    };
    let answer = agent.post("status", &status(40)).await.unwrap();
    assert!(answer["key_set"].is_string(), "an agent with an older key set gets the new one");
    assert_eq!(agent.post("status", &status(12)).await.unwrap()["journal"]["hash"], "h40");
}
