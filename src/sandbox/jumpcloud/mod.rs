//! A simulated JumpCloud: the part of its API that deals with administrators and roles, with the
//! real one's known behaviour, its unknowns as [`Switches`] and its bad days as [`Rule`]s.
//!
//! Never for production, and never JumpCloud: it keeps API keys in a plain file. It refuses plain
//! HTTP and its control API (`/_sandbox/…`) to anybody who is not on this machine.

mod account;
mod api;
mod console;
pub mod contract;
mod control_api;
mod faults;
mod log;
mod reply;
mod roles;
mod routes;
mod seed;
mod state;
mod switches;
mod wire;
mod world;
mod write;

use std::{
    fs,
    future::Future,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::json;
use tokio::task::JoinHandle;

pub use self::{
    account::Account,
    console::{Console, Edit, Refused},
    faults::{Fault, Rule},
    log::{Change, Changed, Entry, Event, Received},
    roles::{BILLING_ADMIN, Role, default_roles},
    state::State,
    switches::{BothWritten, ErrorBody, RoleNameWrite, RoleNamesWrite, Switches},
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
    /// The control API without HTTP.
    pub console: Console,
    /// Ends when it has stopped.
    pub done: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Copies the CA certificate to `to`; with plain HTTP there is none, and nothing is written.
    ///
    /// # Errors
    /// [`Error::File`] names the file.
    pub fn write_ca(&self, to: &Path) -> Result<(), Error> {
        let Some(ca_file) = &self.ca_file else { return Ok(()) };
        fs::copy(ca_file, to).map(|_| ()).map_err(|error| Error::File(to.to_owned(), error))
    }

    /// Writes the connection of an integration, `{"url", "token", "ssl_ca_cert"}`, readable by its
    /// owner only.
    ///
    /// # Errors
    /// [`Error::File`] names the file.
    pub fn write_connection(&self, to: &Path) -> Result<(), Error> {
        let mut connection = json!({"url": self.url, "token": self.api_key});
        if let Some(ca_file) = &self.ca_file {
            connection["ssl_ca_cert"] = json!(ca_file);
        }
        world::write_private(to, format!("{connection:#}\n").as_bytes())
            .map_err(|error| Error::File(to.to_owned(), error))
    }
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
    let api_key = owners_key(&state);
    let no_key = || Error::NoKey(options.state_file.clone().unwrap_or_default());
    let api_key = api_key.ok_or_else(no_key)?;
    let bound = Bound::new(options.listen, transport)?;
    let url = bound.origin();
    let faults = Faults::new(options.faults, options.seed);
    let mut world = World::new(state, options.switches, faults, options.state_file);
    world.watch = Watch::new(contract);
    let shared = Shared::new(world);
    let console = Console::new(shared.clone());
    let router = control_api::router(console.clone()).merge(routes::router(shared));
    let serving = bound.serve(router, shutdown)?;
    Ok(Running { addr: serving.addr, ca_file, url, api_key, console, done: serving.done })
}

fn opened(options: &Options) -> Result<State, Error> {
    if let Some(path) = &options.state_file
        && let Some(state) = world::read_state(path).map_err(|error| Error::File(path.clone(), error))?
    {
        return Ok(state);
    }
    let key = match &options.api_key {
        Some(key) => key.clone(),
        None => state::random_key().map_err(|_| Error::Random)?,
    };
    let state = match &options.seed_file {
        Some(path) => seed::load(path, &key, now_ms())?,
        None => State::populated(&key, now_ms()),
    };
    if let Some(path) = &options.state_file {
        world::write_state(path, &state).map_err(|error| Error::File(path.clone(), error))?;
    }
    Ok(state)
}

fn owners_key(state: &State) -> Option<String> {
    let mut owners = state.accounts.iter().filter(|account| state::holds_billing_admin(account));
    owners.find(|owner| owner.api_key_allowed && !owner.suspended && owner.api_key.is_some())?.api_key.clone()
}
