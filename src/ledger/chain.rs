//! The hash chain: each row's hash covers the one before it, over the bytes as stored.

use aws_lc_rs::digest::{Context, SHA256, digest};

/// The hash before the first row, bound to the ledger's id.
pub(super) fn genesis(ledger_id: &str) -> [u8; 32] {
    hash(&[b"ephemerald ledger v1", ledger_id.as_bytes()])
}

/// The hash of a row that follows `prev`.
pub(super) fn link(prev: &[u8; 32], seq: u64, stream: &str, at: i64, kind: &str, body: &[u8]) -> [u8; 32] {
    let body = digest(&SHA256, body);
    hash(&[prev, &seq.to_be_bytes(), stream.as_bytes(), &at.to_be_bytes(), kind.as_bytes(), body.as_ref()])
}

/// A checksum for what must be readable on its own.
pub(super) fn checksum(bytes: &[u8]) -> [u8; 32] {
    hash(&[b"ephemerald revoke prefix v1", bytes])
}

/// SHA-256 over length-prefixed fields: no two lists of fields run together.
fn hash(fields: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for field in fields {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field);
    }
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}
