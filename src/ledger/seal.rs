//! Having a key vouch for a whole ledger, and taking that back, while no daemon runs.
//!
//! Refuses a chain that does not fit, a ledger that another key has vouched for, and whatever the caller, who can read
//! the rows, has something against: nothing is changed then. What it does is one transaction.

use std::path::Path;

use rusqlite::Connection;

use super::{
    FILE_NAME, Head, JournalKey, Keying, LedgerError, Loaded, Opened, Seq, Unproven,
    chain::verify,
    keyed::{self, Proof},
    look::look,
    place::Place,
    reader, schema,
};

/// Rows without the key's word that are told one by one.
const TOLD: usize = 100;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// The key vouches for every row.
    Set {
        /// Also where another key has, which is lost.
        anew: bool,
    },
    /// No key vouches for anything any more.
    Lift,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The ledger's id.
    pub ledger_id: String,
    /// Its end.
    pub head: Head,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum Unsealable {
    /// The file cannot be used, or a daemon holds it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The chain does not fit.
    #[error("the journal does not verify: {0}; nothing was changed. See `ephemerald ledger check`")]
    Broken(String),
    /// Another key has vouched for it.
    #[error(
        "another state key has authenticated this ledger, or its statement was altered; nothing was changed. Take it back with that key first (`ephemerald state unseal`), or say --anew if that key is lost"
    )]
    OtherKey,
    /// The caller says no.
    #[error("{0}; nothing was changed")]
    Refused(String),
}

impl Seal {
    /// Does it in the state directory `dir`. `judge` is asked first, with what a daemon would find.
    ///
    /// # Errors
    /// [`Unsealable`]; nothing was changed then.
    pub fn run(
        self,
        dir: &Path,
        key: &Keying,
        judge: impl FnOnce(&Opened, &Loaded) -> Result<(), String>,
    ) -> Result<Sealed, Unsealable> {
        let place = Place::take(dir)?;
        let file = dir.join(FILE_NAME);
        let known = key.known().ok_or(Unsealable::OtherKey)?;
        let report = verify(&file)?;
        if let Some(bad) = report.bad {
            return Err(Unsealable::Broken(bad.problem));
        }
        // Brings it up to date; what the key says is looked at and written on the same connection.
        let mut db = schema::open_writing(&file)?;
        let failed = |source| schema::failed(&file, "authenticate its rows", source);
        let created_at = schema::created_at(&db, &file)?;
        let identity = (&*report.ledger_id, created_at);
        let proof = Proof::of(&db, known, identity, &report.head).map_err(failed)?;
        let stated = schema::keyed_from(&db).map_err(failed)?.is_some();
        if stated && proof.from.is_none() && self != (Self::Set { anew: true }) {
            return Err(Unsealable::OtherKey);
        }
        // A ledger that no key of ours has vouched for is judged as the one without a key that it is.
        let eyes = if proof.from.is_some() { key.clone() } else { Keying::None };
        let mut opened = look(&db, dir, &file, &eyes)?;
        // What is said of the ledger as a whole is what this is about.
        opened.unproven.retain(|found| found.mark.starts_with("mac:"));
        let loaded = reader::load(&db, &report.ledger_id, &eyes).map_err(failed)?;
        judge(&opened, &loaded).map_err(Unsealable::Refused)?;
        let mut change = || {
            let step = db.transaction()?;
            match self {
                Self::Set { .. } => keyed::authenticate(&step, known, identity, &report.head)?,
                Self::Lift => keyed::withdraw(&step)?,
            }
            step.commit()
        };
        change().map_err(failed)?;
        place.sync()?;
        Ok(Sealed { head: report.head, ledger_id: report.ledger_id })
    }
}

/// Looks at what the key says of every row of a ledger file: the first for which it does not vouch. None where it
/// vouches for nothing at all, which is said at the opening.
///
/// # Errors
/// When the file cannot be read.
pub fn authenticity(file: &Path, key: &JournalKey) -> Result<Vec<Unproven>, LedgerError> {
    let db = schema::open_reading(file)?;
    match proof(&db, file, key)? {
        Proof { from: None, .. } => Ok(Vec::new()),
        proof => keyed::unproven(&db, key, &proof, (Seq(0), TOLD))
            .map_err(|source| schema::failed(file, "read the journal", source)),
    }
}

/// Whether the key has vouched for a ledger.
///
/// # Errors
/// When the file cannot be read.
pub fn is_authenticated(file: &Path, key: &JournalKey) -> Result<bool, LedgerError> {
    Ok(proof(&schema::open_reading(file)?, file, key)?.from.is_some())
}

/// Of the rows alone: where the journal ends does not matter to them.
fn proof(db: &Connection, file: &Path, key: &JournalKey) -> Result<Proof, LedgerError> {
    let identity = (&*schema::ledger_id(db, file)?, schema::created_at(db, file)?);
    let nowhere = Head { seq: Seq(0), hash: [0; 32] };
    Proof::of(db, key, identity, &nowhere).map_err(|source| schema::failed(file, "read its identity", source))
}
