//! A copy of a ledger while a daemon writes to it: one transaction's view, one file, durable.
//!
//! Refuses to write over anything, and to leave a copy behind whose chain it has not followed to its end.

use std::path::Path;

use rusqlite::Connection;

use super::{
    Head, LedgerError,
    chain::verify_telling,
    place::{io_error, private, remove, sync_dir},
    schema,
};

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The ledger's id.
    pub ledger_id: String,
    /// When it was created, in UTC milliseconds.
    pub created_at: i64,
    /// The end of the copy.
    pub head: Head,
}

/// Copies the ledger `file` to `to`, which must not exist. The daemon goes on meanwhile; `walked` as in
/// [`verify_telling`].
///
/// # Errors
/// [`LedgerError`]; there is no copy then. [`LedgerError::Unreadable`] names a copy whose chain is broken:
/// the original's is, too.
pub fn backup(file: &Path, to: &Path, walked: &mut dyn FnMut(u64)) -> Result<Copied, LedgerError> {
    let db = schema::open_reading(file)?;
    // Made here, so that nobody else can ever read it: SQLite fills an empty file.
    drop(private(to, true).map_err(io_error(to, "create it"))?);
    let copied = fill(&db, file, to).and_then(|()| describe(to, walked));
    if copied.is_err() {
        // The error says more than a failure to tidy up would.
        let _ = remove(to);
    }
    copied
}

fn fill(db: &Connection, file: &Path, to: &Path) -> Result<(), LedgerError> {
    let target = to.to_str().ok_or_else(|| LedgerError::Unreadable {
        path: to.to_owned(),
        problem: "its name is not UTF-8".to_owned(),
    })?;
    db.execute("VACUUM INTO ?1", [target]).map_err(|e| schema::failed(file, "copy it", e))?;
    std::fs::File::open(to).and_then(|copy| copy.sync_all()).map_err(io_error(to, "sync it"))?;
    sync_dir(to.parent().unwrap_or_else(|| Path::new(".")))
}

fn describe(to: &Path, walked: &mut dyn FnMut(u64)) -> Result<Copied, LedgerError> {
    let report = verify_telling(to, walked)?;
    if let Some(bad) = report.bad {
        return Err(LedgerError::Unreadable { path: to.to_owned(), problem: bad.problem });
    }
    let created_at = schema::created_at(&schema::open_reading(to)?, to)?;
    Ok(Copied { ledger_id: report.ledger_id, created_at, head: report.head })
}
