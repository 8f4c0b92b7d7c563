//! The reader thread: short reads on a connection of its own, and the checkpoints that the writer
//! must not wait for.

use std::{
    path::Path,
    sync::mpsc::{Sender, channel},
    thread,
};

use rusqlite::{Connection, Row as SqlRow};
use tokio::sync::oneshot;

use super::{Head, LedgerError, Loaded, SeenJob, Seq, StoredRow, chain, io, schema};

type Job = Box<dyn FnOnce(&Db) + Send>;

/// The way to the reader.
#[derive(Clone, Debug)]
pub(super) struct Handle(Sender<Job>);

/// The reader's connection.
pub(super) struct Db {
    db: Connection,
    path: std::path::PathBuf,
}

impl Handle {
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Db) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            let _ = reply.send(question(db));
        });
        self.0.send(job).map_err(|_| LedgerError::Gone)?;
        answer.await.map_err(|_| LedgerError::Gone)?
    }

    /// Moves what is durable from the log into the file; failing costs only log size.
    pub(super) fn checkpoint(&self) {
        let job: Job = Box::new(|db| {
            let _ = db.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        });
        let _ = self.0.send(job);
    }
}

/// Starts the thread.
pub(super) fn start(path: &Path) -> Result<Handle, LedgerError> {
    let db = Db { db: schema::connect(path)?, path: path.to_owned() };
    let (sender, jobs) = channel::<Job>();
    let run = move || {
        for job in jobs {
            job(&db);
        }
    };
    thread::Builder::new().name("ledger-read".to_owned()).spawn(run).map_err(|e| io(path, e))?;
    Ok(Handle(sender))
}

pub(super) fn load_open(db: &Db) -> Result<Loaded, LedgerError> {
    let rows = "SELECT j.seq, j.stream, j.at, j.kind, j.body FROM open o
                JOIN journal j ON j.stream = o.stream AND j.seq >= o.since ORDER BY j.seq";
    let mut loaded = Loaded { rows: db.rows(rows, [])?, ..Loaded::default() };
    let seen = |r: &SqlRow<'_>| {
        Ok(SeenJob {
            job_id: r.get(0)?,
            digest: r.get(1)?,
            answer: r.get::<_, Option<u64>>(2)?.map(Seq),
            forget_at: r.get(3)?,
        })
    };
    loaded.seen = db.all("SELECT job_id, digest, answer, forget_at FROM seen_job", [], seen)?;
    let prefix =
        |r: &SqlRow<'_>| Ok((r.get::<_, String>(0)?, r.get::<_, Vec<u8>>(1)?, r.get::<_, Vec<u8>>(2)?));
    let sql = "SELECT stream, revoke, revoke_sum FROM open WHERE revoke IS NOT NULL";
    let prefixes = db.all(sql, [], prefix)?;
    let whole = |(_, bytes, sum): &(String, Vec<u8>, Vec<u8>)| chain::checksum(bytes)[..] == sum[..];
    loaded.prefixes = prefixes.into_iter().filter(whole).map(|(stream, bytes, _)| (stream, bytes)).collect();
    let newest = |r: &SqlRow<'_>| Ok((r.get::<_, Option<u64>>(0)?, r.get(1)?));
    let (last, newest_at) =
        db.db.query_row("SELECT max(seq), max(at) FROM journal", [], newest).map_err(|e| io(&db.path, e))?;
    loaded.last = Seq(last.unwrap_or(0));
    loaded.newest_at = newest_at;
    Ok(loaded)
}

pub(super) fn outbox_page(db: &Db, after: Seq, limit: usize) -> Result<Vec<StoredRow>, LedgerError> {
    let sql = "SELECT j.seq, j.stream, j.at, j.kind, j.body FROM outbox o JOIN journal j USING (seq)
               WHERE o.seq > ?1 ORDER BY o.seq LIMIT ?2";
    db.rows(sql, (after.0, limit))
}

pub(super) fn outbox_depth(db: &Db) -> Result<u64, LedgerError> {
    db.db.query_row("SELECT count(*) FROM outbox", [], |r| r.get(0)).map_err(|e| io(&db.path, e))
}

pub(super) fn read_range(db: &Db, from: Seq, limit: usize) -> Result<Vec<StoredRow>, LedgerError> {
    let sql = "SELECT seq, stream, at, kind, body FROM journal WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
    db.rows(sql, (from.0, limit))
}

pub(super) fn head(db: &Db) -> Result<Head, LedgerError> {
    schema::head(&db.db, &db.path)
}

impl Db {
    fn rows(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<StoredRow>, LedgerError> {
        self.all(sql, params, |r| {
            Ok(StoredRow {
                seq: Seq(r.get(0)?),
                stream: r.get(1)?,
                at: r.get(2)?,
                kind: r.get(3)?,
                body: r.get(4)?,
            })
        })
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        of: impl FnMut(&SqlRow<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, LedgerError> {
        let failed = |e: rusqlite::Error| io(&self.path, e);
        let mut statement = self.db.prepare_cached(sql).map_err(failed)?;
        let rows = statement.query_map(params, of).map_err(failed)?;
        rows.collect::<rusqlite::Result<Vec<T>>>().map_err(failed)
    }
}
