//! The control API of the simulated JumpCloud, `/_sandbox/…`: a human in JumpCloud's console, the
//! hand on the faults and switches, and the view of what really happened.
//!
//! Needs no key and is therefore refused to everybody who is not on this machine. It may do what
//! the API forbids, such as deleting the last Administrator With Billing; never a second account
//! with one address, nor a role that does not exist.

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, Query, Request, State as Extract},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    account::Account,
    faults::{Faults, Rule},
    log::{Change, Entry},
    routes::now_ms,
    state::State,
    switches::Switches,
    world::{Shared, World},
    write,
};

/// The control API, for callers in the same process.
#[derive(Clone)]
pub struct Console(Shared);

/// What a human writes in the console; for a new administrator `email` is needed, and what is left
/// out of a change stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Edit {
    /// The address.
    pub email: Option<String>,
    /// Given name.
    pub firstname: Option<String>,
    /// Family name.
    pub lastname: Option<String>,
    /// All the roles to hold.
    pub roles: Option<Vec<String>>,
    /// Whether suspended.
    pub suspended: Option<bool>,
    /// Whether a second factor is required.
    pub enable_multi_factor: Option<bool>,
    /// Whether a second factor is enrolled.
    pub totp_enrolled: Option<bool>,
    /// An API key to have from now on, instead of the old one.
    pub api_key: Option<String>,
}

/// Why the console does not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such account.
    #[error("no administrator has the id or e-mail address {0:?}")]
    NoSuchAdmin(String),
    /// What was written cannot be.
    #[error("{0}")]
    Invalid(String),
}

impl Console {
    pub(super) const fn new(shared: Shared) -> Self {
        Self(shared)
    }

    /// Everything there is now.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.lock().state.clone()
    }

    /// What happened after entry `seq`; 0 for everything.
    #[must_use]
    pub fn log_since(&self, seq: u64) -> Vec<Entry> {
        self.0.lock().log.since(seq)
    }

    /// The true history of one account: when it held which roles, in Unix milliseconds.
    #[must_use]
    pub fn roles_over_time(&self, account: &str) -> Vec<(i64, Vec<String>)> {
        let of_account = |entry: Entry| match entry.event {
            super::Event::Changed(changed) if changed.account == account => {
                Some((entry.at_ms, changed.roles))
            }
            _ => None,
        };
        self.log_since(0).into_iter().filter_map(of_account).collect()
    }

    /// The rules at work and how often each has struck.
    #[must_use]
    pub fn faults(&self) -> Vec<Rule> {
        self.0.lock().faults.rules.clone()
    }

    /// Replaces all rules.
    pub fn set_faults(&self, rules: Vec<Rule>, seed: u64) {
        self.0.lock().faults = Faults::new(rules, seed);
    }

    /// Adds rules behind those at work.
    pub fn add_faults(&self, rules: Vec<Rule>) {
        self.0.lock().faults.rules.extend(rules);
    }

    /// The switches as they are.
    #[must_use]
    pub fn switches(&self) -> Switches {
        self.0.lock().switches.clone()
    }

    /// Replaces all switches.
    pub fn set_switches(&self, switches: Switches) {
        self.0.lock().switches = switches;
    }

    /// A human creates an administrator.
    ///
    /// # Errors
    /// [`Refused::Invalid`].
    pub fn create(&self, edit: &Edit) -> Result<Account, Refused> {
        let mut world = self.0.lock();
        let now = now_ms();
        let email = edit.email.as_deref().ok_or_else(|| Refused::Invalid("email is required".to_owned()))?;
        let blank = world.state.blank(email, now);
        let account = edited(&world, blank, edit)?;
        world.console_put(account.clone(), Change::Created, now);
        Ok(account)
    }

    /// A human changes an administrator, named by id or e-mail address.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn change(&self, who: &str, edit: &Edit) -> Result<Account, Refused> {
        let mut world = self.0.lock();
        let account = edited(&world, found(&world, who)?, edit)?;
        world.console_put(account.clone(), Change::Updated, now_ms());
        Ok(account)
    }

    /// A human deletes an administrator, named by id or e-mail address.
    ///
    /// # Errors
    /// [`Refused::NoSuchAdmin`].
    pub fn delete(&self, who: &str) -> Result<Account, Refused> {
        let mut world = self.0.lock();
        let id = found(&world, who)?.id;
        world.console_remove(&id, now_ms()).ok_or_else(|| Refused::NoSuchAdmin(who.to_owned()))
    }
}

fn found(world: &World, who: &str) -> Result<Account, Refused> {
    let same = |account: &&Account| account.id == who || account.has_email(who);
    world.state.accounts.iter().find(same).cloned().ok_or_else(|| Refused::NoSuchAdmin(who.to_owned()))
}

fn edited(world: &World, mut account: Account, edit: &Edit) -> Result<Account, Refused> {
    let invalid = |text: String| Err(Refused::Invalid(text));
    let email = edit.email.as_ref().unwrap_or(&account.email).clone();
    if !write::is_email(&email) {
        return invalid(format!("{email:?} is not an e-mail address"));
    }
    if world.state.email_is_taken(&email, &account.id) {
        return invalid(format!("{email:?} has already been registered"));
    }
    let roles = edit.roles.as_ref().unwrap_or(&account.roles).clone();
    if let Some(unknown) = roles.iter().find(|role| world.state.role_name(role, false).is_none()) {
        return invalid(format!("there is no role {unknown:?}"));
    }
    account.email = email;
    account.roles = roles;
    if let Some(name) = &edit.firstname {
        account.firstname.clone_from(name);
    }
    if let Some(name) = &edit.lastname {
        account.lastname.clone_from(name);
    }
    account.suspended = edit.suspended.unwrap_or(account.suspended);
    account.enable_multi_factor = edit.enable_multi_factor.unwrap_or(account.enable_multi_factor);
    account.totp_enrolled = edit.totp_enrolled.unwrap_or(account.totp_enrolled);
    if let Some(key) = &edit.api_key {
        account.api_key = Some(key.clone());
        account.api_key_allowed = true;
    }
    Ok(account)
}

/// The routes of the control API.
pub(super) fn router(console: Console) -> Router {
    Router::new()
        .route("/_sandbox/state", get(show_state))
        .route("/_sandbox/log", get(show_log))
        .route("/_sandbox/admins", get(show_state).post(create))
        .route("/_sandbox/admins/{who}", put(change).delete(delete))
        .route("/_sandbox/faults", get(show_faults).post(add_faults).put(set_faults).delete(clear_faults))
        .route("/_sandbox/switches", get(show_switches).put(set_switches))
        .route_layer(middleware::from_fn(this_machine_only))
        .with_state(console)
}

/// A browser page of another site is on this machine too, but cannot leave out `Origin` when it
/// writes.
async fn this_machine_only(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if peer.ip().is_loopback() && !request.headers().contains_key("origin") {
        return next.run(request).await;
    }
    let said = json!({"error": "the control API of the sandbox serves programs on this machine only"});
    (StatusCode::FORBIDDEN, Json(said)).into_response()
}

async fn show_state(Extract(console): Extract<Console>) -> Json<Value> {
    let state = console.state();
    let shown = |account: &Account| account.shown_to_the_sandbox(&state.roles, &state.organization);
    let admins: Vec<Value> = state.accounts.iter().map(shown).collect();
    Json(json!({
        "organization": state.organization,
        "organizationName": state.organization_name,
        "roles": state.roles,
        "admins": admins,
    }))
}

#[derive(Default, Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

async fn show_log(Extract(console): Extract<Console>, Query(from): Query<Since>) -> Json<Value> {
    Json(json!({"entries": console.log_since(from.since)}))
}

async fn create(Extract(console): Extract<Console>, Json(edit): Json<Edit>) -> Response {
    shown(&console, console.create(&edit))
}

async fn change(
    Extract(console): Extract<Console>,
    Path(who): Path<String>,
    Json(edit): Json<Edit>,
) -> Response {
    shown(&console, console.change(&who, &edit))
}

async fn delete(Extract(console): Extract<Console>, Path(who): Path<String>) -> Response {
    shown(&console, console.delete(&who))
}

fn shown(console: &Console, done: Result<Account, Refused>) -> Response {
    let state = console.state();
    match done {
        Ok(account) => Json(account.shown_to_the_sandbox(&state.roles, &state.organization)).into_response(),
        Err(error) => {
            let status = match error {
                Refused::NoSuchAdmin(_) => StatusCode::NOT_FOUND,
                Refused::Invalid(_) => StatusCode::BAD_REQUEST,
            };
            (status, Json(json!({"error": error.to_string()}))).into_response()
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    faults: Vec<Rule>,
    #[serde(default = "first_seed")]
    seed: u64,
}

const fn first_seed() -> u64 {
    1
}

async fn show_faults(Extract(console): Extract<Console>) -> Json<Value> {
    Json(json!({"faults": console.faults()}))
}

async fn add_faults(Extract(console): Extract<Console>, Json(rules): Json<Rules>) -> Json<Value> {
    console.add_faults(rules.faults);
    show_faults(Extract(console)).await
}

async fn set_faults(Extract(console): Extract<Console>, Json(rules): Json<Rules>) -> Json<Value> {
    console.set_faults(rules.faults, rules.seed);
    show_faults(Extract(console)).await
}

async fn clear_faults(Extract(console): Extract<Console>) -> Json<Value> {
    console.set_faults(Vec::new(), first_seed());
    show_faults(Extract(console)).await
}

async fn show_switches(Extract(console): Extract<Console>) -> Json<Switches> {
    Json(console.switches())
}

async fn set_switches(Extract(console): Extract<Console>, Json(switches): Json<Switches>) -> Json<Switches> {
    console.set_switches(switches);
    show_switches(Extract(console)).await
}
