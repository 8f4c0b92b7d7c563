//! The connection JSON of the product guide: `{"url": "https://console.jumpcloud.com", "token": "…"}`.
//!
//! Refuses unknown keys (naming the nearest known one), keys that come twice, and a URL that is no
//! https origin. The token shows in nothing but the request header.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    engine::ids::OrgId,
    secrets::{Secret, SecretError},
    strict,
};

/// A connection to one JumpCloud organization.
#[derive(Debug)]
pub struct Connection {
    /// The console's origin, such as `https://console.jumpcloud.com`.
    pub url: String,
    /// An administrator's API key.
    pub token: Secret,
    /// Sent as `x-org-id`; only multi-tenant keys need it.
    pub org_id: Option<OrgId>,
    /// More certificate authorities, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Accounts in one page of a listing, 1 to 100.
    pub page_size: u32,
}

/// Why a connection cannot be used. Names the file and the key, never a value.
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
        /// The key.
        key: String,
        /// The nearest known one.
        nearest: Option<&'static str>,
        /// All known ones.
        known: String,
    },
    /// A value is missing or wrong.
    #[error("connection {origin}: `{key}`: expected {expected}")]
    Value {
        /// The file.
        origin: String,
        /// The key.
        key: &'static str,
        /// What belongs there.
        expected: &'static str,
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

const KEYS: [&str; 6] = ["url", "token", "org_id", "ssl_ca_cert", "ssl_ca_cert_content", "options"];
const OPTIONS: [&str; 1] = ["page_size"];
/// Keys of the guide's wider form that this version does not act on; named instead of guessed.
const LATER: [&str; 2] = ["client_id", "client_secret"];
/// What people write for `token`.
const TOKEN_ALIASES: [&str; 5] = ["apikey", "api_key", "key", "api_token", "x-api-key"];

#[derive(Deserialize)]
struct Raw {
    url: Option<String>,
    token: Option<String>,
    org_id: Option<String>,
    ssl_ca_cert: Option<PathBuf>,
    ssl_ca_cert_content: Option<String>,
    options: Option<Map<String, Value>>,
}

impl Connection {
    /// Reads a connection from its JSON; `origin` names it in errors.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub fn parse(json: &Secret, origin: &str) -> Result<Self, ConnectionError> {
        let bad = |problem: String| ConnectionError::Json { origin: origin.to_owned(), problem };
        strict::check(json.expose().as_bytes()).map_err(|_| bad("syntax, or a key twice".to_owned()))?;
        let place = |e: &serde_json::Error| format!("line {}, column {}", e.line(), e.column());
        let object: Map<String, Value> = serde_json::from_str(json.expose()).map_err(|e| bad(place(&e)))?;
        known_keys(origin, object.keys(), &KEYS)?;
        // A wrong type is told by the key, never by serde's text, which would quote the value.
        let value = |key, expected| ConnectionError::Value { origin: origin.to_owned(), key, expected };
        for key in ["url", "token", "org_id", "ssl_ca_cert", "ssl_ca_cert_content"] {
            if object.get(key).is_some_and(|v| !v.is_string()) {
                return Err(value(key, "a text"));
            }
        }
        let raw: Raw =
            serde_json::from_value(Value::Object(object)).map_err(|_| value("options", "an object"))?;
        let url = raw.url.filter(|u| is_origin(u)).ok_or_else(|| {
            value(
                "url",
                "https://console.jumpcloud.com, or that of your region (https; http only on loopback)",
            )
        })?;
        let token = raw.token.filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic()));
        let token = token.ok_or_else(|| {
            value("token", "an administrator's API key: printable characters without spaces")
        })?;
        let org_id = raw
            .org_id
            .map(|id| OrgId::new(&id))
            .transpose()
            .map_err(|_| value("org_id", "an organization id"))?;
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            token: Secret::new(token),
            org_id,
            ca_pem: ca(origin, raw.ssl_ca_cert, raw.ssl_ca_cert_content)?,
            page_size: page_size(origin, raw.options.as_ref())?,
        })
    }
}

fn known_keys<'a>(
    origin: &str,
    mut keys: impl Iterator<Item = &'a String>,
    known: &[&'static str],
) -> Result<(), ConnectionError> {
    let Some(key) = keys.find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    if let Some(later) = LATER.iter().find(|later| *later == key) {
        let expected = "an API key in `token`: service accounts are not supported by this version";
        return Err(ConnectionError::Value { origin: origin.to_owned(), key: later, expected });
    }
    let lower = key.to_ascii_lowercase();
    let alias = TOKEN_ALIASES.contains(&lower.as_str()).then_some("token");
    let close = |k: &&&str| strsim::damerau_levenshtein(k, &lower) <= 3;
    let nearest = known.iter().filter(close).min_by_key(|k| strsim::damerau_levenshtein(k, &lower)).copied();
    Err(ConnectionError::UnknownKey {
        origin: origin.to_owned(),
        key: key.chars().filter(|c| !c.is_control()).take(64).collect(),
        nearest: alias.filter(|_| known.contains(&"token")).or(nearest),
        known: known.join(", "),
    })
}

fn is_origin(text: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(text) else { return false };
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    scheme
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
}

fn ca(
    origin: &str,
    path: Option<PathBuf>,
    content: Option<String>,
) -> Result<Option<Vec<u8>>, ConnectionError> {
    match (path, content) {
        (None, None) => Ok(None),
        (None, Some(content)) => Ok(Some(content.into_bytes())),
        (Some(path), None) => {
            let read = std::fs::read(&path);
            let failed = |e: std::io::Error| ConnectionError::CaFile {
                origin: origin.to_owned(),
                path,
                problem: e.to_string(),
            };
            read.map(Some).map_err(failed)
        }
        (Some(_), Some(_)) => Err(ConnectionError::Value {
            origin: origin.to_owned(),
            key: "ssl_ca_cert",
            expected: "either ssl_ca_cert or ssl_ca_cert_content, not both",
        }),
    }
}

fn page_size(origin: &str, options: Option<&Map<String, Value>>) -> Result<u32, ConnectionError> {
    let Some(options) = options else { return Ok(100) };
    known_keys(origin, options.keys(), &OPTIONS)?;
    let Some(value) = options.get("page_size") else { return Ok(100) };
    let size = value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=100).contains(n));
    let expected = "a whole number from 1 to 100";
    size.ok_or_else(|| ConnectionError::Value {
        origin: origin.to_owned(),
        key: "options.page_size",
        expected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Connection, ConnectionError> {
        Connection::parse(&Secret::new(json.to_owned()), "jc.json")
    }

    #[test]
    fn the_guides_example_works_verbatim() {
        let c =
            parse(r#"{"url": "https://console.jumpcloud.com", "token": "YOUR_JUMP_CLOUD_API_KEY"}"#).unwrap();
        assert_eq!(
            (c.url.as_str(), c.token.expose(), c.page_size),
            ("https://console.jumpcloud.com", "YOUR_JUMP_CLOUD_API_KEY", 100)
        );
        assert!(!format!("{c:?}").contains("YOUR_JUMP"));
    }

    #[test]
    fn a_bad_connection_names_the_file_and_the_key_and_never_the_token() {
        for (json, expected) in [
            (
                r#"{"url": "https://console.jumpcloud.com", "apiKey": "canary"}"#,
                "unknown key `apiKey`, did you mean `token`?",
            ),
            (r#"{"url": "https://console.jumpcloud.com", "tokn": "canary"}"#, "did you mean `token`?"),
            (r#"{"url": "http://console.jumpcloud.com", "token": "canary"}"#, "`url`"),
            (r#"{"url": "https://console.jumpcloud.com/api", "token": "canary"}"#, "`url`"),
            (r#"{"url": "https://console.jumpcloud.com", "token": "canary canary"}"#, "`token`"),
            (r#"{"url": "https://console.jumpcloud.com", "token": ["canary"]}"#, "`token`"),
            (r#"{"url": "https://console.jumpcloud.com", "token": "canary", "token": "b"}"#, "a key twice"),
            (r#"{"url": "https://console.jumpcloud.com", "token": "canary", "client_id": "x"}"#, "client_id"),
            (
                r#"{"url": "https://console.jumpcloud.com", "token": "canary", "options": {"page_sise": 3}}"#,
                "did you mean `page_size`?",
            ),
            (r#"{"url": "https://console.jumpcloud.com", "token": "canary""#, "jc.json"),
        ] {
            let error = parse(json).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("jc.json"), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
