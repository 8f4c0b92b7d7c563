//! Service accounts and their access tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ephemerald::sandbox::jumpcloud::{NewService, ServiceAccount};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, answer};

impl Bench {
    fn service(&self, role: &str) -> ServiceAccount {
        let new = NewService { name: role.to_owned(), roles: vec![role.to_owned()], ..NewService::default() };
        self.running.console.add_service_account(&new).unwrap()
    }

    async fn token(&self, id: &str, secret: &str, form: &str) -> (u16, Value) {
        let request = self.client.post(format!("{}/oauth2/token", self.running.url));
        let request = request.basic_auth(id, Some(secret)).body(form.to_owned());
        let (status, body) =
            answer(request.header("content-type", "application/x-www-form-urlencoded")).await;
        (status.as_u16(), body)
    }

    async fn token_of(&self, service: &ServiceAccount) -> String {
        let (id, secret) = (service.client_id.as_ref().unwrap(), service.client_secret.as_ref().unwrap());
        let (status, body) = self.token(id, secret, FORM).await;
        assert_eq!(status, 200, "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    async fn with_token(&self, method: Method, path: &str, token: &str, body: Value) -> (u16, Value) {
        let request = self.client.request(method, format!("{}{path}", self.running.url)).bearer_auth(token);
        let (status, body) = answer(if body.is_null() { request } else { request.json(&body) }).await;
        (status.as_u16(), body)
    }
}

const FORM: &str = "grant_type=client_credentials&scope=api";

#[tokio::test]
async fn client_credentials_buy_a_token_that_says_when_it_ends() {
    let bench = Bench::plain().await;
    let service = bench.service("Administrator With Billing");
    let (id, secret) = (service.client_id.clone().unwrap(), service.client_secret.clone().unwrap());
    let (_, body) = bench.token(&id, &secret, FORM).await;
    assert_eq!(
        (&body["expires_in"], &body["token_type"], &body["scope"]),
        (&json!(3600), &json!("bearer"), &json!("api"))
    );
    let token = body["access_token"].as_str().unwrap();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!(bench.with_token(Method::GET, "/api/users", token, Value::Null).await.0, 200);

    for (id, secret, form, status, error) in [
        (id.as_str(), "wrong", FORM, 401, "invalid_client"),
        ("wrong", &secret, FORM, 401, "invalid_client"),
        (&id, &secret, "grant_type=password&scope=api", 400, "unsupported_grant_type"),
        (&id, &secret, "grant_type=client_credentials&scope=root", 400, "invalid_scope"),
        (&id, &secret, "scope=api", 400, "invalid_request"),
    ] {
        let (answered, body) = bench.token(id, secret, form).await;
        assert_eq!((answered, &body["error"]), (status, &json!(error)));
    }
    bench.switch(json!({"token_expires_in": false, "token_opaque": true, "error_body": "empty"}));
    let (_, body) = bench.token(&id, &secret, FORM).await;
    assert_eq!((body.get("expires_in"), body["access_token"].as_str().unwrap().contains('.')), (None, false));
    let refused = bench.token(&id, "wrong", FORM).await.1;
    assert_eq!(refused["error"], "invalid_client", "errors of OAuth keep their form");
}

#[tokio::test]
async fn a_token_dies_at_its_end_with_its_account_and_by_order() {
    let bench = Bench::plain().await;
    let service = bench.service("Read Only");
    let read = async |token: &str| bench.with_token(Method::GET, "/api/users", token, Value::Null).await.0;
    let first = bench.token_of(&service).await;
    assert_eq!(read(&first).await, 200);
    bench.running.console.revoke_tokens();
    assert_eq!(read(&first).await, 401);
    bench.switch(json!({"token_lifetime_s": 0}));
    assert_eq!(read(&bench.token_of(&service).await).await, 401);
    bench.switch(json!({}));
    let last = bench.token_of(&service).await;
    bench.running.console.delete_service_account(&service.id).unwrap();
    assert_eq!(read(&last).await, 401);
}

#[tokio::test]
async fn a_service_account_may_what_its_role_may_unless_a_switch_forbids_administrators() {
    let bench = Bench::plain().await;
    let path = bench.path("amara@example.com");
    let body = json!({"firstname": "A"});
    let writer = bench.token_of(&bench.service("Administrator With Billing")).await;
    let reader = bench.token_of(&bench.service("Read Only")).await;
    assert_eq!(bench.with_token(Method::PUT, &path, &writer, body.clone()).await.0, 200);
    assert_eq!(bench.with_token(Method::PUT, &path, &reader, body.clone()).await.0, 403);
    bench.switch(json!({"services_write_admins": false}));
    assert_eq!(bench.with_token(Method::PUT, &path, &writer, body).await.0, 403);
    assert_eq!(bench.with_token(Method::GET, &path, &writer, Value::Null).await.0, 200);
    for (rule, status) in [("object", 200), ("not_found", 404), ("forbidden", 403)] {
        bench.switch(json!({"get_self_for_services": rule}));
        let (answered, shown) =
            bench.with_token(Method::GET, "/api/users/getSelf", &reader, Value::Null).await;
        assert_eq!((answered, shown.get("email")), (status, None), "{rule}");
        assert_eq!(bench.get("/api/users/getSelf").await.0, 200, "an administrator's key");
    }
}

#[tokio::test]
async fn service_accounts_are_listed_wrapped_and_made_only_by_switch() {
    let bench = Bench::plain().await;
    let service = bench.service("Help Desk");
    let list = bench.get("/api/v2/service-accounts").await.1;
    assert_eq!((&list["totalCount"], &list["results"][0]["objectId"]), (&json!(1), &json!(service.id)));
    let one = bench.get(&format!("/api/v2/service-accounts/{}", service.id)).await.1;
    assert_eq!(one["serviceAccount"]["roleName"], "Help Desk");
    assert!(!format!("{list}{one}").contains(service.client_secret.as_ref().unwrap()));

    let new = json!({"name": "robot", "roleId": bench.role_id("Read Only"),
        "authConfig": {"authType": "CLIENT_SECRET", "clientSecretConfig": {"lifetime": "30 Days"}}});
    assert_eq!(bench.post("/api/v2/service-accounts", new.clone()).await.0, 404);
    bench.switch(json!({"services_created": true}));
    let (status, made) = bench.post("/api/v2/service-accounts", new).await;
    let made = &made["serviceAccount"];
    let credentials = &made["authConfigList"][0];
    let text = |key: &str| credentials[key].as_str().unwrap().to_owned();
    assert_eq!(status, 201);
    assert_eq!(bench.token(&text("clientId"), &text("clientSecret"), FORM).await.0, 200);

    let path = format!("/api/v2/service-accounts/{}", made["objectId"].as_str().unwrap());
    let key = json!({"authType": "API_KEY", "apiKeyConfig": {"lifetime": "365 Days"}});
    let wrong = json!({"authType": "API_KEY", "apiKeyConfig": {"lifetime": "1 Day"}});
    let config = format!("{path}/auth-config");
    assert_eq!(bench.post(&config, wrong).await.0, 400);
    let key = bench.post(&config, key).await.1["authConfig"]["apiKey"].as_str().unwrap().to_owned();
    assert_eq!(bench.ask(Method::GET, "/api/users", &key, "", Value::Null).await.0, 200);
    assert_eq!(bench.delete(&path).await.0, 204);
    assert_eq!(bench.ask(Method::GET, "/api/users", &key, "", Value::Null).await.0, 401);
    bench.switch(json!({"services_route": false}));
    assert_eq!(bench.get("/api/v2/service-accounts").await.0, 404);
}
