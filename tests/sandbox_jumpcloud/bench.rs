//! A simulated JumpCloud and a client that trusts it.

use std::{fs, future::pending, path::Path, sync::Arc, time::Duration};

use ephemerald::sandbox::jumpcloud::{Edit, Entry, Event, Fault, Options, Received, Rule, Running, run};
use reqwest::{Method, StatusCode};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

use super::guard::WithinContract;

pub(crate) const OWNER: &str = "jca_owner";

pub(crate) struct Bench {
    pub(crate) running: Running,
    pub(crate) client: reqwest::Client,
    pub(crate) key: String,
    _contract: WithinContract,
}

impl Bench {
    /// Over TLS, with its files in `dir`.
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::with(Options { api_key: Some(OWNER.to_owned()), ..options(Some(dir)) }).await
    }

    /// Over plain HTTP; for tests in which TLS plays no part.
    pub(crate) async fn plain() -> Self {
        Self::with(Options { api_key: Some(OWNER.to_owned()), ..options(None) }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        Self::of(run(options, pending()).await.unwrap())
    }

    pub(crate) fn of(running: Running) -> Self {
        let key = running.api_key.clone();
        let contract = WithinContract(running.console.clone());
        Self { client: client(running.ca_file.as_deref()), running, key, _contract: contract }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.running.url)).header("x-api-key", &self.key)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> (StatusCode, Value) {
        answer(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::DELETE, path)).await
    }

    /// Path of the account with this address.
    pub(crate) fn path(&self, email: &str) -> String {
        format!("/api/users/{}", self.id(email))
    }

    pub(crate) fn id(&self, email: &str) -> String {
        let state = self.running.console.state();
        state.accounts.into_iter().find(|account| account.email == email).unwrap().id
    }

    pub(crate) fn roles(&self, email: &str) -> Vec<String> {
        let state = self.running.console.state();
        state.accounts.into_iter().find(|account| account.email == email).unwrap().roles
    }

    pub(crate) fn role_id(&self, name: &str) -> String {
        self.running.console.state().roles.into_iter().find(|role| role.name == name).unwrap().id
    }

    /// Waits for a change after entry `seq`; fails instead of hanging where none comes.
    pub(crate) async fn changed_after(&self, seq: u64) {
        let change = self.running.console.changed_after(seq);
        tokio::time::timeout(Duration::from_secs(20), change).await.expect("no change came");
    }

    /// These switches, and the default ones beside them.
    pub(crate) fn switch(&self, switches: Value) {
        self.running.console.set_switches(serde_json::from_value(switches).unwrap());
    }

    /// Gives an administrator a key and these roles, and answers the key.
    pub(crate) fn key_of(&self, email: &str, roles: &[&str]) -> String {
        let key = format!("jca_{}", email.split('@').next().unwrap());
        let roles = roles.iter().map(|&role| role.to_owned()).collect();
        let edit = Edit { api_key: Some(key.clone()), roles: Some(roles), ..Edit::default() };
        self.running.console.change(email, &edit).unwrap();
        key
    }

    /// A request with another key, and `x-org-id` unless it is empty.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        key: &str,
        org_id: &str,
        body: Value,
    ) -> (u16, Value) {
        let url = format!("{}{path}", self.running.url);
        let mut request = self.client.request(method, url).header("x-api-key", key);
        if !org_id.is_empty() {
            request = request.header("x-org-id", org_id);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let (status, body) = answer(request).await;
        (status.as_u16(), body)
    }

    /// Strikes the next request with this method.
    pub(crate) fn once(&self, method: &str, fault: Fault) {
        self.running.console.add_faults(vec![rule(method, fault)]);
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        let requests = |entry: Entry| match entry.event {
            Event::Request(received) => Some(received),
            Event::Changed(_) | Event::Mail(_) => None,
        };
        self.running.console.log_since(0).into_iter().filter_map(requests).collect()
    }
}

pub(crate) fn options(tls_dir: Option<&Path>) -> Options {
    Options::new("127.0.0.1:0".parse().unwrap(), tls_dir)
}

pub(crate) fn rule(method: &str, fault: Fault) -> Rule {
    serde_json::from_value(json!({"method": method, "count": 1, "fault": fault})).unwrap()
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[allow(clippy::disallowed_methods, reason = "a test's own client, on loopback")]
fn client(ca_file: Option<&Path>) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(path) = ca_file {
        for certificate in CertificateDer::pem_slice_iter(&fs::read(path).unwrap()) {
            roots.add(certificate.unwrap()).unwrap();
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy();
    client.retry(reqwest::retry::never()).timeout(Duration::from_secs(20)).build().unwrap()
}
