//! The control plane's keys: a root key that appoints job-signing keys, and the job-signing key.
//!
//! A real control plane keeps its root key offline. This one keeps both in its database, which is
//! one of the reasons why it must not be used for anything but trying and developing.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{
    agents,
    store::{Store, StoreError, now_ms},
};
use crate::control::{
    keys::{KeyPair, sign_key_set},
    wire::{KeySetClaims, VERSION},
};

/// All keys of one control plane.
pub(super) struct Keys {
    /// Signs the key set; agent tokens pin its thumbprint.
    pub(super) root: KeyPair,
    /// Signs jobs.
    pub(super) signing: KeyPair,
    /// The job-signing keys, signed by the root key.
    pub(super) key_set: String,
}

impl Keys {
    /// The only version there is: this control plane does not change its signing key.
    pub(super) const VERSION: u64 = 1;

    /// Reads the keys, making them on first use.
    pub(super) fn load_or_create(store: &Store) -> Result<Self, StoreError> {
        let (root, signing) =
            store.write(|tx| Ok::<_, StoreError>((stored(tx, "root")?, stored(tx, "signing")?)))?;
        let claims = KeySetClaims {
            v: VERSION,
            version: Self::VERSION,
            iat: now_ms() / 1000,
            keys: vec![signing.public().to_jwk()],
        };
        Ok(Self { key_set: sign_key_set(&claims, &root), root, signing })
    }
}

fn stored(tx: &Transaction<'_>, name: &str) -> Result<KeyPair, StoreError> {
    let seed: Option<[u8; 32]> =
        tx.query_row("select value from secret where name = ?1", [name], |row| row.get(0)).optional()?;
    let seed = match seed {
        Some(seed) => seed,
        None => {
            let seed = agents::random();
            tx.execute("insert into secret (name, value) values (?1, ?2)", params![name, seed])?;
            seed
        }
    };
    Ok(KeyPair::from_seed(&seed))
}
