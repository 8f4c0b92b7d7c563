//! Jobs and their leases: queued, handed out under a lease, handed out again when it runs out, done
//! when a result arrived.
//!
//! Never drops a job: one whose start-by time has passed is still delivered, because the agent must
//! answer each job exactly once and only its answer is proof.

use rusqlite::{OptionalExtension, Transaction, params};

use super::store::{self, StoreError};
use crate::engine::ids::{AgentId, JobId};

/// A job to be queued.
pub(super) struct NewJob<'a> {
    /// The job's id; not unique here, because tests inject two jobs with one id.
    pub(super) id: &'a JobId,
    /// Which agent may acquire it; tests may sign another audience.
    pub(super) agent: &'a AgentId,
    /// The signed job.
    pub(super) jws: &'a str,
    /// The access request behind it.
    pub(super) request: Option<i64>,
    /// Deliveries beyond the one that leases guarantee.
    pub(super) copies: u32,
}

/// A job handed out.
pub(super) struct Leased {
    /// The job's id.
    pub(super) id: JobId,
    /// The signed job.
    pub(super) jws: String,
    /// The access request behind it.
    pub(super) request: Option<i64>,
    seq: i64,
    copy: bool,
}

pub(super) fn queue(tx: &Transaction<'_>, job: &NewJob<'_>, now: i64) -> Result<(), StoreError> {
    for copy in 0..=job.copies {
        tx.execute(
            "insert into job (id, agent, jws, request, copy, created_at) values (?1, ?2, ?3, ?4, ?5, ?6)",
            params![job.id.as_str(), job.agent.as_str(), job.jws, job.request, copy > 0, now],
        )?;
    }
    Ok(())
}

/// Hands out up to `capacity` jobs until `lease_until`. Jobs that the agent says it knows have their
/// lease renewed instead, unless they are deliberate duplicates.
pub(super) fn lease(
    tx: &Transaction<'_>,
    agent: &AgentId,
    known: &[JobId],
    capacity: u32,
    now: i64,
    lease_until: i64,
) -> Result<Vec<Leased>, StoreError> {
    for id in known {
        tx.execute(
            "update job set state = 'leased', lease_until = ?3
             where agent = ?1 and id = ?2 and copy = 0 and state in ('queued', 'leased')",
            params![agent.as_str(), id.as_str(), lease_until],
        )?;
    }
    let mut select = tx.prepare_cached(
        "select seq, jws, request, copy, id from job
         where agent = ?1 and (state = 'queued' or (state = 'leased' and lease_until <= ?2))
         order by seq limit ?3",
    )?;
    let rows = select.query_map(params![agent.as_str(), now, capacity], |row| {
        let id = store::id(row, 4, JobId::new)?.ok_or(rusqlite::Error::InvalidQuery)?;
        Ok(Leased { id, seq: row.get(0)?, jws: row.get(1)?, request: row.get(2)?, copy: row.get(3)? })
    })?;
    let leased = rows.collect::<Result<Vec<_>, _>>()?;
    for job in &leased {
        tx.execute(
            "update job set state = ?2, lease_until = ?3, deliveries = deliveries + 1 where seq = ?1",
            params![job.seq, if job.copy { "done" } else { "leased" }, lease_until],
        )?;
    }
    Ok(leased)
}

/// When the next lease of this agent runs out, so that a waiting poll knows when to look again.
pub(super) fn next_expiry(tx: &Transaction<'_>, agent: &AgentId) -> Result<Option<i64>, StoreError> {
    Ok(tx.query_row(
        "select min(lease_until) from job where agent = ?1 and state = 'leased'",
        [agent.as_str()],
        |row| row.get(0),
    )?)
}

/// Renews a lease. `Some(cancelled)` if the agent has such a job that is not done.
pub(super) fn renew(
    tx: &Transaction<'_>,
    agent: &AgentId,
    id: &JobId,
    lease_until: i64,
) -> Result<Option<bool>, StoreError> {
    Ok(tx
        .query_row(
            "update job set state = 'leased', lease_until = ?3
             where agent = ?1 and id = ?2 and copy = 0 and state in ('queued', 'leased') returning cancelled",
            params![agent.as_str(), id.as_str(), lease_until],
            |row| row.get(0),
        )
        .optional()?)
}

/// A result arrived: nothing more to deliver, except deliberate duplicates.
pub(super) fn finish(tx: &Transaction<'_>, agent: &AgentId, id: &JobId) -> Result<Option<i64>, StoreError> {
    tx.execute(
        "update job set state = 'done' where agent = ?1 and id = ?2 and copy = 0",
        params![agent.as_str(), id.as_str()],
    )?;
    let request = tx
        .query_row(
            "select request from job where agent = ?1 and id = ?2 and request is not null limit 1",
            params![agent.as_str(), id.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(request)
}

/// Takes back a job that nobody has acquired; one in hand is marked, for the next heartbeat to say.
/// Returns whether it was taken back.
pub(super) fn cancel(tx: &Transaction<'_>, id: &JobId) -> Result<bool, StoreError> {
    tx.execute("update job set cancelled = 1 where id = ?1 and state = 'leased'", [id.as_str()])?;
    Ok(tx.execute(
        "update job set cancelled = 1, state = 'done' where id = ?1 and state = 'queued'",
        [id.as_str()],
    )? > 0)
}
