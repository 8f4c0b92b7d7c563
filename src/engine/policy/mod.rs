//! The local policy: what this agent may raise, whatever a control plane says.
//!
//! It gates raises only, when a job is accepted and again just before the raise is handed out.
//! Nothing here is ever asked about an ending. Without a policy there is no raise at all.
//!
//! The rules are a list that is asked in one order ([`Check::ALL`]); the first refusal decides. The
//! engine and `ephemerald policy` ask the same list.

pub mod hours;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ids::{Email, RoleName},
    job::{AccessRequest, Target},
    time::{Millis, Timestamp},
};
use hours::Hours;

pub use rules::{Check, Verdict};

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// SHA-256 of the policy file's bytes, in hexadecimal: named in every record of a decision.
    pub hash: String,
    /// Plan and report only, raise nothing.
    pub dry_run: bool,
    /// Roles that may be granted, each with its own longest duration. Empty grants nothing.
    pub roles: BTreeMap<RoleName, Millis>,
    /// Roles that may not be granted; stronger than `roles`.
    pub denied_roles: BTreeSet<RoleName>,
    /// The longest duration of any grant.
    pub max_duration: Millis,
    /// The longest time for which a person has access without a rest of `cool_down`, over all grants
    /// and extensions.
    pub max_continuous: Millis,
    /// How long a person must be without access before the count begins anew.
    pub cool_down: Millis,
    /// Accounts that may be raised; empty means every account that is not denied.
    pub accounts_allow: Vec<AccountPattern>,
    /// Accounts that are never raised; stronger than `accounts_allow`.
    pub accounts_deny: Vec<AccountPattern>,
    /// Accounts that are never raised and never suggested: break-glass, the owner.
    pub protected_accounts: Vec<Email>,
    /// Rules for ephemeral accounts; `None` means none may be created.
    pub ephemeral: Option<EphemeralPolicy>,
    /// What an access request must carry.
    pub require: Requirements,
    /// Approvers' public keys by name: the 32 bytes in base64url. With any, each grant and each
    /// extension needs `require.signatures` of them.
    pub approval_keys: BTreeMap<String, String>,
    /// When access may be had; `None`: at any time.
    pub hours: Option<Hours>,
    /// How many grants may be live at once.
    pub max_live_grants: u32,
    /// How many grants may be accepted within an hour.
    pub max_grants_per_hour: u32,
}

/// An address (`ada@example.com`) or a whole domain (`*@example.com`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountPattern {
    /// Exactly this mailbox.
    Mailbox(Email),
    /// Every mailbox of this domain, in lower case.
    Domain(String),
}

/// Where ephemeral accounts may live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EphemeralPolicy {
    /// How the address is built, e.g. `{requester}+{tag}@{domain}`.
    pub template: String,
    /// Domains of requesters' mailboxes, in lower case.
    pub domains: Vec<String>,
    /// Whether accounts with our tag of which the ledger knows nothing are deleted, and not only told.
    pub delete_unknown: bool,
}

/// What the access request behind a grant must carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// A request number.
    pub request_number: bool,
    /// A justification.
    pub justification: bool,
    /// At least this many different approvers.
    pub approvers: u32,
    /// The requester must not be among the approvers.
    pub requester_not_approver: bool,
    /// Signatures of different approvers' keys, where the policy names keys.
    pub signatures: u32,
}

/// What is asked of the policy: one raise or one extension.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The role.
    pub role: &'a RoleName,
    /// For how long, as the job says.
    pub duration: Millis,
    /// Whose access.
    pub whose: Whose<'a>,
    /// What the person asked for.
    pub request: &'a AccessRequest,
    /// When it would begin.
    pub from: Timestamp,
    /// When it would end.
    pub until: Timestamp,
    /// What else must be known.
    pub facts: Facts,
}

/// Whose access is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// The account with this address.
    Account(&'a Email),
    /// An account of which only the id is known yet.
    Unresolved,
    /// An account that is made for this person.
    Ephemeral(&'a Email),
}

/// What the job does not say. `None`: not known here, or not asked; the rule stays open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// The role is known to be able to manage administrators or roles.
    pub manages_admins: Option<bool>,
    /// Live grants beside this one.
    pub live: Option<usize>,
    /// Grants accepted within the last hour, beside this one.
    pub last_hour: Option<usize>,
    /// How long the person would have had access without a rest, this grant included.
    pub continuous: Option<Millis>,
}

impl Default for Policy {
    /// Names no role, so it grants nothing; nothing else limits.
    fn default() -> Self {
        Self {
            hash: String::new(),
            dry_run: false,
            roles: BTreeMap::new(),
            denied_roles: BTreeSet::new(),
            max_duration: Millis(u64::MAX),
            max_continuous: Millis(u64::MAX),
            cool_down: Millis(0),
            accounts_allow: Vec::new(),
            accounts_deny: Vec::new(),
            protected_accounts: Vec::new(),
            ephemeral: None,
            require: Requirements::default(),
            approval_keys: BTreeMap::new(),
            hours: None,
            max_live_grants: u32::MAX,
            max_grants_per_hour: u32::MAX,
        }
    }
}

impl Policy {
    /// The longest grant of this role; `None`: it may not be granted.
    #[must_use]
    pub fn longest(&self, role: &RoleName) -> Option<Millis> {
        let named = self.roles.get(role).filter(|_| !self.denied_roles.contains(role))?;
        Some(self.max_duration.min(*named))
    }

    /// How many approvers' signatures a request needs.
    #[must_use]
    pub fn signatures(&self) -> u32 {
        if self.approval_keys.is_empty() { 0 } else { self.require.signatures }
    }
}

impl<'a> Whose<'a> {
    /// The target of a job.
    #[must_use]
    pub fn of(target: &'a Target) -> Self {
        match target {
            Target::Email(email) => Self::Account(email),
            Target::Account(_) => Self::Unresolved,
            Target::Ephemeral { requester, .. } => Self::Ephemeral(requester),
        }
    }
}

impl AccountPattern {
    /// Whether the address is covered.
    #[must_use]
    pub fn matches(&self, email: &Email) -> bool {
        match self {
            Self::Mailbox(mailbox) => mailbox.same_mailbox(email),
            Self::Domain(domain) => email.domain() == *domain,
        }
    }
}
