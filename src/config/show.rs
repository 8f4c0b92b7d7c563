//! The effective configuration, each value with its origin.
//!
//! Refuses: showing the user and password part of a URL; quoting what could be a key when a file is refused.

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

/// The shortest word that is taken for a key: JumpCloud's have 40 characters, words of people rarely this many.
const SHORTEST_KEY: usize = 20;

/// What an error may quote of a file: masked, and without words that could be a key which somebody pasted into the wrong place.
/// The guard does not know that key: a file that is refused leads to no connection.
pub(super) fn quotable(text: &str) -> String {
    let quotable = |piece: &str| {
        let word = piece.trim_end_matches(|c| !is_of_a_key(c));
        if could_be_a_key(word) { piece.replacen(word, "***", 1) } else { piece.to_owned() }
    };
    mask(text).split_inclusive(|c| !is_of_a_key(c)).map(quotable).collect()
}

const fn is_of_a_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '=' | '/')
}

/// Paths may be long.
fn could_be_a_key(word: &str) -> bool {
    let holds = |kind: fn(&char) -> bool| word.chars().any(|c| kind(&c));
    word.len() >= SHORTEST_KEY
        && !word.starts_with('/')
        && holds(char::is_ascii_digit)
        && holds(char::is_ascii_alphabetic)
}
