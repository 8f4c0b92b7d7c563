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
    requests,
    store::{self, StoreError},
};
use crate::{
    control::wire::{Believed, Report},
    engine::ids::{AgentId, GrantId, JobId},
};

/// The most grants in one answer to `recover`.
const PAGE: usize = 200;
/// One more than that, to see whether there is a next page.
const ONE_MORE: i64 = 201;

/// A report as tests and operators see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResultView {
    /// Who reported.
    pub agent: AgentId,
    /// The agent's sequence number.
    pub seq: i64,
    /// First arrival, UTC milliseconds since 1970.
    pub received_at: i64,
    /// How often the same report arrived again.
    pub repeats: i64,
    /// How often another body arrived under this number; anything but 0 is the agent's fault.
    pub conflicting: i64,
    /// Why it is not a report of this protocol version; it is kept all the same.
    pub malformed: Option<String>,
    /// The report as it was sent.
    pub report: Value,
}

/// Stores one report and acts on it if it is new; the answer is the number to acknowledge, `None` if
/// it has none that could be.
pub(super) fn receive(
    tx: &Transaction<'_>,
    agent: &AgentId,
    report: &Value,
    now: i64,
) -> Result<Option<u64>, StoreError> {
    let number = report["seq"].as_u64().and_then(|seq| Some((seq, i64::try_from(seq).ok()?)));
    let Some((seq, row)) = number else { return Ok(None) };
    if store_once(tx, agent, row, &report.to_string(), now)? {
        act(tx, agent, report, now)?;
    }
    Ok(Some(seq))
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
        .query_row(
            "select body from report where agent = ?1 and seq = ?2",
            params![agent.as_str(), seq],
            |row| row.get(0),
        )
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

fn act(tx: &Transaction<'_>, agent: &AgentId, report: &Value, now: i64) -> Result<(), StoreError> {
    let code = report["code"].as_str().unwrap_or("(no code)");
    let (request, happening) = if report["kind"] == "result" {
        let Some(job) = report["job_id"].as_str().and_then(|id| JobId::new(id).ok()) else { return Ok(()) };
        let request = jobs::finish(tx, agent, &job)?;
        let of_grant = request.map(|number| requests::is_grant_job(tx, number, &job)).transpose()?;
        (request, if of_grant == Some(true) { Some(granting(code)) } else { revoking(report, code) })
    } else {
        let Some(grant) = report["grant_id"].as_str().and_then(|id| GrantId::new(id).ok()) else {
            return Ok(());
        };
        (requests::of_grant(tx, &grant)?, (code == "grant_ended").then_some(Happening::Ended))
    };
    let Some(number) = request else { return Ok(()) };

    let detail = summary(report, code);
    requests::told(tx, number, &detail, report["ends_at"].as_str())?;
    requests::heard(tx, number, happening, &detail, now)
}

/// What the result of a grant job means for its access request.
fn granting(code: &str) -> Happening {
    match code {
        "granted" => Happening::Granted,
        "already_granted" => Happening::AlreadyGranted,
        "dry_run" => Happening::DryRun,
        "cancelled" => Happening::Ended,
        _ => Happening::Refused,
    }
}

/// What the result of a revoke job means for its access request; a failed one leaves it `ending`. That of
/// an extension means nothing: it only moves the end.
/// A grant that the agent does not know never came about.
fn revoking(report: &Value, code: &str) -> Option<Happening> {
    let over = matches!(code, "revoked" | "already_ended") || report["rule"] == "unknown_grant";
    over.then_some(Happening::Ended)
}

/// `rejected (role_not_grantable)`, `grant_ended (expired)`.
fn summary(report: &Value, code: &str) -> String {
    let why = ["rule", "reason", "detail"].iter().find_map(|key| report[key].as_str());
    why.map_or_else(|| code.to_owned(), |why| format!("{code} ({why})"))
}

/// Every report, in order of first arrival.
pub(super) fn list(tx: &Transaction<'_>) -> Result<Vec<ResultView>, StoreError> {
    let mut select = tx.prepare_cached(
        "select agent, seq, received_at, repeats, conflicting, body from report order by place",
    )?;
    let views = select.query_map([], |row| {
        let report: Value = store::json(row, 5)?.unwrap_or_default();
        Ok(ResultView {
            malformed: Report::deserialize(&report).err().map(|error| error.to_string()),
            agent: store::id(row, 0, AgentId::new)?.ok_or(rusqlite::Error::InvalidQuery)?,
            seq: row.get(1)?,
            received_at: row.get(2)?,
            repeats: row.get(3)?,
            conflicting: row.get(4)?,
            report,
        })
    })?;
    Ok(views.collect::<Result<_, _>>()?)
}

/// Grants reported as granted and not as over, as they were reported last, a page from `cursor` on: what a new ledger asks for.
pub(super) fn believed(
    tx: &Transaction<'_>,
    agent: &AgentId,
    cursor: Option<&str>,
) -> Result<(Vec<Believed>, Option<String>), StoreError> {
    let after: i64 = cursor.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut select = tx.prepare_cached(
        "select place, body from report as given
         where agent = ?1 and place > ?2 and body ->> '$.code' in ('granted', 'extended') and not exists (
           select 1 from report as later
           where later.agent = given.agent and later.body ->> '$.grant_id' = given.body ->> '$.grant_id'
             and (later.body ->> '$.code' = 'grant_ended'
               or (later.body ->> '$.code' = 'extended' and later.place > given.place)))
         order by place limit ?3",
    )?;
    let rows = select.query_map(params![agent.as_str(), after, ONE_MORE], |row| {
        Ok((row.get::<_, i64>(0)?, store::json::<Value>(row, 1)?.unwrap_or_default()))
    })?;
    let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let cursor = rows.last().filter(|_| more).map(|(place, _)| place.to_string());
    let grants = rows.iter().filter_map(|(_, report)| belief(&Report::deserialize(report).ok()?)).collect();
    Ok((grants, cursor))
}

fn belief(report: &Report) -> Option<Believed> {
    Some(Believed {
        grant_id: report.grant_id.clone()?,
        integration: report.integration.clone()?,
        account: report.account.clone()?,
        role: report.role.clone()?,
        ends_at: report.ends_at?,
        receipt: report.receipt.clone(),
    })
}
