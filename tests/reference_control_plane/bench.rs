//! A control plane that can be restarted, and an agent written by hand.

use std::{
    cell::Cell,
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ephemerald::{
    control::{
        keys::KeyPair,
        proof::{ProofClaims, SCHEME, body_digest},
        token::AgentToken,
        wire::EnrollAnswer,
    },
    engine::ids::Email,
    sandbox::control_plane::{Operator, Options, RequestSpec, RequestState, Running, run},
};
use reqwest::{StatusCode, header};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// A control plane that can be stopped and started again on the same files and port.
pub(crate) struct Plane {
    pub(crate) running: Running,
    stop: oneshot::Sender<()>,
    options: Options,
}

impl Plane {
    pub(crate) fn options(data: &Path) -> Options {
        Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), data)
    }

    pub(crate) async fn start(data: &Path) -> Self {
        Self::with(Self::options(data)).await
    }

    pub(crate) async fn with_lease(data: &Path, lease: Duration) -> Self {
        Self::with(Options { lease, ..Self::options(data) }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let (stop, stopped) = oneshot::channel();
        let running = run(options.clone(), async move { drop(stopped.await) }).await.unwrap();
        Self { options: Options { listen: running.addr, ..options }, running, stop }
    }

    pub(crate) async fn restart(self) -> Self {
        Self::with(self.stopped().await).await
    }

    /// Stops it; what it is to be started with again.
    pub(crate) async fn stopped(self) -> Options {
        drop(self.stop);
        self.running.done.await.unwrap().unwrap();
        self.options
    }

    pub(crate) fn operator(&self) -> Operator {
        Operator::of_data_dir(&self.options.data).unwrap()
    }
}

/// A fresh agent token.
pub(crate) async fn new_token(plane: &Plane) -> AgentToken {
    AgentToken::parse(&plane.operator().token().await.unwrap()).unwrap()
}

/// The least that an agent must do, by hand.
pub(crate) struct Agent {
    http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) key: KeyPair,
    pub(crate) id: String,
    pub(crate) nonce: Option<String>,
    /// Added to the clock, seconds.
    pub(crate) skew_s: i64,
    pub(crate) epoch: u64,
    pub(crate) instance: String,
    next_jti: Cell<u64>,
}

impl Agent {
    /// An agent with a key of its own that is not enrolled.
    pub(crate) fn new(plane: &Plane, seed: u8) -> Self {
        let key = KeyPair::from_seed(&[seed; 32]);
        Self {
            http: http(plane.running.ca_file.as_deref().unwrap()),
            url: plane.running.url.clone(),
            id: key.kid().to_owned(),
            key,
            nonce: None,
            skew_s: 0,
            epoch: 1,
            instance: "test".to_owned(),
            next_jti: Cell::new(0),
        }
    }

    /// An agent of the control plane that another process runs on `data`.
    pub(crate) async fn at(operator: &Operator, data: &Path) -> Self {
        let token = AgentToken::parse(&operator.token().await.unwrap()).unwrap();
        let key = KeyPair::from_seed(&[1; 32]);
        let mut agent = Self {
            http: http(&data.join("tls/ca.pem")),
            url: token.url.clone(),
            id: key.kid().to_owned(),
            key,
            nonce: None,
            skew_s: 0,
            epoch: 1,
            instance: "test".to_owned(),
            next_jti: Cell::new(0),
        };
        agent.id = agent.enroll(&token).await.unwrap().agent_id.to_string();
        agent
    }

    /// The same agent after its control plane has got another address.
    pub(crate) fn moved(self, operator: &Operator) -> Self {
        Self { url: operator.url().trim_end_matches('/').to_owned(), ..self }
    }

    /// Another process with the same key.
    pub(crate) fn twin(&self) -> Self {
        Self {
            http: self.http.clone(),
            url: self.url.clone(),
            key: self.key.clone(),
            id: self.id.clone(),
            nonce: self.nonce.clone(),
            skew_s: self.skew_s,
            epoch: self.epoch,
            instance: format!("{}-twin", self.instance),
            next_jti: Cell::new(self.next_jti.get() + 1_000_000),
        }
    }

    pub(crate) async fn enrolled(plane: &Plane) -> Self {
        let mut agent = Self::new(plane, 1);
        let answer = agent.enroll(&new_token(plane).await).await.unwrap();
        agent.id = answer.agent_id.to_string();
        agent
    }

    pub(crate) async fn enroll(&self, token: &AgentToken) -> Result<EnrollAnswer, StatusCode> {
        let body = json!({ "secret": token.secret, "key": self.key.public().to_jwk(), "version": "test" });
        self.post("enroll", &body).await.map(|answer| serde_json::from_value(answer).unwrap())
    }

    pub(crate) async fn acquire(&self, wait_s: u32, known: &[&str]) -> Vec<Value> {
        let body = json!({ "capacity": 10, "wait_s": wait_s, "integrations": [], "known": known });
        self.post("jobs/acquire", &body).await.unwrap()["jobs"].as_array().unwrap().clone()
    }

    pub(crate) async fn heartbeat(&self, job: &str) -> Result<Value, StatusCode> {
        self.post(&format!("jobs/{job}/heartbeat"), &json!({ "state": "running" })).await
    }

    /// The sequence numbers that were acknowledged.
    pub(crate) async fn report(&self, reports: &[&Value]) -> Vec<u64> {
        let answer = self.post("reports", &json!({ "reports": reports })).await.unwrap();
        answer["acked"].as_array().unwrap().iter().map(|seq| seq.as_u64().unwrap()).collect()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, StatusCode> {
        let body = body.to_string();
        let answer = self.send(path, &self.proof(path, &body), &body).await;
        if answer.status() == StatusCode::OK {
            Ok(answer.json().await.unwrap())
        } else {
            Err(answer.status())
        }
    }

    pub(crate) async fn send(&self, path: &str, proof: &str, body: &str) -> reqwest::Response {
        let request = self.http.post(format!("{}/v1/agent/{path}", self.url));
        let request = request.header(header::AUTHORIZATION, format!("{SCHEME} {proof}"));
        request.header(header::CONTENT_TYPE, "application/json").body(body.to_owned()).send().await.unwrap()
    }

    pub(crate) fn proof(&self, path: &str, body: &str) -> String {
        self.next_jti.set(self.next_jti.get() + 1);
        let claims = ProofClaims {
            iss: self.id.clone(),
            aud: self.url.clone(),
            htm: "POST".to_owned(),
            htu: format!("{}/v1/agent/{path}", self.url),
            body: body_digest(body.as_bytes()),
            iat: now_s() + self.skew_s,
            jti: format!("{}-{}", self.key.kid(), self.next_jti.get()),
            nonce: self.nonce.clone(),
            instance: self.instance.clone(),
            epoch: self.epoch,
        };
        claims.sign(&self.key)
    }
}

#[allow(clippy::disallowed_methods, reason = "a test's own clock")]
pub(crate) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[allow(clippy::disallowed_methods, reason = "a test's own client, on loopback")]
pub(crate) fn http(ca_file: &Path) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    let pem = fs::read(ca_file).unwrap();
    CertificateDer::pem_slice_iter(&pem).for_each(|certificate| roots.add(certificate.unwrap()).unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

pub(crate) fn email(text: &str) -> Email {
    Email::new(text).unwrap()
}

/// Ada asks for Help Desk for herself.
pub(crate) fn help_desk() -> RequestSpec {
    let spec = json!({
        "requester": "ada@example.com",
        "integration": "prod",
        "target": { "email": "ada@example.com" },
        "role": "Help Desk",
        "duration_s": 60,
        "justification": "a test",
    });
    serde_json::from_value(spec).unwrap()
}

/// Ada asks, Bob approves; the request's number.
pub(crate) async fn approved(operator: &Operator) -> String {
    let asked = operator.request(&help_desk()).await.unwrap();
    assert_eq!(asked.state, RequestState::Requested);
    operator.approve(&asked.number, &[email("bob@example.com")]).await.unwrap().number
}

pub(crate) fn result(seq: u64, job: &str, grant: &str, code: &str) -> Value {
    json!({ "seq": seq, "at": "2026-11-24T10:00:00.000Z", "kind": "result", "job_id": job,
            "grant_id": grant, "code": code })
}

pub(crate) fn ended(seq: u64, grant: &str) -> Value {
    json!({ "seq": seq, "at": "2026-11-24T10:01:00.000Z", "kind": "event", "grant_id": grant,
            "code": "grant_ended", "reason": "expired" })
}

/// The claims of a delivered job, unverified.
pub(crate) fn claims(delivery: &Value) -> Value {
    let payload = delivery["jws"].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
