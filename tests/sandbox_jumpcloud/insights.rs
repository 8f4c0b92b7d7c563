//! Directory Insights: who changed which administrator.

use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::Bench;

const ROUTE: &str = "/insights/directory/v1/events";
const AMARA: &str = "amara@example.com";

impl Bench {
    async fn events(&self, more: Value) -> (u16, Value) {
        let mut body = json!({"service": ["directory"], "start_time": "2020-01-01T00:00:00Z"});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let (status, events) = self.post(ROUTE, body).await;
        (status.as_u16(), events)
    }
}

fn types(events: &Value) -> Vec<&str> {
    events.as_array().unwrap().iter().map(|event| event["event_type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_change_of_an_administrator_is_an_event_that_names_its_author() {
    let bench = Bench::plain().await;
    let made = bench.post("/api/users", json!({"email": "new@example.com"})).await.1;
    let id = made["_id"].as_str().unwrap();
    bench.put(&format!("/api/users/{id}"), json!({"roleName": "Manager"})).await;
    let edit = json!({"suspended": true, "by": "breakglass@example.com"});
    bench.running.console.change("new@example.com", &serde_json::from_value(edit).unwrap()).unwrap();
    bench.delete(&format!("/api/users/{id}")).await;

    let events = bench.events(json!({})).await.1;
    assert_eq!(types(&events), ["admin_create", "admin_update", "admin_update", "admin_delete"]);
    let owner = json!({"type": "admin", "id": bench.id("owner@example.com"), "email": "owner@example.com"});
    assert_eq!((&events[1]["initiated_by"], &events[1]["auth_method"]), (&owner, &json!("api-key")));
    assert_eq!(events[1]["resource"], json!({"type": "admin", "id": id, "email": "new@example.com"}));
    assert_eq!(
        events[1]["changes"],
        json!([{"field": "roleName", "from": "Administrator", "to": "Manager"}])
    );
    assert_eq!(events[2]["initiated_by"]["email"], "breakglass@example.com");
    assert_eq!(events[2]["auth_method"], "session");
    assert_eq!(events[2]["changes"], json!([{"field": "suspended", "from": false, "to": true}]));
    assert!(!events.to_string().contains("jca_"), "a key is shown");

    bench.switch(json!({"insights_suspend_events": true}));
    assert_eq!(types(&bench.events(json!({})).await.1)[2], "admin_suspended");
}

#[tokio::test]
async fn what_changes_hold_and_how_a_service_account_appears_are_switches() {
    let bench = Bench::plain().await;
    bench.put(&bench.path(AMARA), json!({"roleName": "Manager"})).await;
    let manager = bench.role_id("Manager");
    for (form, field, to) in [
        ("names", "roleName", Some("Manager")),
        ("ids", "role", Some(manager.as_str())),
        ("opaque", "role", None),
    ] {
        bench.switch(json!({"insights_changes": form}));
        let change = bench.events(json!({})).await.1[0]["changes"][0].clone();
        assert_eq!(change["field"], field, "{form}");
        assert_eq!(change["to"] == "Manager", form == "names");
        assert!(to.is_none_or(|to| change["to"] == to), "{form}: {change}");
    }
    bench.switch(json!({"insights_changes": "absent"}));
    assert_eq!(bench.events(json!({})).await.1[0].get("changes"), None);

    bench.switch(json!({"services_created": true, "insights_role_events": true}));
    let config = json!({"authType": "API_KEY", "apiKeyConfig": {"lifetime": "30 Days"}});
    let role = bench.role_id("Administrator With Billing");
    let new = json!({"name": "robot", "roleId": role, "authConfig": config});
    let made = bench.post("/api/v2/service-accounts", new).await.1["serviceAccount"].clone();
    let key = made["authConfigList"][0]["apiKey"].as_str().unwrap();
    bench.ask(Method::PUT, &bench.path(AMARA), key, "", json!({"roleName": "Help Desk"})).await;
    let events = bench.events(json!({})).await.1;
    assert_eq!(types(&events), ["admin_update", "service_account_create", "admin_update"]);
    for (form, kind) in [("own_type", "service_account"), ("as_admin", "admin"), ("absent", "")] {
        bench.switch(json!({"insights_services": form}));
        let event = bench.events(json!({"sort": "DESC"})).await.1[0].clone();
        assert_eq!(event["initiated_by"]["type"].as_str().unwrap_or_default(), kind, "{form}");
        assert_eq!(event["initiated_by"].get("email"), None);
    }
}

#[tokio::test]
async fn events_are_paged_sorted_and_searched_as_documented() {
    let bench = Bench::plain().await;
    for email in [AMARA, "bruno@example.com", "chiara@example.com"] {
        bench.put(&bench.path(email), json!({"roleName": "Help Desk"})).await;
    }
    bench.delete(&bench.path(AMARA)).await;
    let mut seen = Vec::new();
    let mut after = Value::Null;
    loop {
        let body = json!({"service": ["directory"], "start_time": "2020-01-01T00:00:00Z", "limit": 3,
            "search_after": after});
        let response = bench.request(Method::POST, ROUTE).json(&body).send().await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let (count, limit) = (header("x-result-count"), header("x-limit"));
        after = serde_json::from_str(&header("x-search_after")).unwrap();
        let page: Vec<Value> = response.json().await.unwrap();
        assert_eq!(page.len().to_string(), count);
        seen.extend(page.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        if count != limit {
            break;
        }
    }
    let all = bench.events(json!({})).await.1;
    let ids: Vec<&str> = all.as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(seen, ids);
    let down = bench.events(json!({"sort": "DESC", "limit": 1, "fields": ["id"]})).await.1;
    assert_eq!(down, json!([{"id": ids[3]}]));
    assert_eq!(bench.events(json!({"sort": "sideways"})).await.1, all, "a bad sort is ascending");
    for (term, count) in [
        (json!({"and": [{"event_type": "admin_update"}]}), 3),
        (json!({"and": [{"event_type": "ADMIN_UPDATE"}]}), 0),
        (json!({"or": [{"resource.email": AMARA}, {"event_type": "admin_delete"}]}), 2),
        (json!({"not": [{"event_type": ["admin_update", "admin_create"]}]}), 1),
        (json!({"and": [{"changes.field": "roleName"}]}), 0),
    ] {
        let found = bench.events(json!({"search_term": term})).await.1;
        assert_eq!(found.as_array().unwrap().len(), count, "{term}");
    }
    assert_eq!(bench.events(json!({"end_time": "2020-01-02T00:00:00Z"})).await.1, json!([]));
    for wrong in [json!({"start_time": "yesterday"}), json!({"limit": 10_001}), json!({"service": 7})] {
        assert_eq!(bench.events(wrong.clone()).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn events_may_be_late_missing_or_refused() {
    let bench = Bench::plain().await;
    bench.put(&bench.path(AMARA), json!({"roleName": "Manager"})).await;
    for (switches, status, count) in [
        (json!({}), 200, 1),
        (json!({"insights_delay_ms": 3_600_000}), 200, 0),
        (json!({"insights_admin_events": false}), 200, 0),
        (json!({"insights_retention_days": 0}), 200, 0),
        (json!({"insights_status": 401}), 401, 0),
        (json!({"insights_status": 403}), 403, 0),
        (json!({"insights_status": 404}), 404, 0),
    ] {
        let told = switches.to_string();
        bench.switch(switches);
        let found = bench.events(json!({})).await;
        assert_eq!((found.0, found.1.as_array().map_or(0, Vec::len)), (status, count), "{told}");
    }
    bench.switch(json!({}));
    let key = bench.key_of("greta@example.com", &["Command Runner"]);
    let body = json!({"service": ["directory"], "start_time": "2020-01-01T00:00:00Z"});
    assert_eq!(bench.ask(Method::POST, ROUTE, &key, "", body).await.0, 403, "a Command Runner");
}
