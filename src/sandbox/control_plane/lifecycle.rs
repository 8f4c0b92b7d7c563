//! The life of an access request, as one table.
//!
//! ```text
//! requested ─approve─▶ approved ─queue─▶ queued ─lease─▶ leased ─▶ granted ─revoke─▶ ending ─▶ ended
//!     │                   │                │               │  ╲       ╰──────grant ended──────▶ ended
//!     ╰──────revoke───────┴────────────────┴─▶ withdrawn   │   ╰─▶ already_granted, dry_run, refused
//!                                                          ╰─revoke─▶ ending
//! ```
//! Refuses to go back: what has ended stays ended, however late a repeated report arrives.

use serde::{Deserialize, Serialize};

/// Where an access request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Somebody asked.
    Requested,
    /// Approved; no agent is enrolled yet.
    Approved,
    /// The job is signed and waits for the agent.
    Queued,
    /// The agent has the job.
    Leased,
    /// The agent reported the access as read back.
    Granted,
    /// The account had the access already; nothing will be revoked.
    AlreadyGranted,
    /// The agent only planned it.
    DryRun,
    /// The agent refused or failed; the history says why.
    Refused,
    /// A revoke job is on its way.
    Ending,
    /// The agent reported the end of the grant.
    Ended,
    /// Taken back before the agent had the job.
    Withdrawn,
}

/// What happens to an access request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// An approver agreed.
    Approve,
    /// The job was signed and queued.
    Queue,
    /// The agent acquired the job.
    Lease,
    /// The agent reports the access.
    Granted,
    /// The agent reports that there was nothing to do.
    AlreadyGranted,
    /// The agent reports a plan only.
    DryRun,
    /// The agent reports any other result.
    Refused,
    /// Somebody wants it ended.
    Revoke,
    /// The agent reports the grant's end.
    Ended,
}

impl RequestState {
    /// The state after `happening`; `None` if it has no meaning here.
    pub(super) const fn after(self, happening: Happening) -> Option<Self> {
        use Happening as H;
        Some(match (self, happening) {
            (Self::Requested, H::Approve) => Self::Approved,
            (Self::Approved, H::Queue) => Self::Queued,
            // Results can overtake the mark of a lease when a process was killed between the two.
            (Self::Queued, H::Lease) => Self::Leased,
            (Self::Queued | Self::Leased, H::Granted) => Self::Granted,
            (Self::Queued | Self::Leased | Self::Ending, H::AlreadyGranted) => Self::AlreadyGranted,
            (Self::Queued | Self::Leased | Self::Ending, H::DryRun) => Self::DryRun,
            (Self::Queued | Self::Leased | Self::Ending, H::Refused) => Self::Refused,
            (Self::Requested | Self::Approved | Self::Queued, H::Revoke) => Self::Withdrawn,
            (Self::Leased | Self::Granted, H::Revoke) => Self::Ending,
            (Self::Queued | Self::Leased | Self::Granted | Self::Ending, H::Ended) => Self::Ended,
            _ => return None,
        })
    }

    /// The name used on the wire and in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Granted => "granted",
            Self::AlreadyGranted => "already_granted",
            Self::DryRun => "dry_run",
            Self::Refused => "refused",
            Self::Ending => "ending",
            Self::Ended => "ended",
            Self::Withdrawn => "withdrawn",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Happening as H, RequestState as S};

    const STATES: [S; 11] = [
        S::Requested,
        S::Approved,
        S::Queued,
        S::Leased,
        S::Granted,
        S::AlreadyGranted,
        S::DryRun,
        S::Refused,
        S::Ending,
        S::Ended,
        S::Withdrawn,
    ];
    const HAPPENINGS: [H; 9] = [
        H::Approve,
        H::Queue,
        H::Lease,
        H::Granted,
        H::AlreadyGranted,
        H::DryRun,
        H::Refused,
        H::Revoke,
        H::Ended,
    ];

    #[test]
    fn nothing_leaves_a_final_state() {
        for state in [S::AlreadyGranted, S::DryRun, S::Refused, S::Ended, S::Withdrawn] {
            assert!(HAPPENINGS.iter().all(|&happening| state.after(happening).is_none()), "{state:?}");
        }
    }

    #[test]
    fn names_are_those_of_the_wire() {
        for state in STATES {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
    }
}
