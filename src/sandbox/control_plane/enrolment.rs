//! One-time agent tokens, and the enrolments that spend them.
//!
//! Refuses a spent token for any other key than the one that spent it, so that an agent whose answer
//! got lost can ask again and nobody else can. Tokens are kept as SHA-256 digests only.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    agents::{keys_of, random, random_hex},
    alarms::{self, AlarmKind},
    problem::Problem,
    store::{self, StoreError},
};
use crate::{control::keys::PublicKey, engine::ids::AgentId};

/// How long an agent token may be used, in milliseconds.
const TOKEN_LIFE_MS: i64 = 24 * 60 * 60 * 1000;

/// The secret part of a new agent token, stored as a digest.
pub(super) fn new_token(tx: &Transaction<'_>, now: i64) -> Result<String, StoreError> {
    let secret = URL_SAFE_NO_PAD.encode(random::<32>());
    tx.execute(
        "insert into token (hash, created_at, expires_at) values (?1, ?2, ?3)",
        params![hash(&secret), now, now + TOKEN_LIFE_MS],
    )?;
    Ok(secret)
}

/// Spends a token for a public key. The same key with the same token gets the same answer again.
pub(super) fn enroll(
    tx: &Transaction<'_>,
    secret: &str,
    key: &PublicKey,
    now: i64,
) -> Result<AgentId, Problem> {
    // One answer for all: which it was is nobody's business who has not got a good token.
    let refused = || {
        Problem::unauthorized("token-refused", "the agent token is not taken: ask for a new one".to_owned())
    };
    let token: Option<(i64, Option<AgentId>)> = tx
        .query_row("select expires_at, agent from token where hash = ?1", [hash(secret)], |row| {
            Ok((row.get(0)?, store::id(row, 1, AgentId::new)?))
        })
        .optional()
        .map_err(StoreError::Database)?;
    match token {
        Some((_, Some(id))) if keys_of(tx, &id)?.is_some_and(|keys| keys.contains(key)) => Ok(id),
        Some((_, Some(_))) => Err(refused()),
        Some((expires_at, None)) if expires_at > now => insert(tx, secret, key, now),
        _ => Err(refused()),
    }
}

/// Alarms if the refused token is one that another key has spent.
pub(super) fn note_leak(
    tx: &Transaction<'_>,
    secret: &str,
    key: &PublicKey,
    now: i64,
) -> Result<(), StoreError> {
    let spent: Option<Option<AgentId>> = tx
        .query_row("select agent from token where hash = ?1", [hash(secret)], |row| {
            store::id(row, 0, AgentId::new)
        })
        .optional()?;
    let Some(Some(agent)) = spent else { return Ok(()) };
    let text = "the agent token that this agent spent was shown with another key: somebody else has seen it";
    alarms::raise(tx, Some(&agent), AlarmKind::TokenLeaked, &key.thumbprint(), text, now)
}

fn insert(tx: &Transaction<'_>, secret: &str, key: &PublicKey, now: i64) -> Result<AgentId, Problem> {
    let taken: Option<String> = tx
        .query_row("select id from agent where public_key = ?1", [key.as_bytes()], |row| row.get(0))
        .optional()
        .map_err(StoreError::Database)?;
    if let Some(id) = taken {
        return Err(Problem::conflict(format!("this key belongs to agent {id} already: make a new key")));
    }
    let id = AgentId::new(&format!("agent-{}", random_hex::<8>())).expect("hexadecimal is a valid id");
    tx.execute(
        "insert into agent (id, public_key, enrolled_at) values (?1, ?2, ?3)",
        params![id.as_str(), key.as_bytes(), now],
    )
    .and_then(|_| {
        tx.execute("update token set agent = ?2 where hash = ?1", params![hash(secret), id.as_str()])
    })
    .map_err(StoreError::Database)?;
    Ok(id)
}

fn hash(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}
