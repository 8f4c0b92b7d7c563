//! The keys of a connection. Refuses unknown ones and names the nearest known one: a misspelt key
//! that is silently ignored would be a setting that somebody believes in.

use super::error::{ConnectionError, Teller};

/// The keys of the object.
pub(super) const KEYS: [&str; 13] = [
    "url",
    "region",
    "token",
    "client_id",
    "client_secret",
    "expires_at",
    "org_id",
    "ssl_ca_cert",
    "ssl_ca_cert_content",
    "ssl_ca_only",
    "token_url",
    "insights_url",
    "options",
];

/// The keys of `options`.
pub(super) const OPTIONS: [&str; 7] =
    ["roles", "exclude_accounts", "role_mode", "email_template", "rate_limit", "page_size", "insights"];

/// What people write instead, and what they mean.
const ALIASES: [(&str, &str); 14] = [
    ("apikey", "token"),
    ("api_key", "token"),
    ("key", "token"),
    ("api_token", "token"),
    ("x-api-key", "token"),
    ("secret", "client_secret"),
    ("client", "client_id"),
    ("org", "org_id"),
    ("organization", "org_id"),
    ("organization_id", "org_id"),
    ("x-org-id", "org_id"),
    ("host", "url"),
    ("base_url", "url"),
    ("ca_cert", "ssl_ca_cert"),
];

/// All keys are known ones; `section` is put before them in an error.
pub(super) fn check<'a>(
    teller: Teller<'_>,
    section: &str,
    mut keys: impl Iterator<Item = &'a String>,
    known: &[&'static str],
) -> Result<(), ConnectionError> {
    let Some(key) = keys.find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let shown: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
    Err(ConnectionError::UnknownKey {
        origin: teller.0.to_owned(),
        key: format!("{section}{shown}"),
        nearest: nearest(key, known),
        known: known.join(", "),
    })
}

fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase().replace('-', "_");
    let asked = key.to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(wrong, _)| *wrong == asked || *wrong == lower).map(|(_, right)| *right);
    let far = |k: &str| strsim::damerau_levenshtein(k, &lower);
    let close = || known.iter().copied().filter(|k| far(k) <= 3).min_by_key(|k| far(k));
    // A key of the other place: `rate_limit` beside `url`, `token` inside `options`.
    let elsewhere = || {
        let options = OPTIONS.contains(&lower.as_str()) && known.contains(&"options");
        options.then_some("options")
    };
    alias.filter(|right| known.contains(right)).or_else(elsewhere).or_else(close)
}
