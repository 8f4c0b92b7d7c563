//! A request, as far as the simulated API looks at it.
//!
//! Refuses to judge it.

use axum::{extract::Query, http::Uri};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A request.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Request {
    /// Upper-case HTTP method.
    pub(in super::super) method: String,
    /// Without the query.
    pub(in super::super) path: String,
    /// Decoded pairs of the query.
    pub(in super::super) query: Vec<(String, String)>,
    /// `x-api-key`.
    pub(in super::super) key: Option<String>,
    /// `authorization`.
    pub(in super::super) authorization: Option<String>,
    /// `x-org-id`.
    pub(in super::super) org_id: Option<String>,
    /// The body.
    pub(in super::super) body: Vec<u8>,
}

impl Request {
    /// What it proves itself with, as somebody who is careless quotes it.
    pub(in super::super) fn credentials(&self) -> String {
        let of = |header: &Option<String>| header.clone().unwrap_or_default();
        format!("not accepted: x-api-key {:?}, authorization {:?}", of(&self.key), of(&self.authorization))
    }

    /// The path in pieces; a slash at the end does not count.
    pub(super) fn segments(&self) -> Vec<&str> {
        self.path.trim_matches('/').split('/').collect()
    }

    /// The first value of a parameter of the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter of the query.
    pub(super) fn queries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The pairs of a body that is a form, which is written like a query.
    pub(super) fn form(&self) -> Vec<(String, String)> {
        let body = String::from_utf8_lossy(&self.body);
        let query = format!("/?{}", body.trim()).parse::<Uri>().ok();
        let pairs = query.and_then(|uri| Query::try_from_uri(&uri).ok());
        pairs.map(|Query(pairs)| pairs).unwrap_or_default()
    }

    /// The access token.
    pub(in super::super) fn bearer(&self) -> Option<&str> {
        self.authorization.as_deref()?.strip_prefix("Bearer ")
    }

    /// Client id and secret of HTTP Basic.
    pub(super) fn basic(&self) -> Option<(String, String)> {
        let encoded = self.authorization.as_deref()?.strip_prefix("Basic ")?;
        let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
    }

    /// What the caller is told apart by, for the log and for limits.
    pub(in super::super) fn credential(&self) -> Option<&str> {
        self.key.as_deref().or(self.authorization.as_deref())
    }
}
