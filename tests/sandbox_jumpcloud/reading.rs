//! How an administrator is shown, whose key it is, and which routes there are.

use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::Bench;

const AMARA: &str = "amara@example.com";

#[tokio::test]
async fn an_account_shows_what_the_switches_let_it_show() {
    let bench = Bench::plain().await;
    let path = bench.path(AMARA);
    let id = |name: &str| json!(bench.role_id(name));
    let both = json!(["Read Only", "Manager"]);
    bench.key_of(AMARA, &["Read Only", "Manager"]);
    for (switches, key, expected) in [
        (json!({}), "roleName", json!("Read Only")),
        (json!({}), "role", id("Read Only")),
        (json!({}), "roleNames", both.clone()),
        (json!({}), "roles", json!([id("Read Only"), id("Manager")])),
        (json!({"plural_roles_shown": false}), "roleNames", Value::Null),
        (json!({"plural_roles": "empty"}), "roleNames", json!([])),
        (json!({"plural_roles": "with_several"}), "roleNames", both),
        (json!({"role_name_of_several": "last"}), "roleName", json!("Manager")),
        (json!({"role_name_of_several": "absent"}), "roleName", Value::Null),
        (json!({"role_name_of_several": "absent"}), "role", Value::Null),
        (json!({"role_shown": "name"}), "role", json!("Read Only")),
        (json!({"role_shown": "absent"}), "role", Value::Null),
        (json!({"suspended_shown": false}), "suspended", Value::Null),
        (json!({"organization_shown": false}), "organization", Value::Null),
        (json!({"id_key": "v2"}), "_id", Value::Null),
        (json!({"id_key": "v2"}), "id", json!(bench.id(AMARA))),
        (json!({"id_key": "both"}), "_id", json!(bench.id(AMARA))),
    ] {
        let told = format!("{switches} {key}");
        bench.switch(switches);
        let one = bench.get(&path).await.1;
        assert_eq!(one[key], expected, "{told}");
        assert!(one.as_object().unwrap().values().all(|value| !value.is_null()), "a null: {one}");
        let list = bench.get("/api/users?limit=100").await.1;
        let listed =
            list["results"].as_array().unwrap().iter().find(|admin| admin["email"] == AMARA).unwrap();
        assert_eq!(*listed, one, "a list shows the same: {told}");
    }
    bench.switch(json!({"plural_roles": "with_several"}));
    assert_eq!(bench.get(&bench.path("hana@example.com")).await.1.get("roleNames"), None);
}

#[tokio::test]
async fn get_self_tells_as_much_as_its_switches_let_it() {
    let bench = Bench::plain().await;
    for (switches, status, role, organization) in [
        (json!({}), 200, true, true),
        (json!({"get_self_role": false}), 200, false, true),
        (json!({"get_self_organization": false}), 200, true, false),
        (json!({"get_self": false}), 404, false, false),
        (json!({"get_self": false, "get_self_missing_status": 403}), 403, false, false),
    ] {
        bench.switch(switches);
        let (answered, shown) = bench.get("/api/users/getSelf").await;
        let has = |key: &str| shown.get(key).is_some();
        assert_eq!((answered.as_u16(), has("roleName"), has("organization")), (status, role, organization));
    }
    bench.switch(json!({"fields": true}));
    let shown = bench.get("/api/users/getSelf?fields=email%20provider").await.1;
    assert_eq!(shown, json!({"_id": bench.id("owner@example.com"), "email": "owner@example.com"}));
}

#[tokio::test]
async fn roles_and_organizations_may_be_missing_partial_or_without_scopes() {
    let bench = Bench::plain().await;
    for (switches, route, status, count) in [
        (json!({"roles_listed": "built_in"}), "/api/v2/roles", 200, 8),
        (json!({"roles_listed": "custom"}), "/api/v2/roles", 200, 1),
        (json!({"roles_route": false, "roles_missing_status": 403}), "/api/v2/roles", 403, 0),
        (json!({"organizations_status": 403}), "/api/organizations", 403, 0),
        (json!({"organizations_status": 404}), "/api/organizations", 404, 0),
        (json!({}), "/api/organizations", 200, 1),
    ] {
        bench.switch(switches);
        let (answered, list) = bench.get(route).await;
        let found = list["results"].as_array().map_or(0, Vec::len);
        assert_eq!((answered.as_u16(), found), (status, count), "{list}");
    }
    bench.switch(json!({"role_scopes_shown": false}));
    let roles = bench.get("/api/v2/roles?limit=100").await.1;
    assert!(roles["results"].as_array().unwrap().iter().all(|role| role.get("scopes").is_none()));

    bench.switch(json!({}));
    let id = bench.running.console.state().organization;
    let shown = bench.get(&format!("/api/organizations/{id}")).await.1;
    assert_eq!(shown, json!({"_id": id, "displayName": "Simulated Organization"}));
    assert_eq!(bench.get("/api/organizations/0123456789abcdef01234567").await.0, 404);
}

#[tokio::test]
async fn custom_roles_are_made_replaced_and_deleted_and_built_in_ones_are_not() {
    let bench = Bench::plain().await;
    let new = json!({"name": "Auditor", "scopes": ["users.readonly"]});
    let (status, made) = bench.post("/api/v2/roles", new.clone()).await;
    assert_eq!((status.as_u16(), &made["scopes"]), (201, &new["scopes"]));
    assert_eq!(bench.post("/api/v2/roles", new).await.0, 400, "the name is taken");
    assert_eq!(bench.post("/api/v2/roles", json!({"name": "Half"})).await.0, 400, "scopes are required");
    let path = format!("/api/v2/roles/{}", made["id"].as_str().unwrap());
    bench.key_of(AMARA, &["Auditor", "Read Only"]);
    let renamed = json!({"name": "Reader", "scopes": ["users.readonly"]});
    assert_eq!(bench.put(&path, renamed).await.0, 200);
    assert_eq!(bench.roles(AMARA), ["Reader", "Read Only"]);

    let built_in = format!("/api/v2/roles/{}", bench.role_id("Manager"));
    assert_eq!(bench.delete(&built_in).await.0, 400);
    bench.switch(json!({"role_deletion": "refused"}));
    assert_eq!(bench.delete(&path).await.0, 400);
    bench.switch(json!({}));
    assert_eq!(bench.delete(&path).await.0, 204);
    assert_eq!(bench.roles(AMARA), ["Read Only"], "a holder loses it");
    assert_eq!(bench.get(&path).await.0, 404);
}

#[tokio::test]
async fn a_new_key_kills_the_old_one_and_dies_at_its_end() {
    let bench = Bench::plain().await;
    assert_eq!(bench.post("/api/users/generateApiKey", json!({"ttl": 1})).await.0, 404, "no such route");
    bench.switch(json!({"generate_api_key": "days"}));
    assert_eq!(bench.post("/api/users/generateApiKey", json!({"ttl": 0})).await.0, 400);
    let (status, made) = bench.post("/api/users/generateApiKey", json!({"ttl": 1})).await;
    let key = made["apiKey"].as_str().unwrap();
    assert!(status == 200 && made["apiKeyHash"]["expireAt"].is_string(), "{made}");
    assert_eq!(bench.get("/api/users").await.0, 401, "the old key");
    assert_eq!(bench.ask(Method::GET, "/api/users", key, "", Value::Null).await.0, 200);

    bench.switch(json!({"key_expiry_shown": false}));
    let shown = bench.ask(Method::GET, "/api/users/getSelf", key, "", Value::Null).await.1;
    assert_eq!(shown["apiKeyHash"].get("expireAt"), None);
    let edit = json!({"api_key_ttl_ms": 0});
    bench.running.console.change("owner@example.com", &serde_json::from_value(edit).unwrap()).unwrap();
    assert_eq!(bench.ask(Method::GET, "/api/users", key, "", Value::Null).await.0, 401, "expired");
}
