//! Puts the agent together from files, and starts its tasks.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{Notify, mpsc, watch};

use super::{
    rotation::Ask,
    status::Snapshot,
    talk::{self, Talk},
    turn::{Ears, Turn},
};
use crate::{
    admin::server::{AdminServer, ServeError},
    clock,
    config::{Config, ConnectionSource},
    control::{identity::Identity, poll::Wants},
    engine::{
        Engine, Restored,
        action::Raise,
        ids::{AgentId, IntegrationId, OrgId},
        inventory::Inventory,
        policy::Policy,
        settings::Settings,
    },
    executor::Executor,
    http::{Door, DoorOptions},
    jumpcloud,
    ledger::{Ledger, LedgerError, Opened, Options, Seq, codec},
    secrets::{self, TagKey},
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
    pub(super) executor: Executor,
    pub(super) policy_file: PathBuf,
    pub(super) policy: Option<Policy>,
    pub(super) policy_error: Option<String>,
    pub(super) tag_key: Option<Arc<TagKey>>,
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
    let options = Options { created_at: clock::now().wall.0 };
    let (ledger, opened, ledger_seen) = Ledger::open(&config.agent.state_dir, options).await?;
    let ledger = Arc::new(ledger);
    let restored = load(&ledger, &opened).await?;
    let socket = AdminServer::bind(&config.agent.control_socket).await?;
    let (reports, executor_events) = mpsc::unbounded_channel();
    let (clients, broken) = connect(&config);
    let (ends, wires) = talk::wires();
    let identity = identity(&config.agent.state_dir);
    let parts = Parts {
        settings: config.settings(),
        ledger: Arc::clone(&ledger),
        executor: Executor::new(clients, reports),
        policy_file: config.policy_file.clone(),
        policy: None,
        policy_error: None,
        tag_key: tag_key(&config.agent.state_dir),
        outbox: Arc::new(Notify::new()),
        wants: ends.wants,
        snapshot: ends.snapshot,
        new_key: ends.new_key,
        inventories: ends.inventories,
        capacity: CAPACITY,
        agent_id: identity.as_ref().map(|i| i.agent_id.clone()),
        control_url: identity.as_ref().map(|i| control_url(&config, i)),
        broken,
    };
    let (queries, admin) = mpsc::channel(16);
    let socket = tokio::spawn(socket.run(queries, stopped(stop.clone())));
    let talk = Talk { config: &config, opened: &opened, parts: &parts, stop: &stop };
    let tasks = identity.map_or_else(Vec::new, move |identity| talk.start(identity, wires));
    let (reload, seed) = (hangups()?, entropy()?);
    let (engine, first) = Engine::new(parts.settings.clone(), restored, seed, clock::now());
    let ears = Ears {
        ledger: ledger_seen,
        executor: executor_events,
        control: ends.control,
        admin,
        reload,
        inventories: ends.delivered,
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

/// The fold of what the ledger holds; rows that cannot be read are named and left out.
pub(super) async fn load(ledger: &Ledger<Raise>, opened: &Opened) -> Result<Restored, LedgerError> {
    let (id, seq) = (&opened.ledger_id, opened.head.seq.0);
    tracing::info!(ledger.id = id, created = opened.created, seq, "journal: open");
    let loaded = ledger.load_open().await?;
    let (restored, unreadable) = codec::restore(&loaded, opened);
    for bad in &loaded.quarantined {
        tracing::error!(
            seq = bad.seq.map(|s| s.0),
            stream = bad.stream,
            problem = bad.problem,
            "journal: a row is quarantined; its grant must be looked at by a person, all others go on"
        );
    }
    for seq in unreadable {
        tracing::error!(
            seq = seq.0,
            "journal: a row holds no record of this version; its grant must be looked at by a person, all others go on"
        );
    }
    if !opened.ballast {
        tracing::error!("journal: the disk is nearly full; free some space");
    }
    tracing::info!(
        grants = restored.state.grants.len(),
        accounts = restored.state.accounts.len(),
        jobs = restored.state.jobs.len(),
        "journal: open streams folded"
    );
    Ok(restored)
}

/// A connection of the configuration, read and checked.
///
/// # Errors
/// What is wrong with it, for the operator.
pub fn connection(source: &ConnectionSource) -> Result<jumpcloud::Connection, String> {
    let path = match source {
        ConnectionSource::File(path) => path.clone(),
        ConnectionSource::Credential(name) => secrets::credential(name).map_err(|e| e.to_string())?,
    };
    let json = secrets::read_private(&path).map_err(|e| e.to_string())?;
    jumpcloud::Connection::parse(&json, &path.display().to_string()).map_err(|e| e.to_string())
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
    let proxy = config.control_plane.proxy.as_ref().map(crate::config::ProxyUrl::split);
    Door::new(DoorOptions {
        origin: url.to_owned(),
        extra_ca_pem: ca.transpose()?,
        only_extra_ca: false,
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

type Clients = BTreeMap<IntegrationId, Arc<jumpcloud::Client>>;

/// One broken connection never stops the others, nor the agent.
fn connect(config: &Config) -> (Clients, BTreeMap<IntegrationId, String>) {
    let (mut clients, mut broken) = (BTreeMap::new(), BTreeMap::new());
    for integration in &config.integrations {
        let id = integration.settings.id.clone();
        let made = connection(&integration.connection);
        let proxy = config.control_plane.proxy.as_ref().map(crate::config::ProxyUrl::split);
        let made = made.and_then(|c| jumpcloud::Client::through(&c, proxy).map_err(|e| e.to_string()));
        match made {
            Ok(client) => {
                clients.insert(id, Arc::new(client));
            }
            Err(problem) => {
                tracing::error!(integration = %id, error = problem, "connection: cannot be used; nothing can be raised or ended there until the agent is restarted with a good one");
                broken.insert(id, problem);
            }
        }
    }
    (clients, broken)
}

/// The configured URL, else the one that enrolment stored.
pub(super) fn control_url(config: &Config, identity: &Identity) -> String {
    config.control_plane.url.clone().unwrap_or_else(|| identity.url.clone())
}

fn identity(dir: &Path) -> Option<Identity> {
    match Identity::load(dir) {
        Ok(None) => {
            tracing::warn!("not enrolled: no jobs are taken; run `ephemerald enroll`, then restart");
            None
        }
        Ok(identity) => identity,
        Err(error) => {
            tracing::error!(error = %error, "identity: cannot be read; no jobs are taken, live grants are ended on time");
            None
        }
    }
}

fn tag_key(dir: &Path) -> Option<Arc<TagKey>> {
    match TagKey::load_or_create(&dir.join("tag.key")) {
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

/// SIGHUP reads the policy anew.
fn hangups() -> Result<mpsc::Receiver<()>, AgentError> {
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move { while hangup.recv().await.is_some() && sender.send(()).await.is_ok() {} });
    Ok(receiver)
}

/// The organization that tags of an integration are bound to.
pub(super) fn org_of(engine: &Engine, integration: &IntegrationId) -> Option<OrgId> {
    engine.state().organizations.get(integration).cloned()
}
