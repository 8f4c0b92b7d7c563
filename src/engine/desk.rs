//! What is going on with one account right now. Transient: it is rebuilt after a start, where every
//! attempt without a recorded end counts as ambiguous.

use super::{
    action::CallId,
    alarms::Alarm,
    ids::{Email, JobId},
    observed::ObservedAccount,
    place::Place,
    time::{BootTime, Millis},
};

/// One account at work. At most one call of ours is in flight for it.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// The call in flight.
    pub flight: Option<CallId>,
    /// Whether that call is a write.
    pub writing: bool,
    /// What was read last.
    pub seen: Option<Sighting>,
    /// An address that differs from the recorded one, as read last.
    pub(super) found_email: Option<Email>,
    /// When the last write came back: older reads say nothing.
    pub written_at: BootTime,
    /// Nothing is tried before this instant.
    pub not_before: BootTime,
    /// Tries since the last success.
    pub tries: u32,
    /// A write came back and must be read back at once, whatever the back-off says.
    pub readback: bool,
    /// Since when a shared listing is waited for.
    pub awaits_listing: Option<BootTime>,
    /// The first complete listing that did not show the account began then.
    pub absent_since: Option<BootTime>,
    /// A raise that was certainly not carried out and may be made again.
    pub reraise: bool,
    /// When the last look of the watch was made, as its age then.
    pub watched_to: Millis,
    /// Jobs that are decided on this account's next fresh read.
    pub jobs: Vec<JobId>,
    /// The wake-up that is set.
    pub alarm: Option<Alarm>,
    /// Its place in the queue for a token, while it waits for one.
    pub queued: Option<Place>,
    /// Lowers that were answered for good and, as far as a read has shown since, changed nothing.
    pub vain: u32,
    /// When the first of them came back.
    pub vain_since: Option<BootTime>,
    /// Lowers upon a read that went well, which came back without an answer or with one that may be another
    /// next time, since the last success.
    pub failed: u32,
    /// When the first of them came back.
    pub failed_since: Option<BootTime>,
    /// When the first of the reads began that show a live grant's access missing, with none between that
    /// shows it there.
    pub missing_since: Option<BootTime>,
    /// When the last raise came back that may have been carried out.
    pub raised_at: Option<BootTime>,
    /// What protected the account before the last write of ours, until a read shows what does now.
    pub guards: Option<Guards>,
    /// Whether the present standstill was warned of.
    pub escalated: bool,
    /// Whether it was said that the floor role is written instead of what should be there.
    pub floored: bool,
}

/// What protects an administrator beside his role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guards {
    /// Whether MFA is required, where shown.
    mfa_required: Option<bool>,
    /// Whether the account may own an API key, where shown.
    api_key_allowed: Option<bool>,
}

impl Guards {
    /// As a read shows them.
    #[must_use]
    pub(super) fn of(account: &ObservedAccount) -> Self {
        Self { mfa_required: account.mfa_required, api_key_allowed: account.api_key_allowed }
    }

    /// Whether one that was shown before is shown as gone now.
    #[must_use]
    pub(super) fn fell(self, now: Self) -> bool {
        let mfa = self.mfa_required == Some(true) && now.mfa_required == Some(false);
        let key = self.api_key_allowed == Some(false) && now.api_key_allowed == Some(true);
        mfa || key
    }
}

/// A read of the account.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    /// When the read began: a write that came back after that overtakes it.
    pub at: BootTime,
    /// When it came back: from here on it ages. A slow JumpCloud must not make every read an old one.
    pub came: BootTime,
    /// The account, as read.
    pub account: ObservedAccount,
}

/// A read is taken to have been answered this long after it began at the latest: the client waits no longer for
/// one. An answer that comes later was there while the machine slept, and is as old as the sleep.
const ANSWERED: Millis = Millis(15_000);

impl Sighting {
    /// From a read of this account alone, which ages from its answer.
    pub(super) fn read(began: BootTime, now: BootTime, account: ObservedAccount) -> Self {
        Self { at: began, came: now.min(began + ANSWERED), account }
    }

    /// From a listing, which ages from its beginning: nobody knows on which of its pages the account was,
    /// and the first may be minutes older than the last. What a slow one shows is read again before a write.
    pub(super) fn listed(began: BootTime, account: ObservedAccount) -> Self {
        Self { at: began, came: began, account }
    }
}

/// A read is fresh enough to write upon for this long after it came back.
const FRESH: Millis = Millis(1_000);

impl Desk {
    /// The last read, if a write may be based on it.
    #[must_use]
    pub(super) fn fresh(&self, now: BootTime) -> Option<&Sighting> {
        self.seen.as_ref().filter(|s| now.since(s.came) <= FRESH && s.at >= self.written_at)
    }

    /// Whether the last read began before this instant.
    #[must_use]
    pub(super) fn seen_before(&self, instant: BootTime) -> bool {
        self.seen.as_ref().is_none_or(|seen| seen.at < instant)
    }

    /// Waits before the next try: doubling from `base`, capped, with up to a quarter taken off by
    /// `jitter` (0 to 255) so that many accounts do not march in step.
    pub(super) fn back_off(&mut self, now: BootTime, base: Millis, cap: Millis, jitter: u8) {
        let wait = base.0.saturating_mul(1 << self.tries.min(16)).min(cap.0);
        let wait = wait - wait / 4 * u64::from(jitter) / 255;
        self.tries = self.tries.saturating_add(1);
        self.not_before = now + Millis(wait);
    }

    /// A read or a write went well.
    pub(super) fn calm(&mut self) {
        self.tries = 0;
        self.not_before = BootTime(0);
        self.escalated = false;
        self.floored = false;
        self.vain = 0;
        self.vain_since = None;
        self.failed = 0;
        self.failed_since = None;
    }
}
