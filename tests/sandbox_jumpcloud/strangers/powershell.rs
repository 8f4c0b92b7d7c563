//! As JumpCloud's PowerShell module asks: `getSelf?fields=provider` with nothing but the key, the
//! organizations without a header, administrators once for each organization and without a limit; and
//! its kit for developers, which takes the header away from everything under `/api/users`.

use ephemerald::sandbox::jumpcloud::Options;
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, options};

struct Module<'a> {
    bench: &'a Bench,
}

impl Module<'_> {
    async fn call(&self, method: Method, path: &str, org_id: &str, body: Value) -> (u16, Value) {
        let mut last = (0, Value::Null);
        for _ in 0..6 {
            last = self.bench.ask(method.clone(), path, &self.bench.key, org_id, body.clone()).await;
            if last.0 < 500 && last.0 != 429 {
                break;
            }
        }
        last
    }

    async fn get(&self, path: &str, org_id: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, org_id, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The administrators of every organization, with the organization filled in by hand.
    async fn administrators(&self) -> Vec<(String, String)> {
        let own = self.get("/api/users/getSelf?fields=provider", "").await;
        assert!(own["provider"].is_string(), "a multi-tenant administrator: {own}");
        let mut all = Vec::new();
        for organization in self.get("/api/organizations", "").await["results"].as_array().unwrap() {
            let id = organization["_id"].as_str().unwrap();
            for admin in self.get("/api/users", id).await["results"].as_array().unwrap() {
                all.push((id.to_owned(), admin["email"].as_str().unwrap().to_owned()));
            }
        }
        all
    }
}

#[tokio::test]
async fn the_module_sees_the_administrators_of_each_organization_as_far_as_the_default_page_goes() {
    let bench = Bench::with(Options { multi_tenant: true, ..options(None) }).await;
    let module = Module { bench: &bench };
    for (switches, first, second) in [
        (json!({}), 10, 4),
        (json!({"page_default": 100}), 11, 4),
        (json!({"page_default": 100, "organization_shown": false, "linked_admins_listed": false}), 10, 3),
    ] {
        bench.switch(switches);
        let all = module.administrators().await;
        let count = |organization: &str| all.iter().filter(|(id, _)| id.ends_with(organization)).count();
        assert_eq!((count("aa"), count("bb"), count("cc")), (first, second, 0));
    }
}

#[tokio::test]
async fn the_kit_for_developers_writes_without_the_header_where_the_service_ignores_it() {
    let bench = Bench::with(Options { multi_tenant: true, ..options(None) }).await;
    let module = Module { bench: &bench };
    let path = bench.path("ines@example.net");
    let body = json!({"firstname": "Inés", "enableMultiFactor": true});
    assert_eq!(module.call(Method::PUT, &path, "", body.clone()).await.0, 401, "the published rule");
    bench.switch(json!({"org_id_on_users_write": "ignored"}));
    let (status, shown) = module.call(Method::PUT, &path, "", body).await;
    assert_eq!((status, &shown["firstname"], &shown["roleName"]), (200, &json!("Inés"), &json!("Help Desk")));
}

#[tokio::test]
async fn the_module_with_an_ordinary_key_needs_no_organization() {
    let bench = Bench::plain().await;
    let module = Module { bench: &bench };
    let own = module.get("/api/users/getSelf?fields=provider", "").await;
    assert_eq!(own.get("provider"), None);
    let organization = module.get("/api/organizations", "").await["results"][0]["_id"].clone();
    let admins = module.get("/api/users", organization.as_str().unwrap()).await;
    assert_eq!(admins["results"].as_array().unwrap().len(), 10);
}
