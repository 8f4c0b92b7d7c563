//! Tells the control plane how things stand, every few seconds to minutes, and takes its pace and its
//! newer key sets.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};

use super::{
    heads::{self, Compared, Heads},
    recovery,
    rotation::{Ask, Rotation},
    turn::Turn,
    views,
};
use crate::{
    clock,
    control::{
        client::{Client, ControlError},
        identity::Identity,
        poll::ControlEvent,
        verify::Verifier,
        wire::{IntegrationStatus, JournalHead, Offers, RecoverReason, StatusAnswer, StatusRequest, Utc},
    },
    engine::{
        action::Raise,
        grant::Phase,
        ids::{IntegrationId, OrgId},
        time::Timestamp,
    },
    ledger::{Head, Ledger},
    secrets::AtRest,
};

/// How soon a status follows one that could not be compared.
const AGAIN: Duration = Duration::from_secs(2);

/// What the loop publishes of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Snapshot {
    live: u32,
    ending: u32,
    overdue: u32,
    next_expiry: Option<Timestamp>,
    stuck: u32,
    frozen: bool,
    dry_run: bool,
    skew_ms: Option<i64>,
    policy_hash: Option<String>,
    integrations: Vec<IntegrationStatus>,
    /// Nothing is raised because the ledger is in doubt.
    revoke_only: bool,
    /// Claims that wait for an operator.
    claims: u32,
    /// What is added to the journal's numbers where they are told.
    pub(super) base: u64,
    /// Jobs issued before this instant are of a life that may be forgotten.
    jobs_from: Option<Timestamp>,
    /// The organization of each integration, once one has answered.
    pub(super) pinned: BTreeMap<IntegrationId, OrgId>,
    /// Why the control plane is to be asked what it believes to be live.
    pub(super) recover: Option<RecoverReason>,
}

impl Snapshot {
    pub(super) fn of(turn: &Turn) -> Self {
        let now = clock::now();
        let known = &turn.engine.state().recovery;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let ending = turn.engine.grants().filter(|g| g.phase == Phase::Revoking);
        let overdue =
            turn.engine.grants().filter(|g| g.phase == Phase::Revoking && g.overdue_ms(now) > 30_000);
        Self {
            live: count(turn.engine.state().live_grants()),
            ending: count(ending.count()),
            overdue: count(overdue.count()),
            next_expiry: turn.engine.next_expiry(),
            stuck: count(turn.engine.grants().filter(|g| g.forgotten.is_some() && g.may_carry()).count()),
            frozen: turn.engine.state().frozen.is_some(),
            dry_run: turn.parts.policy.as_ref().is_some_and(|p| p.dry_run),
            skew_ms: turn.contact.skew_ms,
            policy_hash: turn.engine.policy_hash().map(str::to_owned),
            integrations: views::integration_status(&turn.engine),
            revoke_only: known.is_revoke_only(),
            claims: count(known.claims.len()),
            base: known.base,
            jobs_from: known.jobs_from,
            pinned: turn.engine.state().organizations.clone(),
            recover: recovery::reason(known),
        }
    }
}

/// What the task runs on.
pub(super) struct Status {
    pub(super) client: Arc<Client>,
    pub(super) ledger: Arc<Ledger<Raise>>,
    pub(super) snapshot: watch::Receiver<Snapshot>,
    pub(super) verifier: watch::Sender<Arc<Verifier>>,
    pub(super) pace: watch::Sender<u32>,
    pub(super) identity: Identity,
    pub(super) state_dir: PathBuf,
    pub(super) rest: AtRest,
    pub(super) every: Duration,
    pub(super) started_at: Timestamp,
    pub(super) events: mpsc::Sender<ControlEvent>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) offers: Offers,
    pub(super) rotation: Rotation,
    /// People who ask for a new key.
    pub(super) asked: mpsc::Receiver<Ask>,
    /// What a person was told last about a control plane that does not go along.
    pub(super) told: Option<String>,
    pub(super) replaced: bool,
    pub(super) heads: Heads,
}

impl Status {
    /// Reports until told to stop.
    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        loop {
            self.judge_jobs_anew();
            let (request, head) = self.request().await;
            let before = clock::now().boot;
            // A long poll may be silent for a minute: it is this call that tells soon whether the control
            // plane answers, and what time it is there.
            let answer = self.client.status(&request).await;
            let rtt = clock::now().boot.since(before);
            self.complain(answer.as_ref().err());
            self.change_key(&answer, &request).await;
            let event = match answer {
                Ok(answer) => {
                    if self.compare(&request, head, &answer).await.is_err() {
                        return;
                    }
                    self.take(&answer);
                    ControlEvent::Contact { server_time: answer.server_time, rtt }
                }
                Err(error) => ControlEvent::Lost { error },
            };
            if self.events.send(event).await.is_err() {
                return;
            }
            // Reports and jobs wait for the comparison: it is not left to the next regular status.
            let every = if self.heads.is_compared() { self.every } else { self.every.min(AGAIN) };
            let ask = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                Some(ask) = self.asked.recv() => Some(ask),
                () = tokio::time::sleep(every) => None,
            };
            if let Some(ask) = ask {
                self.change_key_for(ask).await;
            }
        }
    }

    /// Finishes what was begun, and does what the control plane wishes.
    async fn change_key(&mut self, answer: &Result<StatusAnswer, ControlError>, request: &StatusRequest) {
        self.rotation.tidy(&mut self.identity);
        let wish = answer.as_ref().ok().and_then(|answer| answer.rotate_key.as_deref());
        let why = if self.rotation.is_due(answer) {
            "a change that was begun is finished"
        } else if self.rotation.is_wished(wish) {
            "the control plane asks for it"
        } else {
            return;
        };
        self.rotation.attempt(why, &mut self.identity, request).await;
    }

    async fn change_key_for(&mut self, ask: Ask) {
        let (request, _) = self.request().await;
        let view = self.rotation.attempt("an operator asks for it", &mut self.identity, &request).await;
        let _ = ask.send(view); // one who has gone away finds it in the log
    }

    /// A control plane that will not go along whatever the network does is a person's business: said
    /// loudly, once for each reason.
    fn complain(&mut self, error: Option<&ControlError>) {
        let text = error.filter(|error| error.needs_a_person()).map(ToString::to_string);
        if let Some(text) = &text
            && self.told.as_ref() != Some(text)
        {
            tracing::error!(error = text, "control plane: does not go along; live grants are ended on time");
        }
        self.told = text;
    }

    async fn request(&self) -> (StatusRequest, Option<Head>) {
        let snapshot = self.snapshot.borrow().clone();
        let head = self.ledger.head().await.ok();
        let request = StatusRequest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: Utc(clock::now().wall),
            started_at: Utc(self.started_at),
            live_grants: snapshot.live,
            ending: snapshot.ending,
            next_expiry: snapshot.next_expiry.map(Utc),
            overdue: snapshot.overdue,
            stuck: snapshot.stuck + snapshot.claims,
            outbox: self.ledger.outbox_depth().await.unwrap_or(0),
            frozen: snapshot.frozen,
            dry_run: snapshot.dry_run,
            revoke_only: snapshot.revoke_only,
            skew_ms: snapshot.skew_ms,
            journal: head.map(|h| JournalHead { seq: h.seq.0 + snapshot.base, hash: views::hex(&h.hash) }),
            policy_hash: snapshot.policy_hash,
            key_set_version: self.verifier.borrow().keys.version(),
            integrations: snapshot.integrations,
            offers: Some(self.offers.clone()),
        };
        (request, head)
    }

    /// Compares the journal's head with what the control plane knows of it, and tells the loop.
    async fn compare(
        &mut self,
        request: &StatusRequest,
        head: Option<Head>,
        answer: &StatusAnswer,
    ) -> Result<(), heads::Deaf> {
        let (revoke_only, base) = {
            let snapshot = self.snapshot.borrow();
            (snapshot.revoke_only, snapshot.base)
        };
        let replaced = answer.replaced && !self.replaced;
        let compared = Compared { ours: request.journal.as_ref(), head, base, revoke_only, replaced };
        self.heads.compare(compared, answer.journal.as_ref(), &self.ledger, &self.events).await
    }

    /// After a doubt was acknowledged, jobs of the time that may be forgotten are refused.
    fn judge_jobs_anew(&self) {
        let Some(from) = self.snapshot.borrow().jobs_from else { return };
        let verifier = Arc::clone(&self.verifier.borrow());
        if verifier.ledger_created_at < from {
            let verifier = Verifier { ledger_created_at: from, ..verifier.as_ref().clone() };
            self.verifier.send_replace(Arc::new(verifier));
        }
    }

    fn take(&mut self, answer: &StatusAnswer) {
        self.pace.send_replace(answer.poll_after_s.unwrap_or(0));
        if answer.replaced && !self.replaced {
            tracing::error!(
                "control plane: another process of this agent with a later epoch is known there, so this one gets no jobs: a cloned machine, or a state directory put back from a copy; stop the one that should not be"
            );
        }
        self.replaced = answer.replaced;
        let Some(set) = &answer.key_set else { return };
        match self.identity.adopt(set) {
            Ok(keys) if keys.version() > self.verifier.borrow().keys.version() => {
                if let Err(error) = self.identity.store(&self.state_dir, &self.rest) {
                    tracing::error!(error = %error, "key set: cannot be stored");
                    return;
                }
                let verifier = Verifier { keys, ..self.verifier.borrow().as_ref().clone() };
                tracing::info!(
                    version = verifier.keys.version(),
                    "key set: a newer one, signed by the pinned root, is in force"
                );
                self.verifier.send_replace(Arc::new(verifier));
            }
            Ok(_) => {}
            Err(error) => tracing::error!(error = %error, "key set: refused; the one in force stays"),
        }
    }
}
