//! Opening, creating and reopening the file that the writer owns.
//!
//! Refuses to start over: a ledger that existed and is gone, is partial, foreign or newer stays what
//! it is. After a failed write it refuses a file in which the acknowledged end is not found.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior};

use super::{
    BadLink, Head, LedgerError, Opened, Options, Seq,
    append::{Tail, number},
    chain,
    place::Place,
    schema,
};

/// Rows whose chain is verified at each opening; the whole chain is verified on request.
const TAIL_ROWS: u64 = 256;

/// The file, the directory's lock, and what is known of its end.
pub(super) struct Store {
    // Before `place`: the connection is closed before the lock is given up.
    db: Option<Connection>,
    place: Place,
    file: PathBuf,
    ledger_id: String,
    pub(super) tail: Tail,
}

impl Store {
    /// Takes the directory and opens its ledger, or makes one if none ever was there.
    pub(super) fn open(dir: &Path, options: &Options) -> Result<(Self, Opened), LedgerError> {
        let place = Place::take(dir)?;
        let created = !place.has_ledger()?;
        if created {
            create(&place, options)?;
        }
        let opened = match open_file(&place) {
            Err(_) if place.is_starved() && place.drop_ballast() => open_file(&place)?,
            opened => opened?,
        };
        let OpenFile { db, ledger_id, created_at, tail, quarantined } = opened;
        let file = place.file();
        let newest_at =
            newest(&db, created_at).map_err(|e| schema::failed(&file, "read the newest row", e))?;
        let ballast = place.ensure_ballast();
        let id = ledger_id.clone();
        let store = Self { db: Some(db), place, file, ledger_id, tail };
        Ok((
            store,
            Opened { created, created_at, ledger_id: id, head: tail.head, newest_at, quarantined, ballast },
        ))
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

    /// One transaction, synced when this returns; `tail` moves only if it succeeds.
    pub(super) fn transact(
        &mut self,
        work: impl FnOnce(&Connection, &mut Tail) -> rusqlite::Result<()>,
    ) -> Result<(), LedgerError> {
        let db = self.db.as_mut().ok_or(LedgerError::Suspended)?;
        let mut tail = self.tail;
        let run = || {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            work(&transaction, &mut tail)?;
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
        let OpenFile { db, ledger_id, created_at, tail, quarantined } = open_file(&self.place)?;
        if ledger_id != self.ledger_id {
            let expected = self.ledger_id.clone();
            return Err(LedgerError::Foreign { path: self.file.clone(), expected, found: ledger_id });
        }
        self.find_acknowledged(&db)?;
        // Rows of a commit whose sync failed may be readable and yet not on the disk: copying them
        // into the main file and syncing that makes them so.
        // On a full disk the log, synced by the same call, has to do.
        match db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            Err(error) if error.sqlite_error_code() != Some(ErrorCode::DiskFull) => {
                return Err(schema::failed(&self.file, "move its log into it", error));
            }
            _ => {}
        }
        let newest_at =
            newest(&db, created_at).map_err(|e| schema::failed(&self.file, "read the newest row", e))?;
        (self.db, self.tail) = (Some(db), tail);
        let ballast = self.place.ensure_ballast();
        Ok(Opened { created: false, created_at, ledger_id, head: tail.head, newest_at, quarantined, ballast })
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
        let (_, bad) = chain::walk(db, self.tail.head, false).map_err(failed)?;
        bad.into_iter().next().map_or(Ok(()), |link| Err(lost(link.seq, link.problem)))
    }
}

struct OpenFile {
    db: Connection,
    ledger_id: String,
    created_at: i64,
    tail: Tail,
    quarantined: Vec<BadLink>,
}

fn create(place: &Place, options: &Options) -> Result<(), LedgerError> {
    let draft = place.draft()?;
    schema::create(&draft, &random_id(&draft)?, options.created_at)?;
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

fn open_file(place: &Place) -> Result<OpenFile, LedgerError> {
    let file = place.file();
    let reading = schema::open_reading(&file)?;
    let ledger_id = schema::ledger_id(&reading, &file)?;
    place.mark(&ledger_id)?;
    drop(reading);
    let db = schema::open_writing(&file)?;
    let created_at = schema::created_at(&db, &file)?;
    let (tail, quarantined) = find_tail(&db, &ledger_id)
        .map_err(|source| schema::failed(&file, "read the journal's end", source))?;
    Ok(OpenFile { db, ledger_id, created_at, tail, quarantined })
}

/// The journal's end, and which of its last rows do not fit.
fn find_tail(db: &Connection, ledger_id: &str) -> rusqlite::Result<(Tail, Vec<BadLink>)> {
    let genesis = Head { seq: Seq(0), hash: chain::genesis(ledger_id) };
    let head = row_at_or_before(db, i64::MAX)?.unwrap_or(genesis);
    let from = row_at_or_before(db, number(Seq(head.seq.0.saturating_sub(TAIL_ROWS))))?.unwrap_or(genesis);
    let (_, bad) = chain::walk(db, from, true)?;
    let outbox: i64 = db.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))?;
    Ok((Tail { head, outbox: u64::try_from(outbox).unwrap_or(0) }, bad))
}

fn row_at_or_before(db: &Connection, seq: i64) -> rusqlite::Result<Option<Head>> {
    let sql = "SELECT seq, hash FROM journal WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1";
    let head = |row: &rusqlite::Row<'_>| {
        // A hash of another length cannot be continued as it is; its row shows up as not fitting.
        let hash = chain::bytes(row.get_ref(1)?).try_into().unwrap_or([0; 32]);
        Ok(Head { seq: Seq(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0)), hash })
    };
    db.query_row(sql, [seq], head).optional()
}

fn newest(db: &Connection, created_at: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT at FROM journal ORDER BY seq DESC LIMIT 1";
    Ok(db.query_row(sql, [], |row| row.get(0)).optional()?.unwrap_or(created_at))
}
