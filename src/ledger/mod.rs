//! The ledger: an append-only, hash-chained journal with the indexes that start-up and reporting
//! need, and the proof of durability that every raise must carry.
//!
//! ```text
//!   Batch { rows, raises } ─▶ submit ─▶ writer thread ─ one transaction, one sync ─▶ Event::Durable { upto,
//!                                                                                      raises: Committed }
//!   load_open, outbox_page, read_range ─▶ reader thread ─▶ rows
//! ```
//!
//! Refuses to release a raise before its rows are on disk, to make the caller wait for the disk, to
//! number rows, to know what a row's body means, to delete a row, to begin anew in silence where a
//! ledger existed, and, where it has a key ([`Keying`]), to take a row for its own that the key does not vouch
//! for. One daemon a directory.

mod acknowledged;
mod append;
mod backup;
mod chain;
mod check;
pub mod codec;
mod committed;
pub mod doubts;
mod error;
pub mod export;
mod indexes;
mod journal_key;
mod keyed;
mod look;
mod opening;
mod place;
mod reader;
mod restore;
mod row;
mod schema;
mod seal;
mod sqlite;
mod writer;

use std::path::Path;

use tokio::sync::mpsc;

pub use acknowledged::Acknowledged;
pub use backup::{Copied, backup};
pub use chain::{BadLink, VerifyReport, verify, verify_telling};
pub use check::{CheckReport, check};
pub use committed::Committed;
pub use error::{Full, LedgerError};
pub use journal_key::{JournalKey, Keying};
pub use restore::{Refusal, Restore, RestoreError, Shelf, hand_over};
pub use row::{
    Batch, Event, Head, Loaded, Marks, Open, OpenStream, Opened, Quarantined, Row, SeenJob, Seq, StoredRow,
    Trust, Unproven,
};
pub use seal::{Seal, Sealed, Unsealable, authenticity, is_authenticated};
pub use sqlite::SqliteLedger;

/// The name of the ledger's file inside its directory.
pub const FILE_NAME: &str = "ledger.db";

/// How to open a ledger.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a new ledger notes as its creation, in UTC milliseconds. Jobs issued before are refused.
    pub created_at: i64,
    /// What to do where a ledger existed and cannot be used.
    pub on_loss: OnLoss,
    /// What authenticates its rows.
    pub key: Keying,
}

/// What to do where a ledger existed and is missing, is not readable, or is another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLoss {
    /// Open nothing and change nothing.
    #[default]
    Refuse,
    /// Put what is left aside and begin anew, and say so: [`Opened::replaces`]. The caller must not
    /// raise anything then.
    BeginAnew,
    /// Begin anew although the file opens: its content cannot be read.
    Abandon,
}

/// A ledger, whatever holds it. `R` is what waits for durability.
#[derive(Debug)]
pub enum Ledger<R> {
    /// In a file of this machine.
    Sqlite(SqliteLedger<R>),
}

impl<R: Send + 'static> Ledger<R> {
    /// Opens the ledger of a directory, or creates it if there never was one.
    ///
    /// # Errors
    /// [`LedgerError`] says who must act; nothing was changed then, except that the directory and its
    /// lock file may have been made.
    pub async fn open(
        dir: &Path,
        options: Options,
    ) -> Result<(Self, Opened, mpsc::Receiver<Event<R>>), LedgerError> {
        let (ledger, opened, events) = SqliteLedger::open(dir, options).await?;
        Ok((Self::Sqlite(ledger), opened, events))
    }

    /// What start-up needs: all open streams, each from its last snapshot on.
    ///
    /// # Errors
    /// When the indexes cannot be read. A bad row is no error: it comes back as quarantined.
    pub async fn load_open(&self) -> Result<Loaded, LedgerError> {
        let Self::Sqlite(ledger) = self;
        ledger.load_open().await
    }

    /// Hands a batch to the disk without waiting for it; what became of it comes as an [`Event`].
    ///
    /// # Errors
    /// [`Full`] when the batch was not taken. It is gone with its raises, and its rows' numbers with
    /// it: reopen and fold anew.
    pub fn submit(&self, batch: Batch<R>) -> Result<(), Full> {
        let Self::Sqlite(ledger) = self;
        ledger.submit(batch)
    }

    /// At most `limit` unacknowledged reports behind `after`, in the journal's order.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn outbox_page(&self, after: Seq, limit: usize) -> Result<Vec<StoredRow>, LedgerError> {
        let Self::Sqlite(ledger) = self;
        ledger.outbox_page(after, limit).await
    }

    /// Takes acknowledged reports out of the outbox; durable when it returns.
    ///
    /// # Errors
    /// When it could not be written: the reports stay and are sent again.
    pub async fn ack(&self, seqs: &[Seq]) -> Result<(), LedgerError> {
        let Self::Sqlite(ledger) = self;
        ledger.ack(seqs).await
    }

    /// Puts a stored row back into the outbox: the result of a job that was delivered again. A number
    /// that is not in the journal is ignored.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn requeue(&self, seq: Seq) -> Result<(), LedgerError> {
        let Self::Sqlite(ledger) = self;
        ledger.requeue(seq).await
    }

    /// Forgets the job ids whose `forget_at` is before `before` (UTC milliseconds). The caller vouches
    /// for the time: with a wrong one a job could be played back.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn forget_jobs(&self, before: i64) -> Result<(), LedgerError> {
        let Self::Sqlite(ledger) = self;
        ledger.forget_jobs(before).await
    }

    /// Keeps beside the ledger which record the control plane has acknowledged; `told` is the number under
    /// which it knows it.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn acknowledge_head(&self, head: Head, told: u64) -> Result<(), LedgerError> {
        let Self::Sqlite(ledger) = self;
        ledger.acknowledge_head(head, told).await
    }

    /// Whether the journal has ever held this stream.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn has_stream(&self, stream: &str) -> Result<bool, LedgerError> {
        let Self::Sqlite(ledger) = self;
        ledger.has_stream(stream).await
    }

    /// How many rows are to be reported, as of the last durable transaction.
    ///
    /// # Errors
    /// [`LedgerError::Closed`].
    pub async fn outbox_depth(&self) -> Result<u64, LedgerError> {
        let Self::Sqlite(ledger) = self;
        ledger.outbox_depth()
    }

    /// At most `limit` rows of the journal from `from` on.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn read_range(&self, from: Seq, limit: usize) -> Result<Vec<StoredRow>, LedgerError> {
        let Self::Sqlite(ledger) = self;
        ledger.read_range(from, limit).await
    }

    /// The journal's durable end.
    ///
    /// # Errors
    /// [`LedgerError::Closed`].
    pub async fn head(&self) -> Result<Head, LedgerError> {
        let Self::Sqlite(ledger) = self;
        ledger.head()
    }

    /// After a failure: opens the file anew, finds the acknowledged end in it and takes batches again
    /// from [`Opened::head`] on. Batches submitted before this call are settled or dropped first.
    ///
    /// # Errors
    /// When the file still cannot be used, or is not what was acknowledged; try again later.
    pub async fn reopen(&self) -> Result<Opened, LedgerError> {
        let Self::Sqlite(ledger) = self;
        ledger.reopen().await
    }

    /// Writes what was submitted, closes the file and gives the directory up. Afterwards everything
    /// answers [`LedgerError::Closed`].
    pub async fn close(&self) {
        let Self::Sqlite(ledger) = self;
        ledger.close().await;
    }
}
