//! `ledger.head`: the newest record that the control plane has acknowledged, kept outside of the ledger's
//! file, so that an older copy of that file is noticed without asking anybody.
//!
//! Refuses nothing: a file that cannot be read says nothing, the control plane is asked anyway.

use std::{fs, path::Path};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{Head, LedgerError, Seq, append::number, chain, place::replace};

const FILE: &str = "ledger.head";
/// Nobody writes a longer one.
const MAX_BYTES: u64 = 4_096;

/// A record that the control plane knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The ledger.
    pub ledger_id: String,
    /// The record's number in its journal.
    pub seq: u64,
    /// The number under which the control plane knows it.
    pub told: u64,
    /// Its hash, hexadecimal.
    pub hash: String,
}

impl Acknowledged {
    /// What is noted in a state directory.
    #[must_use]
    pub fn load(dir: &Path) -> Option<Self> {
        let path = dir.join(FILE);
        let small = fs::metadata(&path).is_ok_and(|file| file.len() <= MAX_BYTES);
        small.then(|| fs::read(&path).ok()).flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    /// Notes it; durable when this returns.
    pub(super) fn store(ledger_id: &str, head: Head, told: u64, dir: &Path) -> Result<(), LedgerError> {
        let noted =
            Self { ledger_id: ledger_id.to_owned(), seq: head.seq.0, told, hash: chain::hex(&head.hash) };
        let text = serde_json::to_vec(&noted).expect("numbers and text serialise");
        replace(&dir.join(FILE), &text)
    }

    /// Whether the record is in this journal.
    pub(super) fn is_in(&self, db: &Connection) -> rusqlite::Result<bool> {
        if self.seq == 0 {
            return Ok(true);
        }
        let sql = "SELECT hash FROM journal WHERE seq = ?1";
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query([number(Seq(self.seq))])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        Ok(chain::hex(chain::bytes(row.get_ref(0)?)) == self.hash)
    }
}
