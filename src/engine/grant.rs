//! A grant's life, as a table.
//!
//! ```text
//!             ┌──────── confirmed ────────────────┐
//!   Accepted ─┤                                   ▼
//!   (Applying)├─ ambiguous ─▶ Indeterminate ─▶ Active
//!             │                   │               │
//!             └─ end ─────────────┴───── end ─────┴─▶ Revoking ─ gone ─▶ Settling ─ gone again ─▶ Ended ─ watch over ─▶ (closed)
//!                                                        ▲                  │                      │
//!                                                        └── reappeared ────┴──────────────────────┘
//! ```
//!
//! "Gone" is always a read. A grant never leaves `Revoking` because of a status code, a count of
//! attempts or a passage of time.

use serde::{Deserialize, Serialize};

use super::{
    account::AccountKey,
    codes::{EndReason, WokenBy},
    extension::Extension,
    ids::{Email, GrantId, IntegrationId, JobId, RoleName},
    job::{AccessRequest, Digest},
    order::Order,
    planted::{self, Planted},
    record::Seq,
    time::{BootId, BootTime, Millis, Now, Timestamp},
};

/// Where a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Durably accepted; the raise is being made.
    Applying,
    /// A raise may or may not have happened, or may yet happen.
    Indeterminate,
    /// Read back.
    Active,
    /// Must go; tried until a read shows it gone.
    Revoking,
    /// Read back as gone once.
    Settling,
    /// Read back as gone twice; the account is still watched.
    Ended,
}

/// What moves a grant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A read shows the granted access.
    Confirmed,
    /// A raise was sent and its fate is unknown.
    Ambiguous,
    /// It is due, was revoked, or failed.
    End,
    /// A read shows it gone.
    Gone,
    /// A later read shows it gone still.
    GoneAgain,
    /// A later read shows it back.
    Reappeared,
}

impl Phase {
    /// Every phase, in the order of life.
    pub const ALL: [Self; 6] =
        [Self::Applying, Self::Indeterminate, Self::Active, Self::Revoking, Self::Settling, Self::Ended];

    /// The phase after `step`; `None` where the step means nothing.
    #[must_use]
    pub const fn after(self, step: Step) -> Option<Self> {
        match (self, step) {
            (Self::Applying | Self::Indeterminate, Step::Confirmed) => Some(Self::Active),
            (Self::Applying, Step::Ambiguous) => Some(Self::Indeterminate),
            (Self::Applying | Self::Indeterminate | Self::Active, Step::End) => Some(Self::Revoking),
            (Self::Revoking, Step::Gone) => Some(Self::Settling),
            (Self::Settling, Step::GoneAgain) => Some(Self::Ended),
            (Self::Settling | Self::Ended, Step::Reappeared) => Some(Self::Revoking),
            _ => None,
        }
    }

    /// Whether the grant still carries its access: the live set of an account.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Applying | Self::Indeterminate | Self::Active)
    }
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 6] =
        [Self::Confirmed, Self::Ambiguous, Self::End, Self::Gone, Self::GoneAgain, Self::Reappeared];
}

/// What is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// A role for an administrator who stays.
    Role,
    /// An account that is made for the grant and deleted at its end.
    Ephemeral,
}

/// A time-boxed permission or ephemeral account that this agent owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What was accepted; never changes.
    pub terms: Terms,
    /// The end in force: that of the terms until an extension moves it.
    pub end: End,
    /// Accepted extensions that are not in force, oldest first: each with the number of its record.
    pub extensions: Vec<(Seq, Extension)>,
    /// The journal's number of the acceptance: lowers may be made once it is durable.
    pub accepted_seq: Seq,
    /// Where it stands.
    pub phase: Phase,
    /// Why it ends, once it does.
    pub reason: Option<EndReason>,
    /// What noticed that it was due.
    pub woken_by: Option<WokenBy>,
    /// How long after its end the first attempt began, in milliseconds.
    pub lateness_ms: u64,
    /// Whether the grant's own job has had its result.
    pub answered: bool,
    /// Revoke jobs that wait for the read-back.
    pub revoke_jobs: Vec<(JobId, Digest)>,
    /// When it was read back as gone.
    pub gone_at: Option<Timestamp>,
    /// Since when it is to end, on the wall clock: a revocation that was asked for is late long before the
    /// grant's own end.
    pub ending_at: Option<Timestamp>,
    /// The overdue age that was reported last, in milliseconds.
    pub overdue_told_ms: Option<u64>,
    /// On whose word it ends, if an operator ended it.
    pub order: Option<Order>,
    /// On whose word it was given up, if it was: tried on, reported as ended, never believed gone unread.
    pub forgotten: Option<Order>,
}

/// The terms of a grant, as journalled before anything is raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The grant's id.
    pub grant: GrantId,
    /// The job that asked for it.
    pub job: JobId,
    /// That job's digest.
    pub digest: Digest,
    /// Where.
    pub integration: IntegrationId,
    /// Whose, under which key the agent holds it.
    pub account: AccountKey,
    /// The account's address when it was resolved.
    pub email: Email,
    /// What kind. Named apart in the journal: `kind` there is the record's own.
    #[serde(rename = "grant_kind")]
    pub kind: GrantKind,
    /// Which role.
    pub role: RoleName,
    /// Engine time of the acceptance.
    pub accepted_at: Timestamp,
    /// The end on the wall clock.
    pub ends_at: Timestamp,
    /// Nothing of it may be raised after this instant.
    pub start_by: Timestamp,
    /// The boot in which it was accepted…
    pub boot_id: BootId,
    /// …when, on that boot's clock…
    pub accepted_boot: BootTime,
    /// …and its end on that boot's clock. Whichever end comes first counts.
    pub boot_ends: BootTime,
    /// What the person asked for.
    pub request: AccessRequest,
    /// For whom an ephemeral account is made: the person's own mailbox, which the policy judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Email>,
    /// The policy that allowed it.
    pub policy_hash: String,
    /// The roles read just before the raise.
    pub roles_before: Vec<RoleName>,
}

/// An end on both clocks. Whichever comes first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// On the wall clock.
    #[serde(rename = "ends_at")]
    pub at: Timestamp,
    /// The boot in which it was set…
    pub boot_id: BootId,
    /// …and the end on that boot's clock.
    #[serde(rename = "boot_ends")]
    pub boot: BootTime,
}

impl End {
    /// So long from now.
    #[must_use]
    pub fn after(now: Now, length: Millis) -> Self {
        Self { at: now.wall + length, boot_id: now.boot_id, boot: now.boot + length }
    }

    /// The same end, on the present boot's clock as well.
    #[must_use]
    pub fn on(&self, now: Now) -> Self {
        Self { at: self.at, boot_id: now.boot_id, boot: now.boot + self.at.since(now.wall) }
    }

    /// Whether it is later than `other` on each clock on which they compare.
    #[must_use]
    pub fn is_later_than(&self, other: &Self) -> bool {
        self.at > other.at && (self.boot_id != other.boot_id || self.boot > other.boot)
    }

    /// Whether the time is over on either clock.
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        let by_boot = now.boot_id == self.boot_id && !planted::is(Planted::WallClockOnly);
        now.wall >= self.at || (by_boot && now.boot >= self.boot)
    }

    /// The earlier of the two ends, on the present boot's clock.
    #[must_use]
    pub fn wakes_at(&self, now: Now) -> BootTime {
        let by_wall = now.boot + self.at.since(now.wall);
        let by_boot = now.boot_id == self.boot_id && !planted::is(Planted::WallClockOnly);
        if by_boot { by_wall.min(self.boot) } else { by_wall }
    }

    /// How long ago it was, in milliseconds; zero before it.
    #[must_use]
    pub fn overdue_ms(&self, now: Now) -> u64 {
        let by_wall = now.wall.since(self.at).0;
        if now.boot_id == self.boot_id { by_wall.max(now.boot.since(self.boot).0) } else { by_wall }
    }
}

impl Grant {
    /// How long its access is there beyond its end, whatever ended it, in milliseconds.
    #[must_use]
    pub fn overdue_ms(&self, now: Now) -> u64 {
        let asked = self.ending_at.map_or(0, |at| now.wall.since(at).0);
        self.end.overdue_ms(now).max(asked)
    }
}

impl Terms {
    /// The end that was accepted.
    #[must_use]
    pub fn end(&self) -> End {
        End { at: self.ends_at, boot_id: self.boot_id, boot: self.boot_ends }
    }

    /// How long ago it was accepted.
    #[must_use]
    pub fn age(&self, now: Now) -> Millis {
        if now.boot_id == self.boot_id {
            now.boot.since(self.accepted_boot)
        } else {
            now.wall.since(self.accepted_at)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lifecycle_is_exactly_this_table() {
        let mut table = String::from("\n");
        for phase in Phase::ALL {
            for step in Step::ALL {
                if let Some(next) = phase.after(step) {
                    table += &format!("{phase:?} + {step:?} -> {next:?}\n");
                }
            }
        }
        let expected = "
Applying + Confirmed -> Active
Applying + Ambiguous -> Indeterminate
Applying + End -> Revoking
Indeterminate + Confirmed -> Active
Indeterminate + End -> Revoking
Active + End -> Revoking
Revoking + Gone -> Settling
Settling + GoneAgain -> Ended
Settling + Reappeared -> Revoking
Ended + Reappeared -> Revoking
";
        assert_eq!(table, expected);
    }

    #[test]
    fn nothing_but_a_read_leads_out_of_revoking() {
        let ways: Vec<Step> = Step::ALL.into_iter().filter(|s| Phase::Revoking.after(*s).is_some()).collect();
        assert_eq!(ways, [Step::Gone]);
    }

    /// An end at 1000 on the wall and at 500 on the first boot's clock.
    const END: End = End { at: Timestamp(1_000), boot_id: BootId(1), boot: BootTime(500) };

    fn at(wall: i64, boot: u64, boot_id: u64) -> Now {
        Now { wall: Timestamp(wall), boot: BootTime(boot), boot_id: BootId(boot_id) }
    }

    #[test]
    fn an_end_has_come_at_its_very_instant_on_whichever_clock_says_so_first() {
        assert!(!END.is_due(at(999, 499, 1)));
        assert!(END.is_due(at(1_000, 0, 1)) && END.is_due(at(0, 500, 1)));
        assert!(!END.is_due(at(999, 9_999, 2)), "another boot's clock says nothing");
        assert_eq!(
            (END.wakes_at(at(900, 450, 1)), END.wakes_at(at(990, 450, 1))),
            (BootTime(500), BootTime(460))
        );
        assert_eq!(END.wakes_at(at(900, 450, 2)), BootTime(550));
    }

    #[test]
    fn how_late_an_ending_is_says_the_clock_that_says_more_and_on_another_boot_the_wall() {
        assert_eq!(END.overdue_ms(at(1_030, 510, 1)), 30);
        assert_eq!(END.overdue_ms(at(1_030, 570, 1)), 70);
        assert_eq!(END.overdue_ms(at(1_030, 9_999, 2)), 30);
        assert_eq!(END.overdue_ms(at(999, 499, 1)), 0);
    }

    #[test]
    fn an_end_is_later_than_another_only_if_no_clock_on_which_both_are_says_otherwise() {
        let later = |at, boot_id, boot| {
            End { at: Timestamp(at), boot_id: BootId(boot_id), boot: BootTime(boot) }.is_later_than(&END)
        };
        assert!(later(1_001, 1, 501) && later(1_001, 2, 0));
        assert!(!later(1_000, 1, 501) && !later(1_001, 1, 500) && !later(1_000, 2, 501));
    }
}
