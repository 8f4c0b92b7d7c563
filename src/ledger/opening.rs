//! Opening, creating and reopening the file that the writer owns.
//!
//! Refuses to start over in silence: a ledger that existed and is gone, is partial, foreign or newer stays what
//! it is, unless the caller knows how to live with a loss ([`OnLoss`]). After a failed write it refuses a file in which the acknowledged end is not found.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior};

use super::{
    Head, JournalKey, Keying, LedgerError, OnLoss, Opened, Options,
    append::{Tail, number},
    chain, keyed,
    look::{Found, bad_identity},
    place::Place,
    schema,
};

/// The file, the directory's lock, and what is known of its end.
pub(super) struct Store {
    // Before `place`: the connection is closed before the lock is given up.
    db: Option<Connection>,
    place: Place,
    file: PathBuf,
    ledger_id: String,
    created_at: i64,
    key: Keying,
    pub(super) tail: Tail,
}

impl Store {
    /// Takes the directory and opens its ledger, or makes one if none ever was there.
    pub(super) fn open(dir: &Path, options: &Options) -> Result<(Self, Opened), LedgerError> {
        let place = Place::take(dir)?;
        let created = begin(&place, options)?;
        let opened = match open_file(&place, options) {
            Err(_) if place.is_starved() && place.drop_ballast() => open_file(&place, options)?,
            Err(LedgerError::Unreadable { .. }) if options.on_loss == OnLoss::BeginAnew => {
                let lost = place.marked().unwrap_or_else(unknown);
                place.set_aside(options.created_at)?;
                create(&place, options, Some(&lost))?;
                open_file(&place, options)?
            }
            opened => opened?,
        };
        let file = place.file();
        let ballast = place.ensure_ballast();
        let described = opened
            .describe(place.dir(), created, ballast)
            .map_err(|e| schema::failed(&file, "read what is known of it", e))?;
        let OpenFile { db, ledger_id, created_at, found } = opened;
        let (key, tail) = (options.key.clone(), found.tail);
        Ok((Self { db: Some(db), place, file, ledger_id, created_at, key, tail }, described))
    }

    /// Whether it takes work.
    pub(super) const fn is_open(&self) -> bool {
        self.db.is_some()
    }

    /// The ledger file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The id that the chain is anchored to.
    pub(super) fn ledger_id(&self) -> &str {
        &self.ledger_id
    }

    /// What authenticates its rows.
    pub(super) const fn key(&self) -> &Keying {
        &self.key
    }

    /// One transaction, synced when this returns; `tail` moves only if it succeeds.
    pub(super) fn transact(
        &mut self,
        work: impl FnOnce(&Connection, &mut Tail, Option<&JournalKey>) -> rusqlite::Result<()>,
    ) -> Result<(), LedgerError> {
        let db = self.db.as_mut().ok_or(LedgerError::Suspended)?;
        let (before, key, mut tail) = (self.tail, self.key.known(), self.tail);
        let run = || {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            work(&transaction, &mut tail, key)?;
            if let (Some(key), Some(sum)) = (key, tail.tables.filter(|_| tail != before)) {
                keyed::state_tables(&transaction, key, &tail.head, &sum)?;
            }
            transaction.commit()
        };
        run().map_err(|source| schema::failed(&self.file, "write to it", source))?;
        self.tail = tail;
        Ok(())
    }

    /// Closes the file after a failure. On a full disk the ballast is given up, so that the reopened
    /// ledger can record endings.
    pub(super) fn give_up(&mut self, error: &LedgerError) {
        self.db = None;
        if matches!(error, LedgerError::DiskFull { .. }) || self.place.is_starved() {
            self.place.drop_ballast();
        }
    }

    /// Opens the file anew: what was acknowledged must be in it, what came after must fit the chain.
    pub(super) fn reopen(&mut self) -> Result<Opened, LedgerError> {
        self.db = None;
        let options = Options { created_at: self.created_at, on_loss: OnLoss::Refuse, key: self.key.clone() };
        let opened = open_file(&self.place, &options)?;
        let (ledger_id, db) = (opened.ledger_id.clone(), &opened.db);
        if ledger_id != self.ledger_id {
            let expected = self.ledger_id.clone();
            return Err(LedgerError::Foreign { path: self.file.clone(), expected, found: ledger_id });
        }
        self.find_acknowledged(db)?;
        // Rows of a commit whose sync failed may be readable and yet not on the disk: copying them
        // into the main file and syncing that makes them so.
        // On a full disk the log, synced by the same call, has to do.
        match db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            Err(error) if error.sqlite_error_code() != Some(ErrorCode::DiskFull) => {
                return Err(schema::failed(&self.file, "move its log into it", error));
            }
            _ => {}
        }
        let ballast = self.place.ensure_ballast();
        let described = opened
            .describe(self.place.dir(), false, ballast)
            .map_err(|e| schema::failed(&self.file, "read what is known of it", e))?;
        (self.db, self.tail) = (Some(opened.db), opened.found.tail);
        Ok(described)
    }

    fn find_acknowledged(&self, db: &Connection) -> Result<(), LedgerError> {
        let lost = |seq, problem| LedgerError::Lost { path: self.file.clone(), seq, problem };
        let failed = |source| schema::failed(&self.file, "read the journal's end", source);
        let Head { seq, hash } = self.tail.head;
        if seq.0 > 0 {
            let stored: Option<Vec<u8>> = db
                .query_row("SELECT hash FROM journal WHERE seq = ?1", [number(seq)], |row| row.get(0))
                .optional()
                .map_err(failed)?;
            match stored {
                None => return Err(lost(seq, "it is not there".to_owned())),
                Some(found) if found != hash => return Err(lost(seq, "its hash is another".to_owned())),
                Some(_) => {}
            }
        }
        let (_, bad) = chain::walk(db, self.tail.head, false, &mut |_| ()).map_err(failed)?;
        bad.into_iter().next().map_or(Ok(()), |link| Err(lost(link.seq, link.problem)))
    }
}

struct OpenFile {
    db: Connection,
    ledger_id: String,
    created_at: i64,
    found: Found,
}

impl OpenFile {
    fn describe(&self, dir: &Path, created: bool, ballast: bool) -> rusqlite::Result<Opened> {
        self.found.describe(&self.db, (&self.ledger_id, self.created_at), (dir, created, ballast))
    }
}

/// Makes a ledger where none ever was, or where one was lost and the caller wants to go on; whether one
/// was made.
fn begin(place: &Place, options: &Options) -> Result<bool, LedgerError> {
    let lost = match place.has_ledger() {
        Ok(true) if options.on_loss == OnLoss::Abandon => place.marked().unwrap_or_else(unknown),
        Ok(true) => return Ok(false),
        Ok(false) => return create(place, options, None).map(|()| true),
        Err(LedgerError::Missing { .. }) if options.on_loss != OnLoss::Refuse => {
            place.marked().unwrap_or_else(unknown)
        }
        Err(error) => return Err(error),
    };
    place.set_aside(options.created_at)?;
    create(place, options, Some(&lost)).map(|()| true)
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn create(place: &Place, options: &Options, replaces: Option<&str>) -> Result<(), LedgerError> {
    let draft = place.draft()?;
    let identity = (&*random_id(&draft)?, options.created_at);
    schema::create(&draft, identity, replaces, options.key.known())?;
    place.publish(&draft)
}

fn random_id(draft: &Path) -> Result<String, LedgerError> {
    let mut bytes = [0; 16];
    let dry = |_| std::io::Error::other("the random source failed");
    rand::fill(&mut bytes).map_err(|e| LedgerError::Io {
        path: draft.to_owned(),
        what: "draw an id for the ledger",
        source: dry(e),
    })?;
    Ok(chain::hex(&bytes))
}

fn open_file(place: &Place, options: &Options) -> Result<OpenFile, LedgerError> {
    let file = place.file();
    let reading = schema::open_undoing(&file)?;
    let found = schema::ledger_id(&reading, &file);
    drop(reading);
    let marked = place.marked().filter(|_| found.is_err() && options.on_loss != OnLoss::Refuse);
    // A file that has forgotten its own name, and whose name is known: that is put back, and doubted.
    let ledger_id = if let Some(id) = marked.clone() { id } else { found? };
    let foreign = match place.mark(&ledger_id) {
        // Its grants are ended all the same. What should be here is noted in it before the marker forgets.
        Err(LedgerError::Foreign { expected, .. }) if options.on_loss != OnLoss::Refuse => Some(expected),
        there => there.map(|()| None)?,
    };
    let db = schema::open_writing(&file)?;
    // The log's name, and that a rollback journal is gone. SQLite syncs these with the first commit and
    // does not say when that fails; a power cut would then take what was promised.
    place.sync()?;
    if let Some(expected) = foreign {
        schema::set(&db, "replaces", &expected)
            .map_err(|e| schema::failed(&file, "note whose place it is in", e))?;
        place.mark_anew(&ledger_id)?;
    }
    if let Some(id) = marked {
        let named = schema::set(&db, "ledger_id", &id).and_then(|()| schema::set(&db, "replaces", &id));
        named.map_err(|e| schema::failed(&file, "note its name in it", e))?;
    }
    let (created_at, dated) = match schema::created_at(&db, &file) {
        // Jobs from before this moment are refused, which is more than is needed, and safe.
        Err(LedgerError::Unreadable { .. }) if options.on_loss != OnLoss::Refuse => {
            (options.created_at, false)
        }
        created_at => (created_at?, true),
    };
    let mut found = Found::of(&db, (&ledger_id, created_at), &options.key)
        .map_err(|source| schema::failed(&file, "read the journal's end", source))?;
    if !dated {
        found.quarantined.push(bad_identity("the ledger does not say when it was created"));
    }
    Ok(OpenFile { db, ledger_id, created_at, found })
}
