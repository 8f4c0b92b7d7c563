//! What the simulated organization is: its accounts and roles, and the one way to change them.
//!
//! Knows nothing of HTTP, faults or clocks. Refuses a second account with an address that is taken.
//! Keeps its recent past, so that reads can lag.

use std::{collections::VecDeque, fmt::Write as _};

use aws_lc_rs::{digest, rand};
use serde::{Deserialize, Serialize};

use super::{
    account::Account,
    roles::{BILLING_ADMIN, Role, default_roles},
};

/// How many changes a lagging read can look back; older ones are always seen.
const PAST: usize = 256;

/// An organization with its administrators.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// 24 hexadecimal digits.
    #[serde(default = "default_organization")]
    pub organization: String,
    /// Its display name.
    #[serde(default = "default_organization_name")]
    pub organization_name: String,
    /// The roles there are.
    #[serde(default = "default_roles")]
    pub roles: Vec<Role>,
    /// The administrators, oldest first.
    pub accounts: Vec<Account>,
    /// Counts the accounts ever made, so that no identifier returns.
    #[serde(default)]
    pub made: u64,
    #[serde(skip)]
    past: VecDeque<Past>,
}

/// How the accounts were until a moment.
#[derive(Clone)]
struct Past {
    until_ms: i64,
    accounts: Vec<Account>,
}

impl State {
    /// One organization: an owner who has `api_key`, a second Administrator With Billing, and eight
    /// people with lesser roles.
    #[must_use]
    pub fn populated(api_key: &str, now_ms: i64) -> Self {
        let mut state = Self {
            organization: default_organization(),
            organization_name: default_organization_name(),
            roles: default_roles(),
            accounts: Vec::new(),
            made: 0,
            past: VecDeque::new(),
        };
        for (email, firstname, lastname, role) in PEOPLE {
            let mut account = state.blank(email, now_ms);
            firstname.clone_into(&mut account.firstname);
            lastname.clone_into(&mut account.lastname);
            account.roles = vec![role.to_owned()];
            account.totp_enrolled = true;
            state.accounts.push(account);
        }
        state.accounts[0].api_key = Some(api_key.to_owned());
        state.accounts[0].api_key_allowed = true;
        state
    }

    /// A new account without roles, not yet part of the organization.
    pub(super) fn blank(&mut self, email: &str, now_ms: i64) -> Account {
        self.made += 1;
        let seconds = u32::try_from(now_ms / 1000).unwrap_or(u32::MAX);
        Account {
            id: format!("{seconds:08x}{:016x}", self.made),
            email: email.to_owned(),
            firstname: String::new(),
            lastname: String::new(),
            roles: Vec::new(),
            suspended: false,
            enable_multi_factor: true,
            totp_enrolled: false,
            created_ms: now_ms,
            api_key_allowed: false,
            api_key: None,
        }
    }

    /// Replaces or adds `account`.
    pub(super) fn put(&mut self, account: Account, now_ms: i64) {
        self.remember(now_ms);
        match self.accounts.iter_mut().find(|known| known.id == account.id) {
            Some(known) => *known = account,
            None => self.accounts.push(account),
        }
    }

    /// Removes and returns the account.
    pub(super) fn remove(&mut self, id: &str, now_ms: i64) -> Option<Account> {
        let at = self.accounts.iter().position(|account| account.id == id)?;
        self.remember(now_ms);
        Some(self.accounts.remove(at))
    }

    /// The account with this identifier, as it is now.
    pub(super) fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == id)
    }

    /// Whether another account than `id` has this address.
    pub(super) fn email_is_taken(&self, email: &str, id: &str) -> bool {
        self.accounts.iter().any(|account| account.id != id && account.has_email(email))
    }

    /// The owner of an API key, unless suspended or not allowed to have one.
    pub(super) fn owner_of(&self, key: &str) -> Option<&Account> {
        let owner = self.accounts.iter().find(|account| account.api_key.as_deref() == Some(key));
        owner.filter(|account| account.api_key_allowed && !account.suspended)
    }

    /// Whether no other account than `id` holds Administrator With Billing, and `id` does.
    pub(super) fn is_last_billing_admin(&self, id: &str) -> bool {
        let mut holders = self.accounts.iter().filter(|account| holds_billing_admin(account));
        holders.next().is_some_and(|holder| holder.id == id) && holders.next().is_none()
    }

    /// The accounts as they were `lag_ms` before `now_ms`.
    pub(super) fn seen_late(&self, now_ms: i64, lag_ms: u64) -> &[Account] {
        let moment = now_ms.saturating_sub(i64::try_from(lag_ms).unwrap_or(i64::MAX));
        let past = self.past.iter().find(|past| lag_ms > 0 && past.until_ms > moment);
        past.map_or(&self.accounts, |past| &past.accounts)
    }

    /// The role's exact name, if there is such a role.
    pub(super) fn role_name(&self, name: &str, case_ignored: bool) -> Option<String> {
        let same = |role: &&Role| role.name == name || (case_ignored && role.name.eq_ignore_ascii_case(name));
        self.roles.iter().find(same).map(|role| role.name.clone())
    }

    fn remember(&mut self, now_ms: i64) {
        if self.past.len() == PAST {
            self.past.pop_front();
        }
        self.past.push_back(Past { until_ms: now_ms, accounts: self.accounts.clone() });
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
pub(super) fn random_key() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; 20];
    rand::fill(&mut bytes)?;
    Ok(format!("jca_{}", hex(&bytes)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn default_organization() -> String {
    "5f00c0de00000000000000aa".to_owned()
}

fn default_organization_name() -> String {
    "Simulated Organization".to_owned()
}

const PEOPLE: [(&str, &str, &str, &str); 10] = [
    ("owner@example.com", "Olivia", "Owner", BILLING_ADMIN),
    ("breakglass@example.com", "Bela", "Breakglass", BILLING_ADMIN),
    ("amara@example.com", "Amara", "Okafor", "Read Only"),
    ("bruno@example.com", "Bruno", "Silva", "Read Only"),
    ("chiara@example.com", "Chiara", "Ricci", "Read Only"),
    ("dmitri@example.com", "Dmitri", "Volkov", "Help Desk"),
    ("elif@example.com", "Elif", "Demir", "Help Desk"),
    ("farid@example.com", "Farid", "Haddad", "Help Desk"),
    ("greta@example.com", "Greta", "Lind", "Manager"),
    ("hana@example.com", "Hana", "Sato", "Manager"),
];
