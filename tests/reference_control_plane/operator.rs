//! The operator's side.

use std::{fs, os::unix::fs::PermissionsExt as _};

use ephemerald::{
    control::{
        jws,
        keys::KeySet,
        token::AgentToken,
        wire::{JOB_TYP, MAX_JOB_BYTES},
    },
    sandbox::{
        control_plane::{
            Error, Faults, JobSpec, Operator, OperatorError, Options, RequestState, SignWith, run,
        },
        tls::ServeError,
    },
};
use reqwest::StatusCode;
use serde_json::json;

use crate::bench::{Agent, Plane, approved, claims, email, help_desk, http, new_token, result};

#[tokio::test]
async fn the_requester_cannot_approve() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let operator = plane.operator();
    let asked = operator.request(&help_desk()).await.unwrap();
    for approvers in [vec![email("ADA@example.com")], vec![]] {
        let refused = operator.approve(&asked.number, &approvers).await.unwrap_err();
        assert!(matches!(refused, OperatorError::Refused { status: 422, .. }), "{refused}");
    }
    assert_eq!(operator.show(&asked.number).await.unwrap().state, RequestState::Requested);
}

#[tokio::test]
async fn what_was_approved_before_an_agent_enrolled_is_queued_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let number = approved(&plane.operator()).await;
    assert_eq!(plane.operator().show(&number).await.unwrap().state, RequestState::Approved);
    let agent = Agent::enrolled(&plane).await;
    assert_eq!(claims(&agent.acquire(0, &[]).await[0])["job"]["request"]["number"], number);
}

#[tokio::test]
async fn revoking_withdraws_a_waiting_job_and_ends_a_delivered_one_by_a_revoke_job() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let operator = plane.operator();
    let agent = Agent::enrolled(&plane).await;

    let number = approved(&operator).await;
    assert_eq!(operator.revoke(&number, None).await.unwrap().state, RequestState::Withdrawn);
    assert!(agent.acquire(0, &[]).await.is_empty());

    let number = approved(&operator).await;
    let job = claims(&agent.acquire(0, &[]).await[0]);
    let (id, grant) = (job["job_id"].as_str().unwrap(), job["job"]["grant_id"].as_str().unwrap());
    assert_eq!(operator.revoke(&number, Some("enough")).await.unwrap().state, RequestState::Ending);
    assert_eq!(agent.heartbeat(id).await.unwrap()["cancelled"], true);

    let revoke = claims(&agent.acquire(0, &[id]).await[0]);
    assert_eq!(revoke["job"], json!({ "type": "revoke", "grant_id": grant, "reason": "enough" }));
    agent.report(&[&result(1, revoke["job_id"].as_str().unwrap(), grant, "revoked")]).await;
    assert_eq!(operator.show(&number).await.unwrap().state, RequestState::Ended);
}

#[tokio::test]
async fn tests_can_send_forged_foreign_and_repeated_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let operator = plane.operator();
    let token = new_token(&plane).await;
    let mut agent = Agent::new(&plane, 1);
    let enrolled = agent.enroll(&token).await.unwrap();
    agent.id = enrolled.agent_id.to_string();
    let keys = KeySet::verify(&enrolled.key_set, &enrolled.root, &token.root).unwrap();

    let job = |key, claims| JobSpec { key, claims, ..JobSpec::default() };
    let body = json!({ "integration": "prod", "job": { "type": "test" } });
    operator.send(&job(SignWith::Forged, body.clone())).await.unwrap();
    operator.send(&job(SignWith::Unknown, body)).await.unwrap();
    let foreign = json!({ "aud": "somebody-else", "job": { "type": "test" } });
    operator.send(&JobSpec { copies: 1, ..job(SignWith::Good, foreign) }).await.unwrap();

    let jobs = agent.acquire(0, &[]).await;
    let verify = |jws: &str| jws::verify(jws, JOB_TYP, MAX_JOB_BYTES, |kid| keys.find(kid));
    let verdict =
        |job: &serde_json::Value| verify(job["jws"].as_str().unwrap()).map(|_| claims(job)["aud"].clone());
    let verdicts: Vec<_> = jobs.iter().map(verdict).collect();
    let foreign = Ok(json!("somebody-else"));
    let expected = [Err(jws::JwsError::Signature), Err(jws::JwsError::UnknownKey), foreign.clone(), foreign];
    assert_eq!(verdicts, expected);
    assert_eq!(jobs[2]["jws"], jobs[3]["jws"]);
}

#[tokio::test]
async fn a_control_plane_told_to_deliver_twice_does_so_even_after_the_result() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let operator = plane.operator();
    let agent = Agent::enrolled(&plane).await;
    operator.faults(&Faults { deliver_twice: true, ..Faults::default() }).await.unwrap();
    approved(&operator).await;
    let one = json!({ "capacity": 1, "wait_s": 0, "integrations": [], "known": [] });
    let first = agent.post("jobs/acquire", &one).await.unwrap()["jobs"][0].clone();
    let id = first["job_id"].as_str().unwrap();
    agent.report(&[&result(1, id, "g", "granted")]).await;
    assert_eq!(agent.acquire(0, &[id]).await, [first]);
    assert!(agent.acquire(0, &[]).await.is_empty());
}

#[tokio::test]
async fn the_operator_side_wants_its_token_and_no_browser() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { admin_token: Some("sesame".to_owned()), ..Plane::options(dir.path()) };
    let plane = Plane::with(options).await;
    let (url, ca) = (&plane.running.admin_url, plane.running.ca_file.as_deref());
    let refused = Operator::new(url, ca, None).unwrap().requests().await.unwrap_err();
    assert!(matches!(refused, OperatorError::Refused { status: 401, .. }), "{refused}");

    let file = dir.path().join("admin-token");
    fs::write(&file, "sesame\n").unwrap();
    Operator::new(url, ca, Some(&file)).unwrap().requests().await.unwrap();
    plane.operator().requests().await.unwrap();
    for secret in ["operator.json", "control-plane.sqlite3", "control-plane.sqlite3-wal", "tls/ca.key"] {
        let mode = fs::metadata(dir.path().join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }

    for (name, value) in [("origin", "https://evil.example"), ("host", "evil.example")] {
        let request = http(ca.unwrap()).get(format!("{}/v1/admin/requests", plane.running.admin_url));
        let answer = request.bearer_auth("sesame").header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{name}");
    }
}

#[tokio::test]
async fn what_is_handed_over_in_files_is_enough_to_enrol() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let (ca, token) = (dir.path().join("copy.pem"), dir.path().join("token"));
    plane.running.write_ca(&ca).unwrap();
    plane.running.write_token(&token).await.unwrap();

    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    let token = AgentToken::parse(&fs::read_to_string(&token).unwrap()).unwrap();
    let url = format!("{}/v1/admin/agents", token.url);
    assert_eq!(http(&ca).get(url).send().await.unwrap().status(), StatusCode::OK);
    Agent::new(&plane, 1).enroll(&token).await.unwrap();
}

#[tokio::test]
async fn plain_http_is_served_on_loopback_and_refused_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let plain = Options { plain_http: true, ..Plane::options(dir.path()) };
    let plane = Plane::with(plain.clone()).await;
    assert!(plane.running.url.starts_with("http://127.0.0.1:") && plane.running.ca_file.is_none());
    assert!(plane.operator().requests().await.unwrap().is_empty());

    let everywhere = Options { listen: ([0, 0, 0, 0], 0).into(), ..plain };
    let refused = run(everywhere, std::future::pending()).await.err().unwrap();
    assert!(matches!(refused, Error::Serve(ServeError::PlainHttpBeyondLoopback(_))), "{refused}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let plane = Plane::start(dir.path()).await;
    let file = dir.path().join("control-plane.sqlite3");
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    drop(plane);
    let refused = run(Plane::options(dir.path()), std::future::pending()).await.err().unwrap();
    let Error::Store(refused) = refused else { panic!("{refused}") };
    assert!(refused.to_string().contains("control-plane.sqlite3 has schema 99"), "{refused}");
}

#[test]
fn an_operator_talks_to_this_machine_only() {
    for url in ["https://example.com", "ftp://localhost", "localhost:1", "https://127.0.0.1.example.com"] {
        assert!(matches!(Operator::new(url, None, None), Err(OperatorError::Address(_))), "{url}");
    }
}
