//! Which status a refusal has is a switch, and a refusal changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::Bench;

const NOBODY: &str = "/api/users/0123456789abcdef01234567";

#[tokio::test]
async fn every_status_that_nobody_published_can_be_chosen() {
    let bench = Bench::plain().await;
    let (owner, amara) = (bench.path("owner@example.com"), bench.path("amara@example.com"));
    let taken = json!({"email": "bruno@example.com"});
    bench.running.console.delete("breakglass@example.com").unwrap();
    let cases: [(&str, &[u16], Method, &str, Value); 9] = [
        ("unknown_role_status", &[400, 404, 422, 500], Method::PUT, &amara, json!({"roleName": "Emperor"})),
        ("duplicate_status", &[400, 409, 422], Method::POST, "/api/users", taken.clone()),
        ("duplicate_status", &[400, 409], Method::PUT, &amara, taken),
        ("missing_id_status", &[404, 400, 403, 410], Method::GET, NOBODY, Value::Null),
        ("missing_id_status", &[404, 410], Method::PUT, NOBODY, json!({"roleName": "Manager"})),
        ("missing_id_status", &[404, 410], Method::DELETE, NOBODY, Value::Null),
        ("malformed_id_status", &[400, 404, 500], Method::GET, "/api/users/7", Value::Null),
        ("unknown_route_status", &[404, 400, 403, 405], Method::GET, "/api/systems", Value::Null),
        ("protected_status", &[400, 403, 409], Method::DELETE, &owner, Value::Null),
    ];
    let accounts = || serde_json::to_value(bench.running.console.state().accounts).unwrap();
    let before = accounts();
    for (switch, statuses, method, path, body) in cases {
        for status in statuses {
            bench.switch(json!({switch: status}));
            let (answered, said) = bench.ask(method.clone(), path, &bench.key, "", body.clone()).await;
            assert_eq!(answered, *status, "{switch} {method} {path}: {said}");
            assert_eq!(said["message"], said["error"], "{switch}");
        }
    }
    assert_eq!(accounts(), before);
}

#[tokio::test]
async fn deleting_twice_may_look_like_deleting_once() {
    let bench = Bench::plain().await;
    let path = bench.path("amara@example.com");
    assert_eq!(bench.delete(&path).await.0, 200);
    for status in [404, 400, 410] {
        bench.switch(json!({"deleted_again_status": status, "missing_id_status": 403}));
        assert_eq!(bench.delete(&path).await.0.as_u16(), status);
        assert_eq!(bench.delete(NOBODY).await.0, 403, "who was never there");
        assert_eq!(bench.get(&path).await.0, 403, "a read is no second deletion");
    }
    bench.switch(json!({"deleted_again_status": 200}));
    let (status, shown) = bench.delete(&path).await;
    assert_eq!((status.as_u16(), &shown["email"]), (200, &json!("amara@example.com")));
    bench.switch(json!({"deleted_again_status": 200, "delete_shows_account": false}));
    assert_eq!(bench.delete(&path).await, (204.try_into().unwrap(), json!("")));
}

#[tokio::test]
async fn what_one_may_do_to_oneself_is_a_switch() {
    let bench = Bench::plain().await;
    let owner = bench.path("owner@example.com");
    bench.switch(json!({"own_role_may_change": false, "protected_status": 403}));
    assert_eq!(bench.put(&owner, json!({"roleName": "Manager"})).await.0, 403);
    assert_eq!(bench.put(&owner, json!({"firstname": "O"})).await.0, 200, "only the role is protected");
    assert_eq!(bench.put(&bench.path("breakglass@example.com"), json!({"roleName": "Manager"})).await.0, 200);

    bench.switch(json!({"own_account_may_go": true}));
    assert_eq!(bench.delete(&owner).await.0, 400, "the last Administrator With Billing");
    bench.switch(json!({"own_account_may_go": true, "last_admin_may_be_deleted": true}));
    assert_eq!(bench.delete(&owner).await.0, 200);
    assert_eq!(bench.get("/api/users").await.0, 401, "the key went with its owner");
}

#[tokio::test]
async fn every_form_of_an_error_keeps_its_status_and_its_message_or_says_nothing() {
    let bench = Bench::plain().await;
    for (form, kind, holds) in [
        ("details", "application/json", "google.rpc"),
        ("html", "text/html", "<title>Not Found</title>"),
        ("text", "text/plain", "Not Found"),
        ("empty", "application/json", ""),
    ] {
        bench.switch(json!({"error_body": form}));
        let response = bench.request(Method::GET, NOBODY).send().await.unwrap();
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(response.status(), 404);
        let text = response.text().await.unwrap();
        assert!(content_type.starts_with(kind) && text.contains(holds), "{form}: {content_type} {text}");
        assert_eq!(text.is_empty(), form == "empty");
    }
    bench.switch(json!({"error_body": "details"}));
    let said = bench.get(NOBODY).await.1;
    assert_eq!((&said["code"], &said["status"]), (&json!(404), &json!("Not Found")));
    assert!(said["details"][0].is_object());
}

#[tokio::test]
async fn an_address_is_registered_once_and_an_upsert_tells_who_has_it() {
    let bench = Bench::plain().await;
    bench.switch(json!({"duplicate_status": 200}));
    let new = json!({"email": "AMARA@example.com", "roleName": "Manager"});
    let (status, shown) = bench.post("/api/users", new).await;
    assert_eq!((status.as_u16(), &shown["_id"]), (200, &json!(bench.id("amara@example.com"))));
    assert_eq!(bench.roles("amara@example.com"), ["Read Only"], "nothing is written");
    assert_eq!(bench.running.console.state().accounts.len(), 10);
    let (status, _) =
        bench.put(&bench.path("bruno@example.com"), json!({"email": "amara@example.com"})).await;
    assert_eq!(status, 200);
    assert_eq!(bench.id("bruno@example.com").len(), 24, "the address stays");
}

#[tokio::test]
async fn the_last_holder_of_each_organization_is_protected_and_one_elsewhere_does_not_help() {
    let bench = Bench::plain().await;
    let console = &bench.running.console;
    let other = console.add_organization("Elsewhere");
    let edit =
        json!({"email": "far@example.org", "roles": ["Administrator With Billing"], "organization": other});
    console.create(&serde_json::from_value(edit).unwrap()).unwrap();
    console.delete("breakglass@example.com").unwrap();
    let key = bench.key_of("owner@example.com", &["Administrator With Billing"]);
    let path = bench.path("owner@example.com");
    let demotion = json!({"roleName": "Manager"});
    assert_eq!(bench.ask(Method::PUT, &path, &key, "", demotion).await.0, 400);
}
