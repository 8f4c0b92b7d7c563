//! What a killed agent was doing, by what it left behind.
//!
//! The ledger is read from a copy: opening the real one would repair it and hide what the next start
//! must cope with. A write that was journalled as handed out and has no answer was under way. A record
//! that was logged and is not in the ledger was on its way to the disk: the kill fell into a commit.

use std::{collections::BTreeMap, fmt, fs};

use ephemerald::{
    engine::{
        account::{AccountRef, Effect},
        record::Record,
    },
    sandbox::jumpcloud::{Console, Event},
};
use rusqlite::{Connection, OpenFlags};

use crate::process::Files;

/// How often a kill fell into what.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) kills: u32,
    pub(crate) in_raise: u32,
    pub(crate) in_lower: u32,
    pub(crate) in_create: u32,
    pub(crate) in_delete: u32,
    pub(crate) in_commit: u32,
    pub(crate) done_unrecorded: u32,
    pub(crate) idle: u32,
}

impl Table {
    /// Looks at what one kill left. `logged` is the last record that the agent logged, `cloud_seq` the
    /// place in JumpCloud's log at which this process began.
    pub(crate) fn add(&mut self, files: &Files, cloud: &Console, logged: u64, cloud_seq: u64) {
        let records = records(files);
        let head = records.last().map_or(0, |(seq, _)| *seq);
        let mut open: BTreeMap<AccountRef, Effect> = BTreeMap::new();
        let mut answered = 0;
        for (_, record) in records {
            match record {
                // Each start begins anew: only what the killed process did counts.
                Record::AgentStarted { .. } => {
                    open.clear();
                    answered = 0;
                }
                Record::AttemptStarted { at, attempt } => drop(open.insert(at, attempt.effect)),
                Record::AttemptEnded { at, .. } => {
                    answered += usize::from(open.remove(&at).is_some());
                }
                _ => {}
            }
        }
        let has = |wanted: fn(&Effect) -> bool| u32::from(open.values().any(wanted));
        self.kills += 1;
        self.in_raise += has(|e| matches!(e, Effect::Raise { .. }));
        self.in_lower += has(|e| matches!(e, Effect::Lower { .. }));
        self.in_create += has(|e| matches!(e, Effect::Create { .. }));
        self.in_delete += has(|e| matches!(e, Effect::Delete));
        self.in_commit += u32::from(logged > head);
        self.done_unrecorded += u32::from(carried_out(cloud, cloud_seq) > answered);
        self.idle += u32::from(open.is_empty() && logged <= head);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("kills", self.kills),
            ("  inside a raise (handed out, no answer)", self.in_raise),
            ("  inside a lower", self.in_lower),
            ("  inside the creation of an ephemeral account", self.in_create),
            ("  inside its deletion", self.in_delete),
            ("  inside a commit (logged, not in the ledger)", self.in_commit),
            ("  after an effect whose answer was not recorded", self.done_unrecorded),
            ("  with nothing under way", self.idle),
        ];
        rows.iter().try_for_each(|(what, count)| writeln!(f, "{what:<50} {count:>5}"))
    }
}

/// Every record that is durable, in order.
fn records(files: &Files) -> Vec<(u64, Record)> {
    let copy = tempfile::tempdir().unwrap();
    for name in ["ledger.db", "ledger.db-wal"] {
        let from = files.state.join(name);
        if from.exists() {
            fs::copy(from, copy.path().join(name)).unwrap();
        }
    }
    let file = copy.path().join("ledger.db");
    if !file.exists() {
        return Vec::new();
    }
    let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let mut select = db.prepare("SELECT seq, body FROM journal ORDER BY seq").unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?));
    let rows = select.query_map([], row).unwrap();
    rows.map(|row| row.unwrap()).map(|(seq, body)| (seq, serde_json::from_slice(&body).unwrap())).collect()
}

/// Writes that JumpCloud carried out since then.
fn carried_out(cloud: &Console, since: u64) -> usize {
    let wrote = |event: &Event| matches!(event, Event::Request(r) if r.method != "GET" && r.executed);
    cloud.log_since(since).iter().filter(|entry| wrote(&entry.event)).count()
}
