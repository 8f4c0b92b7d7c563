//! What goes into the ledger and what comes out of it: opaque rows with marks.
//!
//! Refuses to know what a body means. The marks say everything that the ledger acts on, so that
//! start-up, outbox and job memory never need to read a body.

use super::LedgerError;

/// A row's number in the journal; the first is 1. Assigned by the caller, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// One row to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number: exactly one more than the row before it.
    pub seq: Seq,
    /// What it is about: `grant/ID`, `job/ID`, `account/INTEGRATION/ID`, `agent`, `clock`.
    pub stream: String,
    /// When, in UTC milliseconds.
    pub at: i64,
    /// The kind of record.
    pub kind: &'static str,
    /// The record as JSON, stored byte for byte.
    pub body: Vec<u8>,
    /// What the ledger does with it beside storing it.
    pub marks: Marks,
}

/// What a row changes in the indexes; applied in the row's own transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The row is to be reported: it enters the outbox.
    pub report: bool,
    /// The stream is open from here on, or its entry in the open index changes. Nothing of a stream
    /// that was never opened is loaded at start.
    pub open: Option<Open>,
    /// Start-up needs the rows of this stream only from this one on.
    pub snapshot: bool,
    /// The stream leaves the open index; wins over `open` in the same row.
    pub close: bool,
    /// A job id to remember. The first digest stored for an id stands.
    pub seen_job: Option<SeenJob>,
}

/// An open stream's entry in the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// The account it belongs to, if any.
    pub account: Option<String>,
    /// When it falls due, in UTC milliseconds.
    pub ends_at: Option<i64>,
    /// What a revocation needs when the stream's rows cannot be read.
    pub revoke: Option<Vec<u8>>,
}

/// A job id that was used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenJob {
    /// The job.
    pub job_id: String,
    /// SHA-256 of its signed bytes.
    pub digest: [u8; 32],
    /// The row that holds its result, once there is one.
    pub answer: Option<Seq>,
    /// Until when the id must be remembered, in UTC milliseconds.
    pub forget_at: i64,
}

/// Rows that are stored together or not at all, and the raises that wait for them.
#[derive(Debug)]
pub struct Batch<R> {
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// Released as [`Committed`](super::Committed) once the rows are durable, dropped if they fail.
    pub raises: Vec<R>,
}

/// What became of submitted batches.
#[derive(Debug)]
pub enum Event<R> {
    /// Everything up to `upto` is on disk.
    Durable {
        /// The last durable row.
        upto: Seq,
        /// The raises of the batches that became durable, in order.
        raises: Vec<super::Committed<R>>,
    },
    /// Nothing from `first` on was acknowledged, and nothing is until
    /// [`Ledger::reopen`](super::Ledger::reopen) succeeds. The raises are gone.
    Failed {
        /// Why.
        error: LedgerError,
        /// The first row that is not known to be stored.
        first: Seq,
    },
}

/// A row as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// Its number.
    pub seq: Seq,
    /// Its stream.
    pub stream: String,
    /// When, in UTC milliseconds.
    pub at: i64,
    /// The kind of record.
    pub kind: String,
    /// The stored bytes.
    pub body: Vec<u8>,
    /// The chain up to and including this row.
    pub hash: [u8; 32],
}

/// The end of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last row; 0 when there is none.
    pub seq: Seq,
    /// The chain up to and including it.
    pub hash: [u8; 32],
}

/// What opening found.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The ledger did not exist before.
    pub created: bool,
    /// When it was created, in UTC milliseconds.
    pub created_at: i64,
    /// 32 hexadecimal digits, random, the anchor of the chain.
    pub ledger_id: String,
    /// The journal's end.
    pub head: Head,
    /// The newest row's wall time in UTC milliseconds; the creation's when there is no row.
    pub newest_at: i64,
    /// The ledger that was lost when this one was begun, or that should be here instead.
    pub replaces: Option<String>,
    /// When it was put back from a backup, in UTC milliseconds.
    pub restored_at: Option<i64>,
    /// The newest record that the control plane has acknowledged, of whichever ledger lived here.
    pub acknowledged: Option<super::Acknowledged>,
    /// That record is not in this journal.
    pub is_behind: bool,
    /// Rows near the end that do not fit the chain. They stay where they are.
    pub quarantined: Vec<super::BadLink>,
    /// What the state key does not vouch for: the ledger as a whole, rows near its end.
    pub unproven: Vec<Unproven>,
    /// The space kept back for endings is there. False: the disk is nearly full, raise nothing.
    pub ballast: bool,
}

/// What start-up needs: the open streams, whole.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Their rows from each stream's last snapshot on, in the journal's order.
    pub rows: Vec<StoredRow>,
    /// The open index itself.
    pub open: Vec<OpenStream>,
    /// The streams of accounts by address that are closed: what was made here and is over.
    pub closed_accounts: Vec<String>,
    /// Every job id that is remembered, also those whose checksum does not hold: nothing is done twice.
    pub seen: Vec<SeenJob>,
    /// An entry of the open index could not be read at all, or the index is not what was written.
    pub index_damaged: bool,
    /// What could not be read, does not fit the chain or is not authentic; not among `rows`.
    pub quarantined: Vec<Quarantined>,
    /// What of it may be written back to an account.
    pub trust: Trust,
}

/// What of a loaded ledger may decide what is given back to an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// All that fits the chain: there is no state key.
    #[default]
    Chain,
    /// What the state key vouches for. A stream of which anything is quarantined gives nothing back.
    Authentic,
    /// Nothing: what is stored cannot be told from what somebody has written there.
    Nothing,
}

/// Something that the state key does not vouch for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unproven {
    /// The row; 0: the ledger as a whole.
    pub seq: Seq,
    /// Tells it from others.
    pub mark: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// An entry of the open index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenStream {
    /// The stream.
    pub stream: String,
    /// The first row that start-up needs.
    pub snapshot: Seq,
    /// The entry. Empty when its checksum does not hold.
    pub entry: Open,
    /// Whether the checksum over the stream's name and the entry holds.
    pub intact: bool,
}

/// A row, or a whole stream, that must not be believed, with what is left for a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The row, if it is one row.
    pub seq: Option<Seq>,
    /// The stream it was found in.
    pub stream: String,
    /// The stored bytes, as far as they could be read.
    pub raw: Vec<u8>,
    /// What is wrong.
    pub problem: String,
    /// The stream's checksummed revocation prefix, if the checksum holds.
    pub revoke: Option<Vec<u8>>,
    /// The row, if it fits the chain and nobody vouches for it: it can only take away.
    pub unproven: Option<StoredRow>,
}
