//! Asking for access as a person does, and waiting for what both sides then show.

use std::time::Duration;

use ephemerald::{
    control::wire::{Ephemeral, Target},
    engine::ids::{Email, IntegrationId, RoleName},
    sandbox::{
        control_plane::{JobSpec, RequestSpec, RequestState, RequestView},
        jumpcloud::Event,
    },
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{PATIENCE, World};

/// What somebody asks for.
pub(crate) struct Ask {
    target: Target,
    role: String,
    seconds: u64,
    integration: String,
}

impl Ask {
    pub(crate) fn role(account: &str, role: &str, seconds: u64) -> Self {
        Self { target: Target::Email(email(account)), role: role.into(), seconds, integration: "main".into() }
    }

    pub(crate) fn ephemeral(requester: &str, role: &str, seconds: u64) -> Self {
        let person = Ephemeral { requester: email(requester), firstname: None, lastname: None };
        Self { target: Target::Ephemeral(person), role: role.into(), seconds, integration: "main".into() }
    }

    pub(crate) fn at(self, integration: &str) -> Self {
        Self { integration: integration.into(), ..self }
    }
}

impl World {
    /// Files the request and has another person approve it: a signed job waits afterwards.
    pub(crate) async fn approved(&self, ask: Ask) -> RequestView {
        let spec = RequestSpec {
            requester: email("visitor@example.com"),
            integration: IntegrationId::new(&ask.integration).unwrap(),
            target: ask.target,
            role: RoleName::new(&ask.role).unwrap(),
            duration_s: ask.seconds,
            justification: Some("a story".into()),
            start_within_s: 300,
            agent: None,
        };
        let request = self.operator.request(&spec).await.unwrap();
        self.operator.approve(&request.number, &[email("boss@example.com")]).await.unwrap()
    }

    /// A job of a test's own making; the claims that are missing are the usual ones.
    pub(crate) async fn sent(&self, spec: JobSpec) -> String {
        self.operator.send(&spec).await.unwrap().job_id.to_string()
    }

    /// The one result of the job; waits for it.
    pub(crate) async fn result(&self, job: &str) -> Value {
        self.reported(&format!("a result of {job}"), |r| r["kind"] == "result" && r["job_id"] == job).await
    }

    /// The report with this code about the request's grant; waits for it.
    pub(crate) async fn about(&self, request: &RequestView, code: &str) -> Value {
        let grant = request.grant_id.clone().unwrap().to_string();
        let what = format!("{code} about {}", request.number);
        self.reported(&what, |r| r["grant_id"] == grant.as_str() && r["code"] == code).await
    }

    /// The event with this code about this grant; waits for it.
    pub(crate) async fn event(&self, grant: &str, code: &str) -> Value {
        let what = format!("{code} about {grant}");
        self.reported(&what, |r| r["grant_id"] == grant && r["code"] == code).await
    }

    /// Waits until the agent has been handed the request's job.
    pub(crate) async fn leased(&self, request: &RequestView) {
        let deadline = Instant::now() + PATIENCE;
        while self.operator.show(&request.number).await.unwrap().state == RequestState::Queued {
            assert!(Instant::now() < deadline, "{} was not handed out", request.number);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many requests that could change something JumpCloud received.
    pub(crate) fn writes(&self) -> usize {
        let written = |event: &Event| matches!(event, Event::Request(r) if r.method != "GET");
        self.cloud.log_since(0).iter().filter(|entry| written(&entry.event)).count()
    }

    /// All reports so far.
    pub(crate) async fn reports(&self) -> Vec<Value> {
        self.operator.results().await.unwrap().into_iter().map(|view| view.report).collect()
    }

    /// The codes of all results of the request's grant job.
    pub(crate) async fn results_of(&self, request: &RequestView) -> Vec<String> {
        let job = request.job_id.clone().unwrap().to_string();
        let of_job = |r: &Value| r["kind"] == "result" && r["job_id"] == job.as_str();
        let reports = self.reports().await.into_iter().filter(of_job);
        reports.map(|r| r["code"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until the wall clock has passed this instant.
    pub(crate) async fn until_past(&self, instant: &str) {
        let instant: jiff::Timestamp = instant.parse().unwrap();
        let left = instant.duration_since(jiff::Timestamp::now());
        sleep(Duration::try_from(left).unwrap_or_default() + Duration::from_millis(1)).await;
    }

    /// Waits until JumpCloud itself shows exactly this role, or no such account.
    pub(crate) async fn sees(&self, account: &str, role: Option<&str>) {
        let expected = role.map(|role| vec![role.to_owned()]);
        let shown = || {
            let accounts = self.cloud.state().accounts;
            accounts.into_iter().find(|a| a.email == account).map(|a| a.roles)
        };
        let deadline = Instant::now() + PATIENCE;
        while shown() != expected {
            assert!(
                Instant::now() < deadline,
                "JumpCloud shows {account} with {:?}, not {role:?}\n{}",
                shown(),
                self.agent.tail()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn reported(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reports = self.reports().await;
            if let Some(found) = reports.iter().find(|report| wanted(report)) {
                return found.clone();
            }
            let lines: Vec<String> = reports.iter().map(Value::to_string).collect();
            assert!(
                Instant::now() < deadline,
                "no report: {what}; there are:\n{}\nthe agent's log ends with\n{}",
                lines.join("\n"),
                self.agent.tail()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The claims of a grant job that would be carried out.
pub(crate) fn grant_claims(grant: &str, account: &str, role: &str, seconds: u64) -> Value {
    json!({
        "integration": "main",
        "job": {
            "type": "grant", "grant_id": grant, "target": {"email": account}, "role": role,
            "duration_s": seconds,
            "request": {
                "number": "AR-1", "requester": "visitor@example.com",
                "approvers": ["boss@example.com"], "justification": "a story",
            },
        },
    })
}

fn email(address: &str) -> Email {
    Email::new(address).unwrap()
}
