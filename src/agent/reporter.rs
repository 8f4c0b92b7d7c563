//! Empties the outbox into the control plane: at least once, in order, never losing one.
//!
//! A report that the control plane will never take is parked (it stays in the journal) with a loud
//! line, so that it does not hold up the others.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, watch};

use super::report;
use crate::{
    control::{
        backoff::Waits,
        client::{Client, ControlError},
        wire::Report,
    },
    engine::{action::Raise, record::GrantActive, record::Record},
    ledger::{Ledger, Seq, codec},
    secrets::TagKey,
};

/// Reports in one request.
const BATCH: usize = 100;

/// What the task runs on.
pub(super) struct Reporter {
    pub(super) ledger: Arc<Ledger<Raise>>,
    pub(super) client: Arc<Client>,
    pub(super) tag_key: Option<Arc<TagKey>>,
    pub(super) outbox: Arc<Notify>,
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
        let mut waits = Waits::default();
        loop {
            match self.page().await {
                Ok(0) => {
                    waits.reset();
                    // Woken by the next durable record; now and then also without, in case one was missed.
                    let _ = tokio::time::timeout(Duration::from_secs(30), self.outbox.notified()).await;
                }
                Ok(_) => waits.reset(),
                Err(error) => {
                    let pause = waits.next(error.retry_after());
                    tracing::warn!(error = %error, "reports: not delivered; they stay in the outbox");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Delivers one page; how many reports it held.
    async fn page(&self) -> Result<usize, ControlError> {
        let rows = match self.ledger.outbox_page(Seq(0), BATCH).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(error = %error, "reports: the outbox cannot be read");
                return Ok(0);
            }
        };
        if rows.is_empty() {
            return Ok(0);
        }
        let reports: Vec<Report> =
            rows.iter().filter_map(|row| self.report(row.seq, row.at, codec::record(row).ok()?)).collect();
        let answer = self.client.report(&reports).await?;
        for refused in &answer.refused {
            tracing::error!(
                seq = refused.seq,
                "reports: the control plane will not take this report; it is parked in the journal"
            );
        }
        let done: Vec<Seq> =
            answer.acked.iter().copied().chain(answer.refused.iter().map(|r| r.seq)).map(Seq).collect();
        let known: Vec<Seq> = done.into_iter().filter(|seq| rows.iter().any(|row| row.seq == *seq)).collect();
        let delivered = known.len();
        if let Err(error) = self.ledger.ack(&known).await {
            tracing::error!(error = %error, "reports: acknowledgements cannot be stored; they will be sent again");
        }
        if delivered == 0 {
            // Nothing acknowledged: do not spin.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(rows.len())
    }

    fn report(&self, seq: Seq, at: i64, record: Record) -> Option<Report> {
        report::of(seq.0, at, &record, |active| self.receipt(active))
    }

    /// What the control plane gives back after a loss of the ledger.
    fn receipt(&self, active: &GrantActive) -> Option<String> {
        let before: Vec<&str> = active.before.iter().map(crate::engine::ids::RoleName::as_str).collect();
        let ends = active.ends_at.0.to_string();
        let fields = [
            active.about.integration.as_str(),
            active.about.grant.as_str(),
            active.account.as_str(),
            active.about.role.as_str(),
            &before.join("\u{1f}"),
            &ends,
        ];
        self.tag_key.as_ref().map(|key| key.receipt(&fields))
    }
}
