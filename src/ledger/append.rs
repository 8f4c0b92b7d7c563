//! The statements of one transaction: rows into the journal, marks into the indexes.
//!
//! Refuses nothing: order was checked before, and the caller's transaction makes it all or nothing.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Head, JournalKey, Open, Row, SeenJob, Seq, chain, keyed, schema::cached};

/// What is known of the file without asking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// The journal's end.
    pub(super) head: Head,
    /// Rows in the outbox.
    pub(super) outbox: u64,
    /// The sum over the tables beside the journal; `None` without a key, and where they are not what was written.
    pub(super) tables: Option<[u8; 32]>,
}

impl Tail {
    /// The number that the next row must have.
    pub(super) const fn next(&self) -> Seq {
        Seq(self.head.seq.0 + 1)
    }

    /// Appends a row and applies its marks; `key` vouches for it.
    pub(super) fn append(
        &mut self,
        db: &Connection,
        row: &Row,
        key: Option<&JournalKey>,
    ) -> rusqlite::Result<()> {
        let (stream, kind, seq) = (row.stream.as_str(), row.kind, number(row.seq));
        let hash =
            chain::link(&self.head.hash, row.seq, stream.as_bytes(), row.at, kind.as_bytes(), &row.body);
        let mac = key.map(|key| key.row(&hash));
        cached(
            db,
            "INSERT INTO journal (seq, stream, at, kind, body, hash, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![seq, stream, row.at, kind, row.body, hash, mac])?;
        self.head = Head { seq: row.seq, hash };
        self.counting(key, |key| keyed::open_part(db, key, stream), || index(db, row))?;
        if let Some(seen) = &row.marks.seen_job {
            self.counting(key, |key| keyed::seen_part(db, key, &seen.job_id), || remember(db, seen))?;
        }
        if row.marks.report { self.report(db, row.seq) } else { Ok(()) }
    }

    /// Forgets job ids whose time is over by the caller's clock.
    pub(super) fn forget(
        &mut self,
        db: &Connection,
        before: i64,
        key: Option<&JournalKey>,
    ) -> rusqlite::Result<()> {
        self.counting(key, |key| keyed::forgotten_part(db, key, before), || forget(db, before))
    }

    /// Changes entries of the tables beside the journal; `part` is what they are in the sum.
    fn counting(
        &mut self,
        key: Option<&JournalKey>,
        part: impl Fn(&JournalKey) -> rusqlite::Result<[u8; 32]>,
        change: impl FnOnce() -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let (Some(key), Some(sum)) = (key, self.tables.as_mut()) else { return change() };
        keyed::add(sum, &part(key)?);
        change()?;
        keyed::add(sum, &part(key)?);
        Ok(())
    }

    /// Puts a stored row into the outbox; a number that is not in the journal stays out of it.
    pub(super) fn report(&mut self, db: &Connection, seq: Seq) -> rusqlite::Result<()> {
        let sql = "INSERT OR IGNORE INTO outbox SELECT seq, ?2 FROM journal WHERE seq = ?1";
        self.outbox += cached(db, sql)?.execute(params![number(seq), outbox_sum(seq)])? as u64;
        Ok(())
    }

    /// Takes acknowledged rows out of the outbox.
    pub(super) fn acknowledge(&mut self, db: &Connection, seqs: &[Seq]) -> rusqlite::Result<()> {
        let mut delete = cached(db, "DELETE FROM outbox WHERE seq = ?1")?;
        for seq in seqs {
            let gone = delete.execute([number(*seq)])? as u64;
            self.outbox = self.outbox.saturating_sub(gone);
        }
        Ok(())
    }
}

fn forget(db: &Connection, before: i64) -> rusqlite::Result<()> {
    cached(db, "DELETE FROM seen WHERE forget_at < ?1")?.execute([before]).map(drop)
}

/// The checksum of an entry of the open index.
pub(super) fn checksum(stream: &str, open: &Open) -> [u8; 32] {
    let ends_at = open.ends_at.map(i64::to_be_bytes);
    // "None" and "empty" are different things.
    let present = [open.account.is_some(), open.ends_at.is_some(), open.revoke.is_some()].map(u8::from);
    let account = open.account.as_deref().unwrap_or_default();
    let revoke = open.revoke.as_deref().unwrap_or_default();
    chain::sum(&[
        stream.as_bytes(),
        &present,
        account.as_bytes(),
        ends_at.as_ref().map_or(&[], |at| at),
        revoke,
    ])
}

/// The checksum of an entry of the outbox.
pub(super) fn outbox_sum(seq: Seq) -> [u8; 32] {
    chain::sum(&[b"outbox", &seq.0.to_be_bytes()])
}

/// The checksum of a remembered job.
pub(super) fn seen_sum(job_id: &str, digest: &[u8], answer: Option<i64>, forget_at: i64) -> [u8; 32] {
    let answer = answer.map(i64::to_be_bytes);
    chain::sum(&[job_id.as_bytes(), digest, answer.as_ref().map_or(&[], |seq| seq), &forget_at.to_be_bytes()])
}

/// SQLite's integers are signed; numbers are assigned one by one from 1 and never get there.
pub(super) fn number(seq: Seq) -> i64 {
    i64::try_from(seq.0).unwrap_or(i64::MAX)
}

fn index(db: &Connection, row: &Row) -> rusqlite::Result<()> {
    let (stream, seq, marks) = (row.stream.as_str(), number(row.seq), &row.marks);
    if marks.close {
        return cached(db, "DELETE FROM open WHERE stream = ?1")?.execute([stream]).map(drop);
    }
    if let Some(open) = &marks.open {
        let sql = "INSERT INTO open (stream, account, ends_at, snapshot, rows, revoke, checksum)
            VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6) ON CONFLICT (stream) DO UPDATE SET
            account = excluded.account, ends_at = excluded.ends_at, revoke = excluded.revoke, checksum = excluded.checksum";
        let sum = checksum(stream, open);
        cached(db, sql)?.execute(params![stream, open.account, open.ends_at, seq, open.revoke, sum])?;
    }
    let sql = if marks.snapshot {
        "UPDATE open SET snapshot = ?2, rows = 1 WHERE stream = ?1"
    } else {
        "UPDATE open SET rows = rows + (?2 >= snapshot) WHERE stream = ?1"
    };
    cached(db, sql)?.execute(params![stream, seq]).map(drop)
}

fn remember(db: &Connection, seen: &SeenJob) -> rusqlite::Result<()> {
    // Another digest under a known id is the caller's alarm; it changes nothing here.
    let known = "SELECT digest, answer, forget_at FROM seen WHERE job_id = ?1";
    let known: Option<(Vec<u8>, Option<i64>, i64)> = cached(db, known)?
        .query_row([&seen.job_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (mut answer, mut forget_at) = (seen.answer.map(number), seen.forget_at);
    if let Some((digest, answered, until)) = known {
        if digest != seen.digest {
            return Ok(());
        }
        (answer, forget_at) = (answer.or(answered), forget_at.max(until));
    }
    let sql = "INSERT OR REPLACE INTO seen (job_id, digest, answer, forget_at, checksum)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    let sum = seen_sum(&seen.job_id, &seen.digest, answer, forget_at);
    cached(db, sql)?.execute(params![seen.job_id, seen.digest, answer, forget_at, sum]).map(drop)
}
