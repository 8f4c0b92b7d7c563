//! Which processes of an agent have spoken, told apart by epoch and instance.
//!
//! A start on one ledger has a higher epoch than the one before. Two that speak in turn with one epoch
//! are copies of one machine; one with a lower epoch was replaced, or its files were put back. Refuses
//! neither: each may hold live grants, and its reports count.

use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    alarms::{self, AlarmKind},
    store::StoreError,
};
use crate::engine::ids::AgentId;

/// One process of an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceView {
    /// Random, new at every start.
    pub instance: String,
    /// Grows at every start on one ledger.
    pub epoch: u64,
    /// When it was first heard of, UTC milliseconds since 1970.
    pub first_seen_at: i64,
    /// When it was last heard of.
    pub last_seen_at: i64,
}

/// Notes who speaks; true if a process of a later epoch has been heard of.
pub(super) fn heard(
    tx: &Transaction<'_>,
    agent: &AgentId,
    instance: &str,
    epoch: u64,
    now: i64,
) -> Result<bool, StoreError> {
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    let (newest, speaker): (Option<i64>, Option<String>) =
        tx.query_row("select epoch, instance from agent where id = ?1", [agent.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let known = note(tx, agent, instance, epoch, now)?;
    let newest = newest.unwrap_or(-1);
    if epoch < newest {
        let text =
            "a process of an earlier epoch still speaks: a copy of the machine, or its files were put back";
        alarms::raise(tx, Some(agent), AlarmKind::ReplacedProcess, instance, text, now)?;
        return Ok(true);
    }
    if epoch == newest && known && speaker.as_deref() != Some(instance) {
        let text = "two processes speak in turn with one epoch: a cloned machine";
        alarms::raise(tx, Some(agent), AlarmKind::Clone, &epoch.to_string(), text, now)?;
    }
    tx.execute(
        "update agent set instance = ?2, epoch = ?3 where id = ?1",
        params![agent.as_str(), instance, epoch],
    )?;
    Ok(false)
}

/// Whether a process of a later epoch than this one has been heard of.
pub(super) fn is_replaced(tx: &Transaction<'_>, agent: &AgentId, epoch: u64) -> Result<bool, StoreError> {
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    Ok(tx.query_row(
        "select coalesce(epoch > ?2, 0) from agent where id = ?1",
        params![agent.as_str(), epoch],
        |row| row.get(0),
    )?)
}

/// True if it had been heard of before.
fn note(
    tx: &Transaction<'_>,
    agent: &AgentId,
    instance: &str,
    epoch: i64,
    now: i64,
) -> Result<bool, StoreError> {
    let known = tx
        .query_row(
            "update instance set last_seen_at = ?4 where agent = ?1 and epoch = ?2 and instance = ?3
             returning 1",
            params![agent.as_str(), epoch, instance, now],
            |_| Ok(()),
        )
        .optional()?
        .is_some();
    if !known {
        tx.execute(
            "insert into instance (agent, epoch, instance, first_seen_at, last_seen_at)
             values (?1, ?2, ?3, ?4, ?4)",
            params![agent.as_str(), epoch, instance, now],
        )?;
    }
    Ok(known)
}

/// The processes of an agent, newest epoch first.
pub(super) fn list(tx: &Transaction<'_>, agent: &AgentId) -> Result<Vec<InstanceView>, StoreError> {
    let mut select = tx.prepare_cached(
        "select instance, epoch, first_seen_at, last_seen_at from instance where agent = ?1
         order by epoch desc, first_seen_at desc",
    )?;
    let rows = select.query_map([agent.as_str()], |row| {
        let epoch: i64 = row.get(1)?;
        Ok(InstanceView {
            instance: row.get(0)?,
            epoch: u64::try_from(epoch).unwrap_or(0),
            first_seen_at: row.get(2)?,
            last_seen_at: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
