//! What can happen to the engine.

use super::{
    action::CallId,
    codes::{ResultCode, Rule},
    ids::{AccountId, Email, IntegrationId, JobId, RoleName},
    inventory::Counts,
    job::{Digest, Job},
    observed::{DiscoveredRole, Listing, ObservedAccount, ReadOutcome, WhoAmI, WriteOutcome},
    order::{Deed, Order},
    policy::Policy,
    record::Seq,
    recovery::{self, Believed, Finding},
    time::Timestamp,
};

/// One thing that happened.
#[derive(Debug)]
pub enum Input {
    /// Look at the clock.
    Tick,
    /// A verified job arrived.
    Job(Box<Job>),
    /// Something arrived that is not a job of ours.
    Refused(Refusal),
    /// The control plane withdrew a job.
    Cancelled(JobId),
    /// An operator wants something here.
    Operator(Deed, Order),
    /// The policy was read anew; `None`: there is none that can be read.
    Policy(Option<Box<Policy>>),
    /// Somebody else seems to have changed an administrator there: look soon. Changes no state and is
    /// no observation; the listing that follows is.
    Hint(IntegrationId),
    /// Another key is in use there: whose it is must be asked before anything is raised.
    CredentialChanged(IntegrationId),
    /// Authenticated time of the control plane, a second witness for the wall clock.
    ControlTime(Timestamp),
    /// Everything up to this record is durable.
    Durable(Seq),
    /// The journal cannot be written. The shell refolds the engine once it can again.
    LedgerDown,
    /// An inventory was handed over for these jobs; `None`: it could not be.
    Inventoried(Vec<JobId>, Option<Counts>),
    /// Something speaks against the ledger.
    LedgerFinding(Finding),
    /// The control plane's newest journal head is in this journal.
    HeadsAgree,
    /// The control plane said what it believes to be live.
    Believed(Believed),
    /// Accounts with a tag of our key in a listing: id, address, roles.
    Tagged(IntegrationId, Vec<(AccountId, Email, Vec<RoleName>)>),
    /// An operator's deed about a doubted ledger. One that [`State::deed`](super::state::State::deed)
    /// refuses does nothing: ask it first.
    LedgerDeed {
        /// What.
        deed: recovery::Deed,
        /// By whom.
        by: String,
        /// Why.
        why: String,
    },
    /// Something that was about to leave held a secret, and was stopped.
    Withheld {
        /// At which way out.
        outlet: &'static str,
        /// The beginning of the secret's SHA-256, in hexadecimal.
        secret: String,
    },
    /// A call came back.
    Outcome(CallId, Outcome),
}

/// A delivery that failed verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The id that it claims.
    pub job: JobId,
    /// The digest of what was received.
    pub digest: Digest,
    /// `rejected` or `expired_before_start`.
    pub code: ResultCode,
    /// Why.
    pub rule: Option<Rule>,
}

/// What a call brought.
#[derive(Debug)]
pub enum Outcome {
    /// Answer to [`super::action::Look::WhoAmI`].
    WhoAmI(ReadOutcome<WhoAmI>),
    /// Answer to [`super::action::Look::Roles`].
    Roles(ReadOutcome<Vec<DiscoveredRole>>),
    /// Answer to [`super::action::Look::List`].
    List(ReadOutcome<Listing>),
    /// Answer to [`super::action::Look::Get`].
    Get(ReadOutcome<ObservedAccount>),
    /// Answer to a create, with the id if it told one.
    Created(WriteOutcome<Option<AccountId>>),
    /// Answer to any other write.
    Written(WriteOutcome<()>),
    /// The task was lost; whatever it did is unknown.
    Lost,
}
