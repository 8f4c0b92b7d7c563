//! The ledger: an append-only, hash-chained journal with an outbox, in SQLite.
//!
//! ```text
//!   submit(batch) ─▶ bounded queue ─▶ writer thread: one transaction for all that has arrived ─▶ Durable(n)
//!                                                         │ fails
//!                                                         └─▶ Failed; nothing more is taken until reopen()
//! ```
//!
//! It stores bytes and marks; it does not know what a record means (`codec` does). Refuses: rows out of
//! order, a second daemon, a newer schema, a fresh start where a ledger has been. A raise leaves only
//! as [`Committed`], which nothing but a durable append makes.

mod chain;
pub mod codec;
mod create;
mod reader;
mod schema;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, oneshot};

pub use schema::SCHEMA_VERSION;
pub use verify::{BadRow, VerifyReport, verify};

/// A row's number; the first is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// A row to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number: the last one plus 1.
    pub seq: Seq,
    /// `grant/ID`, `job/ID`, `account/INTEGRATION/ID` or `agent`.
    pub stream: String,
    /// Wall time, milliseconds.
    pub at: i64,
    /// The record's kind.
    pub kind: &'static str,
    /// The record, stored as it is.
    pub body: Vec<u8>,
    /// What else the row does.
    pub marks: Marks,
}

/// What a row does beside being there, in the same transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// It goes to the outbox.
    pub report: bool,
    /// Its stream is open from now on.
    pub open: Option<Open>,
    /// A start needs this stream's rows only from here.
    pub snapshot: bool,
    /// Its stream is closed.
    pub close: bool,
    /// A job id to remember.
    pub seen_job: Option<SeenJob>,
}

/// An entry of the open index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// The account concerned.
    pub account: Option<String>,
    /// When the grant ends.
    pub ends_at: Option<i64>,
    /// What a revocation needs; stored with its own checksum.
    pub revoke: Option<Vec<u8>>,
}

/// A remembered job id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenJob {
    /// The id.
    pub job_id: String,
    /// The digest of its body.
    pub digest: [u8; 32],
    /// The row with its result.
    pub answer: Option<Seq>,
    /// When it may be forgotten, wall milliseconds.
    pub forget_at: i64,
}

/// A row as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// Its number.
    pub seq: Seq,
    /// Its stream.
    pub stream: String,
    /// Wall time, milliseconds.
    pub at: i64,
    /// The record's kind.
    pub kind: String,
    /// The record's bytes.
    pub body: Vec<u8>,
}

/// Rows that become durable together, and the raises that they explain.
#[derive(Debug)]
pub struct Batch<R> {
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// Released when the rows are durable, dropped if they never are.
    pub raises: Vec<R>,
}

/// Proof that what explains the value is durable. Only the ledger makes one.
#[derive(Debug)]
pub struct Committed<T>(T);

impl<T> Committed<T> {
    /// The value, for the one who carries it out.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// What became of submitted batches.
#[derive(Debug)]
pub enum Event<R> {
    /// Everything up to this row is durable.
    Durable {
        /// The last row.
        upto: Seq,
        /// The raises that may now be carried out.
        raises: Vec<Committed<R>>,
    },
    /// A write failed: nothing from `first` on is stored, nothing more is taken until `reopen`.
    Failed {
        /// Why.
        error: LedgerError,
        /// The first row that is not stored.
        first: Seq,
    },
}

/// The newest row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 for an empty journal.
    pub seq: Seq,
    /// Its hash; the genesis hash for an empty journal.
    pub hash: [u8; 32],
}

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Whether it was created just now.
    pub created: bool,
    /// When it was created, wall milliseconds.
    pub created_at: i64,
    /// Its id.
    pub ledger_id: String,
    /// Grows at every opening: the fencing epoch of this process.
    pub epoch: u64,
    /// The newest row.
    pub head: Head,
    /// The newest row's wall time, if there is a row.
    pub newest_at: Option<i64>,
}

/// What a start needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows of the open streams, in order, each from its last snapshot on.
    pub rows: Vec<StoredRow>,
    /// Remembered job ids.
    pub seen: Vec<SeenJob>,
    /// Revocation prefixes of the open streams whose checksum holds.
    pub prefixes: Vec<(String, Vec<u8>)>,
    /// The newest row.
    pub last: Seq,
    /// Its wall time.
    pub newest_at: Option<i64>,
}

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another daemon has it.
    #[error("{path} is locked: another ephemerald runs on this state directory; stop it first", path = .0.display())]
    Locked(PathBuf),
    /// A ledger has been here and is gone.
    #[error("{path} is missing, but {marker} says that this agent had a ledger: restore it from the backup; a fresh start would forget live grants", path = path.display(), marker = marker.display())]
    Missing {
        /// The ledger.
        path: PathBuf,
        /// The file that says so.
        marker: PathBuf,
    },
    /// Written by a newer version.
    #[error("{path} has schema {found}, this version knows up to {supported}: install the newer ephemerald again; nothing was changed", path = path.display())]
    NewerSchema {
        /// The ledger.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        supported: i64,
    },
    /// It is no ledger, or damaged.
    #[error("{path}: {problem}: run `ephemerald audit verify`, restore from the backup if it fails", path = path.display())]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// A row does not follow the last one: a bug of the caller.
    #[error("row {found} was to be appended after row {last}")]
    Order {
        /// The last row.
        last: u64,
        /// The row offered.
        found: u64,
    },
    /// The database or the disk refused.
    #[error("{path}: {problem}: check the disk (space, mount, health)", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was said.
        problem: String,
    },
    /// Its thread is gone.
    #[error("the ledger's thread has ended")]
    Gone,
}

/// The queue is full: the disk does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal's queue is full or closed")]
pub struct Full;

/// The ledger, whatever engine is behind it.
#[derive(Debug)]
pub enum Ledger<R> {
    /// Embedded.
    Sqlite(SqliteLedger<R>),
}

/// The embedded ledger: one writer thread, one reader thread, one lock on the directory.
#[derive(Debug)]
pub struct SqliteLedger<R> {
    path: PathBuf,
    writer: writer::Handle<R>,
    reader: reader::Handle,
    _lock: std::fs::File,
}

impl<R: Send + 'static> Ledger<R> {
    /// Opens the ledger of a state directory, or creates the first one. `now` is the wall time.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing is changed then.
    pub async fn open(
        dir: &Path,
        now: i64,
    ) -> Result<(Self, Opened, mpsc::UnboundedReceiver<Event<R>>), LedgerError> {
        let lock = create::lock(dir)?;
        let path = create::find_or_create(dir, now)?;
        let opened = schema::open(&path.path, path.created)?;
        let (events, heard) = mpsc::unbounded_channel();
        let reader = reader::start(&path.path)?;
        let writer = writer::start(&path.path, events, reader.clone())?;
        Ok((Self::Sqlite(SqliteLedger { path: path.path, writer, reader, _lock: lock }), opened, heard))
    }

    /// Everything that a start needs.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn load_open(&self) -> Result<Loaded, LedgerError> {
        let Self::Sqlite(it) = self;
        it.reader.ask(reader::load_open).await
    }

    /// Hands a batch to the writer. Never waits.
    ///
    /// # Errors
    /// [`Full`]: nothing was taken.
    pub fn submit(&self, batch: Batch<R>) -> Result<(), Full> {
        let Self::Sqlite(it) = self;
        it.writer.submit(batch)
    }

    /// Rows that wait in the outbox behind `after`, oldest first.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn outbox_page(&self, after: Seq, limit: usize) -> Result<Vec<StoredRow>, LedgerError> {
        let Self::Sqlite(it) = self;
        it.reader.ask(move |db| reader::outbox_page(db, after, limit)).await
    }

    /// How many rows wait in the outbox.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn outbox_depth(&self) -> Result<u64, LedgerError> {
        let Self::Sqlite(it) = self;
        it.reader.ask(reader::outbox_depth).await
    }

    /// Takes rows out of the outbox for good.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn ack(&self, seqs: &[Seq]) -> Result<(), LedgerError> {
        let Self::Sqlite(it) = self;
        it.writer.outbox(seqs.to_vec(), false).await
    }

    /// Puts a row back into the outbox: its job came again.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn requeue(&self, seq: Seq) -> Result<(), LedgerError> {
        let Self::Sqlite(it) = self;
        it.writer.outbox(vec![seq], true).await
    }

    /// Rows from a number on.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn read_range(&self, from: Seq, limit: usize) -> Result<Vec<StoredRow>, LedgerError> {
        let Self::Sqlite(it) = self;
        it.reader.ask(move |db| reader::read_range(db, from, limit)).await
    }

    /// The newest durable row.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn head(&self) -> Result<Head, LedgerError> {
        let Self::Sqlite(it) = self;
        it.reader.ask(reader::head).await
    }

    /// After a failure: opens the file anew and verifies its newest rows before anything is taken.
    ///
    /// # Errors
    /// [`LedgerError`]: still not usable.
    pub async fn reopen(&self) -> Result<(), LedgerError> {
        let Self::Sqlite(it) = self;
        it.writer.reopen().await
    }

    /// Writes what is queued, then closes.
    pub async fn close(self) {
        let Self::Sqlite(it) = self;
        it.writer.close().await;
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        let Self::Sqlite(it) = self;
        &it.path
    }
}

/// An answer to come from a thread.
type Reply<T> = oneshot::Sender<Result<T, LedgerError>>;

fn io(path: &Path, error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Io { path: path.to_owned(), problem: error.to_string() }
}
