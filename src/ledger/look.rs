//! What opening finds in a file: the journal's end, what near it does not fit, and what nobody vouches for.
//!
//! Refuses to change anything, so that a check finds what the daemon would.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use super::{
    Acknowledged, BadLink, Head, Keying, LedgerError, Opened, Seq, Unproven,
    append::{Tail, number},
    chain,
    keyed::{self, Proof},
    schema,
};

/// Rows whose chain is verified at each opening; the whole chain is verified on request.
const TAIL_ROWS: u64 = 256;

/// What was found.
pub(super) struct Found {
    pub(super) tail: Tail,
    pub(super) quarantined: Vec<BadLink>,
    unproven: Vec<Unproven>,
}

/// What opening would find, without changing anything.
pub(super) fn look(db: &Connection, dir: &Path, file: &Path, key: &Keying) -> Result<Opened, LedgerError> {
    let (ledger_id, created_at) = (schema::ledger_id(db, file)?, schema::created_at(db, file)?);
    let read = |source| schema::failed(file, "read the journal's end", source);
    let identity = (&*ledger_id, created_at);
    let ballast = dir.join("ledger.ballast").exists();
    let found = Found::of(db, identity, key).map_err(read)?;
    found.describe(db, identity, (dir, false, ballast)).map_err(read)
}

impl Found {
    /// The journal's end, and everything near it, or about the ledger itself, that does not fit.
    pub(super) fn of(
        db: &Connection,
        (ledger_id, created_at): (&str, i64),
        key: &Keying,
    ) -> rusqlite::Result<Self> {
        let (mut tail, mut quarantined) = find_tail(db, ledger_id)?;
        if !schema::is_sealed(db, ledger_id, created_at)? {
            let problem = "the ledger's id or time of creation is not what was written";
            quarantined.push(bad_identity(problem));
        }
        let unproven = match key.known() {
            None => keyed::without(db, key, &tail.head)?,
            Some(key) => {
                let proof = Proof::of(db, key, (ledger_id, created_at), &tail.head)?;
                tail.tables = proof.sum;
                let mut found = proof.problems(&tail.head);
                if proof.from.is_some() {
                    let rows = Seq(tail.head.seq.0.saturating_sub(TAIL_ROWS));
                    found.extend(keyed::unproven(db, key, &proof, (rows, usize::MAX))?);
                }
                found
            }
        };
        Ok(Self { tail, quarantined, unproven })
    }

    /// In the words of opening; `place` is the directory, whether the ledger was made now, and the ballast.
    pub(super) fn describe(
        &self,
        db: &Connection,
        (ledger_id, created_at): (&str, i64),
        (dir, created, ballast): (&Path, bool, bool),
    ) -> rusqlite::Result<Opened> {
        let acknowledged = Acknowledged::load(dir);
        let ours = acknowledged.as_ref().filter(|noted| noted.ledger_id == *ledger_id);
        let is_behind = ours.map(|noted| noted.is_in(db)).transpose()?.is_some_and(|is_in| !is_in);
        Ok(Opened {
            created,
            created_at,
            ledger_id: ledger_id.to_owned(),
            head: self.tail.head,
            newest_at: newest(db, &self.quarantined, created_at)?,
            replaces: schema::replaces(db)?,
            restored_at: schema::restored_at(db)?,
            acknowledged,
            is_behind,
            quarantined: self.quarantined.clone(),
            unproven: self.unproven.clone(),
            ballast,
        })
    }
}

/// Something about the ledger itself does not fit; as if it were row 0.
pub(super) fn bad_identity(problem: &str) -> BadLink {
    BadLink { seq: Seq(0), expected: String::new(), found: String::new(), problem: problem.to_owned() }
}

/// The journal's end, and which of its last rows do not fit.
fn find_tail(db: &Connection, ledger_id: &str) -> rusqlite::Result<(Tail, Vec<BadLink>)> {
    let genesis = Head { seq: Seq(0), hash: chain::genesis(ledger_id) };
    let head = row_at_or_before(db, i64::MAX)?.unwrap_or(genesis);
    let from = row_at_or_before(db, number(Seq(head.seq.0.saturating_sub(TAIL_ROWS))))?.unwrap_or(genesis);
    let (_, bad) = chain::walk(db, from, true, &mut |_| ())?;
    let outbox: i64 = db.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0))?;
    Ok((Tail { head, outbox: u64::try_from(outbox).unwrap_or(0), tables: None }, bad))
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

/// The wall time of the last row that can be believed: a damaged one must not make the clock look dead.
fn newest(db: &Connection, bad: &[BadLink], created_at: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT seq, at FROM journal ORDER BY seq DESC LIMIT ?1";
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([i64::try_from(TAIL_ROWS).unwrap_or(i64::MAX)])?;
    while let Some(row) = rows.next()? {
        let seq = Seq(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0));
        if bad.iter().all(|link| link.seq != seq) {
            return row.get(1);
        }
    }
    Ok(created_at)
}
