//! What the agent remembers of one JumpCloud administrator while a grant of ours touches it.
//!
//! ```text
//!   (unknown) ─ opened: baseline read ─▶ held ─ last grant gone ─▶ watched ─ last look clean ─▶ (closed)
//!                                         ▲                          │
//!                                         └────── a new grant ───────┘
//! ```
//!
//! The baseline belongs to the account, not to a grant: it is read once before the first raise and
//! kept until the watch is over. Only a human's edit moves it.

use serde::{Deserialize, Serialize};

use super::{
    ids::{AccountId, Email, IntegrationId, RoleName},
    observed::Fault,
    settings::RoleMode,
    time::{BootId, BootTime, Millis, Now, Timestamp},
};

/// Under which name the agent holds an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKey {
    /// An administrator who was there before us, by JumpCloud's id.
    Standing(AccountId),
    /// An account that we make, by its tagged address: its id is not known before it exists.
    Ephemeral(Email),
}

impl AccountKey {
    /// The key as text, for stream names.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Standing(id) => id.as_str(),
            Self::Ephemeral(email) => email.as_str(),
        }
    }
}

/// An account of an integration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountRef {
    /// The integration.
    pub integration: IntegrationId,
    /// The account there.
    pub account: AccountKey,
}

/// What is remembered of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// JumpCloud's id, once known. From then on only the id counts.
    pub id: Option<AccountId>,
    /// The address under which it was found or made.
    pub email: Email,
    /// The roles it has when none of our grants touches it; empty for an ephemeral account.
    pub baseline: Vec<RoleName>,
    /// Whether a person moved the baseline while a grant of ours was here.
    pub edited: bool,
    /// Whether JumpCloud shows several roles for it, so that writes use the plural field.
    pub plural: bool,
    /// R: what attempts of ours sent, with the time of the last attempt that did.
    pub sent: Vec<Sent>,
    /// What raises of ours displaced.
    pub displaced: Vec<RoleName>,
    /// What the last write that may have been carried out set.
    pub wrote: Vec<RoleName>,
    /// How many attempts have been made.
    pub attempts: u32,
    /// Whether a raise may have been carried out and no lower has overtaken it.
    pub unproven: bool,
    /// Roles of live grants that the last lower carried: they may be there although nobody is shown them.
    pub carried: Vec<RoleName>,
    /// The attempt whose end is not recorded.
    pub open_attempt: Option<Attempt>,
    /// Since when the account is watched.
    pub watch: Option<Watch>,
    /// The last fault that an attempt met.
    pub last_fault: Option<Fault>,
}

/// A role that an attempt of ours sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The role.
    pub role: RoleName,
    /// Whether an attempt that sent it may still be carried out.
    pub ambiguous: bool,
    /// Whether a raise sent it.
    pub raised: bool,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number on the account, from 1.
    pub n: u32,
    /// What it writes.
    pub effect: Effect,
    /// When it was handed out.
    pub at: Timestamp,
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Give more: sets exactly these roles, of which `adds` are new.
    Raise {
        /// The complete set written.
        roles: Vec<RoleName>,
        /// The roles that were not there.
        adds: Vec<RoleName>,
        /// The roles that go (single mode).
        displaces: Vec<RoleName>,
    },
    /// Give less: sets exactly these roles.
    Lower {
        /// The complete set written.
        roles: Vec<RoleName>,
    },
    /// Make the ephemeral account with this role.
    Create {
        /// Its role.
        role: RoleName,
    },
    /// Delete the ephemeral account.
    Delete,
}

/// How an attempt went, as far as its own answer tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// 2xx; proves nothing until read back.
    Accepted,
    /// Certainly not carried out.
    NotDone(Fault),
    /// May have been carried out, or may yet be.
    Ambiguous(Fault),
}

/// A watch: looks at an account after something of ours ended there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Since when, on the wall clock.
    pub since: Timestamp,
    /// The boot…
    pub boot_id: BootId,
    /// …and the instant on its clock.
    pub boot: BootTime,
}

impl Watch {
    /// How long the watch has lasted. Within one boot the boot-time clock decides: a step of the wall
    /// clock must not cut a watch short.
    #[must_use]
    pub fn age(&self, now: Now) -> Millis {
        if now.boot_id == self.boot_id { now.boot.since(self.boot) } else { now.wall.since(self.since) }
    }
}

impl Effect {
    /// Whether it gives anybody anything.
    #[must_use]
    pub const fn is_raise(&self) -> bool {
        matches!(self, Self::Raise { .. } | Self::Create { .. })
    }

    /// The complete set that it writes.
    #[must_use]
    pub fn writes(&self) -> Vec<RoleName> {
        match self {
            Self::Raise { roles, .. } | Self::Lower { roles } => roles.clone(),
            Self::Create { role } => vec![role.clone()],
            Self::Delete => Vec::new(),
        }
    }

    /// The roles that it may leave on the account and that were not the account's own.
    #[must_use]
    pub fn sends(&self) -> Vec<RoleName> {
        match self {
            Self::Raise { adds, .. } => adds.clone(),
            Self::Lower { roles } => roles.clone(),
            Self::Create { role } => vec![role.clone()],
            Self::Delete => Vec::new(),
        }
    }
}

impl Account {
    /// An account as first read.
    #[must_use]
    pub fn new(id: Option<AccountId>, email: Email, baseline: Vec<RoleName>, plural: bool) -> Self {
        Self {
            id,
            email,
            baseline,
            edited: false,
            plural,
            sent: Vec::new(),
            displaced: Vec::new(),
            wrote: Vec::new(),
            attempts: 0,
            unproven: false,
            carried: Vec::new(),
            open_attempt: None,
            watch: None,
            last_fault: None,
        }
    }

    /// A lower went out that set these roles: it overtakes every raise, and gives what it carries as a raise does.
    pub(super) fn lowered(&mut self, to: &[RoleName]) {
        self.unproven = false;
        self.carried = to.iter().filter(|role| !self.baseline.contains(role)).cloned().collect();
    }

    /// The roles that count as ours to take away. `all`: a grant is ending or ended less than the
    /// in-flight window ago, so that everything we ever sent may still turn up; otherwise only what an
    /// ambiguous attempt tried. In multiple mode a lower sends nothing that was not there.
    #[must_use]
    pub fn ours(&self, mode: RoleMode, all: bool) -> Vec<RoleName> {
        let counts = |s: &&Sent| (all || s.ambiguous) && (mode == RoleMode::Single || s.raised);
        self.sent.iter().filter(counts).map(|s| s.role.clone()).collect()
    }

    /// Notes what an attempt is about to send.
    pub fn note_sent(&mut self, effect: &Effect) {
        for role in effect.sends() {
            let raised = effect.is_raise();
            match self.sent.iter_mut().find(|s| s.role == role) {
                Some(sent) => sent.raised |= raised,
                None => self.sent.push(Sent { role, ambiguous: false, raised }),
            }
        }
        if let Effect::Raise { displaces, .. } = effect {
            for role in displaces {
                if !self.displaced.contains(role) {
                    self.displaced.push(role.clone());
                }
            }
        }
    }

    /// Notes that the roles of `effect` may yet be written: all of them. A raise beside another grant's role
    /// carries that one too, and may bring it back after its own end.
    pub fn note_ambiguous(&mut self, effect: &Effect) {
        let roles = effect.writes();
        for sent in self.sent.iter_mut().filter(|s| roles.contains(&s.role)) {
            sent.ambiguous = true;
        }
    }
}
