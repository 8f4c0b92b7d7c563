//! What happened in the simulated JumpCloud: every request and every change, in order.
//!
//! This is the oracle of tests: the `changed` entries of one account are its true history of roles,
//! whatever anybody was answered. Refuses to keep API keys: a request carries a digest of its key.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::account::Account;

/// How many entries are kept; the oldest go first.
const KEPT: usize = 100_000;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts from 1 and has no gaps, not even over a reset, so that a reader notices what was
    /// dropped.
    pub seq: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A request arrived; its effects, if it has any, follow as entries of their own.
    Request(Received),
    /// An account is no longer as it was.
    Changed(Changed),
    /// A mail would have gone out.
    Mail(Mailed),
}

/// A mail that JumpCloud would have sent; the simulated one sends none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailed {
    /// `activation` of a new administrator, or `reactivation`.
    pub mail: String,
    /// Identifier of the account.
    pub account: String,
    /// Where to.
    pub email: String,
}

/// A request, as it was dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// First half of the SHA-256 of the API key (or of `Authorization`), in hexadecimal digits.
    pub key_digest: Option<String>,
    /// The status answered; none if the connection was cut or left hanging before one.
    pub status: Option<u16>,
    /// The kind of fault that struck.
    pub fault: Option<String>,
    /// Whether the request was really carried out, now or later.
    pub executed: bool,
}

/// An account after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// E-mail address of the administrator whose key did it, or `console`.
    pub actor: String,
    /// What was done.
    pub change: Change,
    /// Identifier of the account.
    pub account: String,
    /// Its e-mail address; before a deletion, the last one.
    pub email: String,
    /// Its roles now; none after a deletion.
    pub roles: Vec<String>,
    /// Whether it is suspended now.
    pub suspended: bool,
}

/// What was done to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It did not exist before.
    Created,
    /// It was written, perhaps with the values it had.
    Updated,
    /// It is gone.
    Deleted,
}

impl Changed {
    pub(super) fn new(actor: &str, change: Change, account: &Account) -> Self {
        let roles = if change == Change::Deleted { Vec::new() } else { account.roles.clone() };
        Self {
            actor: actor.to_owned(),
            change,
            account: account.id.clone(),
            email: account.email.clone(),
            roles,
            suspended: account.suspended,
        }
    }
}

/// The entries kept.
#[derive(Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    last: u64,
    changes: watch::Sender<u64>,
    all: watch::Sender<u64>,
}

impl Log {
    /// Adds an entry.
    pub(super) fn push(&mut self, at_ms: i64, event: Event) {
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.last += 1;
        let is_change = matches!(event, Event::Changed(_));
        self.entries.push_back(Entry { seq: self.last, at_ms, event });
        if is_change {
            self.changes.send_replace(self.last);
        }
        self.all.send_replace(self.last);
    }

    /// The number of the newest entry.
    pub(super) const fn end(&self) -> u64 {
        self.last
    }

    /// Forgets all entries; numbers go on.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The number of the last change, as it grows.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The number of the last entry of any kind, as it grows.
    pub(super) fn all(&self) -> watch::Receiver<u64> {
        self.all.subscribe()
    }

    /// The entries after `seq`, in place.
    pub(super) fn after(&self, seq: u64) -> impl DoubleEndedIterator<Item = &Entry> {
        // Numbers have no gaps, so the place of the first one is known.
        let oldest = self.entries.front().map_or(0, |entry| entry.seq);
        let from = usize::try_from((seq + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        self.entries.range(from.min(self.entries.len())..)
    }

    /// The entries after `seq`.
    pub(super) fn since(&self, seq: u64) -> Vec<Entry> {
        self.after(seq).cloned().collect()
    }
}
