//! Looking a ledger over, while a daemon may be running on it: what opening it would find, and more.
//!
//! Refuses to write, to lock, and to judge: what is found is told.

use std::{fs, path::Path};

use rustix::fs::statvfs;

use super::{
    FILE_NAME, Keying, LedgerError, Loaded, Opened, VerifyReport, chain::verify_telling, look::look, reader,
    schema,
};

/// What was found.
#[derive(Clone, Debug)]
pub struct CheckReport {
    /// The chain, from the first row to the last.
    pub chain: VerifyReport,
    /// The schema's version, and the newest that is known here.
    pub schema: (i64, i64),
    /// What opening finds.
    pub opened: Opened,
    /// The open streams and the tables beside the journal.
    pub loaded: Loaded,
    /// What SQLite says of its file; empty when that is in order.
    pub file_problems: Vec<String>,
    /// The id in the marker beside the ledger.
    pub marker: Option<String>,
    /// Bytes of the file and of its log.
    pub bytes: (u64, u64),
    /// Bytes that are free on the disk.
    pub free: u64,
    /// Rows that wait to be reported.
    pub outbox: u64,
}

/// Looks over the ledger of a state directory, as the daemon would that has this key; `walked` as in
/// [`verify_telling`].
///
/// # Errors
/// [`LedgerError`] when the file cannot be read as a ledger at all.
pub fn check(dir: &Path, key: &Keying, walked: &mut dyn FnMut(u64)) -> Result<CheckReport, LedgerError> {
    let file = dir.join(FILE_NAME);
    let chain = verify_telling(&file, walked)?;
    let db = schema::open_reading(&file)?;
    let read = |source| schema::failed(&file, "read it", source);
    let opened = look(&db, dir, &file, key)?;
    let loaded = reader::load(&db, &opened.ledger_id, key).map_err(read)?;
    let mut file_problems = Vec::new();
    db.pragma_query(None, "integrity_check", |row| {
        file_problems.push(row.get::<_, String>(0)?);
        Ok(())
    })
    .map_err(read)?;
    file_problems.retain(|line| line != "ok");
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(read)?;
    let outbox: i64 = db.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)).map_err(read)?;
    let size = |name: &str| fs::metadata(dir.join(name)).map_or(0, |file| file.len());
    let marker = fs::read_to_string(dir.join("ledger.created")).ok();
    Ok(CheckReport {
        chain,
        schema: (found, schema::supported()),
        opened,
        loaded,
        file_problems,
        marker: marker.map(|text| text.trim_end().to_owned()),
        bytes: (size(FILE_NAME), size("ledger.db-wal")),
        free: statvfs(dir).map_or(0, |fs| fs.f_bavail.saturating_mul(fs.f_frsize)),
        outbox: u64::try_from(outbox).unwrap_or(0),
    })
}
