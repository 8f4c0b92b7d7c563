//! Several organizations: what a key sees, what `x-org-id` does where, and a provider's routes.

use ephemerald::sandbox::jumpcloud::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, options};

const FIRST: &str = "5f00c0de00000000000000aa";
const SECOND: &str = "5f00c0de00000000000000bb";
const FOREIGN: &str = "5f00c0de00000000000000cc";
const UNKNOWN: &str = "0123456789abcdef01234567";
const PROVIDER: &str = "/api/v2/providers/5f00c0de000000000000a5a5";

async fn provider() -> Bench {
    Bench::with(Options { multi_tenant: true, ..options(None) }).await
}

impl Bench {
    async fn as_provider(&self, method: Method, path: &str, org_id: &str, body: Value) -> (u16, Value) {
        self.ask(method, path, &self.key, org_id, body).await
    }

    async fn read(&self, path: &str, org_id: &str) -> (u16, Value) {
        self.as_provider(Method::GET, path, org_id, Value::Null).await
    }
}

#[tokio::test]
async fn a_multi_tenant_key_is_answered_as_documented() {
    let bench = provider().await;
    let of_second = format!("/api/v2/organizations/{SECOND}/administratorlinks");
    for (path, org_id, status) in [
        ("/api/users", "", 401),
        ("/api/users", FIRST, 200),
        ("/api/users", SECOND, 200),
        ("/api/users", "junk", 400),
        ("/api/users", UNKNOWN, 404),
        ("/api/users", FOREIGN, 404),
        ("/api/users/getSelf", "", 200),
        ("/api/v2/roles", "", 401),
        ("/api/v2/roles", FIRST, 200),
        ("/api/organizations", FIRST, 403),
        ("/api/organizations", "", 200),
        (of_second.as_str(), FIRST, 400),
        (of_second.as_str(), SECOND, 200),
        (of_second.as_str(), "", 200),
    ] {
        assert_eq!(bench.read(path, org_id).await.0, status, "{path} {org_id}");
    }
    let seen = bench.read("/api/organizations", "").await.1;
    let ids: Vec<&Value> = seen["results"].as_array().unwrap().iter().map(|one| &one["_id"]).collect();
    assert_eq!(ids, [FIRST, SECOND]);
    let own = bench.read("/api/users/getSelf", "").await.1;
    assert_eq!((own["provider"].as_str().unwrap().len(), own.get("organization")), (24, None));
}

#[tokio::test]
async fn an_organization_shows_its_own_administrators_and_nobody_elses() {
    let bench = provider().await;
    let emails = async |org_id: &str| -> Vec<String> {
        let list = bench.read("/api/users?limit=100", org_id).await.1;
        let all = list["results"].as_array().unwrap().iter();
        all.map(|admin| admin["email"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        emails(SECOND).await,
        ["owner@example.net", "ines@example.net", "jonas@example.net", "provider@example.com"]
    );
    assert_eq!(emails(FIRST).await.len(), 11);
    bench.switch(json!({"linked_admins_listed": false}));
    assert_eq!(emails(SECOND).await.len(), 3);

    let path = bench.path("ines@example.net");
    let promotion = json!({"roleName": "Manager"});
    assert_eq!(
        bench.as_provider(Method::PUT, &path, FIRST, promotion.clone()).await.0,
        404,
        "gone, by header"
    );
    assert_eq!(bench.roles("ines@example.net"), ["Help Desk"]);
    assert_eq!(bench.as_provider(Method::PUT, &path, SECOND, promotion).await.0, 200);
    let owner = bench.path("ines@example.org");
    assert_eq!(bench.read(&owner, SECOND).await.0, 404, "the third organization");
}

#[tokio::test]
async fn where_the_sources_differ_about_the_header_a_switch_decides() {
    let bench = provider().await;
    let path = bench.path("ines@example.net");
    let body = json!({"roleName": "Manager"});
    for (rule, with_header, without) in [("accepted", 404, 401), ("ignored", 200, 200), ("refused", 403, 200)]
    {
        bench.switch(json!({"org_id_on_users_write": rule}));
        assert_eq!(bench.as_provider(Method::PUT, &path, FIRST, body.clone()).await.0, with_header, "{rule}");
        assert_eq!(bench.as_provider(Method::PUT, &path, "", body.clone()).await.0, without, "{rule}");
    }
    for (switch, route) in [
        ("org_id_on_users_read", "/api/users"),
        ("org_id_on_get_self", "/api/users/getSelf"),
        ("org_id_on_roles", "/api/v2/roles"),
    ] {
        for (rule, status) in [("accepted", 404), ("ignored", 200), ("refused", 403)] {
            bench.switch(json!({switch: rule}));
            assert_eq!(bench.read(route, UNKNOWN).await.0, status, "{switch} {rule}");
        }
    }
    bench.switch(json!({"users_refuse_org_id": true}));
    assert_eq!(bench.read("/api/users", FIRST).await.0, 403);
    assert_eq!(bench.read("/api/users?limit=100", "").await.1["totalCount"], 14, "both, and the provider's");
    bench.switch(json!({"org_id_required": false}));
    assert_eq!(bench.read("/api/users?limit=100", "").await.1["totalCount"], 14);
    for status in [401, 403] {
        bench.switch(json!({"org_id_unknown_status": status, "org_id_foreign_status": status,
            "org_id_malformed_status": 404}));
        for (org_id, expected) in [(UNKNOWN, status), (FOREIGN, status), ("junk", 404)] {
            assert_eq!(bench.read("/api/users", org_id).await.0, expected);
        }
    }
}

#[tokio::test]
async fn an_address_of_another_organization_is_taken_too() {
    let bench = provider().await;
    let create = async |email: &str, org_id: &str| {
        bench.as_provider(Method::POST, "/api/users", org_id, json!({"email": email})).await.0
    };
    bench.switch(json!({"duplicate_status": 409, "duplicate_elsewhere_status": 403}));
    assert_eq!(create("ines@example.net", SECOND).await, 409);
    assert_eq!(create("ines@example.org", SECOND).await, 403);
    assert_eq!(create("new@example.net", SECOND).await, 200);
    let path = bench.path("new@example.net");
    assert_eq!((bench.read(&path, SECOND).await.0, bench.read(&path, FIRST).await.0), (200, 404));
}

#[tokio::test]
async fn a_key_of_one_organization_needs_no_header_and_sees_nothing_else() {
    let bench = provider().await;
    let key = bench.key_of("owner@example.net", &["Administrator With Billing"]);
    let list = bench.ask(Method::GET, "/api/users", &key, "", Value::Null).await.1;
    assert_eq!(list["totalCount"], 4);
    for (org_id, status) in [(SECOND, 200), (FIRST, 404), (UNKNOWN, 404)] {
        assert_eq!(
            bench.ask(Method::GET, "/api/users", &key, org_id, Value::Null).await.0,
            status,
            "{org_id}"
        );
    }
    let amara = bench.path("amara@example.com");
    for (method, body) in [(Method::PUT, json!({"roleName": "Manager"})), (Method::DELETE, Value::Null)] {
        assert_eq!(bench.ask(method, &amara, &key, "", body).await.0, 404, "another organization's");
    }
    let admins = format!("{PROVIDER}/administrators");
    assert_eq!(bench.ask(Method::GET, &admins, &key, "", Value::Null).await.0, 401, "not the provider's");
}

#[tokio::test]
async fn a_providers_administrator_lives_and_is_linked_as_documented() {
    let bench = provider().await;
    let admins = format!("{PROVIDER}/administrators");
    let bare = json!({"email": "new@example.com"});
    assert_eq!(bench.as_provider(Method::POST, &admins, "", bare).await.0, 400, "role or roleName");
    let body = json!({"email": "new@example.com", "roleName": "Help Desk", "bindNoOrgs": true,
        "role": bench.role_id("Manager")});
    let (status, made) = bench.as_provider(Method::POST, &admins, "", body.clone()).await;
    let expected = (200, &json!("Help Desk"), &json!(0), &json!(false));
    assert_eq!((status, &made["roleName"], &made["organizationAccessTotal"], &made["registered"]), expected);
    let id = made["id"].as_str().unwrap();

    let links = format!("/api/v2/administrators/{id}/organizationlinks");
    let link = json!({"administrator": id, "organization": SECOND});
    assert_eq!(bench.read(&links, "").await.1, json!([]));
    let linked = bench.as_provider(Method::POST, &links, "", json!({"organization": SECOND})).await;
    assert_eq!(linked, (201, link.clone()));
    assert_eq!(bench.read(&links, "").await.1, json!([link]));
    let of_second = format!("/api/v2/organizations/{SECOND}/administratorlinks");
    assert_eq!(bench.read(&of_second, "").await.1.as_array().unwrap().len(), 2);
    let unlink = format!("{links}/{SECOND}");
    assert_eq!(bench.as_provider(Method::DELETE, &unlink, "", Value::Null).await.0, 204);
    assert_eq!(bench.as_provider(Method::DELETE, &unlink, "", Value::Null).await.0, 404);

    assert_eq!(bench.read(&admins, "").await.1["totalCount"], 2);
    assert_eq!(bench.read(&format!("{PROVIDER}/organizations"), "").await.1["totalCount"], 3);
    let one = format!("{admins}/{id}");
    assert_eq!(bench.as_provider(Method::DELETE, &one, "", Value::Null).await.0, 204);
    let own = format!("{admins}/{}", bench.id("provider@example.com"));
    assert_eq!(bench.as_provider(Method::DELETE, &own, "", Value::Null).await.0, 400, "oneself");

    bench.switch(json!({"provider_role_name_wins": false, "provider_id_key": "v1"}));
    let made = bench.as_provider(Method::POST, &admins, "", body).await.1;
    assert_eq!((&made["roleName"], made.get("id")), (&json!("Manager"), None));
}

#[tokio::test]
async fn the_connection_of_a_provider_names_an_organization() {
    let bench = provider().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("connection.json");
    bench.running.write_connection(&file).unwrap();
    let connection: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&connection["org_id"], &connection["token"]), (&json!(FIRST), &json!(bench.key)));
}

#[tokio::test]
async fn a_population_by_hand_may_have_a_provider_and_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seed.json");
    let population = json!({
        "organizations": [{"id": SECOND, "name": "Branch"}],
        "provider": {"id": "5f00c0de000000000000a5a5", "name": "Head"},
        "accounts": [
            {"email": "head@example.org", "roles": ["Administrator With Billing"], "provider": true,
                "links": [SECOND]},
            {"email": "branch@example.org", "roles": ["Help Desk"], "organization": SECOND},
        ],
        "service_accounts": [{"name": "robot", "roles": ["Read Only"], "api_key": "jca_robot"}],
    });
    let start = async |population: &Value| {
        std::fs::write(&path, population.to_string()).unwrap();
        let options = Options { seed_file: Some(path.clone()), ..options(None) };
        ephemerald::sandbox::jumpcloud::run(options, std::future::pending()).await
    };
    let running = start(&population).await.unwrap();
    assert_eq!(running.org_id.as_deref(), Some(SECOND));
    assert_eq!(running.console.state().service_accounts[0].id.len(), 24);

    for (place, wrong, why) in [
        ("/accounts/1/organization", json!(FIRST.replace("aa", "ab")), "does not exist"),
        ("/accounts/0/links", json!([FOREIGN]), "does not exist"),
        ("/provider", Value::Null, "there is none"),
        ("/organizations/0/id", json!("7"), "24 hexadecimal digits"),
        ("/service_accounts/0/roles", json!(["Emperor"]), "does not exist"),
    ] {
        let mut population = population.clone();
        *population.pointer_mut(place).unwrap() = wrong;
        let said = start(&population).await.err().unwrap().to_string();
        assert!(said.contains(why), "{place}: {said}");
    }
}
