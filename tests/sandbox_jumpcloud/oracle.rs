//! Starting from a population of one's own, looking back, waiting, and starting over.

use std::{fs, future::pending};

use ephemerald::sandbox::jumpcloud::{Edit, Error, Fault, Options, Running, Switches, run};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, answer, options};

const AMARA: &str = "amara@example.com";

async fn seeded(text: &str) -> Result<Running, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seed.json");
    fs::write(&path, text).unwrap();
    let key = Some("jca_seed".to_owned());
    run(Options { seed_file: Some(path), api_key: key, ..options(None) }, pending()).await
}

#[tokio::test]
async fn a_reset_returns_to_the_start_and_nothing_asked_before_it_happens_after_it() {
    let bench = Bench::plain().await;
    let (path, console) = (bench.path(AMARA), bench.running.console.clone());
    let at_start = serde_json::to_value(console.state().accounts).unwrap();
    bench.put(&path, json!({"roleName": "Manager"})).await;
    bench.post("/api/users", json!({"email": "new@example.com"})).await;
    let made = bench.id("new@example.com");
    console.set_switches(Switches { create_status: 201, ..Switches::default() });
    bench.once("PUT", Fault::Late { after_ms: 200, hang: false });
    assert_eq!(bench.put(&path, json!({"roleName": "Administrator"})).await.0, 504);
    let end = console.log_end();

    let reset = bench.client.post(format!("{}/_sandbox/reset", bench.running.url));
    assert_eq!(answer(reset).await.0, 200);
    assert_eq!(serde_json::to_value(console.state().accounts).unwrap(), at_start);
    assert_eq!((console.switches(), console.faults(), console.log_since(0)), Default::default());

    // This one is due after the forgotten one, so once it has landed that one had its chance.
    bench.once("PUT", Fault::Late { after_ms: 300, hang: false });
    bench.put(&bench.path("bruno@example.com"), json!({"roleName": "Manager"})).await;
    bench.changed_after(end).await;
    assert_eq!(bench.roles("bruno@example.com"), ["Manager"]);
    assert_eq!(bench.roles(AMARA), ["Read Only"], "a write from before the reset");
    assert_eq!(console.log_since(0)[0].seq, end + 1, "numbers go on");
    bench.post("/api/users", json!({"email": "new@example.com"})).await;
    // Behind the first eight digits, which are the time.
    assert_ne!(bench.id("new@example.com")[8..], made[8..], "no identifier returns");
}

#[tokio::test]
async fn the_history_of_an_account_is_found_by_id_and_by_any_address_it_had() {
    let bench = Bench::plain().await;
    let url = |path: &str| format!("{}/_sandbox/{path}", bench.running.url);
    let (id, path) = (bench.id(AMARA), bench.path(AMARA));
    bench.put(&path, json!({"roleName": "Manager"})).await;
    bench.once("PUT", Fault::ErrorAfter { status: 500 });
    bench.put(&path, json!({"email": "amara2@example.com", "roleName": "Help Desk"})).await;
    bench.delete(&path).await;

    for who in [id.as_str(), AMARA, "amara2@example.com"] {
        let (status, told) = answer(bench.client.get(url(&format!("history/{who}")))).await;
        assert_eq!((status.as_u16(), &told["account"]), (200, &json!(id)), "{who}");
        assert_eq!(told["roles_at_start"], json!(["Read Only"]));
        let changes: Vec<&Value> =
            told["changes"].as_array().unwrap().iter().map(|change| &change["roles"]).collect();
        assert_eq!(changes, [&json!(["Manager"]), &json!(["Help Desk"]), &json!([])]);
    }
    assert_eq!(answer(bench.client.get(url("history/nobody@example.com"))).await.0, 404);
}

#[tokio::test]
async fn a_reader_of_the_log_is_woken_by_a_change_and_by_nothing_else() {
    let bench = Bench::plain().await;
    let url = |wait: u32| format!("{}/_sandbox/log?since=1&wait_ms={wait}", bench.running.url);
    bench.once("PUT", Fault::Late { after_ms: 200, hang: true });
    let lost = bench.request(Method::PUT, &bench.path(AMARA)).json(&json!({"roleName": "Manager"}));
    let lost = tokio::spawn(lost.send());
    // Far longer than the test may take: only the late change can end the wait.
    let (_, log) = answer(bench.client.get(url(60_000)).timeout(std::time::Duration::from_secs(15))).await;
    assert_eq!((&log["last"], &log["entries"][0]["event"]), (&json!(2), &json!("changed")));
    lost.abort();

    let (_, log) = answer(bench.client.get(url(0))).await;
    assert_eq!(log["entries"].as_array().unwrap().len(), 1, "without a wait, what there is");
}

#[tokio::test]
async fn a_population_may_be_written_by_hand() {
    let running = seeded(
        r#"{"accounts": [{"email": "boss@example.org", "roles": ["Administrator With Billing"]},
            {"email": "two@example.org", "roles": ["Help Desk", "Command Runner"]}]}"#,
    );
    let running = running.await.unwrap();
    assert_eq!(running.api_key, "jca_seed");
    let accounts = running.console.state().accounts;
    assert_eq!(accounts[1].roles, ["Help Desk", "Command Runner"]);
    assert!(accounts[0].id.len() == 24 && accounts[0].id < accounts[1].id);
    let bench = Bench::of(running);
    assert_eq!(bench.get("/api/users/getSelf").await.1["email"], "boss@example.org");
}

#[tokio::test]
async fn an_impossible_population_is_refused_and_the_error_says_why() {
    let boss = r#"{"email": "boss@example.org", "roles": ["Administrator With Billing"]}"#;
    for (accounts, why) in [
        (boss.replace("Billing", "Bling"), "does not exist"),
        (boss.replace("With Billing", "").replace("r \"", "r\""), "no Administrator With Billing"),
        (format!("{boss}, {}", boss.replace("boss@", "BOSS@")), "twice"),
        (boss.replace("boss@", ""), "not an e-mail address"),
        (boss.replace("\"roles\"", "\"id\": \"7\", \"roles\""), "24 hexadecimal digits"),
        (boss.replace("\"roles\"", "\"role\": 1, \"roles\""), "unknown field"),
    ] {
        let error = seeded(&format!(r#"{{"accounts": [{accounts}]}}"#)).await.err().unwrap();
        let said = error.to_string();
        assert!(matches!(error, Error::Seed(..)), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn a_key_dies_with_the_right_to_have_one() {
    let bench = Bench::plain().await;
    let console = bench.running.console.clone();
    let key = Edit { api_key: Some("jca_bela".to_owned()), ..Edit::default() };
    console.change("breakglass@example.com", &key).unwrap();
    let with_key =
        || bench.client.get(format!("{}/api/users", bench.running.url)).header("x-api-key", "jca_bela");
    assert_eq!(answer(with_key()).await.0, 200);
    let path = bench.path("breakglass@example.com");
    assert_eq!(bench.put(&path, json!({"apiKeyAllowed": false})).await.0, 200);
    assert_eq!(answer(with_key()).await.0, 401);
}

#[tokio::test]
async fn a_role_without_the_right_reads_neither_roles_nor_organizations_but_knows_itself() {
    let mut bench = Bench::plain().await;
    for (role, expected) in [("Read Only", 200), ("Command Runner", 403), ("Billing Only", 403)] {
        let edit = Edit {
            roles: Some(vec![role.to_owned()]),
            api_key: Some("jca_amara".to_owned()),
            ..Edit::default()
        };
        bench.running.console.change(AMARA, &edit).unwrap();
        "jca_amara".clone_into(&mut bench.key);
        let one = format!("/api/v2/roles/{}", bench.running.console.state().roles[0].id);
        for path in ["/api/users", "/api/organizations", "/api/v2/roles", &one] {
            assert_eq!(bench.get(path).await.0.as_u16(), expected, "{role} {path}");
        }
        assert_eq!(bench.get("/api/users/getSelf").await.0, 200, "{role}");
    }
}

#[tokio::test]
async fn the_body_of_an_error_is_a_switch() {
    let bench = Bench::plain().await;
    let missing = "/api/users/0123456789abcdef01234567";
    let message = json!("Not Found");
    for (switch, expected) in [
        ("seen", json!({"message": message, "error": message})),
        ("documented", json!({"code": 404, "message": message, "status": "Not Found"})),
        ("text", message.clone()),
        ("empty", json!("")),
    ] {
        let switches = serde_json::from_value(json!({"error_body": switch})).unwrap();
        bench.running.console.set_switches(switches);
        let (status, body) = bench.get(missing).await;
        assert_eq!((status.as_u16(), body), (404, expected), "{switch}");
        assert_eq!(bench.get("/api/users").await.1["totalCount"], 10, "successes stay: {switch}");
        bench.once("GET", Fault::ErrorBefore { status: 404 });
        let like_a_fault = bench.get(missing).await.1;
        assert_eq!(like_a_fault.is_object(), matches!(switch, "seen" | "documented"), "{switch}");
    }
}

#[tokio::test]
async fn a_malformed_id_and_a_missing_get_self_are_told_apart() {
    let bench = Bench::plain().await;
    assert_eq!(bench.get("/api/users/7").await.0, 400);
    assert_eq!(bench.put("/api/users/7", json!({"firstname": "X"})).await.0, 400);
    assert_eq!(bench.delete("/api/users/7").await.0, 400);
    bench.running.console.set_switches(Switches { get_self: false, ..Switches::default() });
    assert_eq!(bench.get("/api/users/getSelf").await.0, 404);
}
