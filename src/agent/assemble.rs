//! Puts the agent together from files, and starts its tasks.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::digest::Digest;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};

use super::{
    at_rest,
    connect::{Connected, connect},
    insights::Watcher,
    keeper::{Ground, Keepers},
    opening::{self, Book},
    rotation::Ask,
    state_key,
    status::Snapshot,
    talk::{self, LoopEnds, Talk},
    turn::{Ears, Turn},
};
use crate::{
    admin::{
        probes,
        server::{AdminServer, ServeError},
    },
    clock,
    config::Config,
    control::{identity::Identity, poll::Wants},
    engine::{
        Engine,
        action::Raise,
        ids::{AgentId, IntegrationId, OrgId},
        inventory::Inventory,
        policy::Policy,
        settings::Settings,
    },
    executor::{self, Clients, Executor},
    http::{Door, DoorOptions},
    ledger::{Ledger, LedgerError, Seq},
    secrets::{AtRest, TagKey},
};

/// Jobs that an integration may have in hand at most.
pub(super) const CAPACITY: u32 = 64;
/// The largest answer of the control plane that is read; the protocol guide says 8 MiB.
pub(super) const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The ledger cannot be used.
    #[error("ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// The control socket cannot be bound.
    #[error("control socket: {0}")]
    Socket(#[from] ServeError),
    /// The operating system refused signals.
    #[error("signals: {0}")]
    Signals(#[from] std::io::Error),
    /// No entropy.
    #[error("the operating system gives no entropy")]
    Entropy,
}

/// What the loop works with.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) ledger: Arc<Ledger<Raise>>,
    pub(super) ledger_file: PathBuf,
    pub(super) executor: Executor,
    /// The keys of the integrations, which the executor uses.
    pub(super) clients: Arc<Clients>,
    /// What was read of each integration.
    pub(super) prints: Vec<Option<Digest>>,
    /// Who looks for newer ones; nobody in a process that only ends grants.
    pub(super) keepers: Keepers,
    pub(super) policy_file: PathBuf,
    pub(super) policy: Option<Policy>,
    pub(super) policy_error: Option<String>,
    pub(super) tag_key: Option<Arc<TagKey>>,
    /// How the agent's own keys lie on the disk.
    pub(super) rest: AtRest,
    pub(super) outbox: Arc<Notify>,
    pub(super) wants: watch::Sender<Wants>,
    pub(super) snapshot: watch::Sender<Snapshot>,
    /// Where a person's wish for a new key goes.
    pub(super) new_key: mpsc::Sender<Ask>,
    /// Where inventories go to be handed over.
    pub(super) inventories: mpsc::Sender<Inventory>,
    /// Jobs that each integration may have in hand.
    pub(super) capacity: u32,
    pub(super) agent_id: Option<AgentId>,
    pub(super) control_url: Option<String>,
    /// Whether anything may be raised at all: not by a process that only ends grants.
    pub(super) raises: bool,
    /// Integrations whose connection cannot be used, and why.
    pub(super) broken: BTreeMap<IntegrationId, String>,
}

impl Parts {
    /// Puts a result back into the outbox; its job came again.
    pub(super) fn requeue(&self, seq: Seq) {
        let (ledger, outbox) = (Arc::clone(&self.ledger), Arc::clone(&self.outbox));
        tokio::spawn(async move {
            if let Err(error) = ledger.requeue(seq).await {
                tracing::error!(error = %error, seq = seq.0, "reports: a repeated job's result cannot be sent again yet");
            }
            outbox.notify_one();
        });
    }
}

/// Runs the agent until `stop` turns true.
///
/// # Errors
/// [`AgentError`]: it could not start. Once it runs, nothing but `stop` ends it.
pub async fn run(config: Config, stop: watch::Receiver<bool>) -> Result<(), AgentError> {
    let dir = &config.agent.state_dir;
    at_rest::close(dir);
    let (identity, book, rest) = take_up(&config).await?;
    let Book { ledger, opened, events: ledger_seen, restored } = book;
    let socket =
        AdminServer::bind(&config.agent.control_socket, config.agent.control_group.as_deref()).await?;
    let (reports, executor_events) = mpsc::unbounded_channel();
    let connected = connect(&config);
    let (hinting, hints) = mpsc::channel(16);
    let mut tasks = Watcher::start_all(&connected.clients, &hinting, &stop);
    let (LoopEnds { control, delivered: inventories, senders }, wires) = talk::wires();
    let (own, channels) = ((tag_key(dir, &rest), rest), (Arc::clone(&ledger), reports));
    let mut parts = parts(&config, connected, channels, senders, identity.as_ref(), own);
    let (keys, keepers) = keep(&config, &mut parts, &stop);
    tasks.extend(keepers);
    let (queries, admin) = mpsc::channel(16);
    if let Some(address) = config.probes {
        tasks.push(tokio::spawn(probes::serve(address, queries.clone(), stop.clone())));
    }
    let socket = tokio::spawn(socket.run(queries, stopped(stop.clone())));
    let (reload, seed) = (reloads(&config.policy_file, parts.keepers.clone(), &stop)?, entropy()?);
    let (engine, first) = Engine::new(parts.settings.clone(), restored, seed, clock::now());
    if let Some(identity) = identity {
        let known = &engine.state().recovery;
        let talk = Talk { config: &config, opened: &opened, parts: &parts, known, stop: &stop };
        tasks.extend(talk.start(identity, wires));
    }
    let ears = Ears {
        ledger: ledger_seen,
        executor: executor_events,
        control,
        hints,
        admin,
        reload,
        inventories,
        keys,
        stop,
    };
    Turn::new(engine, parts, seed).run(first, ears).await;
    for task in tasks {
        let _ = task.await;
    }
    let _ = socket.await;
    ledger.close().await;
    Ok(())
}

/// What lies in the state directory: who this agent is, and what it remembers.
async fn take_up(config: &Config) -> Result<(Option<Identity>, Book, AtRest), AgentError> {
    let dir = &config.agent.state_dir;
    let rest = state_key::read(config);
    let (identity, has_enrolled) = identity(dir, &rest);
    let mut book = opening::open(dir, has_enrolled, &state_key::keying(&rest)).await?;
    state_key::settle(dir, &rest);
    let Book { opened, restored, .. } = &mut book;
    let identity = identity.map(|identity| opening::recognise(identity, opened, restored, (dir, &rest)));
    Ok((identity, book, rest))
}

/// What the loop works with, before it has run.
pub(super) fn parts(
    config: &Config,
    connected: Connected,
    (ledger, reports): (Arc<Ledger<Raise>>, mpsc::UnboundedSender<executor::Report>),
    senders: talk::Senders,
    identity: Option<&Identity>,
    (tag_key, rest): (Option<Arc<TagKey>>, AtRest),
) -> Parts {
    Parts {
        settings: connected.settings,
        ledger,
        clients: Arc::clone(&connected.clients),
        keepers: Keepers::default(),
        prints: connected.prints,
        executor: Executor::new(connected.clients, tag_key.clone(), reports),
        ledger_file: config.agent.state_dir.join(crate::ledger::FILE_NAME),
        policy_file: config.policy_file.clone(),
        policy: None,
        policy_error: None,
        tag_key,
        rest,
        outbox: Arc::new(Notify::new()),
        wants: senders.wants,
        snapshot: senders.snapshot,
        new_key: senders.new_key,
        inventories: senders.inventories,
        capacity: CAPACITY,
        agent_id: identity.map(|i| i.agent_id.clone()),
        control_url: identity.map(|i| control_url(config, i)),
        raises: true,
        broken: connected.broken,
    }
}

/// Starts who looks for newer keys; where the loop hears of one.
fn keep(
    config: &Config,
    parts: &mut Parts,
    stop: &watch::Receiver<bool>,
) -> (mpsc::Receiver<IntegrationId>, Vec<JoinHandle<()>>) {
    let (changed, keys) = mpsc::channel(16);
    let (keepers, tasks) = Keepers::start(Ground {
        config,
        clients: &parts.clients,
        settings: &parts.settings.integrations,
        prints: std::mem::take(&mut parts.prints),
        snapshot: parts.snapshot.subscribe(),
        changed,
        stop,
    });
    parts.keepers = keepers;
    (keys, tasks)
}

/// The door to the control plane.
///
/// # Errors
/// What is wrong with the URL, the authorities or the proxy.
pub fn control_door(config: &Config, url: &str) -> Result<Door, String> {
    let ca = config.control_plane.ca_file.as_ref();
    let ca = ca.map(|path| {
        std::fs::read(path).map_err(|e| format!("control_plane.ca_file: {}: {e}", path.display()))
    });
    let proxy = config.proxy_of_control_plane()?;
    Door::new(DoorOptions {
        origin: url.to_owned(),
        extra_ca_pem: ca.transpose()?,
        only_extra_ca: config.control_plane.ca_only,
        proxy,
        connect_timeout: Duration::from_secs(10),
        // A long poll is silent for up to a minute.
        read_timeout: Duration::from_secs(70),
        total_timeout: Duration::from_secs(30),
        max_body: MAX_ANSWER,
        user_agent: concat!("ephemerald/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
    .map_err(|e| e.to_string())
}

/// The configured URL, else the one that enrolment stored.
pub(super) fn control_url(config: &Config, identity: &Identity) -> String {
    config.control_plane.url.clone().unwrap_or_else(|| identity.url.clone())
}

/// Who this agent is, if that can be believed, and whether it has enrolled at all.
fn identity(dir: &Path, rest: &AtRest) -> (Option<Identity>, bool) {
    match Identity::load(dir, rest) {
        Ok(None) => {
            tracing::warn!("not enrolled: no jobs are taken; run `ephemerald enroll`, then restart");
            (None, false)
        }
        Ok(identity) => (identity, true),
        Err(error) => {
            tracing::error!(error = %error, "identity: cannot be read; no jobs are taken, live grants are ended on time");
            (None, true)
        }
    }
}

pub(super) fn tag_key(dir: &Path, rest: &AtRest) -> Option<Arc<TagKey>> {
    match TagKey::load_or_create(&dir.join(state_key::TAG_KEY), rest) {
        Ok(key) => Some(Arc::new(key)),
        Err(error) => {
            tracing::error!(error = %error, "tag key: cannot be used; no ephemeral accounts, no receipts");
            None
        }
    }
}

pub(super) fn entropy() -> Result<u64, AgentError> {
    let mut seed = [0u8; 8];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| AgentError::Entropy)?;
    Ok(u64::from_be_bytes(seed))
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// SIGHUP reads the policy anew, and so does a change of its file. The keys of JumpCloud have keepers of their
/// own; SIGHUP is for them, too.
fn reloads(
    policy: &Path,
    keepers: Keepers,
    stop: &watch::Receiver<bool>,
) -> Result<mpsc::Receiver<()>, AgentError> {
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let (sender, receiver) = mpsc::channel(1);
    super::policy::watch_file(policy.to_path_buf(), sender.clone(), stop.clone());
    tokio::spawn(async move {
        while hangup.recv().await.is_some() && sender.send(()).await.is_ok() {
            keepers.reload();
        }
    });
    Ok(receiver)
}

/// The organization that tags of an integration are bound to.
pub(super) fn org_of(engine: &Engine, integration: &IntegrationId) -> Option<OrgId> {
    engine.state().organizations.get(integration).cloned()
}
