//! Reads `policy.toml` into the engine's [`Policy`].
//!
//! Refuses: unknown keys, durations without a unit or beyond 30 days, approvers without a bound,
//! a template without `{tag}`, ephemeral accounts without a domain, a time zone that nobody knows, a
//! key that is no Ed25519 key, what is no regular file or larger than a megabyte, a file that everybody may write. A refused file is no policy, and without a policy nothing is raised.

mod check;
mod hours;
mod owner;
mod shown;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use aws_lc_rs::digest;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::{
    error::{ConfigError, nearest},
    show, template,
};
use crate::engine::policy::Policy;

use check::Check;
pub use owner::exposed;
pub use shown::{Change, changes, entries, span};

/// A policy that names every role, account and window of a large organization has a hundredth of it.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads the policy at `path`.
///
/// # Errors
/// [`ConfigError`] names the file, the key, what was expected and what was found.
pub fn load(path: &Path) -> Result<Policy, ConfigError> {
    let failed = |error: io::Error| ConfigError::Read(path.to_path_buf(), error);
    // The loop that ends grants reads it: nobody is waited for who might write to a pipe, and not for ever to be read.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let file = File::from(file);
    let meta = file.metadata().map_err(failed)?;
    let unlike = |found: String| ConfigError::NotAFile { path: path.to_path_buf(), most: MAX_BYTES, found };
    if !meta.is_file() {
        return Err(unlike(
            if meta.is_dir() { "a directory" } else { "a pipe, a socket or a device" }.to_owned(),
        ));
    }
    if owner::is_open_to_all(path, &meta) {
        return Err(ConfigError::OpenToAll(path.to_path_buf()));
    }
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(unlike("more".to_owned()));
    }
    parse(&text, &path.display().to_string())
}

/// Reads a policy from text; `origin` names it in errors.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, origin: &str) -> Result<Policy, ConfigError> {
    let syntax = |error: toml::de::Error| ConfigError::Syntax {
        origin: origin.to_owned(),
        problem: show::quotable(error.to_string().trim_end()),
    };
    let mut unknown = Vec::new();
    let source = toml::Deserializer::parse(text).map_err(syntax)?;
    let raw: Raw =
        serde_ignored::deserialize(source, |path| unknown.push(path.to_string())).map_err(syntax)?;
    if let Some(key) = unknown.into_iter().next() {
        let known = known_keys();
        let nearest = nearest(&key, known.iter().map(String::as_str));
        let key = show::quotable(&key);
        return Err(ConfigError::UnknownKey { origin: origin.to_owned(), key, nearest });
    }
    Check { origin }.policy(raw, hash(text))
}

/// The file as written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Raw {
    mode: String,
    max_duration: String,
    /// Absent: 12 hours, or `max_duration` if that is longer.
    max_continuous: Option<String>,
    cool_down: String,
    max_live_grants: u32,
    max_grants_per_hour: u32,
    protected_accounts: Vec<String>,
    denied_roles: Vec<String>,
    roles: BTreeMap<String, String>,
    accounts: Accounts,
    ephemeral: Ephemeral,
    require: Require,
    hours: Hours,
    approval_keys: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Accounts {
    allow: Vec<String>,
    deny: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Ephemeral {
    allowed: bool,
    template: String,
    domains: Vec<String>,
    delete_unknown: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Require {
    request_number: bool,
    justification: bool,
    approvers: u32,
    requester_not_approver: bool,
    signatures: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Hours {
    zone: String,
    windows: Vec<String>,
    whole: bool,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            mode: "enforce".into(),
            max_duration: "8h".into(),
            max_continuous: None,
            cool_down: "8h".into(),
            max_live_grants: 20,
            max_grants_per_hour: 100,
            protected_accounts: Vec::new(),
            denied_roles: Vec::new(),
            roles: BTreeMap::new(),
            accounts: Accounts::default(),
            ephemeral: Ephemeral::default(),
            require: Require::default(),
            hours: Hours::default(),
            approval_keys: BTreeMap::new(),
        }
    }
}

impl Default for Ephemeral {
    fn default() -> Self {
        let template = template::DEFAULT.into();
        Self { allowed: false, template, domains: Vec::new(), delete_unknown: false }
    }
}

impl Default for Require {
    fn default() -> Self {
        Self {
            request_number: true,
            justification: true,
            approvers: 1,
            requester_not_approver: true,
            signatures: 1,
        }
    }
}

impl Default for Hours {
    fn default() -> Self {
        Self { zone: "UTC".into(), windows: Vec::new(), whole: true }
    }
}

/// Every key that exists, dotted; the names under `roles` are the tenant's, those under
/// `approval_keys` the operator's.
fn known_keys() -> Vec<String> {
    let Ok(serde_json::Value::Object(top)) = serde_json::to_value(Raw::default()) else { return Vec::new() };
    let mut keys = Vec::new();
    for (key, value) in top {
        match value.as_object() {
            Some(table) if !table.is_empty() => keys.extend(table.keys().map(|name| format!("{key}.{name}"))),
            _ => keys.push(key),
        }
    }
    keys
}

fn hash(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
