//! Request proofs: a short-lived JWT that binds one request to the agent's key.
//!
//! `Authorization: Agent <jwt>`. Nothing in it is worth stealing: it covers method, URL, body,
//! instant and a unique id. Time and entropy are arguments. The verifying half is here too, so that
//! both sides of every test run the same rules.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{
    jws::{self, JwsError},
    keys::{KeyPair, PublicKey},
    wire::present,
};
use crate::strict;

/// `typ` of the protected header of a proof.
pub const PROOF_TYP: &str = "ephemerald-proof+jwt";

/// The scheme in the `Authorization` header.
pub const SCHEME: &str = "Agent";

const MAX_PROOF_BYTES: usize = 4096;

/// The claims of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofClaims {
    /// The agent's id; at enrolment the thumbprint of its key.
    pub iss: String,
    /// The control plane's origin: `https://host[:port]`.
    pub aud: String,
    /// The request's method, upper case.
    pub htm: String,
    /// The request's URL: origin, path and query as sent.
    pub htu: String,
    /// SHA-256 of the body's bytes, base64url without padding; of no bytes if there is no body.
    pub body: String,
    /// Made at, Unix seconds.
    pub iat: i64,
    /// Unique: 16 random bytes, base64url without padding.
    pub jti: String,
    /// The newest nonce that the control plane has sent, if any.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The process that sends it, so that clones are told apart.
    pub instance: String,
    /// Grows at every start on one ledger.
    pub epoch: u64,
}

impl ProofClaims {
    /// Signs the proof; the text that follows `Agent ` in the header.
    #[must_use]
    pub fn sign(&self, key: &KeyPair) -> String {
        let payload = serde_json::to_vec(self).expect("proof claims serialise");
        jws::sign(PROOF_TYP, key, &payload)
    }

    /// Whether the proof belongs to this request, whatever its instant, id and nonce.
    #[must_use]
    pub fn covers(&self, origin: &str, method: &str, path: &str, body: &[u8]) -> bool {
        self.aud == origin
            && self.htm == method
            && self.htu.strip_prefix(origin) == Some(path)
            && self.body == body_digest(body)
    }
}

/// SHA-256 of a body, as a proof states it.
#[must_use]
pub fn body_digest(body: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, body))
}

/// The issuer that a proof names, without believing it: to look up the key.
///
/// # Errors
/// [`ProofError::Malformed`].
pub fn peek_issuer(proof: &str) -> Result<String, ProofError> {
    if proof.len() > MAX_PROOF_BYTES {
        return Err(ProofError::Malformed);
    }
    let payload = proof.split('.').nth(1).ok_or(ProofError::Malformed)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| ProofError::Malformed)?;
    Ok(parse(&payload)?.iss)
}

/// Verifies a proof's signature with the agent's key; the header's `kid` must be its thumbprint.
/// The claims still have to be compared with the request ([`ProofClaims::covers`]), the clock, the
/// ids seen before and the nonce.
///
/// # Errors
/// [`ProofError`].
pub fn verify(proof: &str, key: &PublicKey) -> Result<ProofClaims, ProofError> {
    let thumbprint = key.thumbprint();
    let find = |kid: &str| (kid == thumbprint).then(|| key.clone());
    let verified = jws::verify(proof, PROOF_TYP, MAX_PROOF_BYTES, find)?;
    parse(&verified.payload)
}

/// Why a proof was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Header, key or signature.
    #[error("the request proof: {0}")]
    Jws(#[from] JwsError),
    /// The claims.
    #[error("the request proof is malformed")]
    Malformed,
}

fn parse(payload: &[u8]) -> Result<ProofClaims, ProofError> {
    strict::check(payload).map_err(|_| ProofError::Malformed)?;
    serde_json::from_slice(payload).map_err(|_| ProofError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> ProofClaims {
        ProofClaims {
            iss: "agent-1".to_owned(),
            aud: "https://cp.example".to_owned(),
            htm: "POST".to_owned(),
            htu: "https://cp.example/v1/agent/status".to_owned(),
            body: body_digest(b"{}"),
            iat: 1_795_500_000,
            jti: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            nonce: None,
            instance: "i".to_owned(),
            epoch: 1,
        }
    }

    #[test]
    fn a_proof_covers_one_request_and_no_other() {
        let key = KeyPair::from_seed(&[1; 32]);
        let proof = claims().sign(&key);
        let got = verify(&proof, key.public()).unwrap();
        assert_eq!(peek_issuer(&proof).unwrap(), "agent-1");
        let (origin, path) = ("https://cp.example", "/v1/agent/status");
        assert!(got.covers(origin, "POST", path, b"{}"));
        assert!(!got.covers(origin, "GET", path, b"{}"));
        assert!(!got.covers(origin, "POST", path, b"{} "));
        assert!(!got.covers(origin, "POST", "/v1/agent/reports", b"{}"));
        assert!(!got.covers("https://other.example", "POST", path, b"{}"));
    }

    #[test]
    fn a_proof_of_another_key_is_refused() {
        let proof = claims().sign(&KeyPair::from_seed(&[1; 32]));
        let other = KeyPair::from_seed(&[2; 32]);
        assert_eq!(verify(&proof, other.public()), Err(ProofError::Jws(JwsError::UnknownKey)));
    }
}
