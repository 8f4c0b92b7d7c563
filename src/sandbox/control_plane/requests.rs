//! Access requests: what a person asked for, who agreed, what became of it.
//!
//! Refuses an approver who is the requester, an approval without an approver, and every step that
//! [`lifecycle`](super::lifecycle) does not know. Whether the access is allowed is not judged here:
//! the agent's local policy does that.

use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    lifecycle::{Happening, RequestState},
    problem::Problem,
    store::{self, StoreError},
};
use crate::{
    control::wire::Target,
    engine::ids::{AgentId, Email, GrantId, IntegrationId, JobId, RoleName},
};

/// What a person asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// Who asks.
    pub requester: Email,
    /// The agent's name for the JumpCloud organization.
    pub integration: IntegrationId,
    /// Whose access changes.
    pub target: Target,
    /// The role, as JumpCloud spells it.
    pub role: RoleName,
    /// How long, in seconds, counted from the agent's acceptance.
    pub duration_s: u64,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Seconds after approval within which the agent may still start.
    #[serde(default = "five_minutes")]
    pub start_within_s: u32,
    /// Which agent; may be left out while only one is enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
}

/// More time for a granted access request. It needs an approval of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtensionSpec {
    /// The new length in seconds, from the agent's acceptance of the extension.
    pub duration_s: u64,
    /// Who asks; the requester of the access, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Email>,
    /// Who agreed; none of them asked.
    pub approvers: Vec<Email>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
}

const fn five_minutes() -> u32 {
    300
}

/// An access request as operators see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestView {
    /// `AR-` and a number.
    pub number: String,
    /// Where it stands.
    pub state: RequestState,
    /// What was asked for.
    pub spec: RequestSpec,
    /// Who agreed.
    pub approvers: Vec<Email>,
    /// The grant that the job names, once queued.
    pub grant_id: Option<GrantId>,
    /// The job, once queued.
    pub job_id: Option<JobId>,
    /// The agent that the job is for, once queued.
    pub agent: Option<AgentId>,
    /// When the access ends, as the agent reported it.
    pub ends_at: Option<String>,
    /// The latest result code, rule, or reason that the agent gave.
    pub detail: Option<String>,
    /// Every step, oldest first.
    pub history: Vec<Step>,
}

/// One step in the life of an access request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// UTC milliseconds since 1970.
    pub at: i64,
    /// The state from then on; unchanged if only something was reported.
    pub state: RequestState,
    /// What happened.
    pub note: String,
}

/// `AR-1001`.
pub(super) fn display(number: i64) -> String {
    format!("AR-{number}")
}

/// Takes `AR-1001` and `1001`.
pub(super) fn number(text: &str) -> Result<i64, Problem> {
    let digits = text.strip_prefix("AR-").unwrap_or(text);
    digits.parse().map_err(|_| Problem::not_found(format!("no access request has the number {text:?}")))
}

pub(super) fn create(tx: &Transaction<'_>, spec: &RequestSpec, now: i64) -> Result<i64, Problem> {
    if spec.duration_s == 0 {
        return Err(Problem::unprocessable("duration_s must be at least 1".to_owned()));
    }
    let body = serde_json::to_string(spec).map_err(|error| Problem::unprocessable(error.to_string()))?;
    tx.execute("insert into request (spec, state) values (?1, 'requested')", [body])
        .map_err(StoreError::Database)?;
    let number = tx.last_insert_rowid();
    note(tx, number, RequestState::Requested, &format!("requested by {}", spec.requester), now)?;
    Ok(number)
}

pub(super) fn approve(
    tx: &Transaction<'_>,
    number: i64,
    approvers: &[Email],
    now: i64,
) -> Result<(), Problem> {
    let view = get(tx, number)?;
    judge_approvers(&view.spec.requester, approvers)?;
    let names: Vec<&str> = approvers.iter().map(Email::as_str).collect();
    step(tx, number, Happening::Approve, &format!("approved by {}", names.join(", ")), now)?;
    let body = serde_json::to_string(approvers).map_err(|error| Problem::unprocessable(error.to_string()))?;
    tx.execute("update request set approvers = ?2 where number = ?1", params![number, body])
        .map_err(StoreError::Database)?;
    Ok(())
}

/// Somebody else than who asks must agree.
pub(super) fn judge_approvers(requester: &Email, approvers: &[Email]) -> Result<(), Problem> {
    if approvers.is_empty() {
        return Err(Problem::unprocessable("name at least one approver".to_owned()));
    }
    if approvers.iter().any(|approver| approver.same_mailbox(requester)) {
        return Err(Problem::unprocessable(format!(
            "{requester} asked for this access and cannot approve it: another person must"
        )));
    }
    Ok(())
}

/// How many jobs a request has led to: the next one's own number follows from it.
pub(super) fn jobs_of(tx: &Transaction<'_>, number: i64) -> Result<i64, StoreError> {
    Ok(tx.query_row("select count(distinct id) from job where request = ?1", [number], |row| row.get(0))?)
}

/// Records which job and grant an approved request became.
pub(super) fn queued(
    tx: &Transaction<'_>,
    number: i64,
    agent: &AgentId,
    grant: &GrantId,
    job: &JobId,
    now: i64,
) -> Result<(), Problem> {
    tx.execute(
        "update request set agent = ?2, grant_id = ?3, job_id = ?4 where number = ?1",
        params![number, agent.as_str(), grant.as_str(), job.as_str()],
    )
    .map_err(StoreError::Database)?;
    step(tx, number, Happening::Queue, &format!("job {job} signed for agent {agent}"), now)?;
    Ok(())
}

/// Moves a request on.
///
/// # Errors
/// A conflict that names the state, if `happening` has no meaning in it.
pub(super) fn step(
    tx: &Transaction<'_>,
    number: i64,
    happening: Happening,
    text: &str,
    now: i64,
) -> Result<RequestState, Problem> {
    let state = get(tx, number)?.state;
    let Some(next) = state.after(happening) else {
        return Err(Problem::conflict(format!("{} is {} already", display(number), state.name())));
    };
    tx.execute("update request set state = ?2 where number = ?1", params![number, next.name()])
        .map_err(StoreError::Database)?;
    note(tx, number, next, text, now)?;
    Ok(next)
}

/// Records what the agent said: a new state where it means one, else a line in the history.
pub(super) fn heard(
    tx: &Transaction<'_>,
    number: i64,
    happening: Option<Happening>,
    text: &str,
    now: i64,
) -> Result<(), StoreError> {
    let state = tx.query_row("select json_quote(state) from request where number = ?1", [number], |row| {
        store::json::<RequestState>(row, 0)
    })?;
    let Some(state) = state else { return Ok(()) };
    let next = happening.and_then(|happening| state.after(happening)).unwrap_or(state);
    tx.execute("update request set state = ?2 where number = ?1", params![number, next.name()])?;
    note(tx, number, next, text, now)
}

fn note(
    tx: &Transaction<'_>,
    number: i64,
    state: RequestState,
    text: &str,
    now: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "insert into request_history (number, at, state, note) values (?1, ?2, ?3, ?4)",
        params![number, now, state.name(), text],
    )?;
    Ok(())
}

/// Keeps what the agent said last about the request's grant.
pub(super) fn told(
    tx: &Transaction<'_>,
    number: i64,
    detail: &str,
    ends_at: Option<&str>,
) -> Result<(), StoreError> {
    tx.execute(
        "update request set detail = ?2, ends_at = coalesce(?3, ends_at) where number = ?1",
        params![number, detail, ends_at],
    )?;
    Ok(())
}

/// The agent has a job of this request; its first delivery moves the request on.
pub(super) fn leased(tx: &Transaction<'_>, number: i64, job: &JobId, now: i64) -> Result<(), StoreError> {
    let happening = is_grant_job(tx, number, job)?.then_some(Happening::Lease);
    heard(tx, number, happening, &format!("job {job} delivered"), now)
}

/// Whether `job` is the one that asked for the access, not one that revokes it.
pub(super) fn is_grant_job(tx: &Transaction<'_>, number: i64, job: &JobId) -> Result<bool, StoreError> {
    Ok(tx.query_row(
        "select count(*) > 0 from request where number = ?1 and job_id = ?2",
        params![number, job.as_str()],
        |row| row.get(0),
    )?)
}

pub(super) fn of_grant(tx: &Transaction<'_>, grant: &GrantId) -> Result<Option<i64>, StoreError> {
    Ok(tx
        .query_row("select number from request where grant_id = ?1", [grant.as_str()], |row| row.get(0))
        .optional()?)
}

pub(super) fn get(tx: &Transaction<'_>, number: i64) -> Result<RequestView, Problem> {
    let mut found = select(tx, "number = ?1", number)?;
    found.pop().ok_or_else(|| Problem::not_found(format!("there is no access request {}", display(number))))
}

/// All requests, oldest first; only those in `state`, if given.
pub(super) fn list(
    tx: &Transaction<'_>,
    state: Option<RequestState>,
) -> Result<Vec<RequestView>, StoreError> {
    select(tx, "?1 is null or state = ?1", state.map(RequestState::name))
}

fn select(tx: &Transaction<'_>, filter: &str, value: impl ToSql) -> Result<Vec<RequestView>, StoreError> {
    let mut select = tx.prepare_cached(&format!(
        "select number, json_quote(state), spec, approvers, grant_id, job_id, agent, ends_at, detail
         from request where {filter} order by number"
    ))?;
    let rows = select.query_map([value], view)?;
    let mut views = Vec::new();
    for row in rows {
        let (number, mut view) = row?;
        view.history = history(tx, number)?;
        views.push(view);
    }
    Ok(views)
}

fn view(row: &Row<'_>) -> rusqlite::Result<(i64, RequestView)> {
    let number = row.get(0)?;
    let view = RequestView {
        number: display(number),
        state: store::json(row, 1)?.ok_or(rusqlite::Error::InvalidQuery)?,
        spec: store::json(row, 2)?.ok_or(rusqlite::Error::InvalidQuery)?,
        approvers: store::json(row, 3)?.unwrap_or_default(),
        grant_id: store::id(row, 4, GrantId::new)?,
        job_id: store::id(row, 5, JobId::new)?,
        agent: store::id(row, 6, AgentId::new)?,
        ends_at: row.get(7)?,
        detail: row.get(8)?,
        history: Vec::new(),
    };
    Ok((number, view))
}

fn history(tx: &Transaction<'_>, number: i64) -> Result<Vec<Step>, StoreError> {
    let mut select = tx.prepare_cached(
        "select at, json_quote(state), note from request_history where number = ?1 order by rowid",
    )?;
    let steps = select.query_map([number], |row| {
        let state = store::json(row, 1)?.ok_or(rusqlite::Error::InvalidQuery)?;
        Ok(Step { at: row.get(0)?, state, note: row.get(2)? })
    })?;
    Ok(steps.collect::<Result<_, _>>()?)
}
