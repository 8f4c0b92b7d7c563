//! A small hand-made JumpCloud over real TLS, and a client that trusts it.

use std::{
    cell::Cell,
    collections::VecDeque,
    future::pending,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{Router, extract::Request as Incoming, http::HeaderMap, http::StatusCode};
use ephemerald::{
    clock,
    engine::time::{BootTime, Now, Timestamp},
    jumpcloud::{Client, Connection, Insights, Setup},
    sandbox::tls::{Identity, Transport, serve},
    secrets::Secret,
};
use tokio::sync::Notify;

use super::{
    TOKEN,
    judge::{Judge, Judged},
};

pub(super) fn connection(origin: &str, more: &str, pem: &str) -> Connection {
    let pem = serde_json::to_string(pem).unwrap();
    let way = if more.contains("client_id") { String::new() } else { format!(r#""token": "{TOKEN}", "#) };
    let json = format!(r#"{{"url": "{origin}", {way}"ssl_ca_cert_content": {pem}{more}}}"#);
    Connection::parse(&Secret::new(json), "jc.json").unwrap()
}

thread_local! {
    /// Milliseconds by which the clocks of this test (its one thread) are ahead.
    static AHEAD: Cell<u64> = const { Cell::new(0) };
}

/// The clocks, moved on by [`pass`].
pub(super) fn moved() -> Now {
    let (now, ahead) = (clock::now(), AHEAD.get());
    let wall = Timestamp(now.wall.0.saturating_add_unsigned(ahead));
    Now { wall, boot: BootTime(now.boot.0 + ahead), ..now }
}

pub(super) fn pass(ms: u64) {
    AHEAD.set(AHEAD.get() + ms);
}

pub(super) fn setup() -> Setup {
    Setup { proxy: None, page_size: 100, rate_per_second: 1000, clock: moved }
}

/// An answer, with headers, perhaps held back.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) held: Option<Arc<Notify>>,
}

impl From<(u16, String)> for Given {
    fn from((status, body): (u16, String)) -> Self {
        let headers = if status == 429 { vec![("retry-after", "7".to_owned())] } else { Vec::new() };
        Self { status, body, headers, held: None }
    }
}

impl From<(u16, &str)> for Given {
    fn from((status, body): (u16, &str)) -> Self {
        (status, body.to_owned()).into()
    }
}

impl Given {
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn held(mut self, until: &Arc<Notify>) -> Self {
        self.held = Some(Arc::clone(until));
        self
    }
}

pub(super) struct JumpCloud {
    pub(super) origin: String,
    pub(super) pem: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    _judged: Judged,
}

#[derive(Clone)]
pub(super) struct Heard {
    pub(super) line: String,
    headers: HeaderMap,
    pub(super) body: String,
}

impl Heard {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl JumpCloud {
    /// Gives the prepared answers one after the other, then 500.
    pub(super) async fn start<A: Into<Given>>(answers: impl IntoIterator<Item = A>) -> Self {
        let answers: Mutex<VecDeque<Given>> = Mutex::new(answers.into_iter().map(Into::into).collect());
        Self::answering(move |_| answers.lock().unwrap().pop_front().unwrap_or_else(|| (500, "").into()))
            .await
    }

    /// Answers each request by itself.
    pub(super) async fn answering(answer: impl Fn(&Heard) -> Given + Send + Sync + 'static) -> Self {
        let ca = tempfile::tempdir().unwrap();
        let identity = Identity::in_dir(ca.path()).unwrap();
        let pem = std::fs::read_to_string(identity.ca_file()).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (notes, answer) = (Arc::clone(&heard), Arc::new(answer));
        let judge = Judge::new();
        let judged = Judged(judge.clone());
        let router = Router::new().fallback(move |request: Incoming| {
            let (notes, answer, judge) = (Arc::clone(&notes), Arc::clone(&answer), judge.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let body = String::from_utf8(body.to_vec()).unwrap();
                judge.see(&head, &body);
                let line = format!("{} {}", head.method, head.uri);
                let heard = Heard { line, headers: head.headers, body };
                notes.lock().unwrap().push(heard.clone());
                let given = answer(&heard);
                if let Some(held) = given.held {
                    held.notified().await;
                }
                let mut headers = HeaderMap::new();
                for (name, value) in given.headers {
                    headers.append(name, value.parse().unwrap());
                }
                (StatusCode::from_u16(given.status).unwrap(), headers, given.body)
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
        self.client_of(more, &setup())
    }

    pub(super) fn client_of(&self, more: &str, setup: &Setup) -> Client {
        Client::new(&connection(&self.origin, more, &self.pem), setup).unwrap()
    }

    pub(super) fn insights_with(&self, more: &str) -> Insights {
        let connection = connection(&self.origin, more, &self.pem);
        Client::new(&connection, &setup()).unwrap().insights(&connection, &setup()).unwrap().unwrap()
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// The request lines of the API, and each whether it carried the organization.
    pub(super) fn lines(&self) -> Vec<(String, bool)> {
        let heard = self.heard();
        let heard = heard.iter().filter(|h| !h.line.contains("/oauth2/"));
        heard.map(|h| (h.line.clone(), h.header("x-org-id").is_some())).collect()
    }
}
