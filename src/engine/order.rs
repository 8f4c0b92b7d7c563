//! The words of an operator's orders: who, what, which grants, why.
//!
//! Refuses a remark that is more than one line, and a selection with a word that it does not know.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    grant::{Grant, Phase},
    ids::{Email, GrantId, IntegrationId, Remark, RoleName},
    job::{Ask, Job, Target},
    record::About,
    time::Timestamp,
};

/// Who sat at the other end of the agent's socket, by the kernel's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The user.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
    /// The process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
}

/// On whose word something is done, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who.
    pub by: Peer,
    /// Why, in that person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<Remark>,
}

/// What an operator may want.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Raise nothing more.
    Freeze,
    /// Raise again.
    Thaw,
    /// Raise nothing more and end everything.
    Drain,
    /// End grants.
    Revoke(Selection),
    /// Give up on a grant whose ending cannot be proven here.
    Forget(GrantId),
}

/// Which grants: those that fit everything that is said; all when nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// This one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// Those of this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Email>,
    /// Those that give this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// Those of this integration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration: Option<IntegrationId>,
}

/// An operator's stop for raises, as journalled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// On whose word.
    pub order: Order,
    /// For good: everything is being ended too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
}

/// A stop in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// Since when.
    pub since: Timestamp,
    /// What was ordered.
    pub freeze: Freeze,
}

/// The end of a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thaw {
    /// On whose word.
    pub order: Order,
}

/// A grant that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Which.
    #[serde(flatten)]
    pub about: About,
    /// On whose word.
    pub order: Order,
    /// The policy in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_hash: Option<String>,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by uid {} at the agent", self.by.uid)?;
        self.remark.as_ref().map_or(Ok(()), |remark| write!(f, ": {remark}"))
    }
}

impl Selection {
    /// One grant.
    #[must_use]
    pub fn of(grant: GrantId) -> Self {
        Self { grant: Some(grant), ..Self::default() }
    }

    /// Whether a grant fits.
    #[must_use]
    pub fn takes(&self, grant: &Grant) -> bool {
        let terms = &grant.terms;
        let person = terms.requester.as_ref().unwrap_or(&terms.email);
        let account = |e: &Email| e.same_mailbox(&terms.email) || e.same_mailbox(person);
        self.grant.as_ref().is_none_or(|id| *id == terms.grant)
            && self.account.as_ref().is_none_or(account)
            && self.role.as_ref().is_none_or(|role| *role == terms.role)
            && self.integration.as_ref().is_none_or(|name| *name == terms.integration)
    }

    /// Whether a job asks for such a grant. One that names its account by an id is taken: nobody knows
    /// yet whose that is, and what is not wanted by mistake can be asked for again.
    pub(super) fn asks(&self, job: &Job) -> bool {
        let Ask::Grant(grant, _) = &job.ask else { return false };
        let account = |e: &Email| match &grant.target {
            Target::Email(asked) => asked.same_mailbox(e),
            Target::Ephemeral { address, requester, .. } => {
                requester.same_mailbox(e) || address.same_mailbox(e)
            }
            Target::Account(_) => true,
        };
        self.grant.as_ref().is_none_or(|id| *id == grant.grant)
            && self.account.as_ref().is_none_or(account)
            && self.role.as_ref().is_none_or(|role| *role == grant.role)
            && self.integration.as_ref().is_none_or(|name| *name == job.integration)
    }
}

impl Grant {
    /// Whether it carries access, or may: live, or on its way out and not proven gone.
    #[must_use]
    pub fn may_carry(&self) -> bool {
        self.phase.is_live() || self.phase == Phase::Revoking
    }
}
