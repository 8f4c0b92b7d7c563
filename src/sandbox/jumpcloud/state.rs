//! What the simulated service is: organizations, accounts and roles, and the one way to change them.
//!
//! Knows nothing of HTTP, faults or clocks. Refuses a second account with an address that is taken,
//! be it in another organization. Keeps its recent past, so that reads can lag, and notes each
//! change for the log and for Directory Insights.

use std::{collections::VecDeque, fmt::Write as _};

use aws_lc_rs::{digest, error::Unspecified, rand};
use serde::{Deserialize, Serialize};

use super::{
    account::Account,
    author::Author,
    insights::{Insight, Insights, Subject},
    log::{Change, Changed, Event},
    past::Past,
    population,
    roles::{BILLING_ADMIN, Role, default_roles},
    tenancy::{Organization, Provider, ServiceAccount, Token},
};

/// Organizations with their administrators.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The first organization: 24 hexadecimal digits.
    #[serde(default = "population::first_organization")]
    pub organization: String,
    /// Its display name.
    #[serde(default = "population::first_organization_name")]
    pub organization_name: String,
    /// Further organizations.
    #[serde(default)]
    pub organizations: Vec<Organization>,
    /// Who manages several of them, if anybody does.
    #[serde(default)]
    pub provider: Option<Provider>,
    /// The roles there are, in every organization.
    #[serde(default = "default_roles")]
    pub roles: Vec<Role>,
    /// The administrators of all organizations, oldest first.
    pub accounts: Vec<Account>,
    /// The service accounts.
    #[serde(default)]
    pub service_accounts: Vec<ServiceAccount>,
    /// Counts what was ever made, so that no identifier returns.
    #[serde(default)]
    pub made: u64,
    #[serde(skip)]
    pub(super) past: Past,
    #[serde(skip)]
    pub(super) tokens: Vec<Token>,
    #[serde(skip)]
    pub(super) insights: Insights,
    /// What happened and is not in the log yet.
    #[serde(skip)]
    pub(super) events: Vec<Event>,
    /// Whether it was changed and not kept yet.
    #[serde(skip)]
    pub(super) unsaved: bool,
    /// Deleted accounts, the latest last.
    #[serde(skip)]
    pub(super) gone: VecDeque<Account>,
    /// How many reads of administrators there were.
    #[serde(skip)]
    pub(super) reads: u64,
}

/// How many deleted accounts are remembered.
const GONE: usize = 1000;

impl State {
    /// One organization: an owner who has `api_key`, a second Administrator With Billing, and eight
    /// people with lesser roles.
    #[must_use]
    pub fn populated(api_key: &str, now_ms: i64) -> Self {
        population::one_organization(api_key, now_ms)
    }

    /// A service with the first organization and nobody in it.
    pub(super) fn empty() -> Self {
        Self {
            organization: population::first_organization(),
            organization_name: population::first_organization_name(),
            organizations: Vec::new(),
            provider: None,
            roles: default_roles(),
            accounts: Vec::new(),
            service_accounts: Vec::new(),
            made: 0,
            past: Past::default(),
            tokens: Vec::new(),
            insights: Insights::default(),
            events: Vec::new(),
            unsaved: false,
            gone: VecDeque::new(),
            reads: 0,
        }
    }

    /// An identifier that was never used.
    pub(super) fn new_id(&mut self, now_ms: i64) -> String {
        self.made += 1;
        let seconds = u32::try_from(now_ms / 1000).unwrap_or(u32::MAX);
        format!("{seconds:08x}{:016x}", self.made)
    }

    /// A new account without roles, not yet part of an organization.
    pub(super) fn blank(&mut self, email: &str, now_ms: i64) -> Account {
        Account::blank(self.new_id(now_ms), email, now_ms)
    }

    /// Replaces or adds `account`, by `author`.
    pub(super) fn put(&mut self, account: Account, author: &Author, now_ms: i64) {
        let at = self.accounts.iter().position(|known| known.id == account.id);
        let before = at.map(|at| self.accounts[at].clone());
        self.past.remember(&account.id, at.zip(before.clone()), now_ms);
        let change = if before.is_some() { Change::Updated } else { Change::Created };
        self.events.push(Event::Changed(Changed::new(&author.name, change, &account)));
        self.note(author, before, Some(account.clone()), now_ms);
        match at {
            Some(at) => self.accounts[at] = account,
            None => self.accounts.push(account),
        }
    }

    /// Removes and returns the account, by `author`.
    pub(super) fn remove(&mut self, id: &str, author: &Author, now_ms: i64) -> Option<Account> {
        let at = self.accounts.iter().position(|account| account.id == id)?;
        let account = self.accounts.remove(at);
        self.past.remember(id, Some((at, account.clone())), now_ms);
        self.events.push(Event::Changed(Changed::new(&author.name, Change::Deleted, &account)));
        self.note(author, Some(account.clone()), None, now_ms);
        if self.gone.len() == GONE {
            self.gone.pop_front();
        }
        self.gone.push_back(account.clone());
        Some(account)
    }

    fn note(&mut self, author: &Author, before: Option<Account>, after: Option<Account>, now_ms: i64) {
        self.unsaved = true;
        let Some(account) = after.as_ref().or(before.as_ref()) else { return };
        let organization = self.home_of(account).to_owned();
        let id = self.new_id(now_ms);
        let subject = Subject::Admin { before: before.map(Box::new), after: after.map(Box::new) };
        self.insights.add(Insight { id, at_ms: now_ms, organization, author: author.clone(), subject });
    }

    /// Notes that a custom role or a service account was changed, for Directory Insights.
    pub(super) fn note_thing(&mut self, author: &Author, event: &'static str, id: &str, now_ms: i64) {
        self.unsaved = true;
        let organization = author.organization.clone().unwrap_or_else(|| self.organization.clone());
        let subject = Subject::Thing { event, id: id.to_owned() };
        let id = self.new_id(now_ms);
        self.insights.add(Insight { id, at_ms: now_ms, organization, author: author.clone(), subject });
    }

    /// The account with this identifier, as it is now.
    pub(super) fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == id)
    }

    /// The other account than `id` with this address, in whatever organization.
    pub(super) fn holder_of(&self, email: &str, id: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id != id && account.has_email(email))
    }

    /// The organization that an account belongs to; of a provider's administrator, the first that it
    /// is linked to.
    pub(super) fn home_of<'a>(&'a self, account: &'a Account) -> &'a str {
        let own = if account.provider { account.links.first() } else { account.organization.as_ref() };
        own.map_or(&self.organization, |id| id)
    }

    /// Identifier and name of every organization, the first one first.
    pub(super) fn all_organizations(&self) -> impl Iterator<Item = (&str, &str)> {
        let further = self.organizations.iter().map(|one| (one.id.as_str(), one.name.as_str()));
        std::iter::once((self.organization.as_str(), self.organization_name.as_str())).chain(further)
    }

    /// Whether there is such an organization.
    pub(super) fn has_organization(&self, id: &str) -> bool {
        self.all_organizations().any(|(known, _)| known == id)
    }

    /// Whether `id` holds Administrator With Billing and nobody else does in the same organization.
    pub(super) fn is_last_billing_admin(&self, id: &str) -> bool {
        let Some(account) = self.account(id).filter(|account| holds_billing_admin(account)) else {
            return false;
        };
        let home = self.home_of(account);
        let beside = |other: &Account| {
            other.provider == account.provider && (account.provider || self.home_of(other) == home)
        };
        let mut others = self.accounts.iter().filter(|other| other.id != id && holds_billing_admin(other));
        !others.any(beside)
    }

    /// The role with exactly this name.
    pub(super) fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }
}

/// Whether the account is one of those that may write administrators.
pub(super) fn holds_billing_admin(account: &Account) -> bool {
    account.roles.iter().any(|role| role == BILLING_ADMIN)
}

/// The first half of the SHA-256 of `secret`, in hexadecimal digits.
pub(super) fn hex_digest(secret: &str) -> String {
    hex(&digest::digest(&digest::SHA256, secret.as_bytes()).as_ref()[..16])
}

/// A key as JumpCloud makes them today: prefix `jca_`.
///
/// # Errors
/// The system has no randomness.
pub(super) fn random_key() -> Result<String, Unspecified> {
    Ok(format!("jca_{}", random_hex()?))
}

/// 40 random hexadecimal digits.
///
/// # Errors
/// The system has no randomness.
pub(super) fn random_hex() -> Result<String, Unspecified> {
    let mut bytes = [0; 20];
    rand::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
