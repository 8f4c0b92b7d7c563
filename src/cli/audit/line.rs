//! The lines of an export. An interface: `docs/operations.md` tells anybody how to verify them.
//!
//! Refuses to take a body apart: it is exported as the very text that the chain was made over.

use serde::{Deserialize, Serialize};

use super::hex;
use crate::{
    control::wire::Utc,
    engine::time::Timestamp,
    ledger::{Seq, StoredRow, export},
};

/// The first line's `export`.
pub(super) const FORMAT: &str = "ephemerald journal 1";

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    /// [`FORMAT`].
    pub(super) export: String,
    /// The anchor of the chain.
    pub(super) ledger_id: String,
    /// Whether records were left out.
    pub(super) filtered: bool,
}

/// A record. Without `body` and `body_hex` it is one that was not asked for, there for the chain.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) seq: u64,
    /// UTC milliseconds.
    pub(super) at: i64,
    /// The same for eyes; not part of the chain.
    pub(super) time: String,
    pub(super) kind: String,
    pub(super) stream: String,
    /// The record before it.
    pub(super) prev: String,
    pub(super) hash: String,
    pub(super) body_sha256: String,
    /// The stored text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    /// The stored bytes, where they are no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body_hex: Option<String>,
}

/// The last line: an export that was cut off has none.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct End {
    /// The journal's last record.
    pub(super) end: u64,
    /// Its hash.
    pub(super) hash: String,
    /// Lines between the first and this one.
    pub(super) records: u64,
}

impl Record {
    pub(super) fn of(row: StoredRow, prev: &[u8; 32], with_body: bool) -> Self {
        let body_sha256 = hex(&export::body_digest(&row.body));
        let (body, body_hex) = match String::from_utf8(row.body) {
            _ if !with_body => (None, None),
            Ok(text) => (Some(text), None),
            Err(bytes) => (None, Some(hex(bytes.as_bytes()))),
        };
        Self {
            seq: row.seq.0,
            at: row.at,
            time: Utc(Timestamp(row.at)).to_string(),
            kind: row.kind,
            stream: row.stream,
            prev: hex(prev),
            hash: hex(&row.hash),
            body_sha256,
            body,
            body_hex,
        }
    }

    /// What is wrong with it by itself, if anything.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let (Some(prev), Some(digest)) = (bytes(&self.prev), bytes(&self.body_sha256)) else {
            return Some("a hash is not 64 hexadecimal digits");
        };
        let body = match (&self.body, &self.body_hex) {
            (Some(text), _) => Some(export::body_digest(text.as_bytes())),
            (None, Some(text)) => match unhex(text) {
                Some(body) => Some(export::body_digest(&body)),
                None => return Some("body_hex is not hexadecimal"),
            },
            (None, None) => None,
        };
        if body.is_some_and(|found| found != digest) {
            return Some("its body is not the one that was hashed");
        }
        let link = export::link(&prev, Seq(self.seq), &self.stream, self.at, &self.kind, &digest);
        (hex(&link) != self.hash).then_some("its hash does not fit its content and the record before it")
    }
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    unhex(text)?.try_into().ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
