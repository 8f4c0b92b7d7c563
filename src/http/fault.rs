//! Why there is no answer, in one line for the person who must do something about it.
//!
//! Refuses to show a URL: its query may tell more than a log should, and a proxy's may hold a password.

use std::error::Error as _;

use super::trust;

/// Why there is no answer. The text names causes, never contents.
#[derive(Debug, thiserror::Error)]
pub enum SendFault {
    /// Certainly not sent: no byte of the request left.
    #[error("not sent: {why}")]
    NotSent {
        /// For the operator: DNS, connection refused, TLS and whose certificate, the proxy.
        why: String,
    },
    /// It may have been carried out.
    #[error("no usable answer: {why}")]
    MaybeSent {
        /// For the operator.
        why: String,
    },
    /// The answer is larger than the door lets in.
    #[error("the answer is larger than {limit} bytes and was not read")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// There is no way to the proxy.
    ToProxy,
    /// The proxy does not make the way.
    Refused,
    /// It wants to know who asks.
    Unknown,
    /// No connection in time; nobody says to whom.
    Nowhere,
    /// At the server, or on the way to it.
    Further,
}

impl Where {
    /// By the words of the library, whose types are not public; `tests/networks` holds each of them.
    pub(super) fn of(error: &reqwest::Error, causes: &str) -> Self {
        let has = |words: &str| causes.contains(words);
        if has("tunnel error: failed to create underlying connection") {
            Self::ToProxy
        } else if has("tunnel error: proxy authorization required") {
            Self::Unknown
        } else if has("tunnel error") {
            Self::Refused
        } else if error.is_connect() && error.is_timeout() {
            Self::Nowhere
        } else {
            Self::Further
        }
    }
}

/// Only a failure to connect is certainly "not sent": DNS, TCP, TLS and proxy all fail there.
pub(super) fn is_certain(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_builder()
}

/// The causes of an error in one line, without the URL; the last of them is the first that happened.
pub(super) fn causes(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "timed out".to_owned() } else { String::new() };
    let mut source = error.source();
    while let Some(cause) = source {
        let line = cause.to_string();
        if !line.is_empty() && !text.contains(&line) {
            text = if text.is_empty() { line } else { format!("{text}: {line}") };
        }
        source = cause.source();
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}

/// With what can be done about it, where that is known.
pub(super) fn advised(text: String) -> String {
    match trust::advice(&text) {
        Some(advice) => format!("{text} ({advice})"),
        None => text,
    }
}
