//! What a ledger's key says of a file: which rows are authentic, and whether the tables beside the journal are what
//! was written.
//!
//! The sum over the tables is the exclusive or of one keyed value for each entry, so that a transaction changes it by
//! its own entries only; it is never stored, only what the key makes of it and of the journal's end. Refuses to mend: a
//! statement that does not hold stays as it is until a person has the whole ledger authenticated anew.

use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, types::ValueRef};

use super::{
    Head, JournalKey, Keying, Seq, Unproven,
    append::number,
    chain::{self, hex},
    schema::{self, cached},
};

/// Rows that are read before they are written.
const AT_ONCE: usize = 8_192;

/// What the key says of a file as a whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Proof {
    /// The first row that is authenticated; `None`: no row is believed.
    pub(super) from: Option<u64>,
    /// The sum over the tables, if they are what was written.
    pub(super) sum: Option<[u8; 32]>,
    /// Whether the last row that was written with the key is there.
    end: bool,
}

impl Proof {
    /// Looks at what the ledger states of itself.
    pub(super) fn of(
        db: &Connection,
        key: &JournalKey,
        (ledger_id, created_at): (&str, i64),
        head: &Head,
    ) -> rusqlite::Result<Self> {
        let from = schema::keyed_from(db)?.and_then(|text| {
            let (from, mac) = text.split_once(':')?;
            let from: u64 = from.parse().ok()?;
            (hex(&key.keyed(ledger_id, created_at, from)) == mac).then_some(from)
        });
        let Some(stated) = schema::tables_proof(db)?.filter(|_| from.is_some()) else {
            return Ok(Self { from, ..Self::default() });
        };
        let (sum, (end, tables)) = (sum(db, key)?, stated.split_once(' ').unwrap_or_default());
        let sum = Some(sum).filter(|sum| hex(&key.tables(head, sum)) == tables);
        Ok(Self { from, sum, end: last(db, key, end)? })
    }

    /// Whether the journal is whole up to where it was last written with the key: its last row then is vouched for, and
    /// its hash covers all before it. Each stream is there with all of its rows then. Walks the journal.
    pub(super) fn is_whole(&self, db: &Connection, genesis: Head) -> rusqlite::Result<bool> {
        if !self.end {
            return Ok(false);
        }
        let (_, broken) = chain::walk(db, genesis, false, &mut |_| ())?;
        Ok(broken.is_empty())
    }

    /// Whether a row that fits the chain may be believed.
    pub(super) fn believes(&self, key: &JournalKey, seq: Seq, hash: &[u8; 32], mac: &[u8]) -> bool {
        self.from.is_some_and(|from| seq.0 >= from) && key.vouches(hash, mac)
    }

    /// What there is to say of the ledger as a whole; marked by its end, so that it is said at each start.
    pub(super) fn problems(&self, head: &Head) -> Vec<Unproven> {
        let end = head.seq.0;
        let mut found = Vec::new();
        if self.from.is_none() {
            found.push(Unproven {
                seq: Seq(0),
                mark: format!("unkeyed:{end}"),
                problem: "the state key has not authenticated this ledger: none of its rows is believed, nothing is written back; if it is yours, acknowledge it, stop the daemon and run `ephemerald state seal`".to_owned(),
            });
        } else if self.sum.is_none() {
            found.push(Unproven {
                seq: Seq(0),
                mark: format!("tables:{end}"),
                problem: "the tables beside the journal are not what was written under the state key: something was changed, or written without it; an account gets only back what is vouched for. Acknowledge it, stop the daemon and run `ephemerald state seal`".to_owned(),
            });
        }
        found
    }
}

/// Whether the row that is stated as the end of the journal is there.
fn last(db: &Connection, key: &JournalKey, stated: &str) -> rusqlite::Result<bool> {
    let Some((seq, mac)) = stated.split_once(':') else { return Ok(false) };
    let Ok(seq) = seq.parse().map(Seq) else { return Ok(false) };
    if seq == Seq(0) {
        return Ok(true); // nothing can be missing
    }
    let sql = "SELECT hash FROM journal WHERE seq = ?1";
    let hash = |row: &SqlRow<'_>| Ok(chain::bytes(row.get_ref(0)?).try_into().unwrap_or([0; 32]));
    let hash = db.query_row(sql, [number(seq)], hash).optional()?;
    Ok(hash.is_some_and(|hash| hex(&key.end(&Head { seq, hash })) == mac))
}

/// Without the key: what is to be said of a ledger that has one, or should.
pub(super) fn without(db: &Connection, keying: &Keying, head: &Head) -> rusqlite::Result<Vec<Unproven>> {
    let end = head.seq.0;
    Ok(match keying {
        Keying::Unreadable(why) => vec![Unproven {
            seq: Seq(0),
            mark: format!("keyless:{end}"),
            problem: format!("the state key cannot be read ({why}): no row can be authenticated, nothing is written back; make it readable and start the daemon again"),
        }],
        Keying::None if schema::keyed_from(db)?.is_some() => vec![Unproven {
            seq: Seq(0),
            mark: format!("keyless:{end}"),
            problem: "the ledger is authenticated with a state key, and the configuration names none: set agent.state_key_…, or run `ephemerald state unseal` with it".to_owned(),
        }],
        _ => Vec::new(),
    })
}

/// Rows behind `after` that the key does not vouch for, the first `most` of them.
pub(super) fn unproven(
    db: &Connection,
    key: &JournalKey,
    proof: &Proof,
    (after, most): (Seq, usize),
) -> rusqlite::Result<Vec<Unproven>> {
    let mut found = Vec::new();
    each(db, after, |seq, hash, mac| {
        let whole = hash.try_into().is_ok_and(|hash| proof.believes(key, seq, hash, mac));
        if !whole {
            found.push(not_authentic(seq, hash));
        }
        found.len() < most
    })?;
    Ok(found)
}

/// A row that the key does not vouch for. Another row in the same place is another finding.
pub(super) fn not_authentic(seq: Seq, hash: &[u8]) -> Unproven {
    let hash = hex(hash.get(..8).unwrap_or(hash));
    Unproven { seq, mark: format!("mac:{}:{hash}", seq.0), problem: problem(seq) }
}

/// What is said of such a row.
pub(super) fn problem(seq: Seq) -> String {
    format!("row {} is not authenticated with the state key: it can only take away", seq.0)
}

/// Has the key vouch for every row, and for the tables as they are.
pub(super) fn authenticate(
    db: &Connection,
    key: &JournalKey,
    identity: (&str, i64),
    head: &Head,
) -> rusqlite::Result<()> {
    let mut set = db.prepare("UPDATE journal SET mac = ?2 WHERE seq = ?1")?;
    let mut after = Seq(0);
    loop {
        let mut macs = Vec::new();
        each(db, after, |seq, hash, _| {
            macs.push((seq, key.row(hash)));
            macs.len() < AT_ONCE
        })?;
        let Some((last, _)) = macs.last() else { break };
        after = *last;
        for (seq, mac) in macs {
            set.execute((number(seq), mac))?;
        }
    }
    state_keyed(db, key, identity, 1)?;
    state_tables(db, key, head, &sum(db, key)?)
}

/// Takes everything back that the key said.
pub(super) fn withdraw(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "UPDATE journal SET mac = NULL WHERE mac IS NOT NULL; DELETE FROM meta WHERE key IN ('keyed', 'tables')",
    )
}

/// States from which row on the ledger is authenticated.
pub(super) fn state_keyed(
    db: &Connection,
    key: &JournalKey,
    (ledger_id, created_at): (&str, i64),
    from: u64,
) -> rusqlite::Result<()> {
    let mac = hex(&key.keyed(ledger_id, created_at, from));
    schema::set(db, "keyed", &format!("{from}:{mac}"))
}

/// States what the tables hold at this end of the journal.
pub(super) fn state_tables(
    db: &Connection,
    key: &JournalKey,
    head: &Head,
    sum: &[u8; 32],
) -> rusqlite::Result<()> {
    let (end, tables) = (hex(&key.end(head)), hex(&key.tables(head, sum)));
    schema::set(db, "tables", &format!("{}:{end} {tables}", head.seq.0))
}

/// The part of one stream's entry in the sum.
pub(super) fn open_part(db: &Connection, key: &JournalKey, stream: &str) -> rusqlite::Result<[u8; 32]> {
    let sql = "SELECT stream, account, ends_at, snapshot, rows, revoke, checksum FROM open WHERE stream = ?1";
    let part = |row: &SqlRow<'_>| part(key, "open", row);
    Ok(cached(db, sql)?.query_row([stream], part).optional()?.unwrap_or_default())
}

/// The part of one remembered job in the sum.
pub(super) fn seen_part(db: &Connection, key: &JournalKey, job_id: &str) -> rusqlite::Result<[u8; 32]> {
    let sql = "SELECT job_id, digest, answer, forget_at, checksum FROM seen WHERE job_id = ?1";
    let part = |row: &SqlRow<'_>| part(key, "seen", row);
    Ok(cached(db, sql)?.query_row([job_id], part).optional()?.unwrap_or_default())
}

/// The part of the jobs that are about to be forgotten.
pub(super) fn forgotten_part(db: &Connection, key: &JournalKey, before: i64) -> rusqlite::Result<[u8; 32]> {
    let sql = "SELECT job_id, digest, answer, forget_at, checksum FROM seen WHERE forget_at < ?1";
    let (mut total, mut statement) = ([0; 32], cached(db, sql)?);
    let mut rows = statement.query([before])?;
    while let Some(row) = rows.next()? {
        add(&mut total, &part(key, "seen", row)?);
    }
    Ok(total)
}

/// Puts a part in, or takes it out.
pub(super) fn add(sum: &mut [u8; 32], part: &[u8; 32]) {
    sum.iter_mut().zip(part).for_each(|(sum, part)| *sum ^= part);
}

fn sum(db: &Connection, key: &JournalKey) -> rusqlite::Result<[u8; 32]> {
    let mut total = [0; 32];
    for (table, columns) in [
        ("open", "stream, account, ends_at, snapshot, rows, revoke, checksum"),
        ("seen", "job_id, digest, answer, forget_at, checksum"),
    ] {
        // Before it is brought up to date a file of the first version has no such column, and no key either.
        let Ok(mut statement) = db.prepare(&format!("SELECT {columns} FROM {table}")) else { continue };
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            add(&mut total, &part(key, table, row)?);
        }
    }
    Ok(total)
}

/// One entry, each column with its kind.
fn part(key: &JournalKey, table: &str, row: &SqlRow<'_>) -> rusqlite::Result<[u8; 32]> {
    let mut fields = Vec::new();
    for column in 0..row.as_ref().column_count() {
        let (kind, bytes) = match row.get_ref(column)? {
            ValueRef::Null => (0, Vec::new()),
            ValueRef::Integer(number) => (1, number.to_be_bytes().to_vec()),
            ValueRef::Real(number) => (2, number.to_be_bytes().to_vec()),
            ValueRef::Text(text) => (3, text.to_vec()),
            ValueRef::Blob(blob) => (4, blob.to_vec()),
        };
        fields.push([vec![kind], bytes].concat());
    }
    let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
    Ok(key.entry(table, &fields))
}

/// Hash and authentication of each row behind `after`, as they are stored, until `go_on` says no.
fn each(
    db: &Connection,
    after: Seq,
    mut go_on: impl FnMut(Seq, &[u8], &[u8]) -> bool,
) -> rusqlite::Result<()> {
    let mac = schema::mac_column(db);
    let sql = format!("SELECT seq, hash, {mac} FROM journal WHERE seq > ?1 ORDER BY seq");
    let mut statement = db.prepare(&sql)?;
    let mut rows = statement.query([number(after)])?;
    while let Some(row) = rows.next()? {
        let seq = Seq(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0));
        if !go_on(seq, chain::bytes(row.get_ref(1)?), chain::bytes(row.get_ref(2)?)) {
            break;
        }
    }
    Ok(())
}
