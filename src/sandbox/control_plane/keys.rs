//! The control plane's keys: a root key that appoints job-signing keys, the key that signs jobs now,
//! and those that signed before.
//!
//! A real control plane keeps its root key offline. This one keeps all in its database, which is
//! one of the reasons why it must not be used for anything but trying and developing. Refuses to
//! reuse a version: each change is a new set, durable before it is handed out.

use std::sync::{Mutex, PoisonError};

use rusqlite::{OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{
    agents,
    faults::BadKeySet,
    store::{Store, StoreError, now_ms},
};
use crate::control::{
    keys::{KeyPair, sign_key_set},
    wire::{KeySetClaims, VERSION},
};

/// All keys of one control plane.
pub(super) struct Keys {
    /// Signs the key sets; agent tokens pin its thumbprint.
    pub(super) root: KeyPair,
    ring: Mutex<Ring>,
}

#[derive(Clone)]
struct Ring {
    version: u64,
    key_set: String,
    /// Oldest first; the last one signs.
    trusted: Vec<KeyPair>,
    dropped: Option<KeyPair>,
}

/// The job-signing keys as operators see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysView {
    /// Thumbprint of the root key.
    pub root: String,
    /// Version of the key set that is handed out.
    pub version: u64,
    /// The key that signs jobs.
    pub signing: String,
    /// All keys of the set, oldest first.
    pub trusted: Vec<String>,
}

impl Keys {
    /// Reads the keys, making them on first use.
    pub(super) fn load_or_create(store: &Store) -> Result<Self, StoreError> {
        store.write(|tx| {
            let root = secret(tx, "root")?;
            if tx.query_row("select count(*) from signing_key", [], |row| row.get::<_, i64>(0))? == 0 {
                // A file from before keys could change has its one key among the secrets.
                let first = secret(tx, "signing")?;
                keep(tx, &seed_of(tx, "signing")?)?;
                write_set(tx, &root, 1, &[first])?;
            }
            let ring = ring(tx)?;
            Ok(Self { root, ring: Mutex::new(ring) })
        })
    }

    /// The key that signs jobs.
    pub(super) fn signing(&self) -> KeyPair {
        let ring = self.ring();
        ring.trusted.last().expect("a set holds at least one key").clone()
    }

    /// The newest key that does not sign any more, trusted or not.
    pub(super) fn previous(&self) -> Option<KeyPair> {
        let ring = self.ring();
        ring.trusted.iter().rev().nth(1).cloned().or(ring.dropped)
    }

    /// The key set to hand out.
    pub(super) fn key_set(&self) -> (u64, String) {
        let ring = self.ring();
        (ring.version, ring.key_set)
    }

    pub(super) fn view(&self) -> KeysView {
        let ring = self.ring();
        let trusted: Vec<String> = ring.trusted.iter().map(|key| key.kid().to_owned()).collect();
        KeysView {
            root: self.root.kid().to_owned(),
            version: ring.version,
            signing: self.signing().kid().to_owned(),
            trusted,
        }
    }

    /// Makes a new key, which signs from now on; the others stay in the set.
    pub(super) fn add(&self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let seed = agents::random();
        keep(tx, &seed)?;
        let mut ring = self.ring();
        ring.trusted.push(KeyPair::from_seed(&seed));
        write_set(tx, &self.root, ring.version + 1, &ring.trusted)
    }

    /// Leaves only the key that signs in the set; false if there is no other.
    pub(super) fn drop_old(&self, tx: &Transaction<'_>) -> Result<bool, StoreError> {
        let ring = self.ring();
        if ring.trusted.len() < 2 {
            return Ok(false);
        }
        tx.execute(
            "update signing_key set trusted = 0 where place < (select max(place) from signing_key)",
            [],
        )?;
        write_set(tx, &self.root, ring.version + 1, &[self.signing()])?;
        Ok(true)
    }

    /// Goes by what is in the database; after a change has been committed.
    pub(super) fn reload(&self, store: &Store) -> Result<(), StoreError> {
        let ring = store.write(ring)?;
        *self.ring.lock().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(())
    }

    /// A key set that every agent must refuse.
    pub(super) fn bad_set(&self, how: BadKeySet) -> String {
        let ring = self.ring();
        let stranger = KeyPair::from_seed(&agents::random());
        match how {
            BadKeySet::Older => set(&self.root, ring.version.saturating_sub(1), &[stranger]),
            BadKeySet::Forked => set(&self.root, ring.version, &[stranger]),
            BadKeySet::OtherRoot => {
                let posing = KeyPair::from_seed(&agents::random()).named(self.root.kid());
                set(&posing, ring.version + 1, &[stranger])
            }
        }
    }

    fn ring(&self) -> Ring {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn set(root: &KeyPair, version: u64, keys: &[KeyPair]) -> String {
    let keys = keys.iter().map(|key| key.public().to_jwk()).collect();
    sign_key_set(&KeySetClaims { v: VERSION, version, iat: now_ms() / 1000, keys }, root)
}

fn write_set(tx: &Transaction<'_>, root: &KeyPair, version: u64, keys: &[KeyPair]) -> Result<(), StoreError> {
    tx.execute(
        "insert into key_set (version, jws) values (?1, ?2)",
        params![version, set(root, version, keys)],
    )?;
    Ok(())
}

fn ring(tx: &Transaction<'_>) -> Result<Ring, StoreError> {
    let (version, key_set) =
        tx.query_row("select version, jws from key_set order by version desc limit 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut select = tx.prepare("select seed, trusted from signing_key order by place")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, bool>(1)?)))?;
    let keys: Vec<([u8; 32], bool)> = rows.collect::<Result<_, _>>()?;
    let of = |trusted: bool| {
        keys.iter().filter(move |(_, is)| *is == trusted).map(|(seed, _)| KeyPair::from_seed(seed))
    };
    Ok(Ring { version, key_set, trusted: of(true).collect(), dropped: of(false).next_back() })
}

fn keep(tx: &Transaction<'_>, seed: &[u8; 32]) -> Result<(), StoreError> {
    tx.execute("insert into signing_key (seed) values (?1)", [seed])?;
    Ok(())
}

fn seed_of(tx: &Transaction<'_>, name: &str) -> Result<[u8; 32], StoreError> {
    Ok(tx.query_row("select value from secret where name = ?1", [name], |row| row.get(0))?)
}

fn secret(tx: &Transaction<'_>, name: &str) -> Result<KeyPair, StoreError> {
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
