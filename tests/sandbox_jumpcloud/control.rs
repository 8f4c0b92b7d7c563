//! The control API over HTTP, the files for clients, and restarts.

use std::{fs, os::unix::fs::PermissionsExt as _};

use ephemerald::sandbox::jumpcloud::{Error, Options};
use serde_json::{Value, json};

use crate::bench::{Bench, OWNER, answer, options};

#[tokio::test]
async fn a_human_in_the_console_needs_no_key_and_the_log_names_who_did_what() {
    let bench = Bench::plain().await;
    let url = |path: &str| format!("{}/_sandbox/{path}", bench.running.url);
    let new = json!({"email": "zoe@example.com", "roles": ["Help Desk", "Billing Only"]});
    let (status, made) = answer(bench.client.post(url("admins")).json(&new)).await;
    assert_eq!((status.as_u16(), &made["roleNames"]), (200, &new["roles"]));
    let id = made["_id"].as_str().unwrap();

    let change = json!({"suspended": true, "email": "zoe2@example.com"});
    assert_eq!(answer(bench.client.put(url("admins/zoe@example.com")).json(&change)).await.0, 200);
    bench.put(&format!("/api/users/{id}"), json!({"roleName": "Manager"})).await;
    assert_eq!(answer(bench.client.delete(url(&format!("admins/{id}")))).await.0, 200);

    let (_, log) = answer(bench.client.get(url("log?since=0"))).await;
    let told: Vec<Value> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["event"] == "changed")
        .map(|e| json!([e["actor"], e["change"], e["email"], e["roles"], e["suspended"]]))
        .collect();
    assert_eq!(
        told,
        [
            json!(["console", "created", "zoe@example.com", ["Help Desk", "Billing Only"], false]),
            json!(["console", "updated", "zoe2@example.com", ["Help Desk", "Billing Only"], true]),
            json!(["owner@example.com", "updated", "zoe2@example.com", ["Manager"], true]),
            json!(["console", "deleted", "zoe2@example.com", [], true]),
        ]
    );
    assert!(log["entries"].as_array().unwrap().iter().all(|e| e["at_ms"].as_i64().unwrap() > 0));
}

#[tokio::test]
async fn the_console_refuses_a_taken_address_an_unknown_role_and_an_unknown_person() {
    let bench = Bench::plain().await;
    let url = format!("{}/_sandbox/admins", bench.running.url);
    for body in [
        json!({"email": "Amara@example.com"}),
        json!({"email": "x@example.com", "roles": ["Emperor"]}),
        json!({"roles": []}),
    ] {
        assert_eq!(answer(bench.client.post(&url).json(&body)).await.0, 400, "{body}");
    }
    assert_eq!(answer(bench.client.delete(format!("{url}/nobody"))).await.0, 404);
    assert!(bench.running.console.log_since(0).is_empty());
}

#[tokio::test]
async fn faults_and_switches_are_set_over_http_and_misspelt_ones_are_refused() {
    let bench = Bench::plain().await;
    let url = format!("{}/_sandbox/faults", bench.running.url);
    let rule = json!({"method": "GET", "count": 1, "fault": {"kind": "error_before", "status": 500}});
    let (status, set) = answer(bench.client.post(&url).json(&json!({"faults": [rule]}))).await;
    assert_eq!((status.as_u16(), &set["faults"][0]["fired"]), (200, &json!(0)));
    assert_eq!(bench.get("/api/users").await.0, 500);
    assert_eq!(bench.get("/api/users").await.0, 200);
    assert_eq!(answer(bench.client.get(&url)).await.1["faults"][0]["fired"], 1);
    assert_eq!(answer(bench.client.delete(&url)).await.1, json!({"faults": []}));
    let wrong = json!({"faults": [{"methd": "GET", "fault": {"kind": "latency"}}]});
    assert_eq!(answer(bench.client.post(&url).json(&wrong)).await.0, 422);

    let url = format!("{}/_sandbox/switches", bench.running.url);
    let (_, switches) = answer(bench.client.put(&url).json(&json!({"create_status": 201}))).await;
    assert_eq!((&switches["create_status"], &switches["get_self"]), (&json!(201), &json!(true)));
    assert_eq!(answer(bench.client.put(&url).json(&json!({"creat_status": 201}))).await.0, 422);
}

#[tokio::test]
async fn a_web_page_of_another_site_has_no_control() {
    let bench = Bench::plain().await;
    let url = format!("{}/_sandbox/state", bench.running.url);
    assert_eq!(answer(bench.client.get(&url)).await.0, 200);
    let page = bench.client.get(&url).header("origin", "https://elsewhere.example");
    assert_eq!(answer(page).await.0, 403);
}

#[tokio::test]
async fn a_restart_keeps_the_accounts_the_key_and_the_trust() {
    let dir = tempfile::tempdir().unwrap();
    let kept = || Options::in_data_dir("127.0.0.1:0".parse().unwrap(), dir.path(), false);
    let bench = Bench::with(kept()).await;
    bench.post("/api/users", json!({"email": "new@example.com", "roleName": "Manager"})).await;
    let (before, key) = (bench.running.console.state().accounts, bench.key.clone());
    bench.running.done.abort();
    let mode = fs::metadata(dir.path().join("jumpcloud.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let again = Bench::with(kept()).await;
    assert!(again.running.console.state().accounts == before, "other accounts than before");
    assert_eq!(again.running.api_key, key);
    assert_eq!(again.get("/api/users/getSelf").await.0, 200);
}

#[tokio::test]
async fn a_damaged_state_file_stops_the_start_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.json");
    fs::write(&path, "{").unwrap();
    let options = Options { state_file: Some(path.clone()), ..options(None) };
    let started = ephemerald::sandbox::jumpcloud::run(options, std::future::pending()).await;
    assert!(matches!(started.err(), Some(Error::File(named, _)) if named == path));
    assert_eq!(fs::read(&path).unwrap(), b"{");
}

#[tokio::test]
async fn the_connection_file_is_what_an_integration_needs() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::start(dir.path()).await;
    let (connection, ca) = (dir.path().join("connection.json"), dir.path().join("copy.pem"));
    bench.running.write_connection(&connection).unwrap();
    bench.running.write_ca(&ca).unwrap();
    let written: Value = serde_json::from_slice(&fs::read(&connection).unwrap()).unwrap();
    assert_eq!((&written["url"], &written["token"]), (&json!(bench.running.url), &json!(OWNER)));
    let named = fs::read(written["ssl_ca_cert"].as_str().unwrap()).unwrap();
    assert_eq!(named, fs::read(&ca).unwrap());
    assert_eq!(fs::metadata(&connection).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn plain_http_is_refused_beyond_loopback() {
    let mut options = options(None);
    options.listen = "0.0.0.0:0".parse().unwrap();
    let started = ephemerald::sandbox::jumpcloud::run(options, std::future::pending()).await;
    assert!(matches!(started.err(), Some(Error::Serve(_))));
}
