//! The SQLite backend: two threads, a bounded queue to each, and the events that come back.
//!
//! Refuses to make the caller wait for the disk: [`submit`](SqliteLedger::submit) takes a batch or
//! says at once that it does not.

use std::{io, path::Path, thread};

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Batch, Event, Full, Head, LedgerError, Loaded, Opened, Options, Seq, StoredRow,
    append::Tail,
    opening::Store,
    reader::{Question, Reader},
    writer::{Command, Reply, Work, Writer},
};

/// Batches that may wait for the disk.
const QUEUE: usize = 1_024;
/// Events that may wait for the loop. Submitting stops while there is still room for one event of
/// each batch on its way, so the writer never waits for the loop.
const EVENTS: usize = 4 * QUEUE;
/// Questions that may wait for the reader; further ones wait in their askers.
const QUESTIONS: usize = 64;

/// A ledger in an SQLite file.
#[derive(Debug)]
pub struct SqliteLedger<R> {
    commands: mpsc::Sender<Command<R>>,
    questions: mpsc::Sender<Question>,
    events: mpsc::WeakSender<Event<R>>,
    tail: watch::Receiver<Tail>,
}

impl<R: Send + 'static> SqliteLedger<R> {
    pub(super) async fn open(
        dir: &Path,
        options: Options,
    ) -> Result<(Self, Opened, mpsc::Receiver<Event<R>>), LedgerError> {
        let (answer, opened) = oneshot::channel();
        let dir = dir.to_owned();
        let at = dir.clone();
        let thread =
            thread::Builder::new().name("ledger".to_owned()).spawn(move || start(&at, &options, answer));
        thread.map_err(|source| LedgerError::Io { path: dir, what: "start the ledger's thread", source })?;
        opened.await.map_err(|_| LedgerError::Closed)?
    }

    pub(super) fn submit(&self, batch: Batch<R>) -> Result<(), Full> {
        if batch.rows.is_empty() && !batch.raises.is_empty() {
            return Err(Full::Unexplained);
        }
        let room = self.events.upgrade().ok_or(Full::Closed)?.capacity();
        if room <= 2 * QUEUE {
            return Err(Full::Waiting { limit: QUEUE });
        }
        self.commands.try_send(Command::Work(Work::Append(batch))).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Full::Waiting { limit: QUEUE },
            mpsc::error::TrySendError::Closed(_) => Full::Closed,
        })
    }

    pub(super) async fn load_open(&self) -> Result<Loaded, LedgerError> {
        self.ask(Question::LoadOpen).await
    }

    pub(super) async fn outbox_page(&self, after: Seq, limit: usize) -> Result<Vec<StoredRow>, LedgerError> {
        self.ask(|reply| Question::Outbox(after, limit, reply)).await
    }

    pub(super) async fn read_range(&self, from: Seq, limit: usize) -> Result<Vec<StoredRow>, LedgerError> {
        self.ask(|reply| Question::Range(from, limit, reply)).await
    }

    pub(super) async fn ack(&self, seqs: &[Seq]) -> Result<(), LedgerError> {
        self.order(|reply| Command::Work(Work::Acknowledge(seqs.to_vec(), reply))).await
    }

    pub(super) async fn requeue(&self, seq: Seq) -> Result<(), LedgerError> {
        self.order(|reply| Command::Work(Work::Requeue(seq, reply))).await
    }

    pub(super) async fn forget_jobs(&self, before: i64) -> Result<(), LedgerError> {
        self.order(|reply| Command::Work(Work::Forget(before, reply))).await
    }

    pub(super) async fn acknowledge_head(&self, head: Head, told: u64) -> Result<(), LedgerError> {
        self.ask(|reply| Question::AcknowledgeHead(head, told, reply)).await
    }

    pub(super) async fn has_stream(&self, stream: &str) -> Result<bool, LedgerError> {
        self.ask(|reply| Question::HasStream(stream.to_owned(), reply)).await
    }

    pub(super) async fn reopen(&self) -> Result<Opened, LedgerError> {
        self.order(Command::Reopen).await
    }

    pub(super) fn head(&self) -> Result<Head, LedgerError> {
        Ok(self.known()?.head)
    }

    pub(super) fn outbox_depth(&self) -> Result<u64, LedgerError> {
        Ok(self.known()?.outbox)
    }

    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close(done)).await.is_ok() {
            // An error means that the thread is gone, and with it the file.
            let _ = closed.await;
        }
    }

    fn known(&self) -> Result<Tail, LedgerError> {
        self.tail.has_changed().map_err(|_| LedgerError::Closed)?;
        Ok(*self.tail.borrow())
    }

    async fn order<T>(&self, command: impl FnOnce(Reply<T>) -> Command<R>) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| LedgerError::Closed)?;
        answer.await.map_err(|_| LedgerError::Closed)?
    }

    async fn ask<T>(&self, question: impl FnOnce(Reply<T>) -> Question) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.questions.send(question(reply)).await.map_err(|_| LedgerError::Closed)?;
        answer.await.map_err(|_| LedgerError::Closed)?
    }
}

type Started<R> = Result<(SqliteLedger<R>, Opened, mpsc::Receiver<Event<R>>), LedgerError>;

/// The writer's thread: opens the file, starts the reader, and goes to work.
fn start<R: Send + 'static>(dir: &Path, options: &Options, answer: oneshot::Sender<Started<R>>) {
    let (store, opened) = match Store::open(dir, options) {
        Ok(open) => open,
        // Nobody to tell means nobody to work for.
        Err(error) => return drop(answer.send(Err(error))),
    };
    let (commands, work) = mpsc::channel(QUEUE);
    let (questions, asked) = mpsc::channel(QUESTIONS);
    let (events, heard) = mpsc::channel(EVENTS);
    let (tail, known) = watch::channel(store.tail);
    if let Err(error) = start_reader(&store, asked) {
        return drop(answer.send(Err(error)));
    }
    let ledger =
        SqliteLedger { commands, questions: questions.clone(), events: events.downgrade(), tail: known };
    if answer.send(Ok((ledger, opened, heard))).is_ok() {
        Writer { store, commands: work, events, tail, reader: questions, since_checkpoint: 0 }.run();
    }
}

fn start_reader(store: &Store, questions: mpsc::Receiver<Question>) -> Result<(), LedgerError> {
    let reader = Reader {
        file: store.file().to_owned(),
        ledger_id: store.ledger_id().to_owned(),
        key: store.key().clone(),
        questions,
    };
    let started: io::Result<_> =
        thread::Builder::new().name("ledger-reader".to_owned()).spawn(|| reader.run());
    let io = |source| LedgerError::Io {
        path: store.file().to_owned(),
        what: "start the ledger's reading thread",
        source,
    };
    started.map(drop).map_err(io)
}
