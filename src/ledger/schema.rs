//! The ledger's tables, their versions, and the connections to them.
//!
//! Refuses a schema newer than it knows before anything could change the file, and a file that is
//! not a ledger. The journal is only ever appended to.

use std::{io, path::Path};

use rusqlite::{
    CachedStatement, Connection, ErrorCode, OpenFlags, OptionalExtension as _, ToSql, TransactionBehavior,
    params,
};

use super::{LedgerError, chain};

/// "ephm": `file` and the `sqlite3` shell can tell whose file it is.
const APPLICATION_ID: i64 = 0x6570_686d;

/// How long a writer waits for an operator's shell that holds the lock, in milliseconds.
const BUSY_MS: i64 = 5_000;

/// One entry a version, oldest first; an entry that was released is never edited.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE journal (
        seq    INTEGER PRIMARY KEY,
        stream TEXT    NOT NULL,
        at     INTEGER NOT NULL,
        kind   TEXT    NOT NULL,
        body   BLOB    NOT NULL,
        hash   BLOB    NOT NULL
    ) STRICT;
    CREATE INDEX journal_stream ON journal (stream, seq);
    CREATE TABLE open (
        stream   TEXT PRIMARY KEY,
        account  TEXT,
        ends_at  INTEGER,
        snapshot INTEGER NOT NULL,
        rows     INTEGER NOT NULL,
        revoke   BLOB,
        checksum BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox (seq INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE seen (
        job_id    TEXT PRIMARY KEY,
        digest    BLOB NOT NULL,
        answer    INTEGER,
        forget_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX seen_forget ON seen (forget_at);
",
    // Rows of the first version have none and are believed.
    "
    ALTER TABLE seen ADD COLUMN checksum BLOB;
    ALTER TABLE outbox ADD COLUMN checksum BLOB;
",
];

/// The newest version known here.
pub(super) fn supported() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Fills an empty file; it is closed and durable when this returns. `replaces`: the ledger that was lost.
pub(super) fn create(
    file: &Path,
    ledger_id: &str,
    created_at: i64,
    replaces: Option<&str>,
) -> Result<(), LedgerError> {
    let fill = || -> rusqlite::Result<()> {
        let mut db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // One file until it has its name: a rename must not leave a log behind.
        db.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "application_id", APPLICATION_ID)?;
        migrate(&mut db)?;
        db.execute("INSERT INTO meta VALUES ('ledger_id', ?1), ('created_at', ?2)", (ledger_id, created_at))?;
        set(&db, "seal", &seal(ledger_id, created_at))?;
        if let Some(lost) = replaces {
            set(&db, "replaces", &lost)?;
        }
        db.close().map_err(|(_, error)| error)
    };
    fill().map_err(|source| failed(file, "create the ledger", source))
}

/// The one connection that writes. The file was checked by [`open_reading`] before.
pub(super) fn open_writing(file: &Path) -> Result<Connection, LedgerError> {
    drop(open_reading(file)?);
    let open = || -> rusqlite::Result<(Connection, String)> {
        let mut db = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        migrate(&mut db)?;
        let mode = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok((db, mode))
    };
    let (db, mode) = open().map_err(|source| failed(file, "open it for writing", source))?;
    if mode != "wal" {
        // SQLite answers "wal" before the switch is on the disk, and says nothing when it then fails. In the
        // old mode a power cut can take back a commit: the removal of the rollback journal that makes it
        // one is not synced.
        let source = io::Error::other(format!("its mode of writing stays \"{mode}\""));
        return Err(LedgerError::Io {
            path: file.to_owned(),
            what: "keep a write-ahead log beside it",
            source,
        });
    }
    Ok(db)
}

/// As [`open_reading`], for the file's owner: a change that was interrupted while the file still had a
/// rollback journal, which is so until its first opening is over, is undone first. A connection that cannot
/// write can neither undo it nor read past it.
pub(super) fn open_undoing(file: &Path) -> Result<Connection, LedgerError> {
    match open_reading(file) {
        Err(LedgerError::Database { source, .. })
            if source.sqlite_error_code() == Some(ErrorCode::ReadOnly) =>
        {
            let undo =
                || connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?.execute_batch("PRAGMA user_version");
            undo().map_err(|source| failed(file, "undo what was interrupted in it", source))?;
            open_reading(file)
        }
        opened => opened,
    }
}

/// A short connection that cannot write.
pub(super) fn open_reading(file: &Path) -> Result<Connection, LedgerError> {
    let unreadable = |problem: String| LedgerError::Unreadable { path: file.to_owned(), problem };
    if !file.is_file() {
        return Err(unreadable("there is no such file".to_owned()));
    }
    let db = connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|e| failed(file, "open it", e))?;
    let number = |name: &str| {
        db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(|e| failed(file, "read it", e))
    };
    let (application, found) = (number("application_id")?, number("user_version")?);
    if application != APPLICATION_ID || found < 1 {
        return Err(unreadable(format!(
            "application id {application} and schema version {found} are not a ledger's"
        )));
    }
    if found > supported() {
        return Err(LedgerError::NewerSchema { path: file.to_owned(), found, supported: supported() });
    }
    Ok(db)
}

/// The id that the chain is anchored to.
pub(super) fn ledger_id(db: &Connection, file: &Path) -> Result<String, LedgerError> {
    meta(db, file, "ledger_id")
}

/// When the ledger was created, in UTC milliseconds.
pub(super) fn created_at(db: &Connection, file: &Path) -> Result<i64, LedgerError> {
    meta(db, file, "created_at")
}

/// The ledger that was lost when this one was begun; "unknown" if nobody knows its id.
pub(super) fn replaces(db: &Connection) -> rusqlite::Result<Option<String>> {
    optional(db, "replaces")
}

/// When the ledger was put back from a backup, in UTC milliseconds.
pub(super) fn restored_at(db: &Connection) -> rusqlite::Result<Option<i64>> {
    optional(db, "restored_at")
}

/// Whether id and time of creation are what was written.
pub(super) fn is_sealed(db: &Connection, ledger_id: &str, created_at: i64) -> rusqlite::Result<bool> {
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version < 2 {
        return Ok(true); // looked at before it was migrated
    }
    let found: Option<String> = optional(db, "seal")?;
    Ok(found.is_some_and(|found| found == seal(ledger_id, created_at)))
}

/// Sets a value of the ledger's identity.
pub(super) fn set(db: &Connection, key: &str, value: &dyn ToSql) -> rusqlite::Result<()> {
    db.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", params![key, value]).map(drop)
}

fn seal(ledger_id: &str, created_at: i64) -> String {
    chain::hex(&chain::sum(&[b"ephemerald ledger", ledger_id.as_bytes(), &created_at.to_be_bytes()]))
}

fn optional<T: rusqlite::types::FromSql>(db: &Connection, key: &str) -> rusqlite::Result<Option<T>> {
    db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}

/// SQLite's answer as ours.
pub(super) fn failed(file: &Path, what: &'static str, source: rusqlite::Error) -> LedgerError {
    let path = file.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => LedgerError::DiskFull { path },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            LedgerError::Unreadable { path, problem: source.to_string() }
        }
        _ => LedgerError::Database { path, what, source },
    }
}

/// A prepared statement that is kept.
pub(super) fn cached<'db>(db: &'db Connection, sql: &str) -> rusqlite::Result<CachedStatement<'db>> {
    db.prepare_cached(sql)
}

fn connect(file: &Path, mode: OpenFlags) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(file, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.pragma_update_and_check(None, "busy_timeout", BUSY_MS, |_| Ok(()))?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(db)
}

fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    let done: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (version, sql) in (1_i64..).zip(MIGRATIONS).filter(|(version, _)| *version > done) {
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step.execute_batch(sql)?;
        if version == 2 && done == 1 {
            let (id, at): (String, i64) = (required(&step, "ledger_id")?, required(&step, "created_at")?);
            set(&step, "seal", &seal(&id, at))?;
        }
        step.pragma_update(None, "user_version", version)?;
        step.commit()?;
    }
    Ok(())
}

fn required<T: rusqlite::types::FromSql>(db: &Connection, key: &str) -> rusqlite::Result<T> {
    optional(db, key)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn meta<T: rusqlite::types::FromSql>(db: &Connection, file: &Path, key: &str) -> Result<T, LedgerError> {
    let value = db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional();
    let missing = || LedgerError::Unreadable { path: file.to_owned(), problem: format!("{key} is missing") };
    value.map_err(|source| failed(file, "read its identity", source))?.ok_or_else(missing)
}
