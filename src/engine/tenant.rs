//! What is known of one integration right now: probes, the shared listing, the budget, the queue of
//! accounts that wait for a token. Transient: after a start it is learnt again.

use std::collections::BTreeSet;

use super::{
    action::CallId,
    alarms::Alarm,
    budget::Budget,
    ids::{AccountId, Email, OrgId},
    observed::{Fault, Listing, WhoAmI},
    orphans,
    place::Place,
    roles::RoleOrder,
    settings::IntegrationSettings,
    shrunk::Shown,
    time::BootTime,
};

/// One integration at work.
#[derive(Debug)]
pub(super) struct Tenant {
    /// Its configuration.
    pub settings: IntegrationSettings,
    /// Which role reaches further.
    pub order: RoleOrder,
    /// Requests it may be sent.
    pub budget: Budget,
    /// Accounts that wait for a token, most urgent first.
    pub queue: BTreeSet<Place>,
    /// Whose credential this is.
    pub whoami: Probe<WhoAmI>,
    /// Whether the roles were read.
    pub roles: Probe<()>,
    /// The shared listing that somebody waits for.
    pub listing: Probe<()>,
    /// The listing that nobody is in a hurry for: it takes its time and holds up no other.
    pub survey: Probe<()>,
    /// A listing that a sync waits to hand over, and when it began.
    pub kept: Option<(BootTime, Listing)>,
    /// The organization that answered last, and when.
    pub org_seen: Option<(OrgId, BootTime)>,
    /// The organization that answers is not the pinned one.
    pub wrong_org: bool,
    /// Accounts seen in complete listings of this process: positive controls for a proof of absence.
    pub known: BTreeSet<AccountId>,
    /// Whom the last listing showed.
    pub shown: Shown,
    /// When live grants are looked at next.
    pub observe_at: BootTime,
    /// When somebody looks for orphans next.
    pub orphans_at: BootTime,
    /// The last listing that a hint asked for.
    pub hinted_at: Option<BootTime>,
    /// The wake-up that is set.
    pub alarm: Option<Alarm>,
    /// The fault that a call met last; cleared by success.
    pub last_fault: Option<Fault>,
    /// Last success of any read, on the boot-time clock.
    pub answered_at: Option<BootTime>,
    /// 401 on the last call.
    pub credential_refused: bool,
}

/// A read of the integration itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// Who am I.
    WhoAmI,
    /// The roles.
    Roles,
    /// A listing.
    List,
    /// A listing for observation, tests and syncs.
    Survey,
}

/// A read that several may wait for.
#[derive(Clone, Debug)]
pub(super) struct Probe<T> {
    /// The call under way and when it began.
    pub flight: Option<(CallId, BootTime)>,
    /// Whether another one is wanted, begun from now on.
    pub wanted: bool,
    /// The last success: when it began, what it brought.
    pub last: Option<(BootTime, T)>,
    /// When the last one failed, for spacing.
    pub failures: u32,
    /// Not before this instant.
    pub not_before: BootTime,
}

impl<T> Default for Probe<T> {
    fn default() -> Self {
        Self { flight: None, wanted: false, last: None, failures: 0, not_before: BootTime(0) }
    }
}

impl<T> Probe<T> {
    /// Whether a success began at or after `instant`.
    #[must_use]
    pub(super) fn is_since(&self, instant: BootTime) -> bool {
        self.last.as_ref().is_some_and(|(began, _)| *began >= instant)
    }
}

impl Tenant {
    /// An integration of which nothing is known yet.
    #[must_use]
    pub(super) fn new(settings: IntegrationSettings, now: BootTime) -> Self {
        Self {
            order: RoleOrder::new(&settings.role_order, None),
            budget: Budget::new(settings.rate_per_second, now),
            queue: BTreeSet::new(),
            whoami: Probe::default(),
            roles: Probe::default(),
            listing: Probe::default(),
            survey: Probe::default(),
            kept: None,
            org_seen: None,
            wrong_org: false,
            known: BTreeSet::new(),
            shown: Shown::default(),
            observe_at: now,
            orphans_at: now + orphans::EVERY,
            hinted_at: None,
            alarm: None,
            last_fault: None,
            answered_at: None,
            credential_refused: false,
            settings,
        }
    }

    /// The probe behind an errand, as far as waiting goes.
    pub(super) fn waiting(&mut self, errand: Errand) -> (&mut bool, bool, BootTime) {
        match errand {
            Errand::WhoAmI => (&mut self.whoami.wanted, self.whoami.flight.is_some(), self.whoami.not_before),
            Errand::Roles => (&mut self.roles.wanted, self.roles.flight.is_some(), self.roles.not_before),
            Errand::List => {
                (&mut self.listing.wanted, self.listing.flight.is_some(), self.listing.not_before)
            }
            Errand::Survey => (&mut self.survey.wanted, self.survey.flight.is_some(), self.survey.not_before),
        }
    }

    /// The credential's own account, where it is known.
    #[must_use]
    pub(super) fn is_own(&self, id: &AccountId, email: &Email) -> bool {
        let Some((_, me)) = &self.whoami.last else { return false };
        me.account.as_ref() == Some(id) || me.email.as_ref().is_some_and(|own| own.same_mailbox(email))
    }
}
