//! The control plane's keys: a root key that appoints job-signing keys, and the job-signing key.
//!
//! A real control plane keeps its root key offline. This one keeps both in its database, which is
//! one of the reasons why it must not be used for anything but trying and developing.

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rusqlite::{OptionalExtension, Transaction, params};
use serde_json::{Value, json};

use super::{
    Error,
    store::{Store, StoreError},
};

/// A key pair and the name under which its signatures are checked.
pub(super) struct Signer {
    pub(super) kid: String,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// A fresh key that nobody trusts, under any name.
    pub(super) fn stranger(kid: Option<&str>) -> Self {
        let pair = Ed25519KeyPair::generate().expect("making an Ed25519 key needs nothing but random bytes");
        let kid = kid.map_or_else(|| thumbprint(&pair), str::to_owned);
        Self { kid, pair }
    }

    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|error| Error::Keys(error.to_string()))?;
        Ok(Self { kid: thumbprint(&pair), pair })
    }

    /// A compact JWS over `payload`.
    pub(super) fn sign(&self, typ: &str, payload: &Value) -> String {
        let header = json!({ "alg": "EdDSA", "kid": self.kid, "typ": typ });
        let text = [header.to_string(), payload.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(text.as_bytes()));
        format!("{text}.{signature}")
    }

    /// The public key as a JWK (RFC 8037).
    pub(super) fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "alg": "EdDSA", "use": "sig" })
    }
}

/// All keys of one control plane.
pub(super) struct Keys {
    pub(super) root: Signer,
    pub(super) signing: Signer,
    version: i64,
}

impl Keys {
    /// Reads the keys, making them on first use.
    pub(super) fn load_or_create(store: &Store) -> Result<Self, Error> {
        let (root, signing, version) = store.write(|tx| {
            let root = stored(tx, "root")?;
            let signing = stored(tx, "signing")?;
            Ok::<_, Error>((root, signing, 1))
        })?;
        Ok(Self { root: Signer::from_pkcs8(&root)?, signing: Signer::from_pkcs8(&signing)?, version })
    }

    /// The job-signing keys, signed by the root key.
    pub(super) fn key_set(&self) -> String {
        let set = json!({ "version": self.version, "keys": [self.signing.jwk()] });
        self.root.sign("ephemerald-keys+jws", &set)
    }
}

fn stored(tx: &Transaction<'_>, name: &str) -> Result<Vec<u8>, Error> {
    let found: Option<Vec<u8>> = tx
        .query_row("select value from secret where name = ?1", [name], |row| row.get(0))
        .optional()
        .map_err(StoreError::Database)?;
    if let Some(pkcs8) = found {
        return Ok(pkcs8);
    }
    let pair = Ed25519KeyPair::generate().map_err(|error| Error::Keys(error.to_string()))?;
    let pkcs8 = pair.to_pkcs8().map_err(|error| Error::Keys(error.to_string()))?.as_ref().to_vec();
    tx.execute("insert into secret (name, value) values (?1, ?2)", params![name, pkcs8])
        .map_err(StoreError::Database)?;
    Ok(pkcs8)
}

/// The JWK thumbprint (RFC 7638): SHA-256 over the required members in lexicographic order.
fn thumbprint(pair: &Ed25519KeyPair) -> String {
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}
