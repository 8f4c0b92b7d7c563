//! How many requests an integration may be sent: a token bucket with a share that only lowers and
//! their read-backs may use. JumpCloud publishes no figures; the default stays under what is publicly
//! kept to (10 a second).

use super::time::{BootTime, Millis};

/// What a request is for, in the order in which requests are let out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Lane {
    /// Taking access away on a read that is fresh now: waiting would make the read stale.
    LowerWrite,
    /// The reads that taking access away needs.
    Lower,
    /// Reading back, settling.
    Verify,
    /// Giving access on a read that is fresh now.
    RaiseWrite,
    /// The reads that giving access needs.
    Raise,
    /// Watching, probing, inventory.
    Observe,
}

/// The bucket, in thousandths of a request.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    full_rate: u64,
    rate: u64,
    tokens: u64,
    refilled: BootTime,
    slowed: BootTime,
    blocked: BootTime,
    /// Since when: lowers wait from here, however often we are told to stay away.
    blocked_since: BootTime,
    /// Observing pays for long listings by waiting.
    observe_after: BootTime,
    /// Calls that failed in a row.
    failures: u32,
    /// Giving and observing rest until here: the circuit is broken. Taking away never rests.
    broken: BootTime,
}

const ONE: u64 = 1000;
/// How often the rate grows back by a tenth after it was halved.
const RECOVERY: Millis = Millis(5_000);
/// Lowers never wait longer than this for a server that asks us to stay away.
const LOWER_WAIT: Millis = Millis(15_000);
/// After so many failures in a row the circuit breaks.
const BREAKS_AT: u32 = 5;
/// How long it stays broken before one call is tried.
const BROKEN_FOR: Millis = Millis(15_000);

impl Budget {
    /// A full bucket of `per_second` requests a second.
    #[must_use]
    pub(super) fn new(per_second: u32, now: BootTime) -> Self {
        let rate = u64::from(per_second.max(1));
        Self {
            full_rate: rate,
            rate,
            tokens: rate * ONE,
            refilled: now,
            slowed: now,
            blocked: now,
            blocked_since: now,
            observe_after: now,
            failures: 0,
            broken: now,
        }
    }

    /// Takes one token for `lane` if there is one for it.
    pub(super) fn take(&mut self, lane: Lane, now: BootTime) -> bool {
        self.refill(now);
        if self.ready_at(lane, now) > now {
            return false;
        }
        self.tokens -= ONE;
        true
    }

    /// A call took so many requests more than the one that it was let out for. What is there beyond the
    /// share of lowers pays at once; the rest is owed by those who only observe.
    pub(super) fn debit(&mut self, requests: u32, now: BootTime) {
        self.refill(now);
        let cost = u64::from(requests) * ONE;
        let paid = cost.min(self.tokens.saturating_sub(self.reserve()));
        self.tokens -= paid;
        self.observe_after = self.observe_after.max(now) + Millis((cost - paid).div_ceil(self.rate));
    }

    /// When a token for `lane` will be there, if nobody else takes it.
    #[must_use]
    pub(super) fn ready_at(&self, lane: Lane, now: BootTime) -> BootTime {
        let needed = ONE + if lane <= Lane::Verify { 0 } else { self.reserve() };
        let filled = now.max(self.refilled + Millis(needed.saturating_sub(self.tokens).div_ceil(self.rate)));
        let open = if lane <= Lane::Verify {
            self.blocked.min(self.blocked_since + LOWER_WAIT)
        } else {
            self.blocked.max(self.broken)
        };
        if lane == Lane::Observe { filled.max(open).max(self.observe_after) } else { filled.max(open) }
    }

    /// The server asked us to slow down: half the rate, and nothing but lowers before `retry_after`.
    pub(super) fn throttled(&mut self, retry_after: Millis, now: BootTime) {
        self.refill(now);
        self.rate = (self.rate / 2).max(1);
        // The burst is gone: what comes next is spread, and lowers come first.
        self.tokens = 0;
        self.slowed = now;
        if self.blocked <= now {
            self.blocked_since = now;
        }
        self.blocked = self.blocked.max(now + retry_after);
    }

    /// A call brought no answer that counts. JumpCloud is down, or cannot be reached: whoever gives or only
    /// looks leaves it alone for a while.
    pub(super) fn failed(&mut self, now: BootTime) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= BREAKS_AT {
            self.broken = now + BROKEN_FOR;
        }
    }

    /// A call went well: the circuit is closed.
    pub(super) fn worked(&mut self) {
        self.failures = 0;
        self.broken = BootTime(0);
    }

    /// Whether the circuit is broken at this instant.
    #[must_use]
    pub(super) fn is_broken(&self, now: BootTime) -> bool {
        self.broken > now
    }

    /// The present rate, in requests a second.
    #[must_use]
    pub(super) fn rate(&self) -> u64 {
        self.rate
    }

    fn reserve(&self) -> u64 {
        // Never so much that a full bucket has nothing for the others.
        (self.rate * ONE / 4).min((self.rate - 1) * ONE)
    }

    fn refill(&mut self, now: BootTime) {
        let steps = now.since(self.slowed).0 / RECOVERY.0;
        if steps > 0 && self.rate < self.full_rate {
            let growth = steps.saturating_mul((self.full_rate / 10).max(1));
            self.rate = self.rate.saturating_add(growth).min(self.full_rate);
            self.slowed = now;
        }
        let gained = now.since(self.refilled).0.saturating_mul(self.rate);
        self.tokens = self.tokens.saturating_add(gained).min(self.rate * ONE);
        self.refilled = self.refilled.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_and_observing_leave_a_share_for_lowering() {
        let now = BootTime(0);
        let mut budget = Budget::new(8, now);
        let taken = (0..100).filter(|_| budget.take(Lane::Raise, now)).count();
        assert_eq!(taken, 6, "a quarter stays");
        assert!(!budget.take(Lane::Observe, now));
        assert_eq!((0..100).filter(|_| budget.take(Lane::Lower, now)).count(), 2);
    }

    #[test]
    fn a_slowed_rate_comes_back_one_step_at_a_time() {
        let mut budget = Budget::new(100, BootTime(0));
        budget.throttled(Millis(1_000), BootTime(0));
        assert_eq!(budget.rate(), 50);
        for (at, rate) in
            [(RECOVERY.0, 60), (RECOVERY.0 + 1, 60), (2 * RECOVERY.0, 70), (2 * RECOVERY.0 + 9, 70)]
        {
            budget.take(Lane::Lower, BootTime(at));
            assert_eq!(budget.rate(), rate, "at {at}");
        }
        let mut budget = Budget::new(100, BootTime(0));
        budget.throttled(Millis(1_000), BootTime(RECOVERY.0 - 1));
        budget.take(Lane::Lower, BootTime(RECOVERY.0 + 1));
        assert_eq!(budget.rate(), 50, "it counts from the 429, and not from before");
    }

    #[test]
    fn what_came_back_in_a_quiet_time_counts_before_the_rate_is_halved_again() {
        let mut budget = Budget::new(100, BootTime(0));
        budget.throttled(Millis(1_000), BootTime(0));
        budget.throttled(Millis(1_000), BootTime(100 * RECOVERY.0));
        assert_eq!(budget.rate(), 50);
    }

    #[test]
    fn a_long_listing_is_paid_by_those_who_observe_and_never_by_lowers() {
        let now = BootTime(0);
        let mut budget = Budget::new(8, now);
        budget.debit(99, now);
        assert_eq!((0..100).filter(|_| budget.take(Lane::Lower, now)).count(), 2, "their share is there");
        assert!(budget.ready_at(Lane::Raise, now) <= BootTime(500));
        let next = budget.ready_at(Lane::Observe, now);
        assert!(next > BootTime(11_000) && next < BootTime(13_000), "{next:?}");
    }

    #[test]
    fn a_long_listing_is_paid_first_with_what_has_gathered_since_the_last_request() {
        let paid_after = |idle: u64| {
            let mut budget = Budget::new(8, BootTime(0));
            while budget.take(Lane::Lower, BootTime(0)) {}
            budget.debit(99, BootTime(idle));
            budget.ready_at(Lane::Observe, BootTime(idle)).since(BootTime(idle))
        };
        assert!(paid_after(10_000).0 + 500 < paid_after(0).0);
    }

    #[test]
    fn a_row_of_failures_breaks_the_circuit_for_everything_but_lowers() {
        let now = BootTime(0);
        let mut budget = Budget::new(8, now);
        for _ in 1..BREAKS_AT {
            budget.failed(now);
        }
        assert_eq!(budget.ready_at(Lane::Raise, now), now);
        budget.failed(now);
        assert_eq!(budget.ready_at(Lane::Raise, now), now + BROKEN_FOR);
        assert_eq!(budget.ready_at(Lane::Observe, now), now + BROKEN_FOR);
        assert_eq!(budget.ready_at(Lane::Lower, now), now);
        assert!(budget.is_broken(now) && !budget.is_broken(now + BROKEN_FOR));
        budget.worked();
        assert!(!budget.is_broken(now));
        assert_eq!(budget.ready_at(Lane::Raise, now), now);
    }

    #[test]
    fn one_request_a_second_is_enough_for_every_lane() {
        let mut budget = Budget::new(1, BootTime(0));
        assert!(budget.take(Lane::Observe, BootTime(0)));
        assert!(budget.take(Lane::Raise, BootTime(1_000)));
    }

    #[test]
    fn a_token_promised_for_an_instant_is_there_at_that_instant() {
        let mut budget = Budget::new(3, BootTime(0));
        while budget.take(Lane::Lower, BootTime(0)) {}
        let at = budget.ready_at(Lane::Lower, BootTime(0));
        assert!(!budget.take(Lane::Lower, BootTime(at.0 - 1)));
        assert!(budget.take(Lane::Lower, at));
    }

    #[test]
    fn a_429_halves_the_rate_blocks_raises_and_only_delays_lowers() {
        let mut budget = Budget::new(8, BootTime(0));
        budget.throttled(Millis::from_secs(60), BootTime(0));
        assert_eq!(budget.rate(), 4);
        assert!(!budget.take(Lane::Lower, BootTime(0)), "the burst is gone");
        assert_eq!(budget.ready_at(Lane::Raise, BootTime(0)), BootTime(60_000));
        assert!(budget.ready_at(Lane::Lower, BootTime(0)) <= BootTime(15_000));
        assert!(
            budget.ready_at(Lane::Lower, BootTime(14_000)) <= BootTime(15_000),
            "and not 15 s from whenever one asks"
        );
        assert!(budget.take(Lane::Raise, BootTime(120_000)));
        assert_eq!(budget.rate(), 8, "grown back");
    }
}
