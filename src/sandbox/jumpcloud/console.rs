//! What a human in JumpCloud's console does, the hand on faults and switches, and the view of what
//! really happened; `control_api.rs` puts it on the wire.
//!
//! May do what the API forbids, such as deleting the last Administrator With Billing. Refuses a
//! second account with one address and roles that do not exist.

use serde::{Deserialize, Serialize};

use super::{
    account::Account,
    author::Author,
    faults::{Faults, Rule},
    log::{Entry, Event},
    routes::now_ms,
    state::State,
    switches::Switches,
    world::{Shared, World},
    write::{is_email, settle_role_change},
};

/// The control API, for callers in the same process.
#[derive(Clone)]
pub struct Console(pub(super) Shared);

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
    /// How long the API key lasts from now on, in milliseconds.
    pub api_key_ttl_ms: Option<u64>,
    /// Whether the password is set.
    pub registered: Option<bool>,
    /// Portal sessions that are open.
    pub sessions: Option<u32>,
    /// The organization to belong to, for a new administrator.
    pub organization: Option<String>,
    /// Whether it is the provider's, for a new administrator.
    pub provider: Option<bool>,
    /// The organizations that a provider's administrator is linked to.
    pub links: Option<Vec<String>>,
    /// Who does it, by id or address, for Directory Insights; else somebody unknown.
    pub by: Option<String>,
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

    /// The number of the newest entry, also if a reset has removed it; 0 before the first.
    #[must_use]
    pub fn log_end(&self) -> u64 {
        self.0.lock().log.end()
    }

    /// Waits until an account is changed after entry `seq` of the log.
    pub async fn changed_after(&self, seq: u64) {
        self.0.changed_after(seq).await;
    }

    /// What an account held when the service started, if it existed then; what
    /// [`Self::roles_over_time`] begins from.
    #[must_use]
    pub fn roles_at_start(&self, account: &str) -> Option<Vec<String>> {
        self.0.lock().roles_at_start(account)
    }

    /// The id behind an id or an e-mail address, which may be that of an account that is gone.
    #[must_use]
    pub fn id_of(&self, who: &str) -> Option<String> {
        id_of(&self.0.lock(), who)
    }

    /// Back to accounts, switches and faults as at the start, with an empty log. Nothing that was
    /// asked for before the reset happens after it.
    pub fn reset(&self) {
        self.0.lock().reset();
    }

    /// The true history of one account: when it held which roles, in Unix milliseconds.
    #[must_use]
    pub fn roles_over_time(&self, account: &str) -> Vec<(i64, Vec<String>)> {
        let of_account = |entry: Entry| match entry.event {
            Event::Changed(changed) if changed.account == account => Some((entry.at_ms, changed.roles)),
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
        let by = author(&world, edit.by.as_deref())?;
        world.console_put(account.clone(), &by, now);
        Ok(account)
    }

    /// A human changes an administrator, named by id or e-mail address.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn change(&self, who: &str, edit: &Edit) -> Result<Account, Refused> {
        let mut world = self.0.lock();
        let account = edited(&world, found(&world, who)?, edit)?;
        let by = author(&world, edit.by.as_deref())?;
        world.console_put(account.clone(), &by, now_ms());
        Ok(account)
    }

    /// A human deletes an administrator, named by id or e-mail address.
    ///
    /// # Errors
    /// [`Refused::NoSuchAdmin`].
    pub fn delete(&self, who: &str) -> Result<Account, Refused> {
        let mut world = self.0.lock();
        let id = found(&world, who)?.id;
        let by = Author::in_the_console(None);
        world.console_remove(&id, &by, now_ms()).ok_or_else(|| Refused::NoSuchAdmin(who.to_owned()))
    }
}

pub(super) fn found(world: &World, who: &str) -> Result<Account, Refused> {
    let same = |account: &&Account| account.id == who || account.has_email(who);
    world.state.accounts.iter().find(same).cloned().ok_or_else(|| Refused::NoSuchAdmin(who.to_owned()))
}

/// The id behind an id or an address, which may be that of an account that is gone.
pub(super) fn id_of(world: &World, who: &str) -> Option<String> {
    if let Ok(account) = found(world, who) {
        return Some(account.id);
    }
    world.log.after(0).rev().find_map(|entry| match &entry.event {
        Event::Changed(changed) if changed.account == who || changed.email.eq_ignore_ascii_case(who) => {
            Some(changed.account.clone())
        }
        _ => None,
    })
}

fn author(world: &World, by: Option<&str>) -> Result<Author, Refused> {
    let by = by.map(|who| found(world, who)).transpose()?;
    Ok(Author::in_the_console(by.map(|account| (account.id, account.email))))
}

fn edited(world: &World, mut account: Account, edit: &Edit) -> Result<Account, Refused> {
    let state = &world.state;
    let invalid = |text: String| Err(Refused::Invalid(text));
    let email = edit.email.as_ref().unwrap_or(&account.email).clone();
    if !is_email(&email) {
        return invalid(format!("{email:?} is not an e-mail address"));
    }
    if state.holder_of(&email, &account.id).is_some() {
        return invalid(format!("{email:?} has already been registered"));
    }
    let roles = edit.roles.as_ref().unwrap_or(&account.roles).clone();
    if let Some(unknown) = roles.iter().find(|role| state.role(role).is_none()) {
        return invalid(format!("there is no role {unknown:?}"));
    }
    let places = edit.organization.iter().chain(edit.links.iter().flatten());
    if let Some(unknown) = places.into_iter().find(|id| !state.has_organization(id)) {
        return invalid(format!("there is no organization {unknown:?}"));
    }
    if edit.provider == Some(true) && state.provider.is_none() {
        return invalid("there is no provider".to_owned());
    }
    if roles != account.roles {
        settle_role_change(&mut account, &world.switches);
    }
    account.email = email;
    account.roles = roles;
    overwrite(&mut account, edit);
    Ok(account)
}

/// Everything that cannot be wrong.
fn overwrite(account: &mut Account, edit: &Edit) {
    if let Some(name) = &edit.firstname {
        account.firstname.clone_from(name);
    }
    if let Some(name) = &edit.lastname {
        account.lastname.clone_from(name);
    }
    account.suspended = edit.suspended.unwrap_or(account.suspended);
    account.enable_multi_factor = edit.enable_multi_factor.unwrap_or(account.enable_multi_factor);
    account.totp_enrolled = edit.totp_enrolled.unwrap_or(account.totp_enrolled);
    account.registered = edit.registered.unwrap_or(account.registered);
    account.sessions = edit.sessions.unwrap_or(account.sessions);
    account.provider = edit.provider.unwrap_or(account.provider);
    if let Some(organization) = &edit.organization {
        account.organization = Some(organization.clone());
    }
    if let Some(links) = &edit.links {
        account.links.clone_from(links);
    }
    if let Some(key) = &edit.api_key {
        account.api_key = Some(key.clone());
        account.api_key_expires_ms = None;
        account.api_key_allowed = true;
    }
    if let Some(ttl) = edit.api_key_ttl_ms {
        account.api_key_expires_ms = Some(now_ms().saturating_add(i64::try_from(ttl).unwrap_or(i64::MAX)));
    }
}
