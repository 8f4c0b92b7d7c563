//! What an operator of a control plane must look at; here they are kept and shown, nobody is called.
//!
//! One alarm for each agent, kind and subject, counted when it repeats: a flood of requests from a
//! cloned machine is one line. Refuses to forget.

use rusqlite::{Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::store::{self, StoreError};
use crate::engine::ids::AgentId;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// Two processes speak in turn with one epoch: copies of one machine.
    Clone,
    /// A process of an earlier epoch still speaks.
    ReplacedProcess,
    /// A spent agent token was shown with another key.
    TokenLeaked,
    /// The agent's journal is older than what it told before.
    JournalWentBack,
    /// The agent's journal has another record where it told one before.
    JournalForked,
}

/// One alarm.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AlarmView {
    /// Whose; empty if no agent is known to be behind it.
    pub agent: Option<AgentId>,
    /// What is wrong.
    pub kind: AlarmKind,
    /// The epoch, instance or journal place that it is about.
    pub subject: String,
    /// In words.
    pub text: String,
    /// When it was first noticed, UTC milliseconds since 1970.
    pub first_at: i64,
    /// When it was last noticed.
    pub last_at: i64,
    /// How often.
    pub count: i64,
}

/// Notes that something is wrong, once more or for the first time.
pub(super) fn raise(
    tx: &Transaction<'_>,
    agent: Option<&AgentId>,
    kind: AlarmKind,
    subject: &str,
    text: &str,
    now: i64,
) -> Result<(), StoreError> {
    let agent = agent.map_or("", AgentId::as_str);
    let kind = serde_json::to_string(&kind).expect("a unit variant serialises");
    let count: i64 = tx.query_row(
        "insert into alarm (agent, kind, subject, text, first_at, last_at) values (?1, ?2, ?3, ?4, ?5, ?5)
         on conflict (agent, kind, subject) do update set count = count + 1, last_at = ?5
         returning count",
        params![agent, kind, subject, text, now],
        |row| row.get(0),
    )?;
    if count == 1 {
        tracing::warn!(agent.id = agent, kind, subject, "alarm: {text}");
    }
    Ok(())
}

/// Every alarm, oldest first.
pub(super) fn list(tx: &Transaction<'_>) -> Result<Vec<AlarmView>, StoreError> {
    let mut select = tx.prepare_cached(
        "select nullif(agent, ''), kind, subject, text, first_at, last_at, count from alarm order by place",
    )?;
    let alarms = select.query_map([], view)?;
    Ok(alarms.collect::<Result<_, _>>()?)
}

fn view(row: &Row<'_>) -> rusqlite::Result<AlarmView> {
    Ok(AlarmView {
        agent: store::id(row, 0, AgentId::new)?,
        kind: store::json(row, 1)?.ok_or(rusqlite::Error::InvalidQuery)?,
        subject: row.get(2)?,
        text: row.get(3)?,
        first_at: row.get(4)?,
        last_at: row.get(5)?,
        count: row.get(6)?,
    })
}
