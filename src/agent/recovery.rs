//! Asks the control plane what it believes to be live: once on a new ledger, and again after each doubt.
//!
//! Refuses to decide anything: receipts are verified here, what becomes of a claim is the engine's to say.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};

use super::{receipts, status::Snapshot};
use crate::{
    control::{
        backoff::Waits,
        client::{Client, ControlError},
        poll::ControlEvent,
        wire::{RecoverReason, RecoverRequest, Utc},
    },
    engine::{
        action::Raise,
        input::Input,
        recovery::{Believed, Cause, Recovery as Known, Told},
        time::Timestamp,
    },
    ledger::Ledger,
    secrets::TagKey,
};

/// Pages of 200 claims that are read at most: a control plane without end is asked again later.
const PAGES: usize = 50;
/// How long after an answer that was not complete it is asked again.
const AGAIN: Duration = Duration::from_secs(60);

/// What the task runs on.
pub(super) struct Recovery {
    pub(super) ledger: Arc<Ledger<Raise>>,
    pub(super) client: Arc<Client>,
    pub(super) tag_key: Option<Arc<TagKey>>,
    pub(super) created_at: Timestamp,
    pub(super) snapshot: watch::Receiver<Snapshot>,
    /// Whether the control plane's journal head has been compared with ours.
    pub(super) compared: watch::Receiver<bool>,
    pub(super) events: mpsc::Sender<ControlEvent>,
    pub(super) stop: watch::Receiver<bool>,
}

/// Why the control plane is to be asked; `None`: it has said everything.
pub(super) fn reason(known: &Known) -> Option<RecoverReason> {
    if known.heard {
        return None;
    }
    let Some(doubt) = &known.doubt else { return Some(RecoverReason::EmptyLedger) };
    let is = |cause| doubt.causes.contains_key(&cause);
    Some(if is(Cause::Lost) {
        RecoverReason::EmptyLedger
    } else if is(Cause::RolledBack) || is(Cause::Restored) || is(Cause::Copied) {
        RecoverReason::Rollback
    } else {
        RecoverReason::Damaged
    })
}

impl Recovery {
    /// Asks whenever there is a reason, until told to stop.
    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.ask() => {}
        }
    }

    async fn ask(&mut self) {
        let mut waits = Waits::default();
        loop {
            let Ok(reason) = self.snapshot.wait_for(|s| s.recover.is_some()).await.map(|s| s.recover) else {
                return;
            };
            if self.compared.wait_for(|compared| *compared).await.is_err() {
                return;
            }
            let Some(reason) = reason else { continue };
            match self.ask_once(reason).await {
                Ok(believed) => {
                    waits.reset();
                    let event = ControlEvent::Ledger(Box::new(Input::Believed(believed)));
                    if self.events.send(event).await.is_err() {
                        return;
                    }
                    // Until the engine has taken it in; an answer that was not complete is asked for again.
                    let taken = self.snapshot.wait_for(|s| s.recover.is_none());
                    let _ = tokio::time::timeout(AGAIN, taken).await;
                }
                Err(error) => {
                    let pause = waits.next(error.retry_after());
                    tracing::warn!(error = %error, "ledger: the control plane does not say what it believes to be live; asked again");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Reads every page.
    async fn ask_once(&self, reason: RecoverReason) -> Result<Believed, ControlError> {
        let mut believed = Believed { claims: Vec::new(), answered: true, complete: false };
        let mut cursor = None;
        for _ in 0..PAGES {
            let request = RecoverRequest { reason, ledger_created_at: Utc(self.created_at), cursor };
            let answer = match self.client.recover(&request).await {
                Err(error) if error.is_unknown_call() => {
                    return Ok(Believed { answered: false, complete: true, ..believed });
                }
                answer => answer?,
            };
            for claim in &answer.grants {
                let over = self.ledger.has_stream(&format!("grant/{}", claim.grant_id)).await;
                believed.claims.push(match over {
                    Ok(true) => Told::Over(claim.grant_id.clone()),
                    _ => receipts::judge(self.tag_key.as_ref(), claim),
                });
            }
            if answer.cursor.is_none() {
                believed.complete = true;
                break;
            }
            cursor = answer.cursor;
        }
        Ok(believed)
    }
}
