//! Lag, limits, and when a key feels what happens to its owner. Where time decides, the switch is
//! either so long that no test takes it, or the test waits for what must come.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::Bench;

const AMARA: &str = "amara@example.com";
/// Longer than any test.
const HOUR_MS: u64 = 3_600_000;

#[tokio::test]
async fn lists_and_single_reads_lag_apart() {
    let bench = Bench::plain().await;
    let path = bench.path(AMARA);
    bench.put(&path, json!({"roleName": "Manager"})).await;
    for (switches, listed, got) in [
        (json!({"list_lag_ms": HOUR_MS}), "Read Only", "Manager"),
        (json!({"get_lag_ms": HOUR_MS}), "Manager", "Read Only"),
        (json!({"read_lag_ms": HOUR_MS}), "Read Only", "Read Only"),
        (json!({}), "Manager", "Manager"),
    ] {
        bench.switch(switches.clone());
        let list = bench.get("/api/users?limit=100").await.1;
        let found = list["results"].as_array().unwrap().iter().find(|admin| admin["email"] == AMARA).unwrap();
        let one = bench.get(&path).await.1;
        assert_eq!((&found["roleName"], &one["roleName"]), (&json!(listed), &json!(got)), "{switches}");
    }
}

#[tokio::test]
async fn a_lag_of_every_second_read_alternates_between_old_and_new() {
    let bench = Bench::plain().await;
    let path = bench.path(AMARA);
    bench.switch(json!({"read_lag_ms": HOUR_MS, "lag_alternates": true}));
    bench.put(&path, json!({"roleName": "Manager"})).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(bench.get(&path).await.1["roleName"].as_str().unwrap().to_owned());
    }
    assert_ne!(seen[0], seen[1]);
    assert_eq!(seen[..2], seen[2..]);
}

#[tokio::test]
async fn what_was_before_a_change_shows_up_once_more_later() {
    let bench = Bench::plain().await;
    let path = bench.path(AMARA);
    bench.switch(json!({"stale_after_ms": 300, "stale_for_ms": HOUR_MS}));
    bench.put(&path, json!({"roleName": "Manager"})).await;
    assert_eq!(bench.get(&path).await.1["roleName"], "Manager", "read your writes");
    let stale = async {
        while bench.get(&path).await.1["roleName"] != "Read Only" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stale).await.expect("the old role never came back");
    assert_eq!(bench.roles(AMARA), ["Manager"], "it is only a read");
}

#[tokio::test]
async fn one_request_too_many_is_refused_per_key_and_not_carried_out() {
    let bench = Bench::plain().await;
    let other = bench.key_of("greta@example.com", &["Manager"]);
    let path = bench.path(AMARA);
    for (rule, status, header) in [
        ("seconds", 429, Some("1")),
        ("absent", 429, None),
        ("junk", 429, Some("soon")),
        ("date", 403, Some("GMT")),
    ] {
        bench.running.console.reset();
        bench.key_of("greta@example.com", &["Manager"]);
        // One in a second: the second of two that follow each other at once is one too many.
        bench.switch(json!({"rate_limit": 1, "retry_after": rule, "rate_limit_status": status,
            "rate_headers": true}));
        let limited = async {
            loop {
                let request = bench.request(Method::PUT, &path).json(&json!({"roleName": "Manager"}));
                let response = request.send().await.unwrap();
                if response.status().as_u16() == status {
                    return response;
                }
            }
        };
        let limited = tokio::time::timeout(Duration::from_secs(20), limited).await.expect("no limit");
        let headers = limited.headers();
        let after = headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(after.is_some(), header.is_some(), "{rule}");
        assert!(header.is_none_or(|end| after.unwrap().ends_with(end)), "{rule}");
        assert_eq!(headers["x-ratelimit-remaining"], "0");
        let requests = bench.requests();
        let last = requests.last().unwrap();
        assert_eq!((last.fault.as_deref(), last.executed), (Some("rate_limit"), false));
        assert_eq!(bench.ask(Method::GET, "/api/users", &other, "", Value::Null).await.0, 200, "another key");
    }
}

#[tokio::test]
async fn a_key_may_outlive_its_owner_and_its_owners_role() {
    let bench = Bench::plain().await;
    let console = bench.running.console.clone();
    let key = bench.key_of("greta@example.com", &["Administrator With Billing"]);
    let path = bench.path(AMARA);
    let write = async || bench.ask(Method::PUT, &path, &key, "", json!({"firstname": "A"})).await.0;
    let demote = json!({"roles": ["Read Only"]});
    console.change("greta@example.com", &serde_json::from_value(demote).unwrap()).unwrap();
    assert_eq!(write().await, 403);
    bench.switch(json!({"key_keeps_role_ms": HOUR_MS}));
    assert_eq!(write().await, 200);
    bench.switch(json!({"key_survives_owner_ms": HOUR_MS}));
    assert_eq!(write().await, 403, "a live owner has the role of now");

    console.delete("greta@example.com").unwrap();
    assert_eq!(write().await, 403, "the key goes on with the role that it had last");
    bench.switch(json!({}));
    assert_eq!(write().await, 401);
}

#[tokio::test]
async fn a_key_that_was_replaced_is_dead_at_once() {
    let bench = Bench::plain().await;
    let old = bench.key_of("greta@example.com", &["Manager"]);
    bench.switch(json!({"key_survives_owner_ms": HOUR_MS}));
    let edit = json!({"api_key": "jca_another"});
    bench.running.console.change("greta@example.com", &serde_json::from_value(edit).unwrap()).unwrap();
    assert_eq!(bench.ask(Method::GET, "/api/users", &old, "", Value::Null).await.0, 401);
    assert_eq!(bench.ask(Method::GET, "/api/users", "jca_another", "", Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_change_of_role_may_kill_the_key_and_end_the_sessions() {
    let bench = Bench::plain().await;
    let key = bench.key_of("greta@example.com", &["Manager"]);
    let sessions = json!({"sessions": 2});
    bench.running.console.change("greta@example.com", &serde_json::from_value(sessions).unwrap()).unwrap();
    let path = bench.path("greta@example.com");
    bench.switch(json!({"role_change_kills_key": true, "role_change_ends_sessions": true}));
    let same = bench.put(&path, json!({"roleName": "Manager"})).await.1;
    assert_eq!((&same["apiKeySet"], &same["sessionCount"]), (&json!(true), &json!(2)), "no change");
    let changed = bench.put(&path, json!({"roleName": "Help Desk"})).await.1;
    assert_eq!((&changed["apiKeySet"], &changed["sessionCount"]), (&json!(false), &json!(0)));
    assert_eq!(bench.ask(Method::GET, "/api/users", &key, "", Value::Null).await.0, 401);
}
