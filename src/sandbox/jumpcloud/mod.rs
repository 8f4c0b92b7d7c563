//! A simulated JumpCloud: the part of its API that deals with administrators and roles, with the
//! real one's known behaviour, its unknowns as [`Switches`] and its bad days as [`Rule`]s.
//!
//! Never for production, and never JumpCloud: it keeps API keys in a plain file. It refuses plain
//! HTTP and its control API (`/_sandbox/…`) to anybody who is not on this machine.

mod account;
mod api;
mod author;
mod caller;
mod connection;
mod console;
mod console_tenancy;
pub mod contract;
mod control_api;
mod faults;
mod insights;
mod log;
mod past;
mod population;
mod rate;
mod reply;
mod roles;
mod routes;
mod script;
mod seed;
mod shown;
mod state;
mod switches;
mod tenancy;
mod wire;
mod world;
mod write;

use std::{
    future::Future,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::JoinHandle;

pub use self::{
    account::Account,
    console::{Console, Edit, Refused},
    console_tenancy::{NewRole, NewService},
    faults::{Fault, Rule, Rules},
    log::{Change, Changed, Entry, Event, Mailed, Received},
    roles::{BILLING_ADMIN, Role, default_roles},
    script::{Deed, Playing, Script, Step, When},
    state::State,
    switches::*,
    tenancy::{Organization, Provider, ServiceAccount},
};
use self::{
    contract::{Contract, ContractError, Watch},
    faults::Faults,
    routes::now_ms,
    world::{Shared, World},
};
use super::tls::{Bound, Identity, ServeError, Transport};

/// How to run a simulated JumpCloud.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; port 0 picks one.
    pub listen: SocketAddr,
    /// The directory of the certificate authority; none for plain HTTP, on loopback only.
    pub tls_dir: Option<PathBuf>,
    /// Keeps the state over restarts; the default population is put into it if it does not exist.
    pub state_file: Option<PathBuf>,
    /// A hand-written population instead of the default one; unused where a state file exists. Only
    /// `accounts` with `email` and `roles` are needed. If nobody who may write administrators has a
    /// key, the first Administrator With Billing gets `api_key`.
    pub seed_file: Option<PathBuf>,
    /// The owner's API key; without one, a random one. A state file that exists has its own.
    pub api_key: Option<String>,
    /// Behaviour where the real one's is unknown.
    pub switches: Switches,
    /// Faults from the start.
    pub faults: Vec<Rule>,
    /// What a human in the console does by itself.
    pub script: Option<Script>,
    /// The default population is that of a provider with three organizations, two of which
    /// `provider@example.com` manages; that administrator has the API key.
    pub multi_tenant: bool,
    /// There is a service account with Administrator With Billing, which the connection names instead
    /// of the API key.
    pub service_account: bool,
    /// Makes faults with a probability strike the same requests each time.
    pub seed: u64,
    /// The directory of the documents that JumpCloud publishes, to hold every exchange against them
    /// too; by default the one that [`contract::DOCUMENTS_VARIABLE`] names.
    pub documents: Option<PathBuf>,
}

impl Options {
    /// TLS with the authority in `tls_dir`, default switches, no faults, nothing kept.
    #[must_use]
    pub fn new(listen: SocketAddr, tls_dir: Option<&Path>) -> Self {
        Self {
            listen,
            tls_dir: tls_dir.map(Path::to_owned),
            state_file: None,
            seed_file: None,
            api_key: None,
            switches: Switches::default(),
            faults: Vec::new(),
            script: None,
            multi_tenant: false,
            service_account: false,
            seed: 1,
            documents: contract::documents_of_environment(),
        }
    }

    /// Everything kept in `dir`, which must exist: the authority in `tls/` unless `plain_http`, and
    /// the state in `jumpcloud.json`.
    #[must_use]
    pub fn in_data_dir(listen: SocketAddr, dir: &Path, plain_http: bool) -> Self {
        let tls_dir = (!plain_http).then(|| dir.join("tls"));
        Self { state_file: Some(dir.join("jumpcloud.json")), ..Self::new(listen, tls_dir.as_deref()) }
    }
}

/// Why the simulated JumpCloud does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its address or certificate cannot be had.
    #[error("the simulated JumpCloud cannot be served")]
    Serve(#[from] ServeError),
    /// A file of its own cannot be read or written.
    #[error("cannot use {0}, a file of the simulated JumpCloud; delete a damaged state file to start afresh")]
    File(PathBuf, #[source] io::Error),
    /// The state has no administrator with an API key.
    #[error(
        "nobody in {0} has an API key: set `api_key` and `api_key_allowed` of an administrator with billing"
    )]
    NoKey(PathBuf),
    /// The seed file holds what cannot be.
    #[error("the seed file {0} cannot be used: {1}")]
    Seed(PathBuf, String),
    /// A document to hold exchanges against cannot be used.
    #[error("the simulated JumpCloud has nothing to hold exchanges against")]
    Contract(#[from] ContractError),
    /// The system gives no random numbers.
    #[error("cannot make an API key: the system gives no random numbers")]
    Random,
}

/// A simulated JumpCloud at work.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The certificate to trust; none with plain HTTP.
    pub ca_file: Option<PathBuf>,
    /// The URL for clients, without a slash at the end.
    pub url: String,
    /// The API key of the owner, an Administrator With Billing.
    pub api_key: String,
    /// The organization to name in `x-org-id`, if the key sees several.
    pub org_id: Option<String>,
    /// The service account of [`Options::service_account`].
    pub service_account: Option<ServiceAccount>,
    /// The control API without HTTP.
    pub console: Console,
    /// Ends when it has stopped.
    pub done: JoinHandle<io::Result<()>>,
}

/// Starts a simulated JumpCloud; it stops soon after `shutdown` resolves.
///
/// # Errors
/// [`Error`] says which of address, certificate and files is at fault.
pub async fn run(
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Running, Error> {
    let transport = match &options.tls_dir {
        Some(dir) => Transport::Tls(Identity::in_dir(dir)?),
        None => Transport::PlainHttpLoopbackOnly,
    };
    let ca_file = transport.ca_file().map(Path::to_owned);
    let contract = Arc::new(Contract::load(options.documents.as_deref())?);
    let state = opened(&options)?;
    let no_key = || Error::NoKey(options.state_file.clone().unwrap_or_default());
    let owner = owner(&state).ok_or_else(no_key)?;
    let api_key = owner.api_key.clone().ok_or_else(no_key)?;
    let org_id = owner.provider.then(|| state.home_of(owner).to_owned());
    let service = state.service_accounts.iter().find(|one| one.client_id.is_some());
    let service_account = service.filter(|_| options.service_account).cloned();
    let bound = Bound::new(options.listen, transport)?;
    let url = bound.origin();
    let faults = Faults::new(options.faults, options.seed);
    let mut world = World::new(state, options.switches, faults, options.state_file);
    world.watch = Watch::new(contract);
    let shared = Shared::new(world);
    let console = Console::new(shared.clone());
    let router = control_api::router(console.clone()).merge(routes::router(shared));
    let serving = bound.serve(router, shutdown)?;
    if let Some(script) = options.script {
        console.play(script);
    }
    let (addr, done) = (serving.addr, serving.done);
    Ok(Running { addr, ca_file, url, api_key, org_id, service_account, console, done })
}

fn opened(options: &Options) -> Result<State, Error> {
    let file = options.state_file.as_ref();
    let failed = |error| Error::File(file.cloned().unwrap_or_default(), error);
    let kept = file.map(|path| world::read_state(path)).transpose().map_err(failed)?.flatten();
    let (mut state, mut is_new) = match kept {
        Some(state) => (state, false),
        None => (populated(options)?, true),
    };
    if options.service_account && state.service_accounts.iter().all(|one| one.client_id.is_none()) {
        let service = console_tenancy::service(&mut state, &NewService::default(), now_ms());
        state.service_accounts.push(service.map_err(|_| Error::Random)?);
        is_new = true;
    }
    if let Some(path) = file.filter(|_| is_new) {
        world::write_state(path, &state).map_err(failed)?;
    }
    Ok(state)
}

fn populated(options: &Options) -> Result<State, Error> {
    let key = match &options.api_key {
        Some(key) => key.clone(),
        None => state::random_key().map_err(|_| Error::Random)?,
    };
    match &options.seed_file {
        Some(path) => seed::load(path, &key, now_ms()),
        None if options.multi_tenant => Ok(population::provider(&key, now_ms())),
        None => Ok(State::populated(&key, now_ms())),
    }
}

fn owner(state: &State) -> Option<&Account> {
    let mut owners = state.accounts.iter().filter(|account| state::holds_billing_admin(account));
    owners.find(|owner| owner.may_use_its_key(now_ms()) && owner.api_key.is_some())
}
