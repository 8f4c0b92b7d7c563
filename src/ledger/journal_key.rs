//! The key that authenticates a journal, and what it says of a row, of the tables beside the journal, and of the
//! ledger itself. Where it comes from is not known here.
//!
//! ```text
//! row      MAC(hash of the row)                       the hash covers number, stream, content and all before it
//! keyed    N, MAC(ledger, creation, N)                rows from N on are authenticated
//! end      MAC(number and hash of the last row)       so far it was written with the key, and no less
//! tables   MAC(end of the journal, sum of entries)    nothing was added to, taken from or changed in them
//! ```
//!
//! Refuses to show itself.

use std::sync::Arc;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};

use super::Head;

/// A key for one purpose: the journal's.
pub struct JournalKey(hmac::Key);

/// What is known of a ledger's key.
#[derive(Clone, Debug, Default)]
pub enum Keying {
    /// None is asked for: the chain alone is looked at.
    #[default]
    None,
    /// This one.
    Known(Arc<JournalKey>),
    /// There should be one, and it cannot be read; why. Nothing may be written back then.
    Unreadable(String),
}

impl Keying {
    /// The key, if it is known.
    #[must_use]
    pub fn known(&self) -> Option<&JournalKey> {
        if let Self::Known(key) = self { Some(key) } else { None }
    }
}

impl JournalKey {
    /// Takes 32 secret bytes that are used for nothing else.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// What vouches for a row.
    pub(super) fn row(&self, hash: &[u8]) -> [u8; 32] {
        self.mac(&[b"ephemerald journal row v1", hash])
    }

    /// Whether this vouches for the row of that hash.
    pub(super) fn vouches(&self, hash: &[u8], mac: &[u8]) -> bool {
        verify_slices_are_equal(&self.row(hash), mac).is_ok()
    }

    /// From which row on the ledger is authenticated.
    pub(super) fn keyed(&self, ledger_id: &str, created_at: i64, from: u64) -> [u8; 32] {
        let (created_at, from) = (created_at.to_be_bytes(), from.to_be_bytes());
        self.mac(&[b"ephemerald journal keyed v1", ledger_id.as_bytes(), &created_at, &from])
    }

    /// An entry of a table beside the journal, to be summed up.
    pub(super) fn entry(&self, table: &str, fields: &[&[u8]]) -> [u8; 32] {
        let mut all: Vec<&[u8]> = vec![b"ephemerald journal entry v1", table.as_bytes()];
        all.extend(fields);
        self.mac(&all)
    }

    /// An end of the journal.
    pub(super) fn end(&self, head: &Head) -> [u8; 32] {
        self.mac(&[b"ephemerald journal end v1", &head.seq.0.to_be_bytes(), &head.hash])
    }

    /// The tables as they are at an end of the journal.
    pub(super) fn tables(&self, head: &Head, sum: &[u8; 32]) -> [u8; 32] {
        self.mac(&[b"ephemerald journal tables v1", &head.seq.0.to_be_bytes(), &head.hash, sum])
    }

    fn mac(&self, fields: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for field in fields {
            context.update(&(field.len() as u64).to_be_bytes());
            context.update(field);
        }
        context.sign().as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
    }
}

impl std::fmt::Debug for JournalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JournalKey(***)")
    }
}
