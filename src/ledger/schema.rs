//! The tables, and how older files become newer ones.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::{Head, LedgerError, Opened, Seq, chain, io};

/// The newest schema that this version reads and writes.
pub const SCHEMA_VERSION: i64 = 1;

/// Migrations, each from its index to the next: only ever appended to.
const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE journal(
        seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
        body BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
    CREATE INDEX journal_stream ON journal(stream, seq);
    CREATE TABLE open(
        stream TEXT PRIMARY KEY, account TEXT, ends_at INTEGER, since INTEGER NOT NULL,
        revoke BLOB, revoke_sum BLOB) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox(seq INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE seen_job(
        job_id TEXT PRIMARY KEY, digest BLOB NOT NULL, answer INTEGER, forget_at INTEGER NOT NULL)
        STRICT, WITHOUT ROWID;
"];

/// Opens an existing file for writing: schema checked and migrated, WAL, synced commits.
pub(super) fn connect(path: &Path) -> Result<Connection, LedgerError> {
    let failed = |e: rusqlite::Error| io(path, e);
    // A newer schema is refused before anything could touch the file.
    let found = version(path)?;
    if found > SCHEMA_VERSION {
        return Err(LedgerError::NewerSchema { path: path.to_owned(), found, supported: SCHEMA_VERSION });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    db.pragma_update(None, "wal_autocheckpoint", 0).map_err(failed)?;
    db.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    migrate(&mut db).map_err(failed)?;
    Ok(db)
}

/// Brings a file to the newest schema, each step in its own transaction.
pub(super) fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        let step = db.transaction()?;
        step.execute_batch(sql)?;
        step.pragma_update(None, "user_version", index + 1)?;
        step.commit()?;
    }
    Ok(())
}

/// Opens, counts the opening, and says what is there.
pub(super) fn open(path: &Path, created: bool) -> Result<Opened, LedgerError> {
    let db = connect(path)?;
    let failed = |e: rusqlite::Error| io(path, e);
    let damaged = |problem: &str| LedgerError::Damaged { path: path.to_owned(), problem: problem.to_owned() };
    let ledger_id = meta(&db, "ledger_id").map_err(failed)?.ok_or_else(|| damaged("it has no ledger id"))?;
    let created_at = meta(&db, "created_at").map_err(failed)?.and_then(|t| t.parse().ok());
    let epoch: u64 = meta(&db, "epoch").map_err(failed)?.and_then(|t| t.parse().ok()).unwrap_or(0) + 1;
    db.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?1)", [epoch.to_string()]).map_err(failed)?;
    let newest_at = db.query_row("SELECT max(at) FROM journal", [], |r| r.get(0)).map_err(failed)?;
    Ok(Opened {
        created,
        created_at: created_at.ok_or_else(|| damaged("it has no creation time"))?,
        head: head(&db, path)?,
        ledger_id,
        epoch,
        newest_at,
    })
}

/// The newest row, its hash checked against the row before it.
pub(super) fn head(db: &Connection, path: &Path) -> Result<Head, LedgerError> {
    let failed = |e: rusqlite::Error| io(path, e);
    let sql = "SELECT seq, stream, at, kind, body, hash FROM journal ORDER BY seq DESC LIMIT 1";
    type Last = (u64, String, i64, String, Vec<u8>, Vec<u8>);
    let of = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?));
    let last: Option<Last> = db.query_row(sql, [], of).optional().map_err(failed)?;
    let damaged = |problem: String| LedgerError::Damaged { path: path.to_owned(), problem };
    let Some((seq, stream, at, kind, body, hash)) = last else {
        let id = meta(db, "ledger_id").map_err(failed)?.unwrap_or_default();
        return Ok(Head { seq: Seq(0), hash: chain::genesis(&id) });
    };
    let prev =
        previous(db, seq).map_err(failed)?.ok_or_else(|| damaged(format!("row {} is missing", seq - 1)))?;
    let expected = chain::link(&prev, seq, &stream, at, &kind, &body);
    if hash != expected {
        return Err(damaged(format!("row {seq} does not match its hash")));
    }
    Ok(Head { seq: Seq(seq), hash: expected })
}

/// A value of the meta table.
pub(super) fn meta(db: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |r| r.get(0)).optional()
}

fn previous(db: &Connection, seq: u64) -> rusqlite::Result<Option<[u8; 32]>> {
    if seq == 1 {
        return Ok(meta(db, "ledger_id")?.map(|id| chain::genesis(&id)));
    }
    db.query_row("SELECT hash FROM journal WHERE seq = ?1", [seq - 1], |r| r.get(0)).optional()
}

/// The schema of a file, read without touching it.
fn version(path: &Path) -> Result<i64, LedgerError> {
    let not_one = |problem: String| LedgerError::Damaged { path: path.to_owned(), problem };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(|e| io(path, e))?;
    db.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(|e| not_one(e.to_string()))
}
