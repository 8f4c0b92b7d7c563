//! What can be wrong with a connection. Names the file and the key, never a value: any key may have
//! been given the secret by mistake.

use std::{borrow::Cow, path::PathBuf};

use crate::secrets::SecretError;

/// Why a connection cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The file cannot be read.
    #[error("connection {0}")]
    File(#[from] SecretError),
    /// It is no JSON object, or a key comes twice.
    #[error(
        "connection {origin}: not a JSON object with each key once ({problem}); expected {{\"url\": …, \"token\": …}}"
    )]
    Json {
        /// The file.
        origin: String,
        /// Where in the text.
        problem: String,
    },
    /// A key is unknown.
    #[error("connection {origin}: unknown key `{key}`{}; known keys: {known}", nearest.as_ref().map(|n| format!(", did you mean `{n}`?")).unwrap_or_default())]
    UnknownKey {
        /// The file.
        origin: String,
        /// The key, with its section.
        key: String,
        /// The nearest known one.
        nearest: Option<&'static str>,
        /// All known ones at that place.
        known: String,
    },
    /// A value is missing or wrong.
    #[error("connection {origin}: `{key}`: expected {expected}")]
    Value {
        /// The file.
        origin: String,
        /// The key, with its section.
        key: &'static str,
        /// What belongs there, and what to do.
        expected: Cow<'static, str>,
    },
    /// A certificate file cannot be read.
    #[error("connection {origin}: `ssl_ca_cert`: {path}: {problem}", path = path.display())]
    CaFile {
        /// The file.
        origin: String,
        /// The certificate file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
}

/// The file whose errors are told.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a>(pub(super) &'a str);

impl Teller<'_> {
    pub(super) fn json(self, problem: &str) -> ConnectionError {
        ConnectionError::Json { origin: self.0.to_owned(), problem: problem.to_owned() }
    }

    pub(super) fn value(self, key: &'static str, expected: impl Into<Cow<'static, str>>) -> ConnectionError {
        ConnectionError::Value { origin: self.0.to_owned(), key, expected: expected.into() }
    }
}
