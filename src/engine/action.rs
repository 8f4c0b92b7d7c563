//! What the engine wants done. Three kinds, and the difference is the safety of the product:
//! a [`Read`] changes nothing; a [`Raise`] must pass through the ledger before anything accepts it;
//! a [`Lower`] can be made only inside the engine, from a grant whose acceptance is durable.

use super::{
    account::AccountRef,
    ids::{AccountId, Email, IntegrationId, OrgId, RoleName},
    inventory::Inventory,
    record::{Record, Seq},
    time::{BootTime, Timestamp},
};

/// Ties an outcome to what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// Everything one turn of the engine asks of the shell.
#[derive(Debug, Default)]
pub struct Step {
    /// Facts to append, in this order.
    pub records: Vec<Entry>,
    /// Raises to release once exactly these facts are durable.
    pub raises: Vec<Raise>,
    /// Everything that need not wait for the disk.
    pub actions: Vec<Action>,
}

/// A numbered fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// Engine time, on the wall clock.
    pub at: Timestamp,
    /// The fact.
    pub record: Record,
}

/// Work that need not wait for the disk.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Look.
    Read(Read),
    /// Take access away.
    Lower(Lower),
    /// Hand an inventory to the control plane.
    Inventory(Box<Inventory>),
    /// A job came again after its result was acknowledged: send the stored result again.
    Requeue(Seq),
    /// Something that a person should know and that changes no state; logged, never stored.
    Warn(Warning),
}

/// A look at JumpCloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Ties the outcome to it.
    pub call: CallId,
    /// Where.
    pub integration: IntegrationId,
    /// The pinned organization, for which tags are verified.
    pub org: Option<OrgId>,
    /// At what.
    pub what: Look,
}

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Whose credential this is, in which organization.
    WhoAmI,
    /// The tenant's roles.
    Roles,
    /// All administrators.
    List,
    /// One administrator.
    Get(AccountId),
}

/// A write that gives access. The shell can hand it to an executor only inside the ledger's
/// `Committed`.
#[derive(Debug, PartialEq, Eq)]
pub struct Raise {
    /// Ties the outcome to it.
    pub call: CallId,
    /// Whose.
    pub at: AccountRef,
    /// What.
    pub change: RaiseChange,
    /// Not to be sent after this instant of the boot-time clock.
    pub send_by: BootTime,
}

/// In which field of an administrator roles are written. Which of the two decides, and whether a write
/// replaces or adds, is not published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoleField {
    /// `roleName`, which every known client writes; for exactly one role.
    #[default]
    One,
    /// `roleNames`.
    Several,
    /// Both, saying the same; for exactly one role.
    Both,
}

/// What a raise writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RaiseChange {
    /// Exactly these roles.
    SetRoles {
        /// Whose.
        id: AccountId,
        /// The complete set.
        roles: Vec<RoleName>,
        /// How it is written.
        field: RoleField,
    },
    /// A new account.
    Create {
        /// Its address.
        email: Email,
        /// Its role.
        role: RoleName,
        /// For the console's display.
        firstname: Option<String>,
        /// For the console's display.
        lastname: Option<String>,
    },
}

/// A write that takes access away. Private fields: only the engine makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Lower {
    call: CallId,
    at: AccountRef,
    change: LowerChange,
}

/// What a lower writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LowerChange {
    /// Exactly these roles.
    SetRoles {
        /// Whose.
        id: AccountId,
        /// The complete set.
        roles: Vec<RoleName>,
        /// How it is written.
        field: RoleField,
    },
    /// Delete the account.
    Delete {
        /// Whose.
        id: AccountId,
    },
}

impl Lower {
    /// Made from a durable acceptance: `proof` is a grant's number in the journal and how far the
    /// journal is durable. `None` when the acceptance is not durable yet; then nothing of that grant
    /// can have been raised either.
    pub(super) fn new(call: CallId, at: AccountRef, change: LowerChange, proof: (Seq, Seq)) -> Option<Self> {
        (proof.0 <= proof.1).then_some(Self { call, at, change })
    }

    /// Ties the outcome to it.
    #[must_use]
    pub fn call(&self) -> CallId {
        self.call
    }

    /// Whose access.
    #[must_use]
    pub fn at(&self) -> &AccountRef {
        &self.at
    }

    /// What it writes.
    #[must_use]
    pub fn change(&self) -> &LowerChange {
        &self.change
    }
}

/// Something a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The wall clock and the boot-time clock disagree; raises pause.
    ClockUntrusted {
        /// By how many milliseconds the wall clock jumped.
        jumped_ms: i64,
    },
    /// The clocks agree again with a second witness.
    ClockTrusted,
    /// The organization that answers is not the pinned one; nothing is done there.
    WrongOrganization(IntegrationId),
    /// A listing that should be complete shows less than half of the people of the one before: it proves nothing.
    ListingCut(IntegrationId),
    /// The credential is not accepted.
    CredentialRefused(IntegrationId),
    /// Something of ours is there that no permitted write would take away.
    Escalated(AccountRef),
    /// What an account is to have could not be written for long: the floor role is written instead.
    FloorInstead(AccountRef),
    /// After a write of ours an account is protected less: MFA is not required any more, or an API key is
    /// allowed.
    GuardsFell(AccountRef),
    /// A grant that an operator gave up may still carry access.
    Forgotten(AccountRef),
    /// A listing shows our address under another id: a stranger, left alone.
    Stranger(AccountRef),
    /// The journal holds an account of an integration that the configuration does not name any more:
    /// nothing there can be ended.
    Unconfigured(AccountRef),
    /// The ledger is in doubt: nothing is raised. Repeated.
    RevokeOnly {
        /// Why, in words of the journal.
        causes: String,
        /// Claims that wait for an operator.
        claims: usize,
    },
    /// The sweep found a grant that the wheel had missed. Must never happen.
    WheelMiss(AccountRef),
}
