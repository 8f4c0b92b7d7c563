//! A request as a contract looks at it.
//!
//! Keeps the headers, keys included, for as long as one exchange is judged; refuses to show them.

use std::fmt;

use axum::{
    extract::Query,
    http::{HeaderMap, Uri, header::USER_AGENT, request::Parts},
};

/// A request that was sent.
#[derive(Clone, Default)]
pub struct Sent {
    /// Upper-case HTTP method.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Decoded pairs of the query.
    pub query: Vec<(String, String)>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body; empty if there is none.
    pub body: Vec<u8>,
}

impl Sent {
    /// A request as it arrived.
    #[must_use]
    pub fn of(head: &Parts, body: &[u8]) -> Self {
        Self {
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            query: pairs(&head.uri),
            headers: head.headers.clone(),
            body: body.to_vec(),
        }
    }

    /// Whether its `User-Agent` is ephemerald's.
    #[must_use]
    pub fn is_from_agent(&self) -> bool {
        self.header(USER_AGENT.as_str()).is_some_and(|agent| agent.starts_with("ephemerald/"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The fields of a form; none if it cannot be read.
    pub(super) fn form(&self) -> Option<Vec<(String, String)>> {
        let text = std::str::from_utf8(&self.body).ok()?;
        Some(pairs(&format!("/?{text}").parse().ok()?))
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

fn pairs(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default()
}
