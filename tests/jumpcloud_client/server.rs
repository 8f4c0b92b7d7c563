//! A small hand-made JumpCloud over real TLS, and a client that trusts it.

use std::{
    collections::VecDeque,
    future::pending,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::Request as Incoming,
    http::{StatusCode, request::Parts},
};
use ephemerald::{
    jumpcloud::{Client, Connection},
    sandbox::{
        jumpcloud::contract::{Contract, Sent, documents_of_environment},
        tls::{Identity, Transport, serve},
    },
    secrets::Secret,
};

use super::TOKEN;

pub(super) fn connection(origin: &str, more: &str, pem: &str) -> Connection {
    let pem = serde_json::to_string(pem).unwrap();
    let json = format!(r#"{{"url": "{origin}", "token": "{TOKEN}", "ssl_ca_cert_content": {pem}{more}}}"#);
    Connection::parse(&Secret::new(json), "jc.json").unwrap()
}

/// Gives the prepared answers one after the other, then 500.
pub(super) struct JumpCloud {
    origin: String,
    pem: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    _judged: Judged,
}

/// Holds every request against the contract with JumpCloud.
#[derive(Clone)]
struct Judge {
    contract: Arc<Contract>,
    violations: Arc<Mutex<Vec<String>>>,
}

impl Judge {
    fn new() -> Self {
        let contract = Contract::load(documents_of_environment().as_deref()).unwrap();
        Self { contract: Arc::new(contract), violations: Arc::default() }
    }

    fn see(&self, head: &Parts, body: &str) {
        let found = self.contract.judge_request(&Sent::of(head, body.as_bytes()));
        self.violations.lock().unwrap().extend(found.iter().map(ToString::to_string));
    }
}

/// Fails the test when it is dropped, if something was not within the contract.
struct Judged(Judge);

impl Drop for Judged {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let found = self.0.violations.lock().unwrap();
            assert!(found.is_empty(), "{}", found.join("\n"));
        }
    }
}

#[derive(Clone)]
pub(super) struct Heard {
    pub(super) line: String,
    headers: axum::http::HeaderMap,
    pub(super) body: String,
}

impl Heard {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl JumpCloud {
    pub(super) async fn start(answers: impl IntoIterator<Item = (u16, String)>) -> Self {
        let ca = tempfile::tempdir().unwrap();
        let identity = Identity::in_dir(ca.path()).unwrap();
        let pem = std::fs::read_to_string(identity.ca_file()).unwrap();
        let answers: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(answers.into_iter().collect()));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&heard);
        let judge = Judge::new();
        let judged = Judged(judge.clone());
        let router = Router::new().fallback(move |request: Incoming| {
            let (notes, answers) = (Arc::clone(&notes), Arc::clone(&answers));
            let judge = judge.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let body = String::from_utf8(body.to_vec()).unwrap();
                judge.see(&head, &body);
                let line = format!("{} {}", head.method, head.uri);
                notes.lock().unwrap().push(Heard { line, headers: head.headers, body });
                let (status, body) = answers.lock().unwrap().pop_front().unwrap_or((500, String::new()));
                (StatusCode::from_u16(status).unwrap(), [("retry-after", "7")], body)
            }
        });
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let serving = serve(listen, Transport::Tls(identity), router, pending()).await.unwrap();
        Self { origin: format!("https://{}", serving.addr), pem, heard, _judged: judged }
    }

    pub(super) fn client(&self) -> Client {
        self.client_with("")
    }

    pub(super) fn client_with(&self, more: &str) -> Client {
        Client::new(&connection(&self.origin, more, &self.pem)).unwrap()
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}
