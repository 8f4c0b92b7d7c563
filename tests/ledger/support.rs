//! A ledger in a directory of its own, and rows for it. Raises are plain numbers.

use std::path::Path;

use ephemerald::ledger::{
    Batch, Event, Keying, Ledger, LedgerError, Marks, OnLoss, Open, Opened, Options, Row, Seq,
};
use tokio::sync::mpsc;

/// When every ledger of these tests is created, in UTC milliseconds.
pub(crate) const CREATED: i64 = 1_795_000_000_000;

/// An open ledger with its events.
pub(crate) struct Book {
    pub(crate) ledger: Ledger<u32>,
    pub(crate) opened: Opened,
    pub(crate) events: mpsc::Receiver<Event<u32>>,
}

impl Book {
    pub(crate) async fn open(dir: &Path) -> Self {
        Self::try_open(dir).await.expect("the ledger opens")
    }

    pub(crate) async fn try_open(dir: &Path) -> Result<Self, LedgerError> {
        Self::open_after(dir, OnLoss::Refuse).await
    }

    pub(crate) async fn open_after(dir: &Path, on_loss: OnLoss) -> Result<Self, LedgerError> {
        let (ledger, opened, events) =
            Ledger::open(dir, Options { created_at: CREATED, on_loss, key: Keying::None }).await?;
        Ok(Self { ledger, opened, events })
    }

    /// Submits rows and waits until they are durable.
    pub(crate) async fn write(&mut self, rows: Vec<Row>) {
        let last = rows.last().expect("at least one row").seq;
        self.ledger.submit(Batch { rows, raises: vec![] }).expect("the queue has room");
        while self.durable().await < last {}
    }

    /// The next event, which must be a success: up to where.
    pub(crate) async fn durable(&mut self) -> Seq {
        match self.events.recv().await {
            Some(Event::Durable { upto, .. }) => upto,
            other => panic!("expected a durable batch, got {other:?}"),
        }
    }

    /// The next failure: why, and the first row that is not stored. Counts the raises released before it.
    pub(crate) async fn failure(&mut self) -> (LedgerError, Seq, Vec<u32>) {
        let mut released = Vec::new();
        loop {
            match self.events.recv().await.expect("the writer is alive") {
                Event::Durable { raises, .. } => released.extend(raises.into_iter().map(|r| r.into_inner())),
                Event::Failed { error, first } => return (error, first, released),
            }
        }
    }
}

/// A row of a stream, with a body that tells its number.
pub(crate) fn row(seq: u64, stream: &str) -> Row {
    Row {
        seq: Seq(seq),
        stream: stream.to_owned(),
        at: CREATED + i64::try_from(seq).unwrap(),
        kind: "noted",
        body: format!("{{\"n\":{seq}}}").into_bytes(),
        marks: Marks::default(),
    }
}

/// The first row of a stream: opens it.
pub(crate) fn opening(seq: u64, stream: &str) -> Row {
    let open = Open {
        account: Some("account/main/5f1".to_owned()),
        ends_at: Some(CREATED + 60_000),
        revoke: Some(format!("revoke {stream}").into_bytes()),
    };
    Row { marks: Marks { open: Some(open), ..Marks::default() }, ..row(seq, stream) }
}

/// A row that is to be reported.
pub(crate) fn report(seq: u64, stream: &str) -> Row {
    Row { marks: Marks { report: true, ..Marks::default() }, ..row(seq, stream) }
}

/// The file behind a ledger, by SQLite's own hand.
pub(crate) fn tamper(dir: &Path, sql: &str) {
    let db = rusqlite::Connection::open(dir.join("ledger.db")).unwrap();
    db.execute_batch(sql).unwrap();
}
