//! The ledger's tables, their versions, and the connections to them.
//!
//! Refuses a schema newer than it knows before anything could change the file, and a file that is
//! not a ledger. The journal is only ever appended to.

use std::{io, path::Path};

use rusqlite::{
    CachedStatement, Connection, ErrorCode, OpenFlags, OptionalExtension as _, ToSql, TransactionBehavior,
    params, types::ValueRef,
};

use super::{Head, JournalKey, LedgerError, Seq, chain, keyed};

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
    // What the state key says of a row; rows from before, and those of a ledger without one, have none.
    "
    ALTER TABLE journal ADD COLUMN mac BLOB;
",
];

/// The newest version known here.
pub(super) fn supported() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Fills an empty file; it is closed and durable when this returns. `replaces`: the ledger that was lost.
pub(super) fn create(
    file: &Path,
    (ledger_id, created_at): (&str, i64),
    replaces: Option<&str>,
    key: Option<&JournalKey>,
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
        if let Some(key) = key {
            let start = Head { seq: Seq(0), hash: chain::genesis(ledger_id) };
            keyed::authenticate(&db, key, (ledger_id, created_at), &start)?;
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

/// The same where nobody can be told that it is missing.
pub(super) fn created(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT value FROM meta WHERE key = 'created_at'";
    let value = db.query_row(sql, [], |row| Ok(row.get_ref(0)?.as_i64().ok())).optional()?;
    Ok(value.flatten())
}

/// The ledger that was lost when this one was begun; "unknown" if nobody knows its id.
pub(super) fn replaces(db: &Connection) -> rusqlite::Result<Option<String>> {
    optional(db, "replaces")
}

/// When the ledger was put back from a backup, in UTC milliseconds.
pub(super) fn restored_at(db: &Connection) -> rusqlite::Result<Option<i64>> {
    optional(db, "restored_at")
}

/// From which row on the ledger says that it is authenticated, and the proof of that.
pub(super) fn keyed_from(db: &Connection) -> rusqlite::Result<Option<String>> {
    optional_text(db, "keyed")
}

/// What is said of the tables beside the journal.
pub(super) fn tables_proof(db: &Connection) -> rusqlite::Result<Option<String>> {
    optional_text(db, "tables")
}

/// The column that authenticates a row, as it is read: a file that was not brought up to date yet has none.
pub(super) fn mac_column(db: &Connection) -> &'static str {
    if has_column(db, "journal", "mac").unwrap_or(false) { "mac" } else { "NULL" }
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

/// A value of another kind is as good as a wrong one.
fn optional_text(db: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    let text = |value: ValueRef<'_>| String::from_utf8_lossy(chain::bytes(value)).into_owned();
    let sql = "SELECT value FROM meta WHERE key = ?1";
    db.query_row(sql, [key], |row| row.get_ref(0).map(text)).optional()
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
        for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            if !adds_what_is_there(&step, statement)? {
                step.execute_batch(statement)?;
            }
        }
        if version == 2 && done == 1 {
            let (id, at): (String, i64) = (required(&step, "ledger_id")?, required(&step, "created_at")?);
            set(&step, "seal", &seal(&id, at))?;
        }
        step.pragma_update(None, "user_version", version)?;
        step.commit()?;
    }
    Ok(())
}

/// Whether a statement adds a column that the table has: a version number that somebody has lowered must not keep
/// the ledger shut, for its grants have to be ended.
fn adds_what_is_there(db: &Connection, statement: &str) -> rusqlite::Result<bool> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let ["ALTER", "TABLE", table, "ADD", "COLUMN", column, ..] = words[..] else { return Ok(false) };
    has_column(db, table, column)
}

fn has_column(db: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)";
    db.query_row(sql, (table, column), |row| row.get(0))
}

fn required<T: rusqlite::types::FromSql>(db: &Connection, key: &str) -> rusqlite::Result<T> {
    optional(db, key)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn meta<T: rusqlite::types::FromSql>(db: &Connection, file: &Path, key: &str) -> Result<T, LedgerError> {
    let value = db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional();
    let missing = || LedgerError::Unreadable { path: file.to_owned(), problem: format!("{key} is missing") };
    value.map_err(|source| failed(file, "read its identity", source))?.ok_or_else(missing)
}
