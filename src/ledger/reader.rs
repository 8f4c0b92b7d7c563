//! The thread that reads, on short connections that cannot write, and that moves the log into the
//! main file when the writer says it has grown.
//!
//! Refuses to let one bad row stop the rest: what cannot be believed, because it does not fit or because the
//! ledger's key does not vouch for it, comes back as quarantined, with what is left for a revocation.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow};
use tokio::sync::mpsc;

use super::{
    Acknowledged, Head, JournalKey, Keying, LedgerError, Loaded, OpenStream, Quarantined, Seq, StoredRow,
    Trust,
    append::number,
    chain, indexes,
    keyed::{self, Proof},
    schema,
    writer::Reply,
};

const ROWS: &str = "j.seq, j.stream, j.at, j.kind, j.body, j.hash";

/// What the reader is asked for.
pub(super) enum Question {
    LoadOpen(Reply<Loaded>),
    Outbox(Seq, usize, Reply<Vec<StoredRow>>),
    Range(Seq, usize, Reply<Vec<StoredRow>>),
    AcknowledgeHead(Head, u64, Reply<()>),
    HasStream(String, Reply<bool>),
    Checkpoint,
}

/// The thread's state.
pub(super) struct Reader {
    pub(super) file: PathBuf,
    pub(super) ledger_id: String,
    pub(super) key: Keying,
    pub(super) questions: mpsc::Receiver<Question>,
}

impl Reader {
    /// Answers until nobody can ask any more. An asker that gave up needs no answer.
    pub(super) fn run(mut self) {
        while let Some(question) = self.questions.blocking_recv() {
            match question {
                Question::LoadOpen(reply) => drop(reply.send(self.load_open())),
                Question::Outbox(after, limit, reply) => drop(reply.send(self.outbox(after, limit))),
                Question::Range(from, limit, reply) => drop(reply.send(self.range(from, limit))),
                Question::AcknowledgeHead(head, told, reply) => drop(reply.send(self.note(head, told))),
                Question::HasStream(stream, reply) => drop(reply.send(self.has_stream(&stream))),
                Question::Checkpoint => self.checkpoint(),
            }
        }
    }

    fn load_open(&self) -> Result<Loaded, LedgerError> {
        self.read(|db| load(db, &self.ledger_id, &self.key))
    }

    fn outbox(&self, after: Seq, limit: usize) -> Result<Vec<StoredRow>, LedgerError> {
        let sql = format!(
            "SELECT {ROWS} FROM outbox o JOIN journal j ON j.seq = o.seq WHERE o.seq > ?1 ORDER BY o.seq LIMIT ?2"
        );
        self.read(|db| page(db, &sql, after, limit))
    }

    fn range(&self, from: Seq, limit: usize) -> Result<Vec<StoredRow>, LedgerError> {
        let sql = format!("SELECT {ROWS} FROM journal j WHERE j.seq >= ?1 ORDER BY j.seq LIMIT ?2");
        self.read(|db| page(db, &sql, from, limit))
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, LedgerError> {
        let db = schema::open_reading(&self.file)?;
        read(&db).map_err(|source| schema::failed(&self.file, "read it", source))
    }

    fn note(&self, head: Head, told: u64) -> Result<(), LedgerError> {
        let dir = self.file.parent().unwrap_or_else(|| Path::new("."));
        Acknowledged::store(&self.ledger_id, head, told, dir)
    }

    fn has_stream(&self, stream: &str) -> Result<bool, LedgerError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM journal WHERE stream = ?1)";
        self.read(|db| db.query_row(sql, [stream], |row| row.get(0)))
    }

    fn checkpoint(&self) {
        // Passive: gives way to the writer. One that fails costs only space and is asked for again.
        let _ = schema::open_writing(&self.file)
            .map(|db| db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())));
    }
}

/// Only accounts that are held by their address, and those are ephemeral ones, have an `@` in their stream.
fn closed_accounts(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT DISTINCT stream FROM journal WHERE stream >= 'account/' AND stream < 'account0'
        AND instr(stream, '@') > 0 AND stream NOT IN (SELECT stream FROM open)";
    // A name that is no text belongs to a damaged row, which is told elsewhere.
    Ok(db.prepare(sql)?.query_map([], |row| row.get(0))?.filter_map(Result::ok).collect())
}

/// What start-up needs.
pub(super) fn load(db: &Connection, ledger_id: &str, keying: &Keying) -> rusqlite::Result<Loaded> {
    // One snapshot for all statements, while the writer goes on.
    let view = db.unchecked_transaction()?;
    let judge = Judge::of(&view, ledger_id, keying)?;
    let mut loaded = Loaded {
        closed_accounts: closed_accounts(&view)?,
        trust: judge.trust(&view, keying)?,
        ..Loaded::default()
    };
    // The columns of the second version: a ledger of the first is read by `check` as it is.
    if view.prepare("SELECT checksum FROM seen").is_ok() {
        indexes::seen(&view, &mut loaded)?;
        indexes::outbox(&view, &mut loaded)?;
    }
    // An index that is not what was written says neither what is open nor where it begins.
    let changed = judge.key.is_some() && judge.proof.sum.is_none();
    loaded.index_damaged |= changed;
    for (mut stream, counted) in indexes::open(&view, &mut loaded)? {
        if changed {
            stream.snapshot = Seq(0);
        }
        judge.load_stream(&view, &stream, Some(counted).filter(|_| !changed), &mut loaded);
        loaded.open.push(stream);
    }
    if loaded.open.iter().any(|open| !open.intact) || loaded.index_damaged {
        judge.load_unlisted(&view, &mut loaded)?;
    }
    loaded.rows.sort_unstable_by_key(|row| row.seq);
    Ok(loaded)
}

fn page(db: &Connection, sql: &str, from: Seq, limit: usize) -> rusqlite::Result<Vec<StoredRow>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    db.prepare(sql)?.query_map((number(from), limit), stored)?.collect()
}

/// A row as it is; text that is not UTF-8 is shown with replacement characters, so that one damaged
/// row does not hide its page.
pub(super) fn stored(row: &SqlRow<'_>) -> rusqlite::Result<StoredRow> {
    let text = |at| row.get_ref(at).map(|value| String::from_utf8_lossy(chain::bytes(value)).into_owned());
    Ok(StoredRow {
        seq: Seq(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0)),
        stream: text(1)?,
        at: row.get(2)?,
        kind: text(3)?,
        body: chain::bytes(row.get_ref(4)?).to_vec(),
        hash: chain::bytes(row.get_ref(5)?).try_into().unwrap_or([0; 32]),
    })
}

/// By what a row is judged.
struct Judge<'a> {
    genesis: [u8; 32],
    key: Option<&'a JournalKey>,
    proof: Proof,
}

impl<'a> Judge<'a> {
    fn of(db: &Connection, ledger_id: &str, keying: &'a Keying) -> rusqlite::Result<Self> {
        let (genesis, key) = (chain::genesis(ledger_id), keying.known());
        let Some(key) = key else { return Ok(Self { genesis, key, proof: Proof::default() }) };
        let newest = "SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1";
        let last = |row: &SqlRow<'_>| {
            let seq = Seq(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0));
            Ok(Head { seq, hash: chain::bytes(row.get_ref(1)?).try_into().unwrap_or([0; 32]) })
        };
        let head = db.query_row(newest, [], last).optional()?.unwrap_or(Head { seq: Seq(0), hash: genesis });
        let created_at = schema::created(db)?.unwrap_or_default();
        let proof = Proof::of(db, key, (ledger_id, created_at), &head)?;
        Ok(Self { genesis, key: Some(key), proof })
    }

    fn trust(&self, db: &Connection, keying: &Keying) -> rusqlite::Result<Trust> {
        let genesis = Head { seq: Seq(0), hash: self.genesis };
        Ok(match keying {
            Keying::None => Trust::Chain,
            Keying::Unreadable(_) => Trust::Nothing,
            Keying::Known(_) if self.proof.sum.is_some() => Trust::Authentic,
            Keying::Known(_) if self.proof.is_whole(db, genesis)? => Trust::Authentic,
            Keying::Known(_) => Trust::Nothing,
        })
    }

    fn believes(&self, seq: Seq, hash: &[u8; 32], mac: &[u8]) -> bool {
        self.key.is_none_or(|key| self.proof.believes(key, seq, hash, mac))
    }

    /// Streams that a damaged index may have lost: everything in the journal that was not closed. Costs a
    /// walk over the whole journal, which is why the index is there.
    fn load_unlisted(&self, db: &Connection, loaded: &mut Loaded) -> rusqlite::Result<()> {
        let mac = schema::mac_column(db);
        let sql = format!(
            "SELECT CAST(s.stream AS BLOB), s.rows, j.kind, j.seq, j.hash, {mac} FROM
                (SELECT stream, count(*) AS rows, max(seq) AS last FROM journal
                 WHERE stream NOT GLOB 'job/*' AND stream <> 'process' GROUP BY stream) s
             JOIN journal j ON j.seq = s.last"
        );
        let mut statement = db.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let Ok(stream) = String::from_utf8(chain::bytes(row.get_ref(0)?).to_vec()) else { continue };
            let known = loaded.open.iter().any(|open| open.stream == stream);
            if known || self.is_closed(row)? {
                continue;
            }
            let open = OpenStream { stream, snapshot: Seq(0), entry: super::Open::default(), intact: true };
            self.load_stream(db, &open, Some(row.get(1)?), loaded);
            loaded.open.push(open);
        }
        Ok(())
    }

    /// Whether a stream's last row closes it. One that nobody vouches for does not, where others are vouched for.
    fn is_closed(&self, row: &SqlRow<'_>) -> rusqlite::Result<bool> {
        if !matches!(chain::bytes(row.get_ref(2)?), b"grant_closed" | b"account_closed") {
            return Ok(false);
        }
        let seq = Seq(u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0));
        let hash = chain::bytes(row.get_ref(4)?).try_into().unwrap_or([0; 32]);
        Ok(self.proof.from.is_none() || self.believes(seq, &hash, chain::bytes(row.get_ref(5)?)))
    }

    /// Loads one stream; whatever is wrong with it stays its own matter.
    fn load_stream(&self, db: &Connection, open: &OpenStream, counted: Option<i64>, loaded: &mut Loaded) {
        let quarantined = |seq, raw: &[u8], problem: String| Quarantined {
            seq,
            stream: open.stream.clone(),
            raw: raw.to_vec(),
            problem,
            revoke: open.entry.revoke.clone(),
            unproven: None,
        };
        if !open.intact {
            let problem = "the checksum of its entry in the open index does not hold".to_owned();
            loaded.quarantined.push(quarantined(None, &[], problem));
        }
        let (mut found, mut first) = (0, None);
        let read = each_row(db, open, |row, prev, mac| {
            found += 1;
            first.get_or_insert(row.seq);
            let seq = row.seq;
            if !self.fits(&row, prev) {
                let problem = format!("row {} does not fit the chain", seq.0);
                loaded.quarantined.push(quarantined(Some(seq), &row.body, problem));
            } else if self.believes(seq, &row.hash, mac) {
                loaded.rows.push(row);
            } else {
                let apart = quarantined(Some(seq), &row.body, keyed::problem(seq));
                loaded.quarantined.push(Quarantined { unproven: Some(row), ..apart });
            }
        });
        if let Err(error) = read {
            let problem = format!("its rows cannot be read: {error}");
            loaded.quarantined.push(quarantined(None, &[], problem));
        } else if open.snapshot.0 > 0 && first != Some(open.snapshot) {
            let problem = format!("has no row {} where the open index says that it begins", open.snapshot.0);
            loaded.quarantined.push(quarantined(None, &[], problem));
        } else if let Some(counted) = counted.filter(|counted| *counted != found) {
            let problem = format!("has {found} rows where the open index counts {counted}");
            loaded.quarantined.push(quarantined(None, &[], problem));
        }
    }

    /// Whether a row fits the chain behind `prev`.
    fn fits(&self, row: &StoredRow, prev: Option<&[u8; 32]>) -> bool {
        let prev = if row.seq == Seq(1) { Some(&self.genesis) } else { prev };
        prev.is_some_and(|prev| {
            chain::link(prev, row.seq, row.stream.as_bytes(), row.at, row.kind.as_bytes(), &row.body)
                == row.hash
        })
    }
}

fn each_row(
    db: &Connection,
    open: &OpenStream,
    mut take: impl FnMut(StoredRow, Option<&[u8; 32]>, &[u8]),
) -> rusqlite::Result<()> {
    let mac = schema::mac_column(db);
    let sql = format!(
        "SELECT j.seq, j.stream, j.at, j.kind, j.body, j.hash,
        (SELECT p.hash FROM journal p WHERE p.seq = j.seq - 1), {mac}
        FROM journal j WHERE j.stream = ?1 AND j.seq >= ?2 ORDER BY j.seq"
    );
    let mut statement = schema::cached(db, &sql)?;
    let mut rows = statement.query((&open.stream, number(open.snapshot)))?;
    while let Some(row) = rows.next()? {
        let prev = chain::bytes(row.get_ref(6)?).try_into().ok();
        let mac = chain::bytes(row.get_ref(7)?).to_vec();
        take(stored(row)?, prev, &mac);
    }
    Ok(())
}
