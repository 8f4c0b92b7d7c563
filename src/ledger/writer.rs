//! The writer thread: the one connection that writes. Everything that arrived while the last commit
//! was syncing goes into the next one.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use rusqlite::{Connection, Transaction};
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::{Batch, Committed, Event, Full, LedgerError, Reply, Row, Seq, chain, create, io, reader, schema};

/// Batches that may wait; beyond it the shell stops taking work in.
const QUEUE: usize = 4096;
/// Commands in one transaction at most.
const GROUP: usize = 512;
/// Commits between two checkpoints.
const CHECKPOINT_EVERY: u32 = 256;

enum Command<R> {
    Append(Batch<R>),
    Outbox(Vec<Seq>, bool, Reply<()>),
    Reopen(Reply<()>),
    Close(oneshot::Sender<()>),
}

/// The way to the writer.
#[derive(Debug)]
pub(super) struct Handle<R>(SyncSender<Command<R>>);

impl<R: Send + 'static> Handle<R> {
    pub(super) fn submit(&self, batch: Batch<R>) -> Result<(), Full> {
        self.0.try_send(Command::Append(batch)).map_err(|_| Full)
    }

    pub(super) async fn outbox(&self, seqs: Vec<Seq>, put: bool) -> Result<(), LedgerError> {
        self.ask(|reply| Command::Outbox(seqs, put, reply)).await
    }

    pub(super) async fn reopen(&self) -> Result<(), LedgerError> {
        self.ask(Command::Reopen).await
    }

    pub(super) async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.0.try_send(Command::Close(done)).is_ok() {
            let _ = closed.await;
        }
    }

    async fn ask(&self, command: impl FnOnce(Reply<()>) -> Command<R>) -> Result<(), LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(command(reply)).map_err(|_| LedgerError::Gone)?;
        answer.await.map_err(|_| LedgerError::Gone)?
    }
}

/// Starts the thread.
pub(super) fn start<R: Send + 'static>(
    path: &Path,
    events: UnboundedSender<Event<R>>,
    checkpointer: reader::Handle,
) -> Result<Handle<R>, LedgerError> {
    let (sender, receiver) = sync_channel(QUEUE);
    let tail = Tail::open(path)?;
    let writer = Writer { path: path.to_owned(), tail: Some(tail), events, checkpointer, commits: 0 };
    let spawned = thread::Builder::new().name("ledger".to_owned()).spawn(move || writer.run(&receiver));
    spawned.map_err(|e| io(path, e))?;
    Ok(Handle(sender))
}

struct Writer<R> {
    path: PathBuf,
    /// `None` after a failure, until reopened.
    tail: Option<Tail>,
    events: UnboundedSender<Event<R>>,
    checkpointer: reader::Handle,
    commits: u32,
}

/// The end of the chain, on an open connection.
struct Tail {
    db: Connection,
    seq: u64,
    hash: [u8; 32],
}

impl Tail {
    fn open(path: &Path) -> Result<Self, LedgerError> {
        let db = schema::connect(path)?;
        let head = schema::head(&db, path)?;
        Ok(Self { db, seq: head.seq.0, hash: head.hash })
    }
}

impl<R: Send + 'static> Writer<R> {
    fn run(mut self, commands: &Receiver<Command<R>>) {
        while let Ok(first) = commands.recv() {
            let mut group = Group::default();
            let mut next = Some(first);
            while let Some(command) = next {
                match command {
                    Command::Append(batch) => {
                        group.rows.extend(batch.rows);
                        group.raises.extend(batch.raises);
                    }
                    Command::Outbox(seqs, put, reply) => group.outbox.push((seqs, put, reply)),
                    Command::Reopen(reply) => {
                        self.commit(std::mem::take(&mut group));
                        let _ = reply.send(self.reopen());
                    }
                    Command::Close(done) => {
                        self.commit(group);
                        drop(self);
                        let _ = done.send(());
                        return;
                    }
                }
                group.commands += 1;
                next = if group.commands < GROUP { commands.try_recv().ok() } else { None };
            }
            self.commit(group);
        }
    }

    fn reopen(&mut self) -> Result<(), LedgerError> {
        self.tail = None;
        let tail = Tail::open(&self.path)?;
        // A commit of nothing but a mark shows that the disk takes writes again.
        tail.db
            .execute("INSERT OR REPLACE INTO meta VALUES ('reopened_after', ?1)", [tail.seq.to_string()])
            .map_err(|e| io(&self.path, e))?;
        if let Some(dir) = self.path.parent() {
            create::ballast(dir);
        }
        self.tail = Some(tail);
        Ok(())
    }

    /// All or nothing.
    fn commit(&mut self, group: Group<R>) {
        if group.rows.is_empty() && group.outbox.is_empty() {
            return;
        }
        let result = match &mut self.tail {
            Some(tail) => write(tail, &self.path, &group),
            None => Err(io(&self.path, "closed after a failed write")),
        };
        match result {
            Ok(()) => self.done(group),
            Err(error) => self.failed(group, error),
        }
    }

    fn done(&mut self, group: Group<R>) {
        if let Some(last) = group.rows.last() {
            let raises = group.raises.into_iter().map(Committed).collect();
            let _ = self.events.send(Event::Durable { upto: last.seq, raises });
        }
        for (_, _, reply) in group.outbox {
            let _ = reply.send(Ok(()));
        }
        self.commits += 1;
        if self.commits % CHECKPOINT_EVERY == 0 {
            self.checkpointer.checkpoint();
        }
    }

    fn failed(&mut self, group: Group<R>, error: LedgerError) {
        let fatal = !matches!(error, LedgerError::Order { .. });
        for (_, _, reply) in group.outbox {
            let _ = reply.send(Err(io(&self.path, "the write failed")));
        }
        if fatal && self.tail.take().is_some() {
            // Room for what follows, in case the disk is full.
            if let Some(dir) = self.path.parent() {
                let _ = std::fs::remove_file(dir.join(create::BALLAST));
            }
        }
        if let Some(first) = group.rows.first() {
            let _ = self.events.send(Event::Failed { error, first: first.seq });
        }
    }
}

struct Group<R> {
    rows: Vec<Row>,
    raises: Vec<R>,
    outbox: Vec<(Vec<Seq>, bool, Reply<()>)>,
    commands: usize,
}

impl<R> Default for Group<R> {
    fn default() -> Self {
        Self { rows: Vec::new(), raises: Vec::new(), outbox: Vec::new(), commands: 0 }
    }
}

fn write<R>(tail: &mut Tail, path: &Path, group: &Group<R>) -> Result<(), LedgerError> {
    let failed = |e: rusqlite::Error| io(path, e);
    let (mut seq, mut hash) = (tail.seq, tail.hash);
    let tx = tail.db.transaction().map_err(failed)?;
    for row in &group.rows {
        if row.seq.0 != seq + 1 {
            return Err(LedgerError::Order { last: seq, found: row.seq.0 });
        }
        hash = chain::link(&hash, row.seq.0, &row.stream, row.at, row.kind, &row.body);
        seq = row.seq.0;
        append(&tx, row, &hash).map_err(failed)?;
    }
    for (seqs, put, _) in &group.outbox {
        let sql = if *put {
            "INSERT OR IGNORE INTO outbox VALUES (?1)"
        } else {
            "DELETE FROM outbox WHERE seq = ?1"
        };
        let mut statement = tx.prepare_cached(sql).map_err(failed)?;
        for seq in seqs {
            statement.execute([seq.0]).map_err(failed)?;
        }
    }
    tx.commit().map_err(failed)?;
    (tail.seq, tail.hash) = (seq, hash);
    Ok(())
}

fn append(tx: &Transaction<'_>, row: &Row, hash: &[u8; 32]) -> rusqlite::Result<()> {
    let seq = row.seq.0;
    tx.prepare_cached("INSERT INTO journal VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute((
        seq,
        &row.stream,
        row.at,
        row.kind,
        &row.body,
        hash.as_slice(),
    ))?;
    let marks = &row.marks;
    if marks.report {
        tx.prepare_cached("INSERT INTO outbox VALUES (?1)")?.execute([seq])?;
    }
    if let Some(open) = &marks.open {
        let sum = open.revoke.as_ref().map(|r| chain::checksum(r));
        tx.prepare_cached(
            "INSERT INTO open VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT(stream) DO UPDATE SET account = ?2, ends_at = ?3, revoke = ?5, revoke_sum = ?6",
        )?
        .execute((
            &row.stream,
            &open.account,
            open.ends_at,
            seq,
            &open.revoke,
            sum.as_ref().map(<[u8; 32]>::as_slice),
        ))?;
    }
    if marks.snapshot {
        tx.prepare_cached("UPDATE open SET since = ?2 WHERE stream = ?1")?.execute((&row.stream, seq))?;
    }
    if marks.close {
        tx.prepare_cached("DELETE FROM open WHERE stream = ?1")?.execute([&row.stream])?;
    }
    if let Some(job) = &marks.seen_job {
        tx.prepare_cached("INSERT OR REPLACE INTO seen_job VALUES (?1, ?2, ?3, ?4)")?.execute((
            &job.job_id,
            job.digest.as_slice(),
            job.answer.map(|s| s.0),
            job.forget_at,
        ))?;
    }
    Ok(())
}
