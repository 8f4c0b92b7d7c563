//! As JumpCloud's command line asks: pages of 100 by `skip` until `totalCount`, a filter that it does
//! not trust, 200 or 201 for a create, 200 or 204 for a delete, three retries, a token for a service
//! account that is fetched anew 30 seconds before its end.

use ephemerald::sandbox::jumpcloud::{Fault, NewService, Rule};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::bench::Bench;

/// How it proves who it is.
enum Login {
    Key(String),
    Client { id: String, secret: String, token: Option<(String, i64)>, fetched: usize },
}

struct CommandLine {
    http: reqwest::Client,
    url: String,
    login: Login,
}

impl CommandLine {
    fn with_key(bench: &Bench) -> Self {
        let login = Login::Key(bench.key.clone());
        Self { http: bench.client.clone(), url: bench.running.url.clone(), login }
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<Value>) -> Response {
        for _ in 0..4 {
            let request = self.signed(self.http.request(method.clone(), format!("{}{path}", self.url))).await;
            let request = body.iter().fold(request, RequestBuilder::json);
            let response = request.send().await.unwrap();
            if ![429, 500, 502, 503, 504].contains(&response.status().as_u16()) {
                return response;
            }
        }
        panic!("{method} {path}: the third retry failed too")
    }

    async fn signed(&mut self, request: RequestBuilder) -> RequestBuilder {
        match &mut self.login {
            Login::Key(key) => request.header("x-api-key", key.as_str()),
            Login::Client { id, secret, token, fetched } => {
                // Its clock does not move in a test, so a token lasts from zero.
                if token.as_ref().is_none_or(|(_, lasts)| *lasts <= 30) {
                    let form = [("grant_type", "client_credentials"), ("scope", "api")];
                    let asked = self.http.post(format!("{}/oauth2/token", self.url)).form(&form);
                    let answer = asked.basic_auth(&*id, Some(&*secret)).send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    let answer: Value = answer.json().await.unwrap();
                    let lasts = answer["expires_in"].as_i64().unwrap_or(3600);
                    *token = Some((answer["access_token"].as_str().unwrap().to_owned(), lasts));
                    *fetched += 1;
                }
                request.bearer_auth(&token.as_ref().unwrap().0)
            }
        }
    }

    async fn list(&mut self, route: &str, more: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let path = format!("{route}?skip={}&limit=100{more}", all.len());
            let response = self.send(Method::GET, &path, None).await;
            assert_eq!(response.status(), 200);
            let page: Value = response.json().await.unwrap();
            let rows = page["results"].as_array().unwrap();
            all.extend(rows.iter().cloned());
            if rows.is_empty() || all.len() as u64 >= page["totalCount"].as_u64().unwrap_or(0) {
                return all;
            }
        }
    }

    /// The server may or may not have understood the filter.
    async fn find(&mut self, email: &str) -> Option<String> {
        let found = self.list("/api/users", &format!("&filter=email:$eq:{email}")).await;
        let found = found.into_iter().find(|admin| admin["email"].as_str() == Some(email))?;
        Some(found["_id"].as_str().unwrap().to_owned())
    }

    async fn live(&mut self, email: &str) -> String {
        let new = json!({"email": email, "roleName": "Help Desk", "enableMultiFactor": true});
        let made = self.send(Method::POST, "/api/users", Some(new)).await.status().as_u16();
        assert!(matches!(made, 200 | 201), "{made}");
        let id = self.find(email).await.unwrap();
        let path = format!("/api/users/{id}");
        let changed = self.send(Method::PUT, &path, Some(json!({"roleName": "Manager"}))).await;
        assert_eq!(changed.status(), 200);
        let shown: Value = self.send(Method::GET, &path, None).await.json().await.unwrap();
        assert_eq!((&shown["roleName"], &shown["enableMultiFactor"]), (&json!("Manager"), &json!(true)));
        let gone = self.send(Method::DELETE, &path, None).await.status().as_u16();
        assert!(matches!(gone, 200 | 204), "{gone}");
        assert_eq!(self.find(email).await, None);
        id
    }
}

#[tokio::test]
async fn the_command_line_makes_changes_and_deletes_an_administrator() {
    let bench = Bench::plain().await;
    for switches in [
        json!({}),
        json!({"create_status": 201, "delete_shows_account": false, "filter": true}),
        json!({"create_answer": "nothing", "put_answer": "nothing", "page_max": 3}),
    ] {
        bench.running.console.reset();
        bench.switch(switches);
        let id = CommandLine::with_key(&bench).live("new@example.com").await;
        let history = bench.running.console.roles_over_time(&id);
        let roles: Vec<Vec<String>> = history.into_iter().map(|(_, roles)| roles).collect();
        assert_eq!(roles, [vec!["Help Desk".to_owned()], vec!["Manager".to_owned()], vec![]]);
    }
}

#[tokio::test]
async fn the_command_line_gets_through_three_bad_answers_in_a_row() {
    let bench = Bench::plain().await;
    let bad = |fault| Rule { count: Some(1), ..serde_json::from_value(json!({"fault": fault})).unwrap() };
    bench.running.console.set_faults(
        vec![
            bad(Fault::ErrorBefore { status: 503 }),
            bad(Fault::TooManyRequests { retry_after: None }),
            bad(Fault::Html { status: 502, executed: false }),
        ],
        1,
    );
    CommandLine::with_key(&bench).live("new@example.com").await;
    assert!(bench.running.console.faults().iter().all(|rule| rule.fired == 1));
}

#[tokio::test]
async fn the_command_line_works_as_a_service_account_and_fetches_a_token_when_it_must() {
    let bench = Bench::plain().await;
    let service = bench.running.console.add_service_account(&NewService::default()).unwrap();
    for (lifetime, fetches_once) in [(3600, true), (20, false)] {
        bench.switch(json!({"token_lifetime_s": lifetime}));
        let login = Login::Client {
            id: service.client_id.clone().unwrap(),
            secret: service.client_secret.clone().unwrap(),
            token: None,
            fetched: 0,
        };
        let mut client = CommandLine { login, ..CommandLine::with_key(&bench) };
        client.live("new@example.com").await;
        let Login::Client { fetched, .. } = client.login else { unreachable!() };
        assert_eq!(fetched == 1, fetches_once, "{fetched}");
    }
}

#[tokio::test]
async fn the_command_line_finds_its_organization_its_roles_and_its_health() {
    let bench = Bench::plain().await;
    let mut client = CommandLine::with_key(&bench);
    assert_eq!(client.list("/api/organizations", "").await[0]["displayName"], "Simulated Organization");
    assert_eq!(client.list("/api/v2/roles", "").await.len(), 9);
    assert_eq!(client.send(Method::GET, "/api/v2/usergroups?limit=1", None).await.status(), 200);
    assert_eq!(client.send(Method::GET, "/api", None).await.status(), 404, "the root, by design");
}
