//! The loop. It owns the engine; everybody else sends it messages.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::{
    assemble::Parts, deeds::Unrecorded, heard::Contact, inventory::Delivered, journal_log, meters::Meters,
    opening, parked::Parked, state_key::keying, status::Snapshot, views,
};
use crate::{
    admin::server::Query,
    clock,
    control::poll::ControlEvent,
    engine::{
        Engine, Restored,
        action::{Action, Raise, Step, Warning},
        ids::IntegrationId,
        input::Input,
        inventory::Inventory,
        recovery::Finding,
        time::{Millis, Now},
    },
    executor,
    ledger::{self, Batch, Event, codec},
    secrets::guard,
    telemetry::service::Service,
};

/// A sleep is only a hint to look at the clock again; the longest one bounds how late a suspended
/// machine notices that time went on.
const LONGEST_SLEEP: Millis = Millis(1_000);
/// How long after a failed write the ledger is reopened; doubles up to a minute.
const REOPEN_FIRST: Millis = Millis(1_000);
const REOPEN_CAP: Millis = Millis(60_000);

/// How often old job ids are forgotten.
const FORGET_EVERY: Millis = Millis::from_secs(600);

type Reopened = Result<Restored, ledger::LedgerError>;

/// What the loop listens to.
pub(super) struct Ears {
    pub(super) ledger: mpsc::Receiver<Event<Raise>>,
    pub(super) executor: mpsc::UnboundedReceiver<executor::Report>,
    pub(super) control: mpsc::Receiver<ControlEvent>,
    pub(super) hints: mpsc::Receiver<IntegrationId>,
    pub(super) admin: mpsc::Receiver<Query>,
    pub(super) reload: mpsc::Receiver<()>,
    pub(super) inventories: mpsc::Receiver<Delivered>,
    /// Integrations whose key is another one now.
    pub(super) keys: mpsc::Receiver<IntegrationId>,
    pub(super) stop: watch::Receiver<bool>,
}

/// The loop's own state.
pub(super) struct Turn {
    pub(super) engine: Engine,
    pub(super) parts: Parts,
    /// The journal takes records.
    pub(super) ledger_ok: bool,
    reopen_at: Option<(Now, Millis)>,
    pub(super) contact: Contact,
    reopening: bool,
    /// Where the reopening task puts what it found.
    reopened: (mpsc::Sender<Reopened>, mpsc::Receiver<Reopened>),
    /// Where the walk over the whole journal puts what does not fit.
    found: (mpsc::Sender<Finding>, mpsc::Receiver<Finding>),
    seed: u64,
    /// Jobs that cannot be put into the engine's words yet.
    pub(super) parked: Parked,
    forgot: Now,
    /// Operators who wait until their deed is on disk.
    pub(super) unrecorded: Vec<Unrecorded>,
    pub(super) meters: Meters,
    pub(super) service: Service,
}

impl Turn {
    pub(super) fn new(engine: Engine, parts: Parts, seed: u64) -> Self {
        Self {
            engine,
            parts,
            ledger_ok: true,
            reopen_at: None,
            contact: Contact::default(),
            reopening: false,
            reopened: mpsc::channel(1),
            found: mpsc::channel(1),
            seed,
            parked: Parked::default(),
            forgot: clock::now(),
            unrecorded: Vec::new(),
            meters: Meters::new(),
            service: Service::of_the_environment(),
        }
    }

    /// Runs until told to stop, then waits for what is in flight to be recorded.
    pub(super) async fn run(mut self, first: Step, mut ears: Ears) {
        self.carry_out(first);
        if self.parts.raises {
            self.load_policy();
        }
        opening::verify_all(&self.parts.ledger_file, keying(&self.parts.rest), self.found.0.clone());
        self.service.ready();
        loop {
            self.publish();
            self.service.turned(|| views::line(&self.engine, &self.contact));
            let nap = self.nap();
            tokio::select! {
                Some(event) = ears.ledger.recv() => self.ledger_event(event),
                Some(report) = ears.executor.recv() => self.came_back(report),
                Some(restored) = self.reopened.1.recv() => self.reopen_done(restored),
                Some(finding) = self.found.1.recv() => self.feed(Input::LedgerFinding(finding)),
                Some(event) = ears.control.recv() => self.control_event(event),
                Some(integration) = ears.hints.recv() => self.feed(Input::Hint(integration)),
                Some(query) = ears.admin.recv() => self.asked(query).await,
                Some(()) = ears.reload.recv() => self.reload(),
                Some(integration) = ears.keys.recv() => {
                    self.parts.broken.remove(&integration);
                    self.feed(Input::CredentialChanged(integration));
                }
                Some((jobs, counts)) = ears.inventories.recv() => self.feed(Input::Inventoried(jobs, counts)),
                () = tokio::time::sleep(nap) => {
                    self.feed(Input::Tick);
                    self.forget_old_jobs();
                }
                _ = ears.stop.wait_for(|stop| *stop) => break,
            }
            self.reopen_if_due();
            self.unpark();
            self.note_withheld();
        }
        self.drain(ears).await;
    }

    /// One turn of the engine.
    pub(super) fn feed(&mut self, input: Input) {
        let step = self.engine.handle(clock::now(), input);
        self.carry_out(step);
    }

    /// What was stopped on its way out, wherever, is journalled here.
    fn note_withheld(&mut self) {
        for hit in guard::hits() {
            self.feed(Input::Withheld { outlet: hit.outlet.as_str(), secret: hit.secret });
        }
    }

    /// A call came back. A listing of a time that the ledger may have forgotten shows accounts of ours that
    /// only the tag key recognises.
    fn came_back(&mut self, (call, outcome): executor::Report) {
        let tagged = self.tagged(call, &outcome);
        self.feed(Input::Outcome(call, outcome));
        if let Some((integration, found)) = tagged.filter(|(_, found)| !found.is_empty()) {
            self.feed(Input::Tagged(integration, found));
        }
    }

    fn carry_out(&mut self, step: Step) {
        for entry in &step.records {
            journal_log::line(entry);
        }
        self.meters.recorded(&step.records, self.ledger_ok, clock::now());
        if !step.records.is_empty() && self.ledger_ok {
            let rows = step.records.iter().map(|entry| codec::row(entry, self.engine.state())).collect();
            if let Err(full) = self.parts.ledger.submit(Batch { rows, raises: step.raises }) {
                tracing::error!(error = %full, "journal: cannot take records; nothing is raised, endings go on");
                self.ledger_lost();
            }
        }
        for action in step.actions {
            match action {
                Action::Read(read) => self.parts.executor.read(read),
                Action::Lower(lower) => self.parts.executor.lower(lower),
                Action::Requeue(seq) => self.parts.requeue(ledger::Seq(seq.0)),
                Action::Inventory(inventory) => self.hand_over(*inventory),
                Action::Warn(Warning::CredentialRefused(integration)) => {
                    let key = self.parts.clients.current(&integration);
                    journal_log::key_refused(&integration, key.as_ref().map(|key| key.client.key()));
                    self.parts.keepers.refused(&integration);
                }
                Action::Warn(warning) => journal_log::warning(&warning),
            }
        }
    }

    /// Gives an inventory to the task that hands it over.
    fn hand_over(&mut self, inventory: Inventory) {
        if let Err(refused) = self.parts.inventories.try_send(inventory) {
            let (mpsc::error::TrySendError::Full(inventory) | mpsc::error::TrySendError::Closed(inventory)) =
                refused;
            tracing::error!(integration = %inventory.integration, "inventory: too many wait to be handed over; ask again later");
            self.feed(Input::Inventoried(inventory.jobs, None));
        }
    }

    fn ledger_event(&mut self, event: Event<Raise>) {
        match event {
            Event::Durable { upto, raises } => {
                self.meters.committed(upto.0, clock::now());
                self.feed(Input::Durable(crate::engine::record::Seq(upto.0)));
                self.told_when_recorded();
                // After a failure the engine takes unreleased raises for unsent; so they must stay unsent.
                // And one that the engine does not wait for any more was taken back by an operator.
                for raise in raises {
                    if self.ledger_ok && self.parts.raises && self.engine.awaits(raise.get().call) {
                        self.parts.executor.raise(raise);
                    }
                }
                self.parts.outbox.notify_one();
            }
            Event::Failed { error, first } => {
                tracing::error!(error = %error, seq = first.0, "journal: a write failed; nothing is raised, endings go on from memory");
                self.ledger_lost();
            }
        }
    }

    fn ledger_lost(&mut self) {
        if !self.ledger_ok {
            return;
        }
        self.ledger_ok = false;
        self.meters.lost();
        self.reopen_at = Some((clock::now(), REOPEN_FIRST));
        self.feed(Input::LedgerDown);
        self.told_unrecorded();
    }

    /// Begins to reopen the journal after a failure. On a task of its own: a disk that hangs must not
    /// hang the loop, which goes on ending grants from memory.
    fn reopen_if_due(&mut self) {
        let Some((since, wait)) = self.reopen_at else { return };
        if self.reopening || clock::now().boot.since(since.boot) < wait {
            return;
        }
        self.reopening = true;
        let (ledger, done) = (std::sync::Arc::clone(&self.parts.ledger), self.reopened.0.clone());
        tokio::spawn(async move {
            let restored = match ledger.reopen().await {
                Ok(opened) => opening::load(&ledger, &opened).await,
                Err(error) => Err(error),
            };
            let _ = done.send(restored).await;
        });
    }

    /// Folds the engine anew from what is really stored.
    fn reopen_done(&mut self, restored: Result<Restored, ledger::LedgerError>) {
        self.reopening = false;
        match restored {
            Ok(mut restored) => {
                restored.reckoning = Some(self.engine.reckoning(clock::now()));
                tracing::warn!("journal: reopened and verified; the state was folded anew from it");
                self.reopen_at = None;
                self.ledger_ok = true;
                self.seed = self.seed.wrapping_add(1);
                let settings = self.parts.settings.clone();
                let orders = self.engine.orders();
                let (engine, first) = Engine::new(settings, restored, self.seed, clock::now());
                self.engine = engine;
                self.carry_out(first);
                for (deed, order) in orders {
                    self.feed(Input::Operator(deed, order)); // what the journal lost is ordered again
                }
                if self.parts.raises {
                    self.load_policy();
                }
            }
            Err(error) => {
                tracing::error!(error = %error, "journal: cannot be reopened yet; endings go on from memory");
                let wait = self.reopen_at.map_or(REOPEN_FIRST, |(_, wait)| Millis(wait.0.saturating_mul(2)));
                self.reopen_at = Some((clock::now(), wait.min(REOPEN_CAP)));
            }
        }
    }

    fn nap(&self) -> Duration {
        let now = clock::now();
        let wake = self.engine.next_wake().map_or(LONGEST_SLEEP, |at| at.since(now.boot));
        Duration::from_millis(wake.min(LONGEST_SLEEP).0)
    }

    /// Tells the polling and status tasks how things stand.
    fn publish(&self) {
        let wants = self.wants();
        self.parts.wants.send_if_modified(|old| {
            let changed = *old != wants;
            if changed {
                *old = wants;
            }
            changed
        });
        self.parts.snapshot.send_replace(Snapshot::of(self));
    }

    /// Job ids whose memory window is over leave the ledger, now and then; only while the clock can be
    /// believed, because with a wrong one a job could be played back.
    fn forget_old_jobs(&mut self) {
        let now = clock::now();
        if now.boot.since(self.forgot.boot) < FORGET_EVERY
            || !self.ledger_ok
            || !self.engine.is_clock_trusted()
        {
            return;
        }
        self.forgot = now;
        let ledger = std::sync::Arc::clone(&self.parts.ledger);
        tokio::spawn(async move {
            if let Err(error) = ledger.forget_jobs(now.wall.0).await {
                tracing::warn!(error = %error, "journal: old job ids cannot be forgotten yet");
            }
        });
    }

    /// No new work; what is in flight is given a moment to come back and be recorded. Live grants stay
    /// live: the next start takes them over.
    async fn drain(mut self, mut ears: Ears) {
        self.service.stopping();
        let deadline = clock::now().boot + Millis::from_secs(12);
        while self.engine.calls_in_flight() > 0 && clock::now().boot < deadline {
            tokio::select! {
                Some(event) = ears.ledger.recv() => self.ledger_event(event),
                Some((call, outcome)) = ears.executor.recv() => self.feed(Input::Outcome(call, outcome)),
                // Only so that the deadline is looked at when nothing comes back.
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
        tracing::info!(
            grants.live = self.engine.state().live_grants(),
            "stopped; live grants are taken over at the next start"
        );
    }
}
