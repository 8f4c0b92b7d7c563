//! The simulated JumpCloud holds every exchange against the contract and shows what it saw.

use std::{collections::BTreeSet, future::pending};

use ephemerald::sandbox::jumpcloud::{
    Error, Fault, Options, Rule, Running, Switches,
    contract::{Against, By, switches_that_spoil_answers},
    run,
};
use serde_json::{Value, json};

use crate::guard::WithinContract;

struct Cloud {
    running: Running,
    client: reqwest::Client,
}

impl Cloud {
    async fn start() -> Self {
        let options = Options::new("127.0.0.1:0".parse().unwrap(), None);
        // A client cannot be built without a provider; another test may have installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        #[allow(clippy::disallowed_methods, reason = "a test's own client, on loopback")]
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { running: run(options, pending()).await.unwrap(), client }
    }

    async fn send(&self, agent: &str, method: &str, path: &str, body: Option<Value>) -> u16 {
        let url = format!("{}{path}", self.running.url);
        let mut request = self.client.request(method.parse().unwrap(), url).header("user-agent", agent);
        request = request.header("x-api-key", &self.running.api_key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap().status().as_u16()
    }

    fn path(&self, email: &str) -> String {
        format!("/api/users/{}", self.running.console.id_of(email).unwrap())
    }

    async fn shown(&self) -> Value {
        let url = format!("{}/_sandbox/contract", self.running.url);
        serde_json::from_slice(&self.client.get(url).send().await.unwrap().bytes().await.unwrap()).unwrap()
    }
}

const AGENT: &str = "ephemerald/0.1.0";

#[tokio::test]
async fn a_request_of_the_agent_beyond_the_description_is_kept_shown_and_fails_the_test() {
    let cloud = Cloud::start().await;
    let path = cloud.path("dmitri@example.com");
    assert_eq!(cloud.send(AGENT, "PUT", &path, Some(json!({"roleName": "Manager"}))).await, 200);
    assert_eq!(cloud.running.console.violations(), []);

    assert_eq!(cloud.send(AGENT, "PUT", &path, Some(json!({"suspended": true}))).await, 200, "it is served");
    let found = cloud.running.console.violations();
    assert!(found.iter().all(|v| v.by == By::Agent && v.call == "PUT /api/users/{id}"), "{found:#?}");
    assert!(found[0].problem.contains("suspended"));
    assert_eq!(
        found.iter().any(|v| v.against == Against::Published),
        cloud.running.console.contract().published_documents
    );

    let shown = cloud.shown().await;
    assert_eq!((&shown["requests"], &shown["answers"]), (&json!(2), &json!(2)), "{shown}");
    assert_eq!(shown["violations"][0]["by"], "agent", "{shown}");
    assert!(shown["violations"][0]["at_ms"].is_u64(), "{shown}");

    cloud.running.console.reset();
    assert_eq!(cloud.running.console.violations().len(), found.len(), "a reset hides nothing");
    let console = cloud.running.console.clone();
    let failed = std::panic::catch_unwind(|| drop(WithinContract(console)));
    assert!(failed.is_err(), "the guard of a test does not see it");

    cloud.running.console.clear_contract();
    drop(WithinContract(cloud.running.console.clone()));
}

#[tokio::test]
async fn another_client_is_only_noted() {
    let cloud = Cloud::start().await;
    assert_eq!(cloud.send("curl/8", "GET", "/api/users?what=1", None).await, 200);
    assert_eq!(cloud.send("curl/8", "GET", "/api/unheard", None).await, 404);
    assert_eq!(cloud.running.console.violations(), []);
    let shown = cloud.shown().await;
    let notes = shown["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 2, "{shown}");
    assert_eq!(
        (&notes[0]["by"], &notes[1]["problem"]),
        (&json!("other_client"), &json!("there is no such route"))
    );
}

#[tokio::test]
async fn an_answer_that_a_fault_or_a_switch_made_strange_is_left_out() {
    let cloud = Cloud::start().await;
    let console = &cloud.running.console;
    let rule =
        |fault: Value| -> Rule { serde_json::from_value(json!({"count": 1, "fault": fault})).unwrap() };
    for fault in [json!({"kind": "html", "status": 200}), json!({"kind": "error_before", "status": 503})] {
        console.add_faults(vec![rule(fault)]);
        cloud.send(AGENT, "GET", "/api/users", None).await;
    }
    console.set_switches(serde_json::from_value(json!({"error_body": "text"})).unwrap());
    assert_eq!(cloud.send(AGENT, "GET", "/api/users/5f00c0de00000000000000ff", None).await, 404);
    assert_eq!(console.violations(), []);
    let seen = console.contract();
    assert_eq!((seen.requests, seen.answers, seen.answers_left_out), (3, 0, 3));

    // The same switch excuses no request, and no fault excuses one.
    console.add_faults(vec![rule(json!(Fault::ErrorBefore { status: 503 }))]);
    cloud.send(AGENT, "GET", "/api/users?what=1", None).await;
    assert_eq!(console.violations().len(), 1);
}

#[tokio::test]
async fn a_simulation_whose_documents_are_missing_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        documents: Some(dir.path().to_owned()),
        ..Options::new("127.0.0.1:0".parse().unwrap(), None)
    };
    assert!(matches!(run(options, pending()).await.err(), Some(Error::Contract(_))));
}

/// Requests that touch every resource, with what goes wrong there.
async fn tour(cloud: &Cloud) {
    let known = cloud.path("dmitri@example.com");
    let owner = cloud.path("owner@example.com");
    let send = async |method: &str, path: &str, body: Option<Value>| {
        cloud.send("tour/1", method, path, body).await;
    };
    let organization = cloud.running.console.state().organization;
    send("GET", &format!("/api/organizations/{organization}"), None).await;
    for path in READ.iter().copied().chain([known.as_str()]) {
        send("GET", path, None).await;
    }
    for body in [
        json!({"roleName": "Manager"}),
        json!({"roleNames": ["Manager", "Help Desk"]}),
        json!({"roleName": "Group Editor"}),
        json!({"roleName": "No Such Role"}),
        json!({"roleName": "Administrator"}),
        json!({"email": "amara@example.com"}),
    ] {
        send("PUT", &known, Some(body)).await;
    }
    for (path, body) in posts() {
        send("POST", path, Some(body)).await;
    }
    send("PUT", UNKNOWN, Some(json!({"roleName": "Manager"}))).await;
    let id = known.rsplit('/').next().unwrap();
    send("POST", &format!("/api/users/resettotp/{id}"), None).await;
    send("GET", &format!("/api/users/reactivate/{id}"), None).await;
    for path in [&known, &known, &owner] {
        send("DELETE", path, None).await;
    }
    // Last: whoever gives the own role away may write no more.
    send("PUT", &owner, Some(json!({"roleName": "Read Only"}))).await;
}

const UNKNOWN: &str = "/api/users/5f00c0de00000000000000ff";

const READ: [&str; 15] = [
    "/api/users?limit=3&sort=_id",
    "/api/users?limit=1000",
    "/api/users?fields=roleName",
    "/api/users/getSelf",
    UNKNOWN,
    "/api/users/malformed",
    "/api/organizations",
    "/api/organizations/1",
    "/api/v2/roles?limit=100",
    "/api/v2/roles/5f00c0de0000000000000001",
    "/api/v2/roles/5f00c0de00000000000000ff",
    "/api/v2/service-accounts",
    "/api/v2/usergroups?limit=1",
    "/api/systemusers",
    "/api/unheard",
];

fn posts() -> Vec<(&'static str, Value)> {
    let events = "/insights/directory/v1/events";
    let role = json!({"name": "Auditor", "scopes": ["users.readonly"]});
    vec![
        ("/api/users", json!({"email": "new@example.com", "firstname": "N"})),
        ("/api/users", json!({"email": "new@example.com", "firstname": "N"})),
        ("/api/users", json!({"email": "other@example.com"})),
        ("/api/users/generateApiKey", json!({})),
        (events, json!({"service": ["directory"], "start_time": "2020-01-01T00:00:00Z"})),
        (events, json!({"service": ["directory"]})),
        ("/api/v2/roles", role.clone()),
        ("/api/v2/roles", role),
    ]
}

#[tokio::test]
async fn under_every_value_of_every_switch_the_answers_are_described_or_left_out_by_name() {
    let (mut judged, mut found, mut spoiling) = (0, Vec::new(), BTreeSet::new());
    for (name, values) in Switches::domain() {
        for value in values {
            let cloud = Cloud::start().await;
            let switches = json!({name: value});
            cloud.running.console.set_switches(serde_json::from_value(switches.clone()).unwrap());
            tour(&cloud).await;
            let seen = cloud.running.console.contract();
            found.extend(seen.violations.iter().map(|v| format!("{switches}: {}", v.violation)));
            judged += seen.answers;
            if seen.answers_left_out > 0 {
                spoiling.insert(name);
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(judged > 1000, "only {judged} answers were judged");
    let named: BTreeSet<&str> = switches_that_spoil_answers().collect();
    assert_eq!(
        spoiling, named,
        "left: spoiled an answer; right: named in src/sandbox/jumpcloud/contract/deviations.rs"
    );
}
