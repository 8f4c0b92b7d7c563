//! Enrolment, key sets and the agent's own key rotation.

use serde::{Deserialize, Serialize};

use super::{Offers, Utc, present};
use crate::engine::ids::AgentId;

/// `POST /v1/agent/enroll`. The proof of this one request is signed by the key in it.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrollRequest {
    /// The one-time secret of the agent token.
    pub secret: String,
    /// The agent's public key.
    pub key: Jwk,
    /// The agent's version.
    pub version: String,
    /// A name for people, such as the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the agent can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offers: Option<Offers>,
}

// Written by hand: the secret must not reach a log through `{:?}`.
impl std::fmt::Debug for EnrollRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrollRequest")
            .field("key", &self.key)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The answer to an enrolment; the same for the same token and key, however often it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollAnswer {
    /// The agent's id from now on.
    pub agent_id: AgentId,
    /// The root key; its thumbprint must be the one in the agent token.
    pub root: Jwk,
    /// The job-signing keys: a compact JWS by the root key over [`KeySetClaims`].
    pub key_set: String,
    /// The protocol version that is spoken from now on; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The control plane's clock.
    pub server_time: Utc,
}

/// A public Ed25519 key, RFC 8037.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// The 32 bytes of the public key, base64url without padding.
    pub x: String,
    /// The key's name; the RFC 7638 thumbprint when absent.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// `EdDSA`, if present.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig`, if present.
    #[serde(default, deserialize_with = "present", rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
}

/// What the root key signs: which keys may sign jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySetClaims {
    /// Protocol version: 1.
    pub v: u32,
    /// Grows with every change; an agent never goes back.
    pub version: u64,
    /// Signed at, Unix seconds.
    pub iat: i64,
    /// The keys, 1 to 16.
    pub keys: Vec<Jwk>,
}

/// `typ` of the protected header of a rotation.
pub const ROTATION_TYP: &str = "ephemerald-rotation+jws";

/// `POST /v1/agent/rotate-key`, proven by the old key like every request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateKeyRequest {
    /// The new public key.
    pub key: Jwk,
    /// A compact JWS by the new key over [`RotationClaims`].
    pub proof: String,
}

/// What the new key signs: that it is to follow the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationClaims {
    /// Protocol version: 1.
    pub v: u32,
    /// The agent.
    pub iss: AgentId,
    /// The control plane's origin.
    pub aud: String,
    /// Thumbprint of the old key.
    pub old: String,
    /// Thumbprint of the new key.
    pub new: String,
    /// Signed at, Unix seconds.
    pub iat: i64,
}

/// The answer to a rotation: both keys work until the new one has been used once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotateKeyAnswer {
    /// Thumbprint of the key that was taken.
    pub key: String,
    /// The control plane's clock.
    pub server_time: Utc,
}
