//! The reference control plane: enrolment, approvals, signed jobs, leases and reports, with its own
//! SQLite file, for trying `ephemerald` and developing against it.
//!
//! Never for production: it keeps root and signing keys in one file, trusts whoever sits at this
//! machine, and alarms nobody. It refuses to be clever: whatever it accepted from an agent or an
//! operator is durable before it answers, and survives `kill -9`.

mod admin_api;
mod agent_api;
mod agents;
mod alarms;
mod client;
mod dispatch;
mod enrolment;
mod faults;
mod handover;
mod instances;
mod inventory;
mod jobs;
mod keys;
mod lifecycle;
mod offers;
mod oversight;
mod problem;
mod proofs;
mod reports;
mod requests;
mod store;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::constant_time;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

pub use self::{
    admin_api::{Cancelled, JobSpec, Queued, Sent, SignWith, SyncSpec},
    agents::AgentView,
    alarms::{AlarmKind, AlarmView},
    client::{Operator, OperatorError},
    faults::{BadKeySet, Faults},
    instances::InstanceView,
    inventory::{InventoryView, PageView},
    keys::KeysView,
    lifecycle::RequestState,
    reports::ResultView,
    requests::{ExtensionSpec, RequestSpec, RequestView, Step},
    store::StoreError,
};
use self::{faults::FaultSwitch, keys::Keys, proofs::Nonces, store::Store};
use super::tls::{Bound, Identity, ServeError, Transport};
use crate::control::token::AgentToken;

/// The longest a poll waits, in seconds, as the protocol allows.
const LONG_POLL_S: u32 = 55;

/// How to run a reference control plane.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; port 0 picks one.
    pub listen: SocketAddr,
    /// Where the database lives, and the certificate authority unless `tls_dir` says otherwise.
    pub data: PathBuf,
    /// Directory of a certificate authority to share with other parts of the sandbox.
    pub tls_dir: Option<PathBuf>,
    /// Plain HTTP; loopback only.
    pub plain_http: bool,
    /// How long a job stays with an agent that says nothing; 30 to 60 s outside tests.
    pub lease: Duration,
    /// A bearer token that operators must send; without one, being on this machine is enough.
    pub admin_token: Option<String>,
}

impl Options {
    /// The ordinary settings: TLS, a lease of 45 s, no admin token.
    #[must_use]
    pub fn new(listen: SocketAddr, data: &Path) -> Self {
        Self {
            listen,
            data: data.to_owned(),
            tls_dir: None,
            plain_http: false,
            lease: Duration::from_secs(45),
            admin_token: None,
        }
    }
}

/// Why the reference control plane does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its address or certificate cannot be had.
    #[error("the reference control plane cannot be served")]
    Serve(#[from] ServeError),
    /// Its database cannot be used.
    #[error("the reference control plane has no database")]
    Store(#[from] StoreError),
}

/// A reference control plane at work.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The certificate to trust; none with plain HTTP.
    pub ca_file: Option<PathBuf>,
    /// The URL for agents, which agent tokens carry.
    pub url: String,
    /// The URL for [`Operator::new`].
    pub admin_url: String,
    /// The file in the data directory with which [`Operator::of_data_dir`] finds its way here.
    pub operator_file: PathBuf,
    /// Ends when it has stopped. Aborting stops it from accepting; what was answered is durable.
    pub done: JoinHandle<io::Result<()>>,
}

/// Starts a reference control plane; it stops soon after `shutdown` resolves.
///
/// # Errors
/// [`Error`] says which of address, certificate, database and keys is at fault.
pub async fn run(
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Running, Error> {
    let store = Store::open(&options.data)?;
    let transport = if options.plain_http {
        Transport::PlainHttpLoopbackOnly
    } else {
        let dir = options.tls_dir.clone().unwrap_or_else(|| options.data.join("tls"));
        Transport::Tls(Identity::in_dir(&dir)?)
    };
    let ca_file = transport.ca_file().map(Path::to_owned);
    let keys = Keys::load_or_create(&store)?;
    let bound = Bound::new(options.listen, transport)?;
    let url = bound.origin();
    let operator_file = handover::write_operator_file(&options, &url, ca_file.as_deref())?;

    let (stopping, stop) = watch::channel(false);
    let shared = Arc::new(Shared {
        store,
        keys,
        faults: FaultSwitch::default(),
        nonces: Nonces::default(),
        work: Notify::new(),
        stop,
        url: url.clone(),
        options,
    });
    let router = agent_api::router(&shared).merge(admin_api::router(&shared)).with_state(shared);
    let serving = bound.serve(router, async move {
        shutdown.await;
        stopping.send_replace(true);
    })?;
    let addr = serving.addr;
    Ok(Running { addr, ca_file, admin_url: url.clone(), url, operator_file, done: serving.done })
}

/// What every handler sees.
struct Shared {
    store: Store,
    keys: Keys,
    faults: FaultSwitch,
    nonces: Nonces,
    /// Rung when a job was queued or cancelled.
    work: Notify,
    /// True once waiting polls must answer.
    stop: watch::Receiver<bool>,
    url: String,
    options: Options,
}

impl Shared {
    fn admin_token_matches(&self, given: Option<&str>) -> bool {
        match (&self.options.admin_token, given) {
            (None, _) => true,
            (Some(token), Some(given)) => {
                constant_time::verify_slices_are_equal(token.as_bytes(), given.as_bytes()).is_ok()
            }
            (Some(_), None) => false,
        }
    }

    fn agent_token(&self, secret: String) -> AgentToken {
        AgentToken { url: self.url.clone(), secret, root: self.keys.root.kid().to_owned() }
    }

    fn lease_s(&self) -> u32 {
        u32::try_from(self.options.lease.as_secs()).unwrap_or(u32::MAX)
    }

    fn lease_until(&self, now: i64) -> i64 {
        now.saturating_add(i64::try_from(self.options.lease.as_millis()).unwrap_or(i64::MAX))
    }
}
