//! Everything there is of a simulated JumpCloud, behind one lock: state, switches, faults, log.
//!
//! Refuses to answer a change before it is in the state file, if there is one.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{
    account::Account,
    api::{self, Request},
    author::Author,
    contract::{Contract, Sent, Watch},
    faults::{Fault, Faults, Strike},
    log::{Event, Log, Received},
    rate::{Left, Rate},
    reply::Reply,
    script::Scripts,
    state::{State, hex_digest},
    switches::Switches,
    wire::Answer,
};

/// The parts of a simulated JumpCloud.
pub(super) struct World {
    pub(super) state: State,
    pub(super) switches: Switches,
    pub(super) faults: Faults,
    pub(super) log: Log,
    /// Looks at every exchange.
    pub(super) watch: Watch,
    /// What humans are going to do by themselves.
    pub(super) scripts: Scripts,
    rate: Rate,
    state_file: Option<PathBuf>,
    /// What a reset returns to.
    start: Start,
    resets: u64,
}

/// How the service was when it started.
struct Start {
    state: State,
    switches: Switches,
    faults: Faults,
}

/// A shared [`World`].
#[derive(Clone)]
pub(super) struct Shared {
    world: Arc<Mutex<World>>,
    /// The number of the last entry in the log that is a change.
    changes: watch::Receiver<u64>,
    /// The number of the last entry of any kind.
    all: watch::Receiver<u64>,
}

impl Shared {
    pub(super) fn new(world: World) -> Self {
        let (changes, all) = (world.log.changes(), world.log.all());
        Self { world: Arc::new(Mutex::new(world)), changes, all }
    }

    /// Waits until the log has a change after entry `seq`.
    pub(super) async fn changed_after(&self, seq: u64) {
        // The sender lives in the world, which `self` keeps alive.
        let _ = self.changes.clone().wait_for(|last| *last > seq).await;
    }

    /// Waits until the log has any entry after entry `seq`.
    pub(super) async fn anything_after(&self, seq: u64) {
        let _ = self.all.clone().wait_for(|last| *last > seq).await;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        // A panic in one handler leaves a state that is still whole.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    pub(super) fn new(state: State, switches: Switches, faults: Faults, state_file: Option<PathBuf>) -> Self {
        let start = Start { state: state.clone(), switches: switches.clone(), faults: faults.clone() };
        let contract = Contract::load(None).expect("the description is part of the program");
        let watch = Watch::new(Arc::new(contract));
        let (log, scripts, rate) = (Log::default(), Scripts::default(), Rate::default());
        Self { state, switches, faults, log, watch, scripts, rate, state_file, start, resets: 0 }
    }

    /// The fault that strikes `request`, and the [`Self::epoch`] to which the request belongs.
    pub(super) fn strike(&mut self, request: &Request) -> (Option<Strike>, u64) {
        (self.faults.strike(&request.method, &request.path), self.resets)
    }

    /// Grows at each reset.
    pub(super) const fn epoch(&self) -> u64 {
        self.resets
    }

    /// Accounts, switches and faults are as at the start of this process and the log is empty; what
    /// was still to be executed is forgotten. Numbers and identifiers go on, so that none returns.
    pub(super) fn reset(&mut self) {
        let made = self.state.made;
        self.state = self.start.state.clone();
        self.state.made = made;
        self.switches = self.start.switches.clone();
        self.faults = self.start.faults.clone();
        self.log.clear();
        self.scripts.stop();
        self.rate = Rate::default();
        self.resets += 1;
        self.save();
    }

    /// The roles of an account when this process started, if it existed.
    pub(super) fn roles_at_start(&self, account: &str) -> Option<Vec<String>> {
        self.start.state.account(account).map(|account| account.roles.clone())
    }

    /// Counts `request` against the limit of its credential.
    pub(super) fn count(&mut self, request: &Request, now_ms: i64) -> Result<Left, Box<Reply>> {
        self.rate.count(request.credential().unwrap_or_default(), &self.switches, now_ms)
    }

    /// Carries `request` out; the caller logs both it and what happened.
    pub(super) fn execute(&mut self, request: &Request, now_ms: i64) -> (Reply, Vec<Event>) {
        let reply = api::answer(&mut self.state, &self.switches, request, now_ms);
        let events = std::mem::take(&mut self.state.events);
        if std::mem::take(&mut self.state.unsaved) {
            self.save();
        }
        (reply, events)
    }

    /// What `request` would be answered, without any effect.
    pub(super) fn rehearse(&self, request: &Request, now_ms: i64) -> Reply {
        api::answer(&mut self.state.clone(), &self.switches, request, now_ms)
    }

    /// Writes a request and what it did into the log, in this order.
    pub(super) fn log_request(&mut self, now_ms: i64, received: Received, events: Vec<Event>) {
        self.log.push(now_ms, Event::Request(received));
        self.log_events(now_ms, events);
    }

    /// Holds an exchange against what is known of JumpCloud's API.
    pub(super) fn see(&mut self, now_ms: i64, sent: &Sent, answer: &Answer, fault: &Fault) {
        self.watch.see(now_ms, sent, answer.reply(), fault, &self.switches);
    }

    /// Writes what happened into the log.
    pub(super) fn log_events(&mut self, now_ms: i64, events: Vec<Event>) {
        for event in events {
            self.log.push(now_ms, event);
        }
    }

    /// A human in the console creates or changes an account.
    pub(super) fn console_put(&mut self, account: Account, by: &Author, now_ms: i64) {
        self.state.put(account, by, now_ms);
        self.console_done(now_ms);
    }

    /// A human in the console deletes an account.
    pub(super) fn console_remove(&mut self, id: &str, by: &Author, now_ms: i64) -> Option<Account> {
        let account = self.state.remove(id, by, now_ms)?;
        self.console_done(now_ms);
        Some(account)
    }

    /// Logs and keeps what a human in the console did to the state.
    pub(super) fn console_done(&mut self, now_ms: i64) {
        let events = std::mem::take(&mut self.state.events);
        self.log_events(now_ms, events);
        self.save();
    }

    fn save(&self) {
        let Some(path) = &self.state_file else { return };
        if let Err(error) = write_state(path, &self.state) {
            tracing::error!(path = %path.display(), %error, "the simulated JumpCloud cannot keep its state");
        }
    }
}

/// A request for the log; `status` and `fault` as far as known.
pub(super) fn received(
    request: &Request,
    path_and_query: &str,
    status: Option<u16>,
    executed: bool,
) -> Received {
    Received {
        method: request.method.clone(),
        path: path_and_query.to_owned(),
        key_digest: request.credential().map(hex_digest),
        status,
        fault: None,
        executed,
    }
}

/// The state kept in `path`; none if there is no such file.
///
/// # Errors
/// The file cannot be read or is no state.
pub(super) fn read_state(path: &Path) -> io::Result<Option<State>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps `state` in `path`, which appears whole or not at all and is its owner's only.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write_state(path: &Path, state: &State) -> io::Result<()> {
    write_private(path, &serde_json::to_vec_pretty(state)?)
}

/// Writes a file with a secret in it.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}
