//! What a human in JumpCloud's console does, the hand on faults and switches, and the view of what
//! really happened; `control_api.rs` puts it on the wire.
//!
//! May do what the API forbids, such as deleting the last Administrator With Billing. Refuses a
//! second account with one address and roles that do not exist.

use serde::{Deserialize, Serialize};

use super::{
    account::Account,
    contract::{Report, Violation},
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
        if let Ok(account) = found(&self.0.lock(), who) {
            return Some(account.id);
        }
        self.log_since(0).into_iter().rev().find_map(|entry| match entry.event {
            super::Event::Changed(changed)
                if changed.account == who || changed.email.eq_ignore_ascii_case(who) =>
            {
                Some(changed.account)
            }
            _ => None,
        })
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

    /// What the agent sent, and what was answered to anybody, that is not as JumpCloud's API is
    /// described.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.contract().violations.into_iter().map(|seen| seen.violation).collect()
    }

    /// Everything that was seen while exchanges were held against the descriptions.
    #[must_use]
    pub fn contract(&self) -> Report {
        self.0.lock().watch.report().clone()
    }

    /// Forgets what was seen so far.
    pub fn clear_contract(&self) {
        self.0.lock().watch.clear();
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
