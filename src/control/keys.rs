//! Ed25519 keys: the agent's own pair, the root, the job-signing key set, their thumbprints.
//!
//! Refuses keys of other kinds, key sets that the pinned root did not sign, and key sets older than
//! the one in force.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    jws::{self, JwsError},
    wire::{Jwk, KeySetClaims, VERSION},
};
use crate::{secrets::guard::Watch, strict};

/// `typ` of the protected header of a key set.
pub const KEY_SET_TYP: &str = "ephemerald-keys+jws";

const MAX_KEY_SET_BYTES: usize = 16 * 1024;
const MAX_KEYS: usize = 16;

/// A public Ed25519 key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes the 32 bytes of a public key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a JWK.
    ///
    /// # Errors
    /// [`KeyError::NotEd25519`] for any other kind of key or a malformed one.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        let alg = jwk.alg.as_deref().is_none_or(|alg| alg == jws::ALG);
        let usage = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" || !alg || !usage {
            return Err(KeyError::NotEd25519);
        }
        let bytes = URL_SAFE_NO_PAD.decode(&jwk.x).map_err(|_| KeyError::NotEd25519)?;
        Ok(Self(bytes.try_into().map_err(|_| KeyError::NotEd25519)?))
    }

    /// The key as a JWK named by its thumbprint.
    #[must_use]
    pub fn to_jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP".to_owned(),
            crv: "Ed25519".to_owned(),
            x: URL_SAFE_NO_PAD.encode(self.0),
            kid: Some(self.thumbprint()),
            alg: Some(jws::ALG.to_owned()),
            usage: Some("sig".to_owned()),
        }
    }

    /// The RFC 7638 thumbprint with SHA-256, base64url without padding.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.0);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes()))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A key pair; its `kid` is the thumbprint unless another was given.
#[derive(Clone)]
pub struct KeyPair {
    pair: Arc<Ed25519KeyPair>,
    public: PublicKey,
    kid: String,
    /// The seed, wherever it is about to be written.
    _watch: Arc<Watch>,
}

impl KeyPair {
    /// A pair from a 32-byte seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("every 32 bytes are an Ed25519 seed");
        let bytes = pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes");
        let public = PublicKey(bytes);
        let kid = public.thumbprint();
        Self { pair: Arc::new(pair), public, kid, _watch: Arc::new(Watch::of_key(seed)) }
    }

    /// The same pair under another name in headers.
    #[must_use]
    pub fn named(mut self, kid: &str) -> Self {
        kid.clone_into(&mut self.kid);
        self
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The name in headers.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Signs bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The keys that may sign jobs, as the root signed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    version: u64,
    keys: Vec<(String, PublicKey)>,
    jws: String,
}

impl KeySet {
    /// Verifies a key set with the root key, whose thumbprint the caller has pinned.
    ///
    /// # Errors
    /// [`KeyError`] says whether root, signature or content is wrong.
    pub fn verify(jws: &str, root: &Jwk, pinned_root: &str) -> Result<Self, KeyError> {
        let root = PublicKey::from_jwk(root)?;
        if root.thumbprint() != pinned_root {
            return Err(KeyError::WrongRoot { pinned: pinned_root.to_owned(), got: root.thumbprint() });
        }
        let find = |kid: &str| (kid == pinned_root).then(|| root.clone());
        let verified = jws::verify(jws, KEY_SET_TYP, MAX_KEY_SET_BYTES, find)?;
        strict::check(&verified.payload).map_err(|_| KeyError::Malformed("not strict JSON"))?;
        let claims: KeySetClaims = serde_json::from_slice(&verified.payload)
            .map_err(|_| KeyError::Malformed("not the claims of a version-1 key set"))?;
        Self::from_claims(&claims, jws)
    }

    /// Verifies a successor of this set; the same version is this set again.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), and [`KeyError::Older`].
    pub fn successor(&self, jws: &str, root: &Jwk, pinned_root: &str) -> Result<Self, KeyError> {
        let next = Self::verify(jws, root, pinned_root)?;
        if next.version < self.version || (next.version == self.version && next.keys != self.keys) {
            return Err(KeyError::Older { held: self.version, got: next.version });
        }
        Ok(next)
    }

    /// The key of that name.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<PublicKey> {
        self.keys.iter().find(|(name, _)| name == kid).map(|(_, key)| key.clone())
    }

    /// The set's version.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The set as the root signed it.
    #[must_use]
    pub fn as_jws(&self) -> &str {
        &self.jws
    }

    fn from_claims(claims: &KeySetClaims, jws: &str) -> Result<Self, KeyError> {
        if claims.v != VERSION {
            return Err(KeyError::Malformed("of another protocol version"));
        }
        if claims.keys.is_empty() || claims.keys.len() > MAX_KEYS {
            return Err(KeyError::Malformed("must hold 1 to 16 keys"));
        }
        let mut keys: Vec<(String, PublicKey)> = Vec::with_capacity(claims.keys.len());
        for jwk in &claims.keys {
            let key = PublicKey::from_jwk(jwk)?;
            let kid = jwk.kid.clone().unwrap_or_else(|| key.thumbprint());
            if keys.iter().any(|(name, _)| *name == kid) {
                return Err(KeyError::Malformed("names a key twice"));
            }
            keys.push((kid, key));
        }
        Ok(Self { version: claims.version, keys, jws: jws.to_owned() })
    }
}

/// Signs a key set; for control planes and tests.
#[must_use]
pub fn sign_key_set(claims: &KeySetClaims, root: &KeyPair) -> String {
    let payload = serde_json::to_vec(claims).expect("key set claims serialise");
    jws::sign(KEY_SET_TYP, root, &payload)
}

/// Why a key or key set was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a public Ed25519 key.
    #[error("a key is not a public Ed25519 JWK (kty OKP, crv Ed25519, 32 bytes in x)")]
    NotEd25519,
    /// The root is not the pinned one: somebody sits between, or the token is another control plane's.
    #[error(
        "the control plane's root key has thumbprint {got}, the agent token pins {pinned}: do not enrol; ask the control plane's owner for a new token"
    )]
    WrongRoot {
        /// The pinned thumbprint.
        pinned: String,
        /// The one that was presented.
        got: String,
    },
    /// The set's signature does not verify.
    #[error("the key set: {0}")]
    Signature(#[from] JwsError),
    /// The set is signed but not usable.
    #[error("the key set is {0}")]
    Malformed(&'static str),
    /// The set is older than the one in force, or differs at the same version.
    #[error("the key set has version {got}, version {held} is in force")]
    Older {
        /// The version in force.
        held: u64,
        /// The version that was presented.
        got: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signing_key_that_was_stolen_cannot_appoint_its_successor() {
        let (root, signer, thief) =
            (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]), KeyPair::from_seed(&[3; 32]));
        let claims = |version, key: &KeyPair| KeySetClaims {
            v: VERSION,
            version,
            iat: 1_800_000_000,
            keys: vec![key.public().to_jwk()],
        };
        let (jwk, pinned) = (root.public().to_jwk(), root.public().thumbprint());
        let held = KeySet::verify(&sign_key_set(&claims(1, &signer), &root), &jwk, &pinned).unwrap();
        let next = claims(2, &thief);
        // By the stolen key in its own name, in the root's, and with itself as the root.
        for forger in [signer.clone(), signer.clone().named(&pinned), thief.clone().named(&pinned)] {
            assert!(held.successor(&sign_key_set(&next, &forger), &jwk, &pinned).is_err());
        }
        let own_root = signer.public().to_jwk();
        assert!(matches!(
            held.successor(&sign_key_set(&next, &signer), &own_root, &pinned),
            Err(KeyError::WrongRoot { .. })
        ));
        // The root can, and takes the stolen one away by that.
        let rightful = held.successor(&sign_key_set(&claims(2, &root), &root), &jwk, &pinned).unwrap();
        assert!(rightful.find(&signer.public().thumbprint()).is_none());
    }
}
