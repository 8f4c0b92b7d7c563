//! Who sends a request: checks the proof that every agent request carries, and hands out the server
//! nonces that proofs may have to include.
//!
//! Refuses a proof that is unsigned, signed by another key, made for another request, too old, used
//! before, or without a fresh nonce where one is required. Nothing is remembered about a refused one.

use aws_lc_rs::hmac;
use axum::http::{header, request::Parts};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rusqlite::Transaction;

use super::{Shared, agents, instances, problem::Problem, store::now_ms};
use crate::{
    control::{
        keys::PublicKey,
        proof::{self, ProofClaims},
    },
    engine::ids::AgentId,
};

/// How far a proof's issue time may be off, in seconds, without a fresh nonce.
const SKEW_S: u64 = 120;
/// How long a nonce is the newest one, in seconds; the one before it is accepted as well.
const NONCE_S: u16 = 5 * 60;

/// The server nonces of this process: an HMAC over the current five minutes.
pub(super) struct Nonces(hmac::Key);

impl Default for Nonces {
    fn default() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &agents::random::<32>()))
    }
}

impl Nonces {
    /// The nonce to put into answers; each is the newest one for `life_s` seconds.
    pub(super) fn current(&self, life_s: Option<u16>) -> String {
        self.of(window(life_s))
    }

    fn fresh(&self, nonce: &str, life_s: Option<u16>) -> bool {
        let window = window(life_s);
        nonce == self.of(window) || nonce == self.of(window - 1)
    }

    fn of(&self, window: i64) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &window.to_be_bytes()))
    }
}

fn window(life_s: Option<u16>) -> i64 {
    now_ms() / (i64::from(life_s.unwrap_or(NONCE_S).max(1)) * 1000)
}

/// The agent that sent a request.
pub(super) struct Sender {
    pub(super) agent: AgentId,
    /// The key that signed the proof.
    pub(super) key: PublicKey,
    /// Whether a process of a later epoch has been heard of.
    pub(super) replaced: bool,
    /// The epoch of the process.
    pub(super) epoch: u64,
}

/// Checks the proof of a request by an enrolled agent and uses it up.
pub(super) fn check(shared: &Shared, parts: &Parts, body: &[u8]) -> Result<Sender, Problem> {
    let proof = presented(parts)?;
    let refused = || Problem::unauthorized("proof-refused", "the request proof does not verify".to_owned());
    let issuer = proof::peek_issuer(proof).map_err(|_| refused())?;
    let agent = AgentId::new(&issuer).map_err(|_| refused())?;
    shared.store.write(|tx| {
        let unknown = || Problem::unauthorized("proof-refused", "no such agent is enrolled".to_owned());
        let keys = agents::keys_of(tx, &agent)?.ok_or_else(unknown)?;
        let (key, claims) = keys
            .iter()
            .find_map(|key| proof::verify(proof, key).ok().map(|claims| (key.clone(), claims)))
            .ok_or_else(refused)?;
        judge(shared, &claims, parts, body)?;
        use_up(tx, &agent, &claims)?;
        agents::seen(tx, &agent, &key, now_ms())?;
        let replaced = instances::heard(tx, &agent, &claims.instance, claims.epoch, now_ms())?;
        Ok(Sender { agent, key, replaced, epoch: claims.epoch })
    })
}

/// Checks the proof of an enrolment, which is signed by the key that is being enrolled.
pub(super) fn check_enrolment(
    shared: &Shared,
    parts: &Parts,
    body: &[u8],
    key: &PublicKey,
) -> Result<(), Problem> {
    let refused = || Problem::unauthorized("proof-refused", "the request proof does not verify".to_owned());
    let claims = proof::verify(presented(parts)?, key).map_err(|_| refused())?;
    if claims.iss != key.thumbprint() {
        return Err(refused());
    }
    judge(shared, &claims, parts, body)
}

fn presented(parts: &Parts) -> Result<&str, Problem> {
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    header
        .and_then(|value| value.strip_prefix(proof::SCHEME)?.strip_prefix(' '))
        .ok_or_else(|| Problem::unauthorized("proof-refused", "the request carries no proof".to_owned()))
}

/// Whether a verified proof is for this request and fresh.
fn judge(shared: &Shared, claims: &ProofClaims, parts: &Parts, body: &[u8]) -> Result<(), Problem> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    if !claims.covers(&shared.url, parts.method.as_str(), path, body) {
        let detail = format!("the proof is for another request; this origin is {}", shared.url);
        return Err(Problem::unauthorized("proof-refused", detail));
    }
    match &claims.nonce {
        Some(nonce) if shared.nonces.fresh(nonce, shared.faults.get().nonce_s) => Ok(()),
        // A wrong clock must not lock an agent out: the nonce says that the proof is fresh.
        Some(_) => Err(Problem::use_nonce("the nonce is not fresh")),
        None if shared.faults.get().require_nonce => Err(Problem::use_nonce("a nonce is required")),
        None if (now_ms() / 1000).abs_diff(claims.iat) > SKEW_S => {
            Err(Problem::use_nonce("the proof was not made just now: a wrong clock, or a replay"))
        }
        None => Ok(()),
    }
}

fn use_up(tx: &Transaction<'_>, agent: &AgentId, claims: &ProofClaims) -> Result<(), Problem> {
    // Longer than any proof can be fresh: two nonce windows, or the skew to both sides.
    let forget_at = now_ms() + 3000 * i64::from(NONCE_S);
    if agents::first_use(tx, agent, &claims.jti, now_ms(), forget_at)? {
        return Ok(());
    }
    Err(Problem::unauthorized("replay", "this proof was used before".to_owned()))
}
