//! Empties the outbox into the control plane: at least once, in order, never losing one.
//!
//! A report that the control plane will never take is parked (it stays in the journal) with a loud
//! line, so that it does not hold up the others.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};

use super::{receipts, report, status::Snapshot, views};
use crate::{
    control::{
        backoff::Waits,
        client::{Client, ControlError},
        wire::{JournalHead, Report},
    },
    engine::{action::Raise, record::Record},
    ledger::{Ledger, Seq, StoredRow, codec},
    secrets::TagKey,
};

/// Reports in one request.
const BATCH: usize = 100;

/// Where the next page begins and how long it is.
struct Page {
    after: Seq,
    size: usize,
}

/// What the task runs on.
pub(super) struct Reporter {
    pub(super) ledger: Arc<Ledger<Raise>>,
    pub(super) client: Arc<Client>,
    pub(super) tag_key: Option<Arc<TagKey>>,
    pub(super) outbox: Arc<Notify>,
    pub(super) snapshot: watch::Receiver<Snapshot>,
    /// Whether the control plane's journal head has been compared with ours: before that, a number may be one
    /// that it knows from a life that this ledger has forgotten.
    pub(super) compared: watch::Receiver<bool>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Reporter {
    /// Reports until told to stop.
    pub(super) async fn run(self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.deliver() => {}
        }
    }

    async fn deliver(&self) {
        let (mut waits, mut compared) = (Waits::default(), self.compared.clone());
        let mut page = Page { after: Seq(0), size: BATCH };
        loop {
            if compared.wait_for(|compared| *compared).await.is_err() {
                return;
            }
            match self.page(&mut page).await {
                Ok(true) => waits.reset(),
                Ok(false) => {
                    waits.reset();
                    // Woken by the next durable record; now and then also without, in case one was missed.
                    let _ = tokio::time::timeout(Duration::from_secs(30), self.outbox.notified()).await;
                }
                Err(error) => {
                    let pause = waits.next(error.retry_after());
                    tracing::warn!(error = %error, "reports: not delivered; they stay in the outbox");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Delivers one page; whether there may be more behind it. A page that cannot be delivered whole is
    /// cut smaller, down to the one report that is in the way, which is then passed by.
    async fn page(&self, page: &mut Page) -> Result<bool, ControlError> {
        let rows = match self.ledger.outbox_page(page.after, page.size).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(error = %error, "reports: the outbox cannot be read");
                return Ok(false);
            }
        };
        let Some(last) = rows.last().map(|row| row.seq) else {
            *page = Page { after: Seq(0), size: BATCH };
            return Ok(false);
        };
        let base = self.snapshot.borrow().base;
        let reports: Vec<Report> = rows.iter().filter_map(|row| self.read(row, base)).collect();
        if reports.is_empty() {
            page.after = last;
            return Ok(true);
        }
        let head = self.ledger.head().await.ok();
        let head = head.map(|head| JournalHead { seq: head.seq.0 + base, hash: views::hex(&head.hash) });
        let answer = match self.client.report_from(&reports, head).await {
            Err(error @ ControlError::Refused { .. }) => {
                tracing::error!(error = %error, reports = rows.len(), seq = rows[0].seq.0, "reports: not taken; tried in smaller parts");
                if rows.len() > 1 {
                    page.size = rows.len() / 2
                } else {
                    page.after = last
                }
                return Ok(true);
            }
            answer => answer?,
        };
        for refused in &answer.refused {
            tracing::error!(
                seq = refused.seq,
                "reports: the control plane will not take this report; it is parked in the journal"
            );
        }
        let refused = answer.refused.iter().map(|r| r.seq);
        let ours = |told: u64| told.checked_sub(base).map(Seq);
        let done: Vec<Seq> = answer.acked.iter().copied().chain(refused).filter_map(ours).collect();
        let known: Vec<Seq> = done.into_iter().filter(|seq| rows.iter().any(|row| row.seq == *seq)).collect();
        if let Err(error) = self.ledger.ack(&known).await {
            tracing::error!(error = %error, "reports: acknowledgements cannot be stored; they will be sent again");
        }
        // What was not acknowledged comes again on the next round, behind everything else.
        *page = Page { after: last, size: BATCH };
        Ok(true)
    }

    /// A row that holds no report is passed by, with a loud line; it stays in the outbox and the journal.
    fn read(&self, row: &StoredRow, base: u64) -> Option<Report> {
        let told = Seq(row.seq.0 + base);
        let report = codec::record(row).ok().and_then(|record| self.report(told, row.at, record));
        if report.is_none() {
            tracing::error!(
                seq = row.seq.0,
                "reports: this row holds no report of this version; it is passed by"
            );
        }
        report
    }

    fn report(&self, seq: Seq, at: i64, record: Record) -> Option<Report> {
        report::of(seq.0, at, &record, |held| receipts::seal(self.tag_key.as_ref(), held))
    }
}
