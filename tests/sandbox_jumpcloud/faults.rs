//! Each fault does what its description says, exactly as often as told.

use std::time::Duration;

use ephemerald::sandbox::jumpcloud::{Event, Fault, Rule, Switches};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::bench::{Bench, OWNER, rule};

const AMARA: &str = "amara@example.com";

#[tokio::test]
async fn an_error_before_the_effect_and_one_after_it_look_alike_and_differ_in_effect() {
    let bench = Bench::plain().await;
    let path = bench.path(AMARA);
    for (fault, held) in
        [(Fault::ErrorBefore { status: 503 }, "Read Only"), (Fault::ErrorAfter { status: 503 }, "Manager")]
    {
        bench.once("PUT", fault);
        assert_eq!(bench.put(&path, json!({"roleName": "Manager"})).await.0, 503);
        assert_eq!(bench.roles(AMARA), [held]);
    }
    let executed: Vec<bool> = bench.requests().iter().map(|received| received.executed).collect();
    assert_eq!(executed, [false, true]);
}

#[tokio::test]
async fn a_cut_connection_gives_no_status_whether_or_not_the_effect_happened() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::start(dir.path()).await;
    let path = bench.path(AMARA);
    for (fault, held) in [(Fault::ResetBefore, "Read Only"), (Fault::ResetAfter, "Manager")] {
        bench.once("PUT", fault);
        let request = bench.request(Method::PUT, &path).json(&json!({"roleName": "Manager"}));
        let error = request.send().await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout() && !error.is_connect(), "{error:?}");
        assert_eq!(bench.roles(AMARA), [held]);
    }
    assert!(bench.requests().iter().all(|received| received.status.is_none()));
    assert_eq!(bench.get(&path).await.0, 200, "the next request is served");
}

#[tokio::test]
async fn a_cut_in_the_body_shows_a_status_and_no_whole_body() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::start(dir.path()).await;
    bench.once("PUT", Fault::ResetMidBody);
    let request = bench.request(Method::PUT, &bench.path(AMARA)).json(&json!({"roleName": "Manager"}));
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.chunk().await.unwrap().unwrap().is_empty(), "half of the body comes");
    assert!(response.chunk().await.is_err(), "the other half does not");
    assert_eq!(bench.roles(AMARA), ["Manager"]);
}

#[tokio::test]
async fn a_truncated_body_is_complete_http_and_broken_json() {
    let bench = Bench::plain().await;
    bench.once("GET", Fault::Truncated);
    let (status, body) = bench.get("/api/users").await;
    assert_eq!(status, 200);
    assert!(body.as_str().unwrap().starts_with('{'), "{body}");
}

#[tokio::test]
async fn a_slow_body_arrives_whole() {
    let bench = Bench::plain().await;
    bench.once("GET", Fault::SlowBody { pause_ms: 1 });
    assert_eq!(bench.get("/api/users").await.1["totalCount"], 10);
    assert_eq!(bench.requests()[0].fault.as_deref(), Some("slow_body"));
}

#[tokio::test]
async fn too_many_requests_carry_the_retry_after_they_were_given() {
    let bench = Bench::plain().await;
    for given in [None, Some("2"), Some("Tue, 24 Nov 2026 03:00:00 GMT"), Some("soon")] {
        bench.once("GET", Fault::TooManyRequests { retry_after: given.map(str::to_owned) });
        let response = bench.request(Method::GET, "/api/users").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let header = response.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(header, given);
    }
}

#[tokio::test]
async fn an_html_page_comes_instead_of_the_answer_before_or_after_the_effect() {
    let bench = Bench::plain().await;
    let path = bench.path(AMARA);
    for (executed, status, held) in [(false, 502, "Read Only"), (true, 200, "Manager")] {
        bench.once("PUT", Fault::Html { status, executed });
        let (answered, page) = bench.put(&path, json!({"roleName": "Manager"})).await;
        assert_eq!(answered.as_u16(), status);
        assert!(page.as_str().unwrap().contains("<html>"));
        assert_eq!(bench.roles(AMARA), [held]);
    }
}

#[tokio::test]
async fn an_error_that_quotes_the_key_holds_it_and_has_no_effect() {
    let bench = Bench::plain().await;
    let path = bench.path(AMARA);
    bench.once("PUT", Fault::Echo { status: 403 });
    let (status, body) = bench.put(&path, json!({"roleName": "Manager"})).await;
    assert_eq!(status, 403);
    assert!(body["message"].as_str().unwrap().contains(OWNER), "{body}");
    assert_eq!(bench.roles(AMARA), ["Read Only"]);
}

#[tokio::test]
async fn a_success_without_effect_shows_what_it_did_not_do() {
    let bench = Bench::plain().await;
    let path = bench.path(AMARA);
    bench.once("PUT", Fault::NoEffect);
    let (status, shown) = bench.put(&path, json!({"roleName": "Manager"})).await;
    assert_eq!((status.as_u16(), &shown["roleName"]), (200, &json!("Manager")));
    assert_eq!(bench.get(&path).await.1["roleName"], "Read Only");

    bench.once("POST", Fault::NoEffect);
    let made = bench.post("/api/users", json!({"email": "ghost@example.com"})).await.1;
    assert_eq!(bench.get(&format!("/api/users/{}", made["_id"].as_str().unwrap())).await.0, 404);
}

#[tokio::test]
async fn late_execution_lands_after_the_answer() {
    let bench = Bench::plain().await;
    let path = bench.path(AMARA);
    bench.once("PUT", Fault::Late { after_ms: 300, hang: false });
    let (status, _) = bench.put(&path, json!({"roleName": "Manager"})).await;
    assert_eq!(status, 504);

    changed(&bench, 1).await;
    let entries = bench.running.console.log_since(0);
    assert!(matches!(entries[0].event, Event::Request(_)));
    assert!(matches!(entries.last().unwrap().event, Event::Changed(_)));
    assert!(entries.last().unwrap().at_ms - entries[0].at_ms >= 290);
    assert_eq!(bench.roles(AMARA), ["Manager"]);
}

#[tokio::test]
async fn what_a_client_gave_up_on_still_happens() {
    let bench = Bench::plain().await;
    let slow: Rule =
        serde_json::from_value(json!({"delay_ms": 600, "count": 1, "fault": {"kind": "latency"}})).unwrap();
    for rule in [slow, rule("PUT", Fault::Late { after_ms: 300, hang: true })] {
        bench.running.console.set_faults(vec![rule], 1);
        let seen = bench.running.console.log_since(0).len();
        let request = bench.request(Method::PUT, &bench.path(AMARA)).json(&json!({"roleName": "Manager"}));
        let error = request.timeout(Duration::from_millis(50)).send().await.unwrap_err();
        assert!(error.is_timeout());
        changed(&bench, seen + 1).await;
    }
}

#[tokio::test]
async fn a_fault_strikes_only_what_it_matches_and_as_often_as_told() {
    let bench = Bench::plain().await;
    let fault = json!({"method": "GET", "path_prefix": "/api/v2", "skip": 1, "count": 2,
        "fault": {"kind": "unauthorized"}});
    bench.running.console.set_faults(vec![serde_json::from_value(fault).unwrap()], 1);
    let mut answered = Vec::new();
    for _ in 0..5 {
        assert_eq!(bench.get("/api/users").await.0, 200);
        answered.push(bench.get("/api/v2/roles").await.0.as_u16());
    }
    assert_eq!(answered, [200, 401, 401, 200, 200]);
    assert_eq!(bench.running.console.faults()[0].fired, 2);
}

#[tokio::test]
async fn a_probability_strikes_the_same_requests_for_the_same_seed() {
    let bench = Bench::plain().await;
    let rule: Rule =
        serde_json::from_value(json!({"probability": 0.5, "fault": {"kind": "forbidden"}})).unwrap();
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        bench.running.console.set_faults(vec![rule.clone()], seed);
        let mut run = Vec::new();
        for _ in 0..40 {
            run.push(bench.get("/api/users/getSelf").await.0.as_u16());
        }
        assert!(run.contains(&200) && run.contains(&403), "{run:?}");
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn lagging_reads_show_the_old_state_and_writes_see_the_new_one() {
    let bench = Bench::plain().await;
    bench.running.console.set_switches(Switches { read_lag_ms: 3_600_000, ..Switches::default() });
    let path = bench.path(AMARA);
    bench.put(&path, json!({"roleName": "Manager"})).await;
    assert_eq!(bench.get(&path).await.1["roleName"], "Read Only");
    assert_eq!(bench.put(&path, json!({"firstname": "A"})).await.1["roleName"], "Manager");
    assert_eq!(bench.get("/api/users").await.1["totalCount"], 10);
    bench.delete(&path).await;
    assert_eq!(bench.get(&path).await.0, 200, "the deleted account is still seen");
}

#[tokio::test]
async fn the_log_never_has_a_key() {
    let bench = Bench::plain().await;
    bench.get("/api/users").await;
    let log = serde_json::to_string(&bench.running.console.log_since(0)).unwrap();
    assert!(log.contains("key_digest") && !log.contains(OWNER), "{log}");
}

/// Waits for a change after the first `seen` entries of the log; nothing else tells a client of a
/// real service either that its lost request was carried out.
async fn changed(bench: &Bench, seen: usize) {
    bench.changed_after(seen as u64).await;
}
