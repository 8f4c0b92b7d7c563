//! Starts everything that talks to the control plane: polls, reports, status.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};

use super::{
    assemble::{Parts, control_door, control_url, entropy},
    heads::Heads,
    inventory::{self, Delivered, Orders, Porter},
    offers::offers,
    recovery::Recovery,
    reporter::Reporter,
    rotation::{Ask, Rotation},
    status::{Snapshot, Status},
};
use crate::{
    clock,
    config::Config,
    control::{
        client::{Client, Speaker},
        identity::{Identity, load_key},
        poll::{self, ControlEvent, Line, Wants},
        verify::{DEFAULT_MAX_SKEW, DEFAULT_MAX_START_BY, Verifier},
    },
    engine::{inventory::Inventory, recovery::Recovery as Known, time::Timestamp},
    ledger::Opened,
};

/// What the tasks are started from.
pub(super) struct Talk<'a> {
    pub(super) config: &'a Config,
    pub(super) opened: &'a Opened,
    pub(super) parts: &'a Parts,
    /// What is known of doubts in the ledger.
    pub(super) known: &'a Known,
    pub(super) stop: &'a watch::Receiver<bool>,
}

/// The ends of the channels that the tasks hold.
pub(super) struct Wires {
    pub(super) events: mpsc::Sender<ControlEvent>,
    pub(super) wants: watch::Receiver<Wants>,
    pub(super) snapshot: watch::Receiver<Snapshot>,
    pub(super) new_key: mpsc::Receiver<Ask>,
    pub(super) orders: Orders,
}

/// The ends that the agent's loop holds.
pub(super) struct LoopEnds {
    pub(super) control: mpsc::Receiver<ControlEvent>,
    pub(super) delivered: mpsc::Receiver<Delivered>,
    pub(super) senders: Senders,
}

/// Where the loop puts what the tasks are to know or do.
pub(super) struct Senders {
    pub(super) wants: watch::Sender<Wants>,
    pub(super) snapshot: watch::Sender<Snapshot>,
    pub(super) new_key: mpsc::Sender<Ask>,
    pub(super) inventories: mpsc::Sender<Inventory>,
}

/// The channels between the loop and the tasks.
pub(super) fn wires() -> (LoopEnds, Wires) {
    let (events, control) = mpsc::channel(64);
    let (wants, wants_seen) = watch::channel(Wants::default());
    let (snapshot, snapshot_seen) = watch::channel(Snapshot::default());
    let (new_key, new_key_asked) = mpsc::channel(1);
    let (inventories, orders, delivered) = inventory::channels();
    let wires = Wires { events, wants: wants_seen, snapshot: snapshot_seen, new_key: new_key_asked, orders };
    let senders = Senders { wants, snapshot, new_key, inventories };
    (LoopEnds { control, delivered, senders }, wires)
}

impl Talk<'_> {
    pub(super) fn start(&self, identity: Identity, wires: Wires) -> Vec<tokio::task::JoinHandle<()>> {
        match self.prepare(&identity) {
            Ok((client, verifier)) => self.spawn(identity, client, verifier, wires),
            Err(problem) => {
                tracing::error!(
                    error = problem,
                    "control plane: cannot be spoken to; live grants are ended on time"
                );
                Vec::new()
            }
        }
    }

    fn prepare(&self, identity: &Identity) -> Result<(Arc<Client>, Verifier), String> {
        let key = load_key(&self.config.agent.state_dir, &self.parts.rest).map_err(|e| e.to_string())?;
        let key = key.ok_or("agent.key is missing: restore it from the backup, or enrol again")?;
        let url = control_url(self.config, identity);
        let door = Arc::new(control_door(self.config, &url)?);
        let instance = format!("{:016x}", entropy().map_err(|e| e.to_string())?);
        let speaker = Speaker { instance, epoch: self.epoch() };
        let verifier = Verifier {
            agent: identity.agent_id.clone(),
            keys: identity.keys().map_err(|e| e.to_string())?,
            ledger_created_at: self.jobs_from(),
            max_start_by: DEFAULT_MAX_START_BY,
            max_skew: DEFAULT_MAX_SKEW,
        };
        Ok((Arc::new(Client::new(door, key, &identity.agent_id, speaker, clock::now)), verifier))
    }

    /// The number of this process's first record, as it is told.
    fn epoch(&self) -> u64 {
        self.known.told(self.opened.head.seq.0 + 1)
    }

    /// Jobs issued before this instant are of another life.
    fn jobs_from(&self) -> Timestamp {
        let created = Timestamp(self.opened.created_at);
        self.known.jobs_from.map_or(created, |from| from.max(created))
    }

    fn reporter(&self, client: &Arc<Client>, wires: &Wires, compared: watch::Receiver<bool>) -> Reporter {
        Reporter {
            ledger: Arc::clone(&self.parts.ledger),
            client: Arc::clone(client),
            tag_key: self.parts.tag_key.clone(),
            outbox: Arc::clone(&self.parts.outbox),
            snapshot: wires.snapshot.clone(),
            compared,
            stop: self.stop.clone(),
        }
    }

    fn recovery(&self, client: &Arc<Client>, wires: &Wires, compared: watch::Receiver<bool>) -> Recovery {
        Recovery {
            ledger: Arc::clone(&self.parts.ledger),
            client: Arc::clone(client),
            tag_key: self.parts.tag_key.clone(),
            created_at: Timestamp(self.opened.created_at),
            snapshot: wires.snapshot.clone(),
            compared,
            events: wires.events.clone(),
            stop: self.stop.clone(),
        }
    }

    fn spawn(
        &self,
        mut identity: Identity,
        client: Arc<Client>,
        verifier: Verifier,
        wires: Wires,
    ) -> Vec<tokio::task::JoinHandle<()>> {
        let (verifier, verifier_seen) = watch::channel(Arc::new(verifier));
        let (pace, pace_s) = watch::channel(0);
        let (compared, is_compared) = watch::channel(false);
        let stop = || self.stop.clone();
        let ledger = Arc::clone(&self.parts.ledger);
        let offers = offers(&self.parts.settings, self.parts.tag_key.is_some());
        let state_dir = self.config.agent.state_dir.clone();
        let own = (state_dir.clone(), self.parts.rest.clone());
        let rotation = Rotation::resume(Arc::clone(&client), own, &mut identity);
        let reporter = self.reporter(&client, &wires, is_compared.clone());
        let recovery = self.recovery(&client, &wires, is_compared.clone());
        let line = Line {
            client: Arc::clone(&client),
            verifier: verifier_seen,
            wants: wires.wants,
            events: wires.events.clone(),
            offers: Some(offers.clone()),
            wait_s: u32::try_from(self.config.control_plane.poll_max.0 / 1000).unwrap_or(u32::MAX),
            pace_s,
            stop: stop(),
            clock: clock::now,
        };
        let porter = Porter::new(&client, wires.orders, stop());
        let status = Status {
            client,
            ledger,
            snapshot: wires.snapshot,
            verifier,
            pace,
            identity,
            state_dir,
            rest: self.parts.rest.clone(),
            every: Duration::from_millis(self.config.control_plane.report_interval.0),
            started_at: clock::now().wall,
            events: wires.events,
            stop: stop(),
            offers,
            rotation,
            asked: wires.new_key,
            told: None,
            replaced: false,
            heads: Heads { epoch: self.epoch(), compared, noted: None, told: None },
        };
        let polls = tokio::spawn(poll_once_compared(line, is_compared));
        let reports = tokio::spawn(reporter.run());
        let (porter, status) = (tokio::spawn(porter.run()), tokio::spawn(status.run()));
        vec![polls, reports, porter, status, tokio::spawn(recovery.run())]
    }
}

/// No job is taken before the control plane's journal head was compared with ours: what accounts show may
/// come from grants that this ledger has forgotten.
async fn poll_once_compared(line: Line, mut compared: watch::Receiver<bool>) {
    let mut stop = line.stop.clone();
    let compared = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return,
        compared = compared.wait_for(|compared| *compared) => compared.is_ok(),
    };
    if compared {
        poll::run(line).await;
    }
}
