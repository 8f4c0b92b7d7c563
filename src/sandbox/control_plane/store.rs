//! The reference control plane's own SQLite file: everything it must still know after `kill -9`.
//!
//! One connection, short transactions, every commit synced. Refuses a file written by a newer
//! version and holds no logic: what a row means is said by the module that owns its table.

use std::{
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Row, Transaction, TransactionBehavior, types::Type};
use serde::de::DeserializeOwned;

use crate::{
    control::wire::Utc,
    engine::{ids::BadName, time::Timestamp},
};

/// The schema that this version writes, kept in SQLite's `user_version`.
const SCHEMA: i64 = 2;

/// Schema 1.
const TABLES: &str = "
create table secret (name text primary key, value blob not null) strict;
create table token (
  hash blob primary key, created_at integer not null, expires_at integer not null, agent text
) strict;
create table agent (
  id text primary key, public_key blob not null unique, enrolled_at integer not null, last_seen_at integer,
  instance text, epoch integer, status text, next_key blob, head text
) strict;
create table proof (
  agent text not null, jti text not null, forget_at integer not null, primary key (agent, jti)
) strict, without rowid;
create table job (
  seq integer primary key autoincrement, id text not null, agent text not null, jws text not null,
  request integer, state text not null default 'queued', lease_until integer not null default 0,
  deliveries integer not null default 0, cancelled integer not null default 0,
  copy integer not null default 0, created_at integer not null
) strict;
create index job_of_agent on job (agent, state);
create table request (
  number integer primary key autoincrement, spec text not null, state text not null, agent text,
  grant_id text, job_id text, approvers text not null default '[]', ends_at text, detail text
) strict;
create unique index request_of_grant on request (grant_id);
create table request_history (
  number integer not null, at integer not null, state text not null, note text not null
) strict;
create table report (
  place integer primary key autoincrement, agent text not null, seq integer not null, body text not null,
  received_at integer not null, repeats integer not null default 0, conflicting integer not null default 0,
  unique (agent, seq)
) strict;
create table inventory (
  agent text not null, integration text not null, kind text not null, page integer not null,
  hash text not null, items text not null, received_at integer not null,
  primary key (agent, integration, kind, page)
) strict, without rowid;
insert into sqlite_sequence (name, seq) values ('request', 1000);
";

/// From schema 1 to 2: keys that change, processes, alarms, offers, readings of the inventory.
const SECOND: &str = "
create table signing_key (
  place integer primary key autoincrement, seed blob not null, trusted integer not null default 1
) strict;
create table key_set (version integer primary key, jws text not null) strict;
create table alarm (
  place integer primary key autoincrement, agent text not null, kind text not null, subject text not null,
  text text not null, first_at integer not null, last_at integer not null, count integer not null default 1,
  unique (agent, kind, subject)
) strict;
create table instance (
  agent text not null, epoch integer not null, instance text not null, first_seen_at integer not null,
  last_seen_at integer not null, primary key (agent, epoch, instance)
) strict, without rowid;
create table snapshot (
  agent text not null, integration text not null, snapshot text not null, taken_at text not null,
  complete integer not null, pages text not null, items_received integer not null default 0,
  primary key (agent, integration)
) strict, without rowid;
alter table agent add column offers text;
alter table agent add column wished_away blob;
";

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made.
    #[error("cannot create the data directory {0}")]
    Directory(PathBuf, #[source] std::io::Error),
    /// A file beside the database cannot be written.
    #[error("cannot write {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// The file was written by a newer version.
    #[error(
        "{path} has schema {found}, this version knows {SCHEMA}: use the newer version, or another data directory"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// SQLite refused.
    #[error("the reference control plane's database failed")]
    Database(#[from] rusqlite::Error),
}

/// The open database.
pub(super) struct Store {
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens `control-plane.sqlite3` in `dir`, creating both.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        // The database holds signing keys, so the directory is made for its owner only.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| StoreError::Directory(dir.to_owned(), error))?;
        let path = dir.join("control-plane.sqlite3");
        // SQLite gives its other files the mode of this one; a directory of the user's may be open.
        let private = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        private.map_err(|error| StoreError::File(path.clone(), error))?;
        let mut connection = Connection::open(&path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;

        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match found {
            0 => {
                transaction.execute_batch(TABLES)?;
                transaction.execute_batch(SECOND)?;
            }
            1 => transaction.execute_batch(SECOND)?,
            SCHEMA => {}
            _ => return Err(StoreError::Newer { path, found }),
        }
        transaction.pragma_update(None, "user_version", SCHEMA)?;
        transaction.commit()?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Runs `work` in one transaction, committed only if it succeeds.
    pub(super) fn write<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // A panic in a handler rolled its transaction back, so a poisoned lock guards sound data.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(StoreError::Database)?;
        let value = work(&transaction)?;
        transaction.commit().map_err(StoreError::Database)?;
        Ok(value)
    }
}

/// A column that holds a checked name.
pub(super) fn id<T>(
    row: &Row<'_>,
    column: usize,
    new: fn(&str) -> Result<T, BadName>,
) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| new(&text).map_err(|error| damaged(column, error))).transpose()
}

/// A column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| damaged(column, error))).transpose()
}

fn damaged(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// The wall clock as the wire writes it.
pub(super) fn server_time() -> Utc {
    Utc(Timestamp(now_ms()))
}

/// Milliseconds since 1970 by the wall clock.
pub(super) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
