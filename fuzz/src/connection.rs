//! The connection JSON. The word `CANARY` in the input is the secret of this run, wherever it stands: an
//! operator may have put the token under any key.
//!
//! Refuses an error or a `Debug` that shows the secret, a credential that is not the one written, and an
//! origin with a user name, a path, or plain http beyond loopback.

use ephemerald::{
    jumpcloud::{Connection, ConnectionError, Credential},
    secrets::Secret,
};
use serde_json::Value;

const CANARY: &str = "c4n4ry-5e7d91bb02";
const ORIGIN: &str = "fuzz.json";

/// Reads a connection.
pub fn connection(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let text = text.replace("CANARY", CANARY);
    let body: Option<Value> = serde_json::from_str(&text).ok();
    // The files of the machine on which this runs are not part of it.
    let file = body.as_ref().and_then(|body| body.get("ssl_ca_cert")?.as_str());
    if file.is_some_and(|path| !path.starts_with("absent/") || path.contains("..") || path.contains(CANARY)) {
        return;
    }
    let read = Connection::parse(&Secret::new(text.clone()), ORIGIN);
    let again = Connection::parse(&Secret::new(text), ORIGIN);
    assert_eq!(format!("{read:?}"), format!("{again:?}"), "one text, two connections");
    match (read, &body) {
        (Err(error), _) => tells_nothing(&error, body.as_ref()),
        (Ok(connection), Some(body)) => is_what_was_written(&connection, body),
        (Ok(_), None) => panic!("a connection that is no JSON"),
    }
}

/// An unknown key is named: who makes the secret a key is told so.
fn tells_nothing(error: &ConnectionError, body: Option<&Value>) {
    if body.is_some_and(is_key) {
        return;
    }
    let mut told = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        told.push_str(&format!(" {error} {error:?}"));
        cause = error.source();
    }
    assert!(!told.contains(CANARY), "the secret is told: {told}");
    assert!(told.contains(ORIGIN), "which file is not told: {told}");
}

fn is_key(body: &Value) -> bool {
    match body {
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains(CANARY) || is_key(value)),
        Value::Array(items) => items.iter().any(is_key),
        _ => false,
    }
}

fn is_what_was_written(connection: &Connection, body: &Value) {
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    let secret = match &connection.credential {
        Credential::ApiKey(key) => {
            assert_eq!(Some(key.expose()), text("token"));
            assert!(
                text("client_id").or_else(|| text("client_secret")).is_none(),
                "two credentials, one used"
            );
            key
        }
        Credential::ServiceAccount { client_id, client_secret } => {
            assert_eq!(Some(client_id.as_str()), text("client_id"));
            assert_eq!(Some(client_secret.expose()), text("client_secret"));
            assert!(connection.place.token_url.is_some(), "a secret without a place to send it");
            assert!(text("token").is_none(), "two credentials, one used");
            client_secret
        }
    };
    assert!(!secret.expose().is_empty() && secret.expose().bytes().all(|b| b.is_ascii_graphic()));
    let named = text("client_id").is_some_and(|id| id.contains(CANARY));
    let told = format!("{:?}", connection.credential);
    assert!(named || !told.contains(&shown(secret)), "the secret is shown: {told}");
    let place = &connection.place;
    for origin in [Some(&place.url), place.insights.as_ref()].into_iter().flatten() {
        is_origin(origin);
    }
    if let Some(token_url) = &place.token_url {
        is_secure(token_url);
    }
    let options = &connection.options;
    assert!(options.rate_limit.is_none_or(|n| (1..=1000).contains(&n)));
    assert!(options.page_size.is_none_or(|n| (1..=100).contains(&n)));
    assert_eq!(connection.org_id.as_ref().map(|org| org.as_str()), text("org_id"));
}

/// As `Debug` would write it; short ones are found by chance in any text.
fn shown(secret: &Secret) -> String {
    let text = secret.expose();
    if text.contains(CANARY) { CANARY.to_owned() } else { format!("{text:?}{text:?}") }
}

fn is_origin(url: &str) {
    is_secure(url);
    let host = url.split_once("://").map_or("", |(_, rest)| rest);
    assert!(!host.is_empty() && !host.contains(['/', '@', '?', '#']), "{url} is more than an origin");
}

fn is_secure(url: &str) {
    let local = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
    let bounded = |local: &str| {
        url.strip_prefix(local).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    };
    assert!(url.starts_with("https://") || local.iter().any(|l| bounded(l)), "{url} is not secure");
    assert!(!url.contains('@'), "{url} holds a name");
}
