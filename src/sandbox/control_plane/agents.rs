//! Enrolled agents: their keys, their state, and the proofs they have used.
//!
//! Refuses a new key that is another agent's, and a proof that was used before.

use aws_lc_rs::rand;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    alarms::{self, AlarmKind},
    instances::{self, InstanceView},
    problem::Problem,
    store::{self, StoreError},
};
use crate::{
    control::{
        keys::PublicKey,
        wire::{JournalHead, Offers, StatusRequest},
    },
    engine::ids::AgentId,
};

type Key = [u8; 32];

/// An enrolled agent as operators see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentView {
    /// The id given at enrolment.
    pub id: AgentId,
    /// UTC milliseconds since 1970.
    pub enrolled_at: i64,
    /// When its last valid proof arrived, UTC milliseconds since 1970.
    pub last_seen_at: Option<i64>,
    /// The process of the newest epoch that sent one.
    pub instance: Option<String>,
    /// The epoch of that process.
    pub epoch: Option<u64>,
    /// Every process that has spoken, newest epoch first.
    pub instances: Vec<InstanceView>,
    /// Thumbprint of its key.
    pub key: String,
    /// Thumbprint of a key that was announced and not used yet.
    pub next_key: Option<String>,
    /// Whether it is asked to replace its key.
    pub new_key_wished: bool,
    /// What it says that it can do.
    pub offers: Option<Offers>,
    /// Its last status message.
    pub status: Option<serde_json::Value>,
}

/// The keys that an agent's proofs may be signed with: its own and, during a rotation, the next.
pub(super) fn keys_of(tx: &Transaction<'_>, id: &AgentId) -> Result<Option<Vec<PublicKey>>, StoreError> {
    let keys: Option<(Key, Option<Key>)> = tx
        .query_row("select public_key, next_key from agent where id = ?1", [id.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    Ok(keys.map(|(own, next)| [Some(own), next].into_iter().flatten().map(PublicKey::from_bytes).collect()))
}

/// Remembers a used proof until `forget_at`; false if it was used before.
pub(super) fn first_use(
    tx: &Transaction<'_>,
    agent: &AgentId,
    jti: &str,
    now: i64,
    forget_at: i64,
) -> Result<bool, StoreError> {
    tx.execute("delete from proof where forget_at < ?1", [now])?;
    let added = tx.execute(
        "insert or ignore into proof (agent, jti, forget_at) values (?1, ?2, ?3)",
        params![agent.as_str(), jti, forget_at],
    )?;
    Ok(added == 1)
}

/// Notes that an agent was heard of; the first use of a new key retires the old one.
pub(super) fn seen(
    tx: &Transaction<'_>,
    agent: &AgentId,
    key: &PublicKey,
    now: i64,
) -> Result<(), StoreError> {
    tx.execute(
        "update agent set last_seen_at = ?2, public_key = ?3,
           next_key = case when next_key = ?3 then null else next_key end
         where id = ?1",
        params![agent.as_str(), now, key.as_bytes()],
    )?;
    Ok(())
}

/// Accepts a new key beside the old one until the new one has been used.
pub(super) fn add_key(tx: &Transaction<'_>, agent: &AgentId, key: &PublicKey) -> Result<(), Problem> {
    let taken: i64 = tx
        .query_row(
            "select count(*) from agent where id <> ?1 and ?2 in (public_key, next_key)",
            params![agent.as_str(), key.as_bytes()],
            |row| row.get(0),
        )
        .map_err(StoreError::Database)?;
    if taken > 0 {
        return Err(Problem::conflict("this key belongs to another agent: make a new key".to_owned()));
    }
    tx.execute("update agent set next_key = ?2 where id = ?1", params![agent.as_str(), key.as_bytes()])
        .map_err(StoreError::Database)?;
    Ok(())
}

/// Wishes that the agent replaces the key that it has now; false if it is not enrolled.
pub(super) fn wish_new_key(tx: &Transaction<'_>, agent: &AgentId) -> Result<bool, StoreError> {
    Ok(tx.execute("update agent set wished_away = public_key where id = ?1", [agent.as_str()])? > 0)
}

/// The thumbprint of the key that the agent is to replace, as long as it still has it.
pub(super) fn wished_away(tx: &Transaction<'_>, agent: &AgentId) -> Result<Option<String>, StoreError> {
    let key: Option<Key> = tx.query_row(
        "select case when wished_away = public_key then wished_away end from agent where id = ?1",
        [agent.as_str()],
        |row| row.get(0),
    )?;
    Ok(key.map(|key| PublicKey::from_bytes(key).thumbprint()))
}

/// Keeps a status and the newest journal head ever told. The answer is the one that was stored before: only
/// that tells the agent whether its journal still has it.
pub(super) fn set_status(
    tx: &Transaction<'_>,
    agent: &AgentId,
    status: &StatusRequest,
    text: &str,
    now: i64,
) -> Result<Option<JournalHead>, StoreError> {
    tx.execute("update agent set status = ?2 where id = ?1", params![agent.as_str(), text])?;
    note_head(tx, agent, status.journal.as_ref(), now)
}

/// Keeps the newest journal head ever told, and alarms on one that went back; what was stored before.
pub(super) fn note_head(
    tx: &Transaction<'_>,
    agent: &AgentId,
    told: Option<&JournalHead>,
    now: i64,
) -> Result<Option<JournalHead>, StoreError> {
    let stored: Option<JournalHead> =
        tx.query_row("select head from agent where id = ?1", [agent.as_str()], |row| store::json(row, 0))?;
    compare_heads(tx, agent, told, stored.as_ref(), now)?;
    // Of two heads with one number the stored one stays: the agent must notice the fork.
    let newest = [told.cloned(), stored.clone()].into_iter().flatten().max_by_key(|head| head.seq);
    if let Some(text) = newest.as_ref().and_then(|head| serde_json::to_string(head).ok()) {
        tx.execute("update agent set head = ?2 where id = ?1", params![agent.as_str(), text])?;
    }
    Ok(stored)
}

/// An agent whose journal is older than it was, or another one, runs on a copy of its files.
fn compare_heads(
    tx: &Transaction<'_>,
    agent: &AgentId,
    told: Option<&JournalHead>,
    stored: Option<&JournalHead>,
    now: i64,
) -> Result<(), StoreError> {
    let (Some(told), Some(stored)) = (told, stored) else { return Ok(()) };
    let place = told.seq.to_string();
    if told.seq < stored.seq {
        let text =
            format!("the journal ends at {}, it has been at {}: files put back?", told.seq, stored.seq);
        alarms::raise(tx, Some(agent), AlarmKind::JournalWentBack, &place, &text, now)?;
    } else if told.seq == stored.seq && told.hash != stored.hash {
        let text = "the journal has another record than the one it told before: a copy of the machine?";
        alarms::raise(tx, Some(agent), AlarmKind::JournalForked, &place, text, now)?;
    }
    Ok(())
}

/// The agent a request names, or the only one there is; `None` while nobody is enrolled.
pub(super) fn resolve(tx: &Transaction<'_>, named: Option<&AgentId>) -> Result<Option<AgentId>, Problem> {
    let agents = list(tx)?;
    match (named, agents.as_slice()) {
        (Some(named), agents) if agents.iter().any(|agent| agent.id == *named) => Ok(Some(named.clone())),
        (Some(named), _) => Err(Problem::not_found(format!("no agent {named} is enrolled"))),
        (None, []) => Ok(None),
        (None, [only]) => Ok(Some(only.id.clone())),
        (None, agents) => Err(Problem::unprocessable(format!(
            "{} agents are enrolled: name one in \"agent\"",
            agents.len()
        ))),
    }
}

pub(super) fn list(tx: &Transaction<'_>) -> Result<Vec<AgentView>, StoreError> {
    let mut select = tx.prepare_cached(
        "select id, enrolled_at, last_seen_at, instance, epoch, status, public_key, next_key,
           coalesce(wished_away = public_key, 0), offers
         from agent order by enrolled_at, id",
    )?;
    let agents = select.query_map([], view)?;
    let mut agents = agents.collect::<Result<Vec<AgentView>, _>>()?;
    for agent in &mut agents {
        agent.instances = instances::list(tx, &agent.id)?;
    }
    Ok(agents)
}

fn view(row: &Row<'_>) -> rusqlite::Result<AgentView> {
    Ok(AgentView {
        id: store::id(row, 0, AgentId::new)?.ok_or(rusqlite::Error::InvalidQuery)?,
        enrolled_at: row.get(1)?,
        last_seen_at: row.get(2)?,
        instance: row.get(3)?,
        epoch: row.get::<_, Option<i64>>(4)?.and_then(|epoch| u64::try_from(epoch).ok()),
        status: store::json(row, 5)?,
        instances: Vec::new(),
        key: PublicKey::from_bytes(row.get(6)?).thumbprint(),
        next_key: row.get::<_, Option<Key>>(7)?.map(|key| PublicKey::from_bytes(key).thumbprint()),
        new_key_wished: row.get(8)?,
        offers: store::json(row, 9)?,
    })
}

/// Random bytes from the operating system.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system's random source does not fail once it is seeded");
    bytes
}

/// Random bytes in hexadecimal.
pub(super) fn random_hex<const N: usize>() -> String {
    use std::fmt::Write as _;
    random::<N>().iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
