//! What the checker says to exchanges that are right, and to each way of being wrong.

use std::{fs, path::Path};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use ephemerald::sandbox::jumpcloud::contract::{
    Against, By, Contract, ContractError, Sent, Violation, documents_of_environment,
};
use serde_json::{Value, json};

use crate::{FILES, description, twin};

const ID: &str = "/api/users/5f00c0de00000000000000aa";

/// A request of the agent with an API key.
fn agent(method: &str, target: &str, body: Option<Value>) -> Sent {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut sent = Sent {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.split('&').filter_map(pair).collect(),
        headers: HeaderMap::new(),
        body: body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default(),
    }
    .with("user-agent", "ephemerald/0.1.0")
    .with("x-api-key", "jca_canary");
    if body.is_some() {
        sent = sent.with("content-type", "application/json");
    }
    sent
}

trait With {
    fn with(self, name: &'static str, value: &'static str) -> Self;
    fn without(self, name: &str) -> Self;
}

impl With for Sent {
    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }
}

/// The checker with JumpCloud's documents, or with their twin.
fn contract() -> Contract {
    if let Some(dir) = documents_of_environment() {
        return Contract::load(Some(&dir)).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    write_twin(dir.path());
    Contract::load(Some(dir.path())).unwrap()
}

fn write_twin(dir: &Path) {
    for ((_, file), (_, document)) in FILES.iter().zip(twin::documents(&description())) {
        fs::write(dir.join(file), document.to_string()).unwrap();
    }
}

fn told(found: &[Violation]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_the_agent_sends_today_is_within_the_contract() {
    let token = agent("POST", "/oauth2/token", None)
        .without("x-api-key")
        .with("authorization", "Basic Y2FuYXJ5")
        .with("content-type", "application/x-www-form-urlencoded");
    let token = Sent { body: b"grant_type=client_credentials&scope=api".to_vec(), ..token };
    let events = json!({"service": ["directory"], "start_time": "2026-11-24T00:00:00Z", "limit": 100});
    let create = json!({"email": "ann+tag@example.com", "roleName": "Help Desk", "enableMultiFactor": true,
        "apiKeyAllowed": false, "firstname": "Ann"});
    for sent in [
        agent("GET", "/api/users?limit=100&skip=0&sort=_id", None),
        agent("GET", "/api/users/getSelf", None).with("x-org-id", "5f00c0de00000000000000aa"),
        agent("GET", ID, None),
        agent("GET", ID, None).without("x-api-key").with("authorization", "Bearer e30.e30.e30"),
        agent("PUT", ID, Some(json!({"roleName": "Manager"}))),
        agent("PUT", ID, Some(json!({"roleNames": ["Manager", "Help Desk"]}))),
        agent("POST", "/api/users", Some(create)),
        agent("DELETE", ID, None),
        agent("GET", "/api/organizations?limit=2", None),
        agent("HEAD", "/", None).without("x-api-key"),
        agent("GET", "/api/v2/roles?limit=100&skip=0", None),
        agent("POST", "/insights/directory/v1/events", Some(events)),
        token,
    ] {
        let found = contract().judge_request(&sent);
        assert!(found.is_empty(), "{}", told(&found));
    }
}

#[test]
fn each_thing_that_is_not_described_is_a_violation_of_the_agent() {
    let put = |body: Value| agent("PUT", ID, Some(body));
    let role = || put(json!({"roleName": "Manager"}));
    for (sent, words) in [
        (put(json!({"suspended": true})), "('suspended' was unexpected)"),
        (put(json!({"role": "5f00c0de00000000000000aa"})), "('role' was unexpected)"),
        (put(json!({"roleName": 7})), "at `/roleName`"),
        (put(json!({"roleNames": "Manager"})), "at `/roleNames`"),
        (put(json!({"email": "nobody"})), "at `/email`"),
        (put(json!({})), "the body"),
        (put(json!([])), "the body"),
        (Sent { body: b"{\"roleName\": ".to_vec(), ..role() }, "cannot be read"),
        (Sent { body: Vec::new(), ..role() }, "the body is missing"),
        (role().with("content-type", "text/plain"), "content-type"),
        (role().without("x-api-key"), "no credential"),
        (role().with("authorization", "Bearer x"), "several credentials"),
        (role().without("x-api-key").with("authorization", "Basic x"), "does not take the credential"),
        (agent("POST", "/api/users", Some(json!({"email": "a@b.c", "password": "x"}))), "('password' was"),
        (agent("POST", "/api/users", Some(json!({"roleName": "Manager"}))), "required"),
        (agent("HEAD", "/", None), "does not take the credential `apiKey`"),
        (agent("PATCH", ID, Some(json!({"roleName": "Manager"}))), "no such method"),
        (agent("DELETE", "/api/users", None), "no such method"),
        (agent("DELETE", "/api/users/getSelf", None), "no such method"),
        (agent("GET", "/api/administrators", None), "no such route"),
        (agent("GET", &format!("{ID}/"), None), "no such route"),
        (agent("GET", "/api/users?limit=100&role=Manager", None), "unknown query parameter `role`"),
        (agent("GET", "/api/users?limit=many", None), "`limit` is not of type integer"),
        (agent("GET", "/api/users?skip=-1", None), "query parameter `skip`"),
        (agent("GET", "/api/users?limit=1&limit=2", None), "`limit` comes twice"),
        (agent("GET", ID, Some(json!({"a": 1}))), "takes no body"),
        (
            agent("GET", "/api/organizations", None).with("x-org-id", "1"),
            "does not take the header `x-org-id`",
        ),
        (
            agent("GET", "/api/users/reactivate/5f00c0de00000000000000aa", None),
            "not one that the agent may send",
        ),
        (agent("GET", "/api/v2/service-accounts", None), "not one that the agent may send"),
    ] {
        let found = contract().judge_request(&sent);
        assert!(told(&found).contains(words), "{sent:?}: {words:?} is not in {:?}", told(&found));
        assert!(found.iter().all(|violation| violation.by == By::Agent));
    }
}

#[test]
fn the_published_document_is_held_against_a_request_by_itself() {
    let found = contract().judge_request(&agent("PUT", ID, Some(json!({"suspended": true}))));
    let published = found.iter().find(|violation| violation.against == Against::Published);
    let problem = &published.expect("the published document says it too").problem;
    assert!(problem.contains("'suspended'"), "{problem}");
    let alone =
        Contract::load(None).unwrap().judge_request(&agent("PUT", ID, Some(json!({"suspended": true}))));
    assert!(alone.iter().all(|violation| violation.against == Against::Project) && !alone.is_empty());
}

#[test]
fn another_client_is_judged_and_named_as_such() {
    let sent = agent("GET", "/api/users?what=1", None).with("user-agent", "curl/8");
    let found = contract().judge_request(&sent);
    assert_eq!(found.iter().map(|violation| violation.by).collect::<Vec<_>>(), [By::OtherClient]);
    // Its own list of calls is the agent's only.
    let sent = agent("GET", "/api/v2/service-accounts", None).with("user-agent", "curl/8");
    assert!(contract().judge_request(&sent).is_empty());
}

#[test]
fn each_answer_that_is_not_described_is_a_violation_of_the_simulation() {
    let admin = json!({"_id": "1", "email": "a@b.c", "roleName": "Manager"});
    let (get, put) = (agent("GET", ID, None), agent("PUT", ID, Some(json!({"roleName": "Manager"}))));
    let list = agent("GET", "/api/users", None);
    let good = [
        (&get, 200, Some(admin.clone())),
        (&get, 404, Some(json!({"message": "Not Found", "error": "Not Found"}))),
        (&put, 200, Some(admin.clone())),
        (&put, 400, Some(json!({"code": 400, "message": "no", "status": "Bad Request"}))),
        (&list, 200, Some(json!({"totalCount": 1, "results": [admin]}))),
        (&agent("DELETE", ID, None), 204, None),
    ];
    for (sent, status, body) in good {
        let found = contract().judge_answer(sent, status, body.as_ref());
        assert!(found.is_empty(), "{sent:?} {status}: {}", told(&found));
    }
    let bad = [
        (&get, 200, Some(json!({"_id": "1"})), "required"),
        (&get, 200, Some(json!({"email": "a@b.c"})), "the body"),
        (&get, 200, None, "200 has no body"),
        (&get, 418, Some(json!({})), "the status 418 is not described"),
        (&put, 200, Some(json!({"_id": "1", "email": "a@b.c", "suspended": "no"})), "at `/suspended`"),
        (&put, 400, Some(json!("plain text")), "400: the body"),
        (&list, 200, Some(json!({"totalCount": "1", "results": []})), "at `/totalCount`"),
        (&list, 200, Some(json!([])), "the body"),
        (&agent("DELETE", ID, None), 204, Some(json!({})), "should have none"),
    ];
    for (sent, status, body, words) in bad {
        let found = contract().judge_answer(sent, status, body.as_ref());
        assert!(told(&found).contains(words), "{sent:?} {status}: {words:?} is not in {:?}", told(&found));
        assert!(found.iter().all(|violation| violation.by == By::Simulation));
    }
    let found = contract().judge_answer(&put, 200, Some(&json!({"_id": 1, "email": "a@b.c"})));
    assert!(found.iter().any(|violation| violation.against == Against::Published), "{}", told(&found));
}

#[test]
fn no_value_of_an_exchange_stands_in_a_verdict() {
    let mut texts = String::new();
    for body in [json!({"roleName": {"canary": "canary"}}), json!({"email": "canary"}), json!("canary")] {
        texts += &told(&contract().judge_request(&agent("PUT", ID, Some(body.clone()))));
        texts += &told(&contract().judge_answer(&agent("GET", ID, None), 200, Some(&body)));
    }
    texts += &told(&contract().judge_request(&agent("GET", "/api/users?limit=canary", None)));
    assert!(texts.len() > 200 && !texts.contains("canary"), "{texts}");
}

#[test]
fn a_missing_or_foreign_document_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Contract::load(Some(dir.path())).unwrap_err();
    assert!(matches!(&missing, ContractError::File(path, _) if path.ends_with(FILES[0].1)), "{missing}");
    assert!(missing.to_string().contains("EPHEMERALD_JUMPCLOUD_DOCS"), "{missing}");

    write_twin(dir.path());
    assert!(Contract::load(Some(dir.path())).is_ok());
    fs::remove_file(dir.path().join(FILES[1].1)).unwrap();
    let missing = Contract::load(Some(dir.path())).unwrap_err();
    assert!(matches!(&missing, ContractError::File(path, _) if path.ends_with(FILES[1].1)), "{missing}");

    for text in ["not JSON", r#"{"openapi": "3.1.0", "paths": {}}"#, r#"{"swagger": "2.0"}"#] {
        fs::write(dir.path().join(FILES[1].1), text).unwrap();
        let wrong = Contract::load(Some(dir.path())).unwrap_err();
        assert!(matches!(&wrong, ContractError::Content(path, _) if path.ends_with(FILES[1].1)), "{wrong}");
    }
}
