//! What a new agent key signs when it is announced, and how that is judged.
//!
//! Refuses an announcement for another agent, control plane or old key, and one that the new key did
//! not sign itself: nobody can have a stranger's key taken.

use super::{
    jws::{self, JwsError},
    keys::{KeyError, KeyPair, PublicKey},
    wire::{ROTATION_TYP, RotateKeyRequest, RotationClaims, VERSION},
};
use crate::{engine::ids::AgentId, strict};

const MAX_BYTES: usize = 4096;

/// The request that announces `new` as the successor of `old`; `iat` in Unix seconds.
#[must_use]
pub fn announce(agent: &AgentId, origin: &str, old: &PublicKey, new: &KeyPair, iat: i64) -> RotateKeyRequest {
    let claims = RotationClaims {
        v: VERSION,
        iss: agent.clone(),
        aud: origin.to_owned(),
        old: old.thumbprint(),
        new: new.public().thumbprint(),
        iat,
    };
    let payload = serde_json::to_vec(&claims).expect("rotation claims serialise");
    RotateKeyRequest { key: new.public().to_jwk(), proof: jws::sign(ROTATION_TYP, new, &payload) }
}

/// The new key, if the announcement holds. `old` is the key that proved the request.
///
/// # Errors
/// [`RotationError`].
pub fn verify(
    request: &RotateKeyRequest,
    agent: &AgentId,
    origin: &str,
    old: &PublicKey,
) -> Result<PublicKey, RotationError> {
    let new = PublicKey::from_jwk(&request.key)?;
    let find = |kid: &str| (kid == new.thumbprint()).then(|| new.clone());
    let payload = jws::verify(&request.proof, ROTATION_TYP, MAX_BYTES, find)?.payload;
    strict::check(&payload).map_err(|_| RotationError::Malformed)?;
    let claims: RotationClaims = serde_json::from_slice(&payload).map_err(|_| RotationError::Malformed)?;
    let said = (claims.v, &claims.iss, claims.aud.as_str(), claims.old, claims.new);
    if said != (VERSION, agent, origin, old.thumbprint(), new.thumbprint()) || new == *old {
        return Err(RotationError::Misdirected);
    }
    Ok(new)
}

/// Why a new key is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// It is no key.
    #[error("the new key: {0}")]
    Key(#[from] KeyError),
    /// It did not sign.
    #[error("the new key does not vouch for itself: {0}")]
    Jws(#[from] JwsError),
    /// What it signed is not the claims of a rotation.
    #[error("the new key signed something else than the claims of a rotation")]
    Malformed,
    /// It vouches for something else.
    #[error("the new key vouches for another agent, control plane, version or pair of keys")]
    Misdirected,
}
