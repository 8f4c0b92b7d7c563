//! What agents say that they can do: agreed upon, kept, and gone by.
//!
//! Refuses to speak a version that is not offered, and to sign a job that the agent does not offer to
//! carry out. Words of a newer agent are kept as they came and mean nothing.

use rusqlite::{Transaction, params};

use super::{
    Shared,
    problem::Problem,
    requests::RequestView,
    store::{self, StoreError},
};
use crate::{
    control::wire::{Offers, Target, VERSION},
    engine::ids::{AgentId, IntegrationId},
};

/// The version to speak with an agent of these offers.
pub(super) fn agree(shared: &Shared, offers: Option<&Offers>) -> Result<u32, Problem> {
    let ours = shared.faults.get().versions.unwrap_or_else(|| vec![VERSION]);
    let theirs = offers.map_or_else(|| vec![VERSION], |offers| offers.versions.clone());
    let common = ours.iter().filter(|version| theirs.contains(version)).max();
    common.copied().ok_or_else(|| Problem::no_common_version(ours))
}

/// Keeps the newest offers of an agent.
pub(super) fn keep(tx: &Transaction<'_>, agent: &AgentId, offers: Option<&Offers>) -> Result<(), StoreError> {
    let Some(offers) = offers else { return Ok(()) };
    let text = serde_json::to_string(offers).expect("checked names and numbers serialise");
    tx.execute(
        "update agent set offers = ?2 where id = ?1 and offers is not ?2",
        params![agent.as_str(), text],
    )?;
    Ok(())
}

/// Whether the grant job of an access request may be signed for this agent.
pub(super) fn check_grant(
    tx: &Transaction<'_>,
    agent: &AgentId,
    request: &RequestView,
) -> Result<(), Problem> {
    let spec = &request.spec;
    check_type(tx, agent, &spec.integration, "grant")?;
    let target = match &spec.target {
        Target::Email(_) => "email",
        Target::AccountId(_) => "account_id",
        Target::Ephemeral(_) => "ephemeral",
    };
    let offers = of(tx, agent)?;
    if offers.is_some_and(|offers| !offers.takes_target(&spec.integration, target)) {
        return Err(not_offered(agent, &spec.integration, &format!("grants for the target {target}")));
    }
    Ok(())
}

/// Whether a job of this type may be signed for this agent.
pub(super) fn check_type(
    tx: &Transaction<'_>,
    agent: &AgentId,
    integration: &IntegrationId,
    job_type: &str,
) -> Result<(), Problem> {
    // An agent from before offers.
    let basic = || ["grant", "revoke", "test"].contains(&job_type);
    if of(tx, agent)?.map_or_else(basic, |offers| offers.takes(integration, job_type)) {
        return Ok(());
    }
    Err(not_offered(agent, integration, &format!("jobs of the type {job_type}")))
}

fn not_offered(agent: &AgentId, integration: &IntegrationId, what: &str) -> Problem {
    Problem::unprocessable(format!("agent {agent} does not offer {what} for the integration {integration}"))
}

fn of(tx: &Transaction<'_>, agent: &AgentId) -> Result<Option<Offers>, StoreError> {
    Ok(tx.query_row("select offers from agent where id = ?1", [agent.as_str()], |row| store::json(row, 0))?)
}
