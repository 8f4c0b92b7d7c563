//! The facts of the journal. State is nothing but their fold; log and audit are views of them.
//!
//! A record never holds a secret and never holds text that JumpCloud chose, except names, addresses
//! and role names that were checked when they came in.

use serde::{Deserialize, Serialize};

use super::{
    account::{AccountRef, Attempt, AttemptEnd, Watch},
    codes::{ResultCode, Rule},
    extension::{Extension, ExtensionDropped, GrantExtended},
    grant::{End, Terms},
    ids::{AccountId, Email, GrantId, IntegrationId, JobId, OrgId, RoleName},
    inventory::Counts,
    job::Digest,
    observed::Fault,
    order::{Forgotten, Freeze, Thaw},
    recovery,
    time::{BootReading, Timestamp},
    usage::Usage,
};

pub use super::{
    active::GrantActive,
    ended::{GrantEnding, GrantGone},
};

/// A record's number in the journal; the first is 1. Assigned by the engine, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A process took the ledger over. Its number is that process's fencing epoch.
    AgentStarted {
        /// Whether the wall clock is behind what the journal has seen: every live grant is due then.
        clock_was_dead: bool,
    },
    /// It was this late: no start is earlier. Written from time to time while access is live.
    TimeSeen(BootReading),
    /// An integration answered for the first time: its organization is pinned from now on.
    OrganizationPinned {
        /// The integration.
        integration: IntegrationId,
        /// The organization's id.
        org: OrgId,
    },
    /// A signed job as received, beside the first record that it led to. Lies apart: no start reads it.
    JobEvidence {
        /// The job.
        job: JobId,
        /// The digest of its signed bytes.
        digest: Digest,
        /// The compact JWS.
        jws: String,
    },
    /// A job has its one final result.
    JobAnswered(Answer),
    /// A delivery that is not a job of ours: bad signature, wrong agent, stale. Does not use up its id.
    JobRefused(Answer),
    /// A job id was seen before with another body. Alarmed; the first body stands.
    JobEquivocated {
        /// The job id.
        job: JobId,
        /// The digest of the second body.
        digest: Digest,
    },
    /// An account is held: its baseline was read and no raise has been made yet.
    AccountOpened {
        /// Which.
        at: AccountRef,
        /// JumpCloud's id, if it exists already.
        id: Option<AccountId>,
        /// Its address.
        email: Email,
        /// The roles read.
        baseline: Vec<RoleName>,
        /// Whether JumpCloud shows the plural field for it.
        plural: bool,
    },
    /// An ephemeral account was seen for the first time: from now on its id counts.
    AccountFound {
        /// Which.
        at: AccountRef,
        /// JumpCloud's id.
        id: AccountId,
    },
    /// A person changed the account; the baseline follows.
    BaselineMoved {
        /// Which.
        at: AccountRef,
        /// What it was.
        from: Vec<RoleName>,
        /// What it is.
        to: Vec<RoleName>,
    },
    /// A write is about to be handed out. Durable before a raise; best effort before a lower.
    AttemptStarted {
        /// Which account.
        at: AccountRef,
        /// The write.
        attempt: Attempt,
    },
    /// A write's own answer.
    AttemptEnded {
        /// Which account.
        at: AccountRef,
        /// The attempt's number.
        n: u32,
        /// How it went.
        end: AttemptEnd,
    },
    /// Something of ours ended or became uncertain here: the account is watched from now on.
    AccountWatched {
        /// Which.
        at: AccountRef,
        /// Since when.
        watch: Watch,
    },
    /// The watch is over and no grant is left: nothing is remembered any more.
    AccountClosed {
        /// Which.
        at: AccountRef,
    },
    /// An account with our tag, of which this ledger knows nothing.
    OrphanFound {
        /// Where.
        integration: IntegrationId,
        /// JumpCloud's id of it.
        id: AccountId,
        /// Its address.
        email: Email,
        /// Its roles.
        roles: Vec<RoleName>,
    },
    /// It is gone, or taken in to be deleted.
    OrphanOver {
        /// Where.
        integration: IntegrationId,
        /// JumpCloud's id of it.
        id: AccountId,
    },
    /// A grant was accepted. Its terms authorise every later lower.
    GrantAccepted(Box<Terms>),
    /// A raise's fate is unknown.
    GrantIndeterminate {
        /// Which grant.
        #[serde(flatten)]
        about: About,
    },
    /// The access was read back.
    GrantActive(GrantActive),
    /// An extension was accepted. The end in force stays until this is durable.
    ExtensionAccepted(Box<Extension>),
    /// An extension is in force; its job's result.
    GrantExtended(Box<GrantExtended>),
    /// An accepted extension did not come into force; its job's result.
    ExtensionDropped(ExtensionDropped),
    /// The machine was started anew: the end in force, bound to the new boot's clock as well.
    EndAnchored {
        /// Which grant.
        #[serde(flatten)]
        about: About,
        /// The same end on the wall clock, and its instant on this boot's.
        #[serde(flatten)]
        end: End,
    },
    /// The grant must go.
    GrantEnding(GrantEnding),
    /// A revoke job names a grant that is still to be read back as gone.
    RevokeRequested {
        /// Which grant.
        #[serde(flatten)]
        about: About,
        /// The job.
        job: JobId,
        /// Its digest.
        digest: Digest,
    },
    /// An operator stopped raises.
    RaisesFrozen(Freeze),
    /// An operator lets raises go on.
    RaisesThawed(Thaw),
    /// An operator gave up on an ending. It is tried on, and watched.
    GrantForgotten(Forgotten),
    /// The access was read back as gone.
    GrantGone(GrantGone),
    /// It is still gone.
    GrantSettled {
        /// Which grant.
        #[serde(flatten)]
        about: About,
        /// The roles read.
        observed: Vec<RoleName>,
        /// The policy in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy_hash: Option<String>,
    },
    /// It came back and is being taken away again.
    GrantReappeared {
        /// Which grant.
        #[serde(flatten)]
        about: About,
        /// The roles read.
        observed: Vec<RoleName>,
        /// The policy in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy_hash: Option<String>,
    },
    /// A revocation has not succeeded for a long time.
    RevocationOverdue {
        /// Which grant.
        #[serde(flatten)]
        about: About,
        /// How long past its end, in milliseconds.
        overdue_ms: u64,
        /// How many writes were tried on the account.
        attempts: u32,
        /// The last fault.
        fault: Option<Fault>,
        /// The policy in force.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy_hash: Option<String>,
    },
    /// Settled, and the account's watch is over.
    GrantClosed {
        /// Which grant.
        #[serde(flatten)]
        about: About,
    },
    /// How long and how often a person has had access, as of now. Each count replaces the one before.
    AccessCounted(Usage),
    /// Something that was about to leave held a secret, and was stopped.
    SecretWithheld {
        /// At which way out.
        outlet: String,
        /// The beginning of the secret's SHA-256, in hexadecimal.
        secret: String,
    },
    /// A person's access is too long ago for any rule to count it.
    AccessForgotten {
        /// Whose.
        who: String,
    },
    /// Doubts about the ledger itself, and what was recovered. Last: it has kinds of its own.
    #[serde(untagged)]
    Recovery(recovery::Fact),
}

/// Which grant a record is about, in full: a line of the journal explains itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The grant.
    pub grant: GrantId,
    /// The job that asked for it.
    pub grant_job: JobId,
    /// Where.
    pub integration: IntegrationId,
    /// The account's address when it was resolved.
    pub email: Email,
    /// The granted role.
    pub role: RoleName,
}

/// A job's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The job.
    pub job: JobId,
    /// The digest of its signed bytes.
    pub digest: Digest,
    /// Which integration it named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integration: Option<IntegrationId>,
    /// The outcome.
    pub code: ResultCode,
    /// The rule behind a refusal or a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The grant it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// The fault behind it, if JumpCloud was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Roles read, if any were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<Vec<RoleName>>,
    /// The exact roles a dry run would have written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_write: Option<Vec<RoleName>>,
    /// What a sync handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Counts>,
    /// The policy in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_hash: Option<String>,
    /// Until when the job id must be remembered.
    pub forget_at: Timestamp,
}

impl Record {
    /// Its kind, as the journal and the log name it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AgentStarted { .. } => "agent_started",
            Self::TimeSeen(_) => "time_seen",
            Self::OrganizationPinned { .. } => "organization_pinned",
            Self::JobEvidence { .. } => "job_evidence",
            Self::JobAnswered(_) => "job_answered",
            Self::JobRefused(_) => "job_refused",
            Self::JobEquivocated { .. } => "job_equivocated",
            Self::AccountOpened { .. } => "account_opened",
            Self::AccountFound { .. } => "account_found",
            Self::BaselineMoved { .. } => "baseline_moved",
            Self::AttemptStarted { .. } => "attempt_started",
            Self::AttemptEnded { .. } => "attempt_ended",
            Self::AccountWatched { .. } => "account_watched",
            Self::AccountClosed { .. } => "account_closed",
            Self::OrphanFound { .. } => "orphan_found",
            Self::OrphanOver { .. } => "orphan_over",
            Self::GrantAccepted(_) => "grant_accepted",
            Self::GrantIndeterminate { .. } => "grant_indeterminate",
            Self::GrantActive(_) => "grant_active",
            Self::ExtensionAccepted(_) => "extension_accepted",
            Self::GrantExtended(_) => "grant_extended",
            Self::ExtensionDropped(_) => "extension_dropped",
            Self::EndAnchored { .. } => "end_anchored",
            Self::GrantEnding(_) => "grant_ending",
            Self::RevokeRequested { .. } => "revoke_requested",
            Self::RaisesFrozen(_) => "raises_frozen",
            Self::RaisesThawed(_) => "raises_thawed",
            Self::GrantForgotten(_) => "grant_forgotten",
            Self::GrantGone(_) => "grant_gone",
            Self::GrantSettled { .. } => "grant_settled",
            Self::GrantReappeared { .. } => "grant_reappeared",
            Self::RevocationOverdue { .. } => "revocation_overdue",
            Self::GrantClosed { .. } => "grant_closed",
            Self::AccessCounted(_) => "access_counted",
            Self::AccessForgotten { .. } => "access_forgotten",
            Self::SecretWithheld { .. } => "secret_withheld",
            Self::Recovery(fact) => fact.kind(),
        }
    }

    /// Which stream of the journal it belongs to.
    #[must_use]
    pub fn stream(&self) -> String {
        match self {
            // Apart from the pins, which a start must read: nobody reads old starts.
            Self::AgentStarted { .. } | Self::SecretWithheld { .. } => "process".to_owned(),
            Self::TimeSeen(_) => "clock".to_owned(),
            Self::OrganizationPinned { .. } | Self::RaisesFrozen(_) | Self::RaisesThawed(_) => {
                "agent".to_owned()
            }
            Self::JobAnswered(a) | Self::JobRefused(a) => format!("job/{}", a.job),
            Self::JobEquivocated { job, .. } | Self::JobEvidence { job, .. } => format!("job/{job}"),
            Self::AccountOpened { at, .. }
            | Self::AccountFound { at, .. }
            | Self::BaselineMoved { at, .. }
            | Self::AttemptStarted { at, .. }
            | Self::AttemptEnded { at, .. }
            | Self::AccountWatched { at, .. }
            | Self::AccountClosed { at } => account_stream(at),
            Self::OrphanFound { integration, id, .. } | Self::OrphanOver { integration, id } => {
                format!("orphan/{integration}/{id}")
            }
            Self::GrantAccepted(terms) => format!("grant/{}", terms.grant),
            Self::ExtensionAccepted(extension) => format!("grant/{}", extension.about.grant),
            Self::GrantExtended(extended) => format!("grant/{}", extended.about.grant),
            Self::ExtensionDropped(ExtensionDropped { about, .. })
            | Self::GrantActive(GrantActive { about, .. })
            | Self::GrantEnding(GrantEnding { about, .. })
            | Self::GrantForgotten(Forgotten { about, .. })
            | Self::GrantGone(GrantGone { about, .. })
            | Self::GrantIndeterminate { about }
            | Self::EndAnchored { about, .. }
            | Self::RevokeRequested { about, .. }
            | Self::GrantSettled { about, .. }
            | Self::GrantReappeared { about, .. }
            | Self::RevocationOverdue { about, .. }
            | Self::GrantClosed { about } => format!("grant/{}", about.grant),
            Self::AccessCounted(Usage { who, .. }) | Self::AccessForgotten { who } => format!("usage/{who}"),
            Self::Recovery(fact) => fact.stream(),
        }
    }
}

/// The stream of an account.
#[must_use]
pub fn account_stream(at: &AccountRef) -> String {
    format!("account/{}/{}", at.integration, at.account.as_str())
}
