//! The effective configuration, each value with its origin.
//!
//! Refuses: showing the user and password part of a URL.

use serde::Serialize;
use serde_json::Value;

use super::layers::Merged;

/// The origin of values that nobody wrote.
pub(super) const DEFAULT: &str = "default";

/// One effective value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The key, with its section; list elements by number: `integration.0.name`.
    pub key: String,
    /// The value, masked; null when unset.
    pub value: Value,
    /// The file, variable or flag it comes from, or `default`.
    pub origin: String,
}

/// All keys, section by section.
pub(super) fn entries(merged: &Merged) -> Vec<Entry> {
    let mut entries = Vec::new();
    let Ok(Value::Object(sections)) = serde_json::to_value(&merged.raw) else { return entries };
    for (section, content) in sections {
        match content {
            Value::Array(items) => {
                for (number, item) in items.into_iter().enumerate() {
                    push(&mut entries, merged, &format!("{section}.{number}"), item);
                }
            }
            content => push(&mut entries, merged, &section, content),
        }
    }
    entries
}

fn push(entries: &mut Vec<Entry>, merged: &Merged, section: &str, content: Value) {
    let Value::Object(table) = content else { return };
    for (name, value) in table {
        let key = format!("{section}.{name}");
        let origin = merged.origin(&key).unwrap_or_else(|| DEFAULT.to_owned());
        entries.push(Entry { key, value: masked(value), origin });
    }
}

fn masked(value: Value) -> Value {
    match value {
        Value::String(text) => mask(&text).into(),
        Value::Array(items) => items.into_iter().map(masked).collect(),
        other => other,
    }
}

/// Replaces the user and password part of every URL in `text`.
pub(super) fn mask(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#', '"', ' ']).unwrap_or(rest.len());
    // A password may hold a raw '/': then the last '@' decides, and more than needed is hidden.
    match rest[..end].rfind('@').or_else(|| rest.rfind('@')) {
        Some(at) => format!("{scheme}://***{}", mask(&rest[at..])),
        None => text.to_owned(),
    }
}
