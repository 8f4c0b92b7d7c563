//! Every secret that a world has given its agent, by the files in which it lies.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{
    Files,
    scan::{Canary, is_long_enough},
};

/// The keys of a connection, and of a proxy's file, under which a secret lies.
const SECRETS: [&str; 3] = ["token", "client_secret", "password"];

/// Of each file below the world's root that holds one.
pub(crate) fn of_files(files: &Files) -> Vec<Canary> {
    let mut canaries = Vec::new();
    for path in files_in(&files.root) {
        match path.extension().and_then(|end| end.to_str()) {
            Some("json") => canaries.extend(of_connection(&path)),
            Some("key") => canaries.extend(of_key_file("state key", &path)),
            _ => {}
        }
    }
    canaries.extend(of_token(&files.root.join("agent-token")));
    for name in ["agent.key", "agent-next.key", "tag.key"] {
        canaries.extend(of_key_file(name, &files.state.join(name)));
    }
    canaries
}

/// The files in this directory; none where there is none.
pub(crate) fn files_in(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).collect()
}

fn of_connection(path: &Path) -> Vec<Canary> {
    let json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap_or_default();
    let named = SECRETS.iter().filter_map(|name| Some((name, json.get(name)?.as_str()?)));
    let long = named.filter(|(_, secret)| is_long_enough(secret.trim().as_bytes()));
    long.map(|(name, secret)| Canary::text(&format!("{name} of {}", path.display()), secret)).collect()
}

/// A key file as it lies there, and the key that it holds.
pub(crate) fn of_key_file(name: &str, path: &Path) -> Vec<Canary> {
    let content = fs::read(path).unwrap_or_default();
    if !is_long_enough(content.trim_ascii()) {
        return Vec::new();
    }
    let mut canaries = vec![Canary::new(name, content.trim_ascii())];
    let text = str::from_utf8(&content).ok().map(str::trim);
    if let Some(key) = text.and_then(key_of) {
        canaries.push(Canary::new(&format!("{name}: its bytes"), &key));
    }
    canaries
}

/// 32 bytes, as base64 or as hexadecimal digits.
fn key_of(text: &str) -> Option<Vec<u8>> {
    let hex =
        |text: &str| (0..32).map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    let key: Option<Vec<u8>> = if text.len() == 64 { hex(text) } else { URL_SAFE_NO_PAD.decode(text).ok() };
    key.filter(|key| key.len() == 32)
}

/// An agent token, and the secret in it; none where there is no such file.
pub(crate) fn of_token(path: &Path) -> Vec<Canary> {
    let Ok(token) = fs::read_to_string(path) else { return Vec::new() };
    let json = token.trim().strip_prefix("eph1.").and_then(|json| URL_SAFE_NO_PAD.decode(json).ok());
    let json: Option<Value> = json.and_then(|json| serde_json::from_slice(&json).ok());
    let Some(secret) = json.as_ref().and_then(|json| json["secret"].as_str()) else { return Vec::new() };
    vec![Canary::text("agent token", &token), Canary::text("agent token: its secret", secret)]
}
