//! The thread that owns the only connection that writes.
//!
//! ```text
//! submit ─▶ queue ─▶ everything that waits ─▶ one transaction ─ sync ─▶ Durable + raises
//!                                                  └─ failed ─▶ Failed, suspended until reopened
//! ```
//!
//! Refuses to go on after a failed write: what the file then holds is unknown until it was opened
//! anew and the acknowledged end was found in it.

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Batch, Committed, Event, JournalKey, LedgerError, Opened, Seq, append::Tail, opening::Store,
    reader::Question,
};

/// Rows in one transaction at most: bounds how long the first of them waits.
const GROUP_ROWS: usize = 8_192;
/// Rows between two checkpoints.
const CHECKPOINT_ROWS: usize = 1_000;

/// Where the answer to a command goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, LedgerError>>;

/// What the writer is asked for.
pub(super) enum Command<R> {
    /// Goes into the next transaction.
    Work(Work<R>),
    /// Opens the file anew and looks for the acknowledged end.
    Reopen(Reply<Opened>),
    /// Everything before it is written; then the thread ends.
    Close(oneshot::Sender<()>),
}

/// What changes the file.
pub(super) enum Work<R> {
    Append(Batch<R>),
    Acknowledge(Vec<Seq>, Reply<()>),
    Requeue(Seq, Reply<()>),
    Forget(i64, Reply<()>),
}

/// What ends a group.
enum Stop<R> {
    /// Nothing more waits.
    Idle,
    Reopen(Reply<Opened>),
    Close(oneshot::Sender<()>),
    /// A batch with a wrong number; it and its raises were dropped.
    Misnumbered(LedgerError),
    /// Does not fit into the group any more.
    More(Work<R>),
}

/// The thread's state.
pub(super) struct Writer<R> {
    pub(super) store: Store,
    pub(super) commands: mpsc::Receiver<Command<R>>,
    pub(super) events: mpsc::Sender<Event<R>>,
    pub(super) tail: watch::Sender<Tail>,
    pub(super) reader: mpsc::Sender<Question>,
    pub(super) since_checkpoint: usize,
}

impl<R> Writer<R> {
    /// Runs until closed, or until nobody can submit any more.
    pub(super) fn run(mut self) {
        let mut carried = None;
        loop {
            let first = match carried.take() {
                Some(work) => Command::Work(work),
                None => match self.commands.blocking_recv() {
                    Some(command) => command,
                    None => return,
                },
            };
            let (group, stop) = self.gather(first);
            self.commit(group);
            match stop {
                Stop::Idle => {}
                Stop::More(work) => carried = Some(work),
                Stop::Misnumbered(error) => self.suspend(error),
                Stop::Reopen(reply) => {
                    let opened = self.store.reopen();
                    self.tail.send_replace(self.store.tail);
                    // The asker may have given up; the ledger is open all the same.
                    let _ = reply.send(opened);
                }
                Stop::Close(done) => {
                    // The lock is free when the caller hears of it.
                    drop(self);
                    let _ = done.send(());
                    return;
                }
            }
        }
    }

    /// Group commit: takes all that waits, as long as it is work in the right order.
    fn gather(&mut self, first: Command<R>) -> (Vec<Work<R>>, Stop<R>) {
        let (mut group, mut next, mut rows) = (Vec::new(), self.store.tail.next(), 0);
        let mut command = first;
        loop {
            match command {
                Command::Reopen(reply) => return (group, Stop::Reopen(reply)),
                Command::Close(done) => return (group, Stop::Close(done)),
                Command::Work(Work::Append(batch)) if self.store.is_open() => {
                    if rows > 0 && rows + batch.rows.len() > GROUP_ROWS {
                        return (group, Stop::More(Work::Append(batch)));
                    }
                    match in_order(&batch, next) {
                        Ok(after) => next = after,
                        Err(error) => return (group, Stop::Misnumbered(error)),
                    }
                    rows += batch.rows.len();
                    group.push(Work::Append(batch));
                }
                Command::Work(work) => group.push(work),
            }
            let Ok(waiting) = self.commands.try_recv() else { return (group, Stop::Idle) };
            command = waiting;
        }
    }

    fn commit(&mut self, group: Vec<Work<R>>) {
        if group.is_empty() {
            return;
        }
        if !self.store.is_open() {
            return answer(group, || Err(LedgerError::Suspended));
        }
        let before = self.store.tail.next();
        match self
            .store
            .transact(|db, tail, key| group.iter().try_for_each(|work| apply(db, tail, work, key)))
        {
            Ok(()) => {
                self.tail.send_replace(self.store.tail);
                self.release(group);
                self.ask_for_checkpoint(before);
            }
            Err(error) => {
                answer(group, || Err(LedgerError::Suspended));
                self.suspend(error);
            }
        }
    }

    /// The group is on disk: its raises may leave, its askers may know.
    fn release(&self, group: Vec<Work<R>>) {
        let (appends, rest): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|work| matches!(work, Work::Append(_)));
        answer(rest, || Ok(()));
        if appends.is_empty() {
            return;
        }
        let raises = appends.into_iter().flat_map(|work| match work {
            Work::Append(batch) => batch.raises,
            _ => Vec::new(),
        });
        let raises = raises.map(Committed::after_sync).collect();
        self.tell(Event::Durable { upto: self.store.tail.head.seq, raises });
    }

    fn suspend(&mut self, error: LedgerError) {
        self.store.give_up(&error);
        self.tell(Event::Failed { error, first: self.store.tail.next() });
    }

    fn tell(&self, event: Event<R>) {
        // Submitting stops long before the channel is full, so this does not wait; without a receiver
        // nobody is left to act.
        let _ = self.events.blocking_send(event);
    }

    fn ask_for_checkpoint(&mut self, before: Seq) {
        self.since_checkpoint +=
            usize::try_from(self.store.tail.next().0 - before.0).unwrap_or(usize::MAX).max(1);
        if self.since_checkpoint >= CHECKPOINT_ROWS && self.reader.try_send(Question::Checkpoint).is_ok() {
            self.since_checkpoint = 0;
        }
    }
}

fn apply<R>(
    db: &rusqlite::Connection,
    tail: &mut Tail,
    work: &Work<R>,
    key: Option<&JournalKey>,
) -> rusqlite::Result<()> {
    match work {
        Work::Append(batch) => batch.rows.iter().try_for_each(|row| tail.append(db, row, key)),
        Work::Acknowledge(seqs, _) => tail.acknowledge(db, seqs),
        Work::Requeue(seq, _) => tail.report(db, *seq),
        Work::Forget(before, _) => tail.forget(db, *before, key),
    }
}

fn in_order<R>(batch: &Batch<R>, mut next: Seq) -> Result<Seq, LedgerError> {
    for row in &batch.rows {
        if row.seq != next {
            return Err(LedgerError::OutOfOrder { expected: next, found: row.seq });
        }
        next = Seq(next.0 + 1);
    }
    Ok(next)
}

/// Answers whoever waits for a command; batches are answered by events.
fn answer<R>(group: Vec<Work<R>>, result: impl Fn() -> Result<(), LedgerError>) {
    for work in group {
        match work {
            Work::Append(_) => {}
            Work::Acknowledge(_, reply) | Work::Requeue(_, reply) | Work::Forget(_, reply) => {
                // An asker that gave up needs no answer.
                let _ = reply.send(result());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ledger::{Keying, Marks, OnLoss, Options, Row};

    struct Bench {
        writer: Writer<u32>,
        commands: mpsc::Sender<Command<u32>>,
        asked: mpsc::Receiver<Question>,
        tail: watch::Receiver<Tail>,
        /// Nobody reads them; there is room for all.
        _events: mpsc::Receiver<Event<u32>>,
    }

    fn bench(dir: &Path) -> Bench {
        let options = Options { created_at: 0, on_loss: OnLoss::Refuse, key: Keying::None };
        let (store, _) = Store::open(dir, &options).unwrap();
        let (commands, work) = mpsc::channel(8);
        let ((events, heard), (reader, asked)) = (mpsc::channel(64), mpsc::channel(1));
        let (sender, tail) = watch::channel(store.tail);
        let writer = Writer { store, commands: work, events, tail: sender, reader, since_checkpoint: 0 };
        Bench { writer, commands, asked, tail, _events: heard }
    }

    fn rows(from: u64, count: u64) -> Vec<Row> {
        let row = |seq| Row {
            seq: Seq(seq),
            stream: "ledger".to_owned(),
            at: 0,
            kind: "noted",
            body: b"{}".to_vec(),
            marks: Marks::default(),
        };
        (from..from + count).map(row).collect()
    }

    fn writes(bench: &mut Bench, count: u64) {
        let rows = rows(bench.writer.store.tail.next().0, count);
        bench.writer.commit(vec![Work::Append(Batch { rows, raises: Vec::new() })]);
    }

    #[test]
    fn the_log_is_moved_into_the_file_once_in_a_thousand_rows_and_not_with_every_write_after_that() {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = bench(dir.path());
        let mut asked = Vec::new();
        for _ in 0..25 {
            writes(&mut bench, 100);
            asked.push(bench.asked.try_recv().is_ok());
        }
        let when: Vec<usize> = (1..=25).filter(|n| asked[n - 1]).collect();
        assert_eq!(when, [10, 20]);
    }

    #[test]
    fn a_reader_that_is_busy_is_asked_again_with_the_next_write() {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = bench(dir.path());
        bench.writer.reader.try_send(Question::Checkpoint).unwrap();
        writes(&mut bench, 1_000);
        assert!(bench.asked.try_recv().is_ok() && bench.asked.try_recv().is_err());
        writes(&mut bench, 1);
        assert!(bench.asked.try_recv().is_ok());
    }

    #[test]
    fn a_row_whose_commit_seemed_to_fail_counts_as_the_end_once_the_file_was_opened_anew() {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = bench(dir.path());
        writes(&mut bench, 1);
        let known = bench.writer.store.tail;
        writes(&mut bench, 1);
        // As after a write whose sync was said to have failed.
        bench.writer.store.tail = known;
        bench.writer.tail.send_replace(known);
        bench.writer.suspend(LedgerError::Suspended);
        let (reply, mut opened) = oneshot::channel();
        bench.commands.try_send(Command::Reopen(reply)).ok().unwrap();
        drop(bench.commands);
        bench.writer.run();
        assert_eq!(opened.try_recv().unwrap().unwrap().head.seq, Seq(2));
        assert_eq!(bench.tail.borrow().head.seq, Seq(2), "and who asks for the end is told so");
    }
}
