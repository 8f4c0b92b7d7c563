//! The words in which outcomes are reported: enumerated, documented, never free text.
//! `docs/protocol/codes.md` explains each to the author of a control plane.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire and in the journal.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

codes! {
    /// The one final result of a job.
    ResultCode {
        /// The access was read back and will be ended by us.
        Granted = "granted",
        /// The account had it without us; nothing will be taken away.
        AlreadyGranted = "already_granted",
        /// The grant's access was read back as gone.
        Revoked = "revoked",
        /// The grant had ended before.
        AlreadyEnded = "already_ended",
        /// The grant's end was moved.
        Extended = "extended",
        /// Too late to change the grant: its ending is journalled.
        TooLate = "too_late",
        /// The inventory was read and handed over.
        Synced = "synced",
        /// The integration was tested; the evidence says how.
        Tested = "tested",
        /// It was tried and could not be done; the account was lowered to be sure.
        Failed = "failed",
        /// It contradicts what is there: incomparable roles, a grant id in use.
        Conflict = "conflict",
        /// Its start-by instant passed before it could be started.
        ExpiredBeforeStart = "expired_before_start",
        /// An operator has stopped raises.
        Frozen = "frozen",
        /// The policy is in dry run: planned, not done.
        DryRun = "dry_run",
        /// The journal cannot be written, so nothing may be raised.
        LedgerUnavailable = "ledger_unavailable",
        /// The clocks disagree, so nothing may be raised.
        ClockUntrusted = "clock_untrusted",
        /// Its timely end could not be honoured at the reserved rate.
        RateRefused = "rate_refused",
        /// The control plane withdrew it before anything was raised.
        Cancelled = "cancelled",
        /// This version does not do this kind of job.
        UnsupportedJobType = "unsupported_job_type",
        /// A rule refuses it.
        Rejected = "rejected",
    }
}

codes! {
    /// Which rule refused a job, or why it failed.
    Rule {
        /// The signature does not verify.
        BadSignature = "bad_signature",
        /// Signed by a key that is not pinned.
        UnknownKey = "unknown_key",
        /// Addressed to another agent.
        WrongAgent = "wrong_agent",
        /// Issued before this ledger was created.
        IssuedBeforeLedger = "issued_before_ledger",
        /// Issued longer ago than any job may be valid.
        Stale = "stale",
        /// Issued in the future, beyond the allowed skew.
        IssuedInFuture = "issued_in_future",
        /// Its start-by instant is further away than allowed.
        StartByTooFar = "start_by_too_far",
        /// Not a job of this protocol.
        Malformed = "malformed",
        /// Of a newer protocol version.
        UnsupportedVersion = "unsupported_version",
        /// A job id seen before with another body.
        Equivocation = "equivocation",
        /// No integration of that name here.
        UnknownIntegration = "unknown_integration",
        /// No grant of that id here.
        UnknownGrant = "unknown_grant",
        /// A grant of that id exists already.
        DuplicateGrant = "duplicate_grant",
        /// The grant's access has not been read back yet, so its end cannot be moved.
        GrantNotActive = "grant_not_active",
        /// The new end would not be later than the one in force.
        NotLonger = "not_longer",
        /// The ledger is in doubt, or the grant was recovered after a loss: it may only be ended.
        RevokeOnly = "revoke_only",
        /// No readable policy: nothing may be raised.
        NoPolicy = "no_policy",
        /// The policy does not name the role, or the integration does not offer it.
        RoleNotGrantable = "role_not_grantable",
        /// The role can manage administrators and the policy does not name it.
        RoleManagesAdmins = "role_manages_admins",
        /// Longer than the policy allows.
        DurationTooLong = "duration_too_long",
        /// A protected account.
        ProtectedAccount = "protected_account",
        /// An account that the policy does not allow.
        AccountNotAllowed = "account_not_allowed",
        /// The credential's own account.
        OwnAccount = "own_account",
        /// No such administrator.
        AccountNotFound = "account_not_found",
        /// More than one administrator matches.
        AccountAmbiguous = "account_ambiguous",
        /// The administrator is suspended.
        AccountSuspended = "account_suspended",
        /// Single mode, and the administrator has several roles.
        SeveralRoles = "several_roles",
        /// The tenant has no such role.
        RoleUnknown = "role_unknown",
        /// The role does not compare with what the account has.
        RolesIncomparable = "roles_incomparable",
        /// The account must be explained before it may be raised again.
        AccountBarred = "account_barred",
        /// Ephemeral accounts are not allowed.
        EphemeralNotAllowed = "ephemeral_not_allowed",
        /// The requester's domain is not allowed.
        DomainNotAllowed = "domain_not_allowed",
        /// The address is taken by an account that is not ours.
        AddressTaken = "address_taken",
        /// The request has no number.
        RequestNumberRequired = "request_number_required",
        /// The request has no justification.
        JustificationRequired = "justification_required",
        /// The request has too few approvers.
        ApproversRequired = "approvers_required",
        /// The requester approved himself, or is not named.
        RequesterIsApprover = "requester_is_approver",
        /// Too few of the policy's approvers' keys have signed exactly this.
        ApprovalRequired = "approval_required",
        /// Not in the hours in which access may be had, or not wholly.
        OutsideHours = "outside_hours",
        /// Too many live grants.
        Quota = "quota",
        /// Too many grants within an hour.
        GrantsPerHour = "grants_per_hour",
        /// The person would have access for too long without a rest.
        MaxContinuous = "max_continuous",
        /// JumpCloud could not be read in time.
        NotObservable = "not_observable",
        /// JumpCloud refused the change.
        RefusedByJumpcloud = "refused_by_jumpcloud",
        /// JumpCloud did not confirm the change in time.
        NotConfirmed = "not_confirmed",
        /// The raise was not sent in time.
        NotSentInTime = "not_sent_in_time",
        /// The inventory could not be handed over in time.
        NotDelivered = "not_delivered",
        /// The credential is not accepted, or belongs to another organization.
        Credential = "credential",
        /// The grant was ended before it became active.
        EndedBeforeActive = "ended_before_active",
        /// An operator stopped raises before it was sent.
        Frozen = "frozen",
    }
}

impl Rule {
    /// Whether it is a rule of the local policy.
    #[must_use]
    pub const fn is_local_policy(self) -> bool {
        matches!(
            self,
            Self::NoPolicy
                | Self::RoleNotGrantable
                | Self::RoleManagesAdmins
                | Self::DurationTooLong
                | Self::ProtectedAccount
                | Self::AccountNotAllowed
                | Self::EphemeralNotAllowed
                | Self::DomainNotAllowed
                | Self::RequestNumberRequired
                | Self::JustificationRequired
                | Self::ApproversRequired
                | Self::RequesterIsApprover
                | Self::ApprovalRequired
                | Self::OutsideHours
                | Self::Quota
                | Self::GrantsPerHour
                | Self::MaxContinuous
        )
    }
}

codes! {
    /// What happened to a grant after its job was answered.
    EventCode {
        /// It ended; the reason says why.
        GrantEnded = "grant_ended",
        /// Its end was observed again after the settling time.
        GrantSettled = "grant_settled",
        /// Its access reappeared after the end and is being lowered again.
        GrantReappeared = "grant_reappeared",
        /// Its end is due and not yet proven; tried again for ever.
        RevocationOverdue = "revocation_overdue",
        /// It was recovered after a loss of the ledger and will be ended.
        GrantAdopted = "grant_adopted",
        /// Something speaks against the agent's ledger: it raises nothing until an operator has looked.
        LedgerDoubted = "ledger_doubted",
        /// The agent's ledger is believed again.
        LedgerBelieved = "ledger_believed",
        /// A claim about a grant is not proven and waits for the agent's operator.
        ClaimOpened = "claim_opened",
    }
}

codes! {
    /// Why a grant ended.
    EndReason {
        /// Its time was over.
        Expired = "expired",
        /// The control plane asked.
        Requested = "requested",
        /// An operator asked, at the agent.
        Operator = "operator",
        /// Somebody took the role away in the console.
        RevokedExternally = "revoked_externally",
        /// Somebody changed the account beyond the grant; it was left as it is.
        Superseded = "superseded",
        /// The account is gone.
        TargetGone = "target_gone",
        /// An operator gave it up; it stays watched.
        Abandoned = "abandoned",
        /// The raise did not come about; lowered to be sure.
        Failed = "failed",
    }
}

codes! {
    /// What noticed that a grant was due.
    WokenBy {
        /// The timer wheel: the healthy case.
        Wheel = "wheel",
        /// The periodic sweep, which finds what a timer missed.
        Sweep = "sweep",
        /// The first look after a start.
        Start = "start",
        /// A person or the control plane.
        Operator = "operator",
    }
}
