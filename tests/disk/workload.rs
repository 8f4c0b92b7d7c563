//! A fixed life of a ledger, what it was promised on the way, and whether a directory keeps the promises.

use std::{collections::BTreeSet, path::Path};

use ephemerald::ledger::{
    Batch, Event, Keying, Ledger, LedgerError, Marks, OnLoss, Open, Opened, Options, Row, SeenJob, Seq,
    StoredRow, verify,
};
use tokio::sync::mpsc;

use crate::shim::Shim;

const CREATED: i64 = 1_795_000_000_000;
/// Batches that are handed over before one waits, in turn.
const GROUPS: [usize; 5] = [1, 3, 2, 5, 1];

/// Batches, in their order, numbered from 1.
pub(crate) struct Plan(Vec<Vec<Row>>);

impl Plan {
    /// `batches` small ones, and near the end one large enough that the log is moved into the main file.
    pub(crate) fn of(batches: usize) -> Self {
        let mut next = 0;
        let mut row = |stream: String, marks: Marks| {
            next += 1;
            let body = format!("{{\"n\":{next}}}").into_bytes();
            Row {
                seq: Seq(next),
                stream,
                at: CREATED + i64::try_from(next).unwrap(),
                kind: "noted",
                body,
                marks,
            }
        };
        let batch = |n: usize| {
            let open = Open {
                account: Some(format!("account/main/{n}")),
                ends_at: Some(CREATED + 60_000),
                revoke: Some(format!("revoke {n}").into_bytes()),
            };
            let job =
                SeenJob { job_id: format!("job-{n}"), digest: [7; 32], answer: None, forget_at: CREATED };
            let mut rows = vec![
                row(
                    format!("grant/{n}"),
                    Marks { open: Some(open), seen_job: Some(job), ..Marks::default() },
                ),
                row(format!("grant/{n}"), Marks { report: true, ..Marks::default() }),
            ];
            if n + 3 == batches {
                rows.extend((0..1_000).map(|_| row(format!("grant/{n}"), Marks::default())));
            }
            if n % 3 == 2 {
                rows.push(row(format!("grant/{}", n - 2), Marks { close: true, ..Marks::default() }));
            }
            rows
        };
        Self((0..batches).map(batch).collect())
    }

    /// How many batches lie up to this row; it must be the end of one.
    fn batches_upto(&self, head: u64) -> usize {
        if head == 0 {
            return 0;
        }
        let ends = self.0.iter().position(|rows| rows.last().unwrap().seq.0 == head);
        1 + ends.unwrap_or_else(|| panic!("row {head} is in the middle of a batch: it is half there"))
    }

    fn rows_upto(&self, head: u64) -> impl Iterator<Item = &Row> {
        self.0[..self.batches_upto(head)].iter().flatten()
    }
}

/// What the ledger said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promises {
    /// The directory holds a ledger.
    pub(crate) opened: bool,
    /// Rows up to here are durable.
    pub(crate) durable: u64,
    /// Reports that were taken out, and those of which it is not known.
    pub(crate) acked: BTreeSet<u64>,
    pub(crate) maybe_acked: BTreeSet<u64>,
    /// The record that the control plane has, as noted beside the ledger.
    pub(crate) noted: u64,
}

/// How a life goes on after a failure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// It stops there.
    Stop,
    /// The ledger is opened anew as long as that works, at most a few times.
    Reopen,
}

/// A life under way.
pub(crate) struct Life<'a> {
    plan: &'a Plan,
    shim: &'a Shim,
    pub(crate) promises: Promises,
    pub(crate) failures: usize,
    ledger: Option<(Ledger<u64>, mpsc::Receiver<Event<u64>>)>,
}

impl<'a> Life<'a> {
    pub(crate) fn new(plan: &'a Plan, shim: &'a Shim) -> Self {
        Self { plan, shim, promises: Promises::default(), failures: 0, ledger: None }
    }

    /// Lives it in `dir`; whether it came to its end.
    pub(crate) async fn live(&mut self, dir: &Path, after: After) -> bool {
        let Ok((ledger, opened, events)) = open(dir).await else { return false };
        assert_eq!(opened.head.seq, Seq(0));
        self.promises.opened = true;
        self.shim.mark("opened");
        self.ledger = Some((ledger, events));
        while let Err(error) = self.go_on().await {
            self.failures += 1;
            assert!(self.failures < 4, "one failure of the disk is not a row of them: {error}");
            if after == After::Stop {
                // It may try; nothing that it says then may be wrong either.
                let _ = self.reopen().await;
                return false;
            }
            self.reopen().await.expect("the disk works again");
        }
        true
    }

    /// Ends it as the daemon does.
    pub(crate) async fn close(&mut self) {
        if let Some((ledger, _)) = self.ledger.take() {
            ledger.close().await;
        }
    }

    async fn reopen(&mut self) -> Result<(), LedgerError> {
        let (ledger, events) = self.ledger.as_mut().unwrap();
        let opened = ledger.reopen().await?;
        while let Ok(event) = events.try_recv() {
            assert!(matches!(event, Event::Failed { .. }), "{event:?} after a failure");
        }
        assert!(opened.head.seq.0 >= self.promises.durable, "{} is gone", self.promises.durable);
        self.durable(opened.head.seq.0);
        Ok(())
    }

    /// From the last durable row on.
    async fn go_on(&mut self) -> Result<(), LedgerError> {
        let mut batch = self.plan.batches_upto(self.promises.durable);
        for round in 0.. {
            let rest = &self.plan.0[batch..];
            let group = &rest[..rest.len().min(GROUPS[round % GROUPS.len()])];
            let Some(last) = group.last() else { return Ok(()) };
            self.write(group, last.last().unwrap().seq.0).await?;
            batch += group.len();
            self.tend(round).await?;
        }
        Ok(())
    }

    async fn write(&mut self, group: &[Vec<Row>], last: u64) -> Result<(), LedgerError> {
        for rows in group {
            let raises = vec![rows.last().unwrap().seq.0];
            self.ledger().submit(Batch { rows: rows.clone(), raises }).unwrap();
        }
        while self.promises.durable < last {
            match self.ledger.as_mut().unwrap().1.recv().await.unwrap() {
                Event::Durable { upto, raises } => {
                    // A raise that leaves says that its rows are on the disk: a promise like the others.
                    let raises = raises.into_iter().map(ephemerald::ledger::Committed::into_inner).max();
                    assert_eq!(raises, Some(upto.0));
                    self.durable(upto.0);
                }
                Event::Failed { error, first } => {
                    assert_eq!(first.0, self.promises.durable + 1);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// What else happens to a ledger: reports are acknowledged, jobs forgotten, the head is noted.
    async fn tend(&mut self, round: usize) -> Result<(), LedgerError> {
        let due = self.ledger().outbox_page(Seq(0), 2).await?;
        if let Some(report) = due.first() {
            self.promises.maybe_acked.insert(report.seq.0);
            self.ledger().ack(&[report.seq]).await?;
            self.promises.maybe_acked.remove(&report.seq.0);
            self.promises.acked.insert(report.seq.0);
            self.shim.mark(&format!("acked {}", report.seq.0));
        }
        if round % 3 == 1 {
            let head = self.ledger().head().await?;
            // One that cannot be noted is noted next time.
            if self.ledger().acknowledge_head(head, head.seq.0).await.is_ok() {
                self.promises.noted = head.seq.0;
                self.shim.mark(&format!("noted {}", head.seq.0));
            }
            self.ledger().forget_jobs(CREATED - 1).await?;
        }
        // The reader answers in turn: afterwards nothing is being moved behind our back.
        self.ledger().has_stream("grant/0").await.map(drop)
    }

    fn durable(&mut self, upto: u64) {
        self.promises.durable = upto;
        self.shim.mark(&format!("durable {upto}"));
    }

    fn ledger(&self) -> &Ledger<u64> {
        &self.ledger.as_ref().unwrap().0
    }
}

type Parts = (Ledger<u64>, Opened, mpsc::Receiver<Event<u64>>);

pub(crate) async fn open(dir: &Path) -> Result<Parts, LedgerError> {
    Ledger::open(dir, Options { created_at: CREATED, on_loss: OnLoss::Refuse, key: Keying::None }).await
}

/// Opens what is left in `dir`: everything promised is there, nothing is there by halves. Up to which row.
pub(crate) async fn kept(dir: &Path, promises: &Promises, plan: &Plan) -> Result<u64, String> {
    let (ledger, opened, _) = open(dir).await.map_err(|error| format!("it does not open: {error}"))?;
    let wrong = |what: &str| Err(format!("{what}: {promises:?}, {opened:?}"));
    let head = opened.head.seq.0;
    if opened.created && promises.opened {
        return wrong("a new ledger was begun in its place");
    }
    if head < promises.durable {
        return wrong("what was durable is gone");
    }
    if !opened.quarantined.is_empty() || opened.replaces.is_some() || opened.is_behind {
        return wrong("it is doubted");
    }
    if opened.acknowledged.as_ref().map_or(0, |noted| noted.seq) < promises.noted {
        return wrong("the noted head is gone");
    }
    let stored = ledger.read_range(Seq(1), usize::MAX).await.map_err(|e| e.to_string())?;
    let same = |(stored, row): (&StoredRow, &Row)| {
        (stored.seq, &stored.stream, &stored.body) == (row.seq, &row.stream, &row.body)
    };
    if stored.len() as u64 != head || !stored.iter().zip(plan.rows_upto(head)).all(same) {
        return wrong("the rows are not those that were written");
    }
    indexes_agree(&ledger, promises, plan.rows_upto(head)).await?;
    ledger.close().await;
    match verify(&dir.join(ephemerald::ledger::FILE_NAME)) {
        Ok(report) if report.is_intact() && report.rows == head => Ok(head),
        other => Err(format!("the chain does not hold: {other:?}")),
    }
}

async fn indexes_agree(
    ledger: &Ledger<u64>,
    promises: &Promises,
    rows: impl Iterator<Item = &Row>,
) -> Result<(), String> {
    let (mut open, mut due) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        if row.marks.open.is_some() {
            open.insert(row.stream.clone());
        } else if row.marks.close {
            open.remove(&row.stream);
        }
        due.extend(row.marks.report.then_some(row.seq.0));
    }
    let loaded = ledger.load_open().await.map_err(|e| e.to_string())?;
    let found: BTreeSet<String> = loaded.open.iter().map(|open| open.stream.clone()).collect();
    if found != open || !loaded.quarantined.is_empty() {
        return Err(format!("open streams: {found:?} instead of {open:?}, {:?}", loaded.quarantined));
    }
    let outbox = ledger.outbox_page(Seq(0), usize::MAX).await.map_err(|e| e.to_string())?;
    let outbox: BTreeSet<u64> = outbox.iter().map(|row| row.seq.0).collect();
    let without = |gone: &BTreeSet<u64>| due.difference(gone).copied().collect::<BTreeSet<u64>>();
    let most = without(&promises.acked);
    let least: BTreeSet<u64> = most.difference(&promises.maybe_acked).copied().collect();
    if !outbox.is_subset(&most) || !outbox.is_superset(&least) {
        return Err(format!("the outbox is {outbox:?}, not between {least:?} and {most:?}"));
    }
    Ok(())
}
