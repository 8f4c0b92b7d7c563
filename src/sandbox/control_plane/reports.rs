//! Reports received: stored once by (agent, sequence number), counted when repeated, and read for
//! what they say about jobs and access requests.
//!
//! Never refuses a report for its content: it is evidence. One that repeats a sequence number with
//! another body is kept out and counted as conflicting.

use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    jobs,
    lifecycle::Happening,
    problem::Problem,
    requests,
    store::{self, StoreError},
};
use crate::{
    control::wire::{EventCode, Report, ReportCode, ResultCode},
    engine::ids::AgentId,
};

/// A report as tests and operators see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResultView {
    /// Who reported.
    pub agent: AgentId,
    /// The agent's sequence number.
    pub seq: u64,
    /// First arrival, UTC milliseconds since 1970.
    pub received_at: i64,
    /// How often the same report arrived again.
    pub repeats: u64,
    /// How often another body arrived under this number; anything but 0 is the agent's fault.
    pub conflicting: u64,
    /// The report as it was sent.
    pub report: Value,
}

/// Stores one report and acts on it if it is new.
pub(super) fn receive(tx: &Transaction<'_>, agent: &AgentId, report: &Report, now: i64) -> Result<(), Problem> {
    let body = serde_json::to_string(report).map_err(|error| Problem::malformed(error.to_string()))?;
    let seq = i64::try_from(report.seq).map_err(|_| Problem::malformed("seq is too large".to_owned()))?;
    if store_once(tx, agent, seq, &body, now)? {
        act(tx, agent, report, now)?;
    }
    Ok(())
}

/// True if the report is new.
fn store_once(
    tx: &Transaction<'_>,
    agent: &AgentId,
    seq: i64,
    body: &str,
    now: i64,
) -> Result<bool, StoreError> {
    let known: Option<String> = tx
        .query_row("select body from report where agent = ?1 and seq = ?2", params![agent.as_str(), seq], |row| {
            row.get(0)
        })
        .optional()?;
    let Some(known) = known else {
        tx.execute(
            "insert into report (agent, seq, body, received_at) values (?1, ?2, ?3, ?4)",
            params![agent.as_str(), seq, body, now],
        )?;
        return Ok(true);
    };
    let (again, other) = if known == body { (1, 0) } else { (0, 1) };
    tx.execute(
        "update report set repeats = repeats + ?3, conflicting = conflicting + ?4 where agent = ?1 and seq = ?2",
        params![agent.as_str(), seq, again, other],
    )?;
    Ok(false)
}
