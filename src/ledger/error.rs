//! What goes wrong with a ledger, by who must act. Refuses to quote a row's content.

use std::{io, path::PathBuf};

use super::Seq;

/// Why the ledger did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another daemon holds the directory.
    #[error("{}: held by another daemon; stop that one, or give this one a state directory of its own", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A ledger existed here and is gone.
    #[error(
        "{}: the ledger is missing, but {} says that one existed; restore it from a backup, an empty one is never started in its place",
        path.display(), sign.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// The file that says so.
        sign: PathBuf,
    },
    /// The file is there and is not a ledger, or only a part of one.
    #[error("{}: not a readable ledger ({problem}); it was left as it is: restore it from a backup", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The file is a ledger, but not the one that lived here.
    #[error("{}: ledger {found} lies where ledger {expected} lived; put the right file back", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The id in the marker file.
        expected: String,
        /// The id in the ledger.
        found: String,
    },
    /// A restore did not come to its end.
    #[error("{}: a restore was interrupted here; run `ephemerald ledger restore` again with the same backup", path.display())]
    Interrupted {
        /// The file that says so.
        path: PathBuf,
    },
    /// A newer version wrote it.
    #[error(
        "{}: schema version {found}, this version knows up to {supported}; it was left as it is: run the newer version",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version known here.
        supported: i64,
    },
    /// The state directory is something else.
    #[error("{}: expected a directory; remove it or name another state directory", path.display())]
    NotADirectory {
        /// What was named.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: cannot {what}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// The disk is full.
    #[error("{}: the disk is full; free some space, endings go on from memory meanwhile", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// SQLite refused.
    #[error("{}: cannot {what}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Its answer; statements are ours and hold no values.
        source: rusqlite::Error,
    },
    /// What was acknowledged as durable is not there any more, or was changed.
    #[error("{}: row {} is not as it was acknowledged ({problem}); nothing is written until an operator has looked", path.display(), seq.0)]
    Lost {
        /// The file.
        path: PathBuf,
        /// The row.
        seq: Seq,
        /// What is wrong with it.
        problem: String,
    },
    /// The caller numbered a row wrongly; a defect, not a condition.
    #[error("row {} was submitted where row {} is next", found.0, expected.0)]
    OutOfOrder {
        /// The next number.
        expected: Seq,
        /// The one that came.
        found: Seq,
    },
    /// An earlier write failed; nothing is taken until a reopening succeeds.
    #[error("the ledger takes nothing since a write failed; it must be reopened first")]
    Suspended,
    /// The ledger was closed, or its thread is gone.
    #[error("the ledger is closed")]
    Closed,
}

/// A batch was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// As many batches wait as may wait.
    #[error("{limit} batches wait for the disk already; the batch was not taken")]
    Waiting {
        /// How many may wait.
        limit: usize,
    },
    /// A raise without the record that explains it; a defect, not a condition.
    #[error("a raise came without the record that explains it; the batch was not taken")]
    Unexplained,
    /// The ledger was closed.
    #[error("the ledger is closed; the batch was not taken")]
    Closed,
}
