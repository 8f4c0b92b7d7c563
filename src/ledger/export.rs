//! Reads the whole journal from its file, row by row, and gives what anybody needs to follow the chain
//! without the file.
//!
//! Refuses to write, and to judge: a row that does not fit is handed out as it is stored.

use std::path::Path;

use super::{Head, LedgerError, Seq, StoredRow, chain, reader, schema};

/// A journal file, opened for reading; a daemon may be running on it.
#[derive(Debug)]
pub struct JournalFile {
    db: rusqlite::Connection,
    file: std::path::PathBuf,
    /// The ledger's id: the anchor of the chain.
    pub ledger_id: String,
}

impl JournalFile {
    /// Opens it.
    ///
    /// # Errors
    /// When it is no ledger, or a newer version's.
    pub fn open(file: &Path) -> Result<Self, LedgerError> {
        let db = schema::open_reading(file)?;
        let ledger_id = schema::ledger_id(&db, file)?;
        Ok(Self { db, file: file.to_owned(), ledger_id })
    }

    /// Hands out every row as of one moment, in order, until `take` says that it is enough.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn each(&self, mut take: impl FnMut(StoredRow) -> bool) -> Result<(), LedgerError> {
        let mut read = || -> rusqlite::Result<()> {
            let sql = "SELECT seq, stream, at, kind, body, hash FROM journal ORDER BY seq";
            let mut statement = self.db.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                if !take(reader::stored(row)?) {
                    return Ok(());
                }
            }
            Ok(())
        };
        read().map_err(|source| schema::failed(&self.file, "read the journal", source))
    }
}

/// The end of the chain before its first row.
#[must_use]
pub fn genesis(ledger_id: &str) -> Head {
    Head { seq: Seq(0), hash: chain::genesis(ledger_id) }
}

/// The digest of a row's body, as the chain takes it.
#[must_use]
pub fn body_digest(body: &[u8]) -> [u8; 32] {
    chain::body_digest(body)
}

/// The hash of a row behind `prev`, from what an export holds of it.
#[must_use]
pub fn link(
    prev: &[u8; 32],
    seq: Seq,
    stream: &str,
    at: i64,
    kind: &str,
    body_digest: &[u8; 32],
) -> [u8; 32] {
    chain::link_digest(prev, seq, stream.as_bytes(), at, kind.as_bytes(), body_digest)
}
