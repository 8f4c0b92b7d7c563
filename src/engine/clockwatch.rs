//! Whether the clocks can be believed. Time may shorten a grant, never lengthen it: a clock that
//! cannot be believed stops raises, and ends what either clock says is over.

use super::{
    state::State,
    time::{Millis, Now, Timestamp},
};

/// Compares the wall clock with the boot-time clock, and both with what the journal has seen.
#[derive(Clone, Debug)]
pub(super) struct ClockWatch {
    threshold: Millis,
    last: Now,
    armed: Now,
    suspect: Option<i64>,
}

/// What a new reading means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As expected.
    Steady,
    /// The wall clock moved against the boot-time clock so far that wake-ups must be set anew.
    Rearm,
    /// As [`Reading::Rearm`], and beyond the threshold: raises pause.
    Jumped(i64),
}

/// From which disagreement on wake-ups are set anew: well inside the 2 s that an ending may be late.
const REARM_MS: i64 = 100;

/// What the clock must have passed at a start, or what is live is over: the last record's time, and the times of before
/// it that were known to have come when something that is still live was given or was live. The last record may be of
/// a clock that had been set back; a time that nobody trusted, years ahead, is not among these.
fn passed(state: &State, now: Now, newest: Option<Timestamp>) -> Option<Timestamp> {
    let live = || state.grants.values().filter(|grant| grant.phase.is_live());
    let first = live().map(|grant| grant.accepted_seq).min();
    let Some(first) = first else { return newest };
    let seen = state.time_seen.filter(|(seq, _)| *seq > first).map(|(_, seen)| seen.carried_to(now));
    live().map(|grant| grant.terms.accepted_at).chain(seen).chain(newest).max()
}

impl ClockWatch {
    /// Starts watching; `newest` is the newest journal record's wall time. True: the wall clock is behind what it must
    /// have passed by more than the threshold, so it was dead, and every live grant is due. A clock that is behind the
    /// last time that was kept is not trusted in any case, through every further start, until a witness says what time
    /// it is.
    #[must_use]
    pub(super) fn start(
        threshold: Millis,
        now: Now,
        state: &State,
        newest: Option<Timestamp>,
    ) -> (Self, bool) {
        let behind = |time: Option<Timestamp>| time.map_or(Millis(0), |time| time.since(now.wall));
        let passed = passed(state, now, newest);
        let most = behind(passed.max(state.time_seen.map(|(_, seen)| seen.carried_to(now))));
        let suspect = (most > threshold).then(|| i64::try_from(most.0).map_or(i64::MIN, |b| -b));
        (Self { threshold, last: now, armed: now, suspect }, behind(passed) > threshold)
    }

    /// Takes a reading.
    pub(super) fn read(&mut self, now: Now) -> Reading {
        let drift = |from: Now| {
            let wall = now.wall.0.saturating_sub(from.wall.0);
            wall.saturating_sub(i64::try_from(now.boot.since(from.boot).0).unwrap_or(i64::MAX))
        };
        let (step, since_armed) = (drift(self.last), drift(self.armed));
        self.last = now;
        if step.unsigned_abs() > self.threshold.0 {
            self.armed = now;
            // What an earlier step left is part of where the clock is now.
            self.suspect = Some(self.skew_ms().saturating_add(step));
            return Reading::Jumped(step);
        }
        if since_armed.abs() >= REARM_MS {
            self.armed = now;
            return Reading::Rearm;
        }
        Reading::Steady
    }

    /// Authenticated time of a second witness. True if it restored trust.
    pub(super) fn witness(&mut self, now: Now, theirs: Timestamp) -> bool {
        let apart = now.wall.since(theirs).0.max(theirs.since(now.wall).0);
        if apart > self.threshold.0 {
            self.suspect = Some(now.wall.0.saturating_sub(theirs.0));
            return false;
        }
        self.suspect.take().is_some()
    }

    /// Whether raises may be made.
    #[must_use]
    pub(super) fn is_trusted(&self) -> bool {
        self.suspect.is_none()
    }

    /// The time that had certainly come at this reading, as far as is known: what the clock showed, less what it is ahead.
    #[must_use]
    pub(super) fn has_come(&self, reading: Now) -> Timestamp {
        Timestamp(reading.wall.0.saturating_sub(self.skew_ms().max(0)))
    }

    /// The disagreement in milliseconds, if there is one.
    #[must_use]
    pub(super) const fn suspect(&self) -> Option<i64> {
        self.suspect
    }

    /// Doubts what the watch before this one, in the same process, has doubted.
    pub(super) fn inherit(&mut self, suspect: Option<i64>) {
        self.suspect = self.suspect.or(suspect);
    }

    /// The disagreement in milliseconds while there is one: positive where the wall clock is ahead.
    #[must_use]
    pub(super) fn skew_ms(&self) -> i64 {
        self.suspect.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::time::{BootId, BootTime},
        *,
    };

    const SKEW: Millis = Millis(60_000);

    fn at(wall: i64, boot: u64) -> Now {
        Now { wall: Timestamp(wall), boot: BootTime(boot), boot_id: BootId(1) }
    }

    fn started(newest: Option<Timestamp>) -> (ClockWatch, bool) {
        ClockWatch::start(SKEW, at(0, 0), &State::default(), newest)
    }

    fn watch() -> ClockWatch {
        started(None).0
    }

    #[test]
    fn a_clock_that_drifts_by_minutes_over_days_is_believed_and_wake_ups_follow_it() {
        let mut watch = watch();
        let readings: Vec<Reading> =
            (1..=4_000).map(|n| watch.read(at(n * 30_001 + n * 29, n as u64 * 30_000))).collect();
        assert!(readings.iter().all(|r| matches!(r, Reading::Steady | Reading::Rearm)));
        assert_eq!(readings.iter().filter(|r| **r == Reading::Rearm).count(), 1_000);
        assert!(watch.is_trusted());
    }

    #[test]
    fn what_has_been_noticed_once_is_not_noticed_again_by_the_next_reading() {
        for step in [200, 61_000, -200, -61_000] {
            let mut watch = watch();
            assert_ne!(watch.read(at(1_000 + step, 1_000)), Reading::Steady, "{step}");
            assert_eq!(watch.read(at(2_000 + step, 2_000)), Reading::Steady, "{step}");
        }
    }

    #[test]
    fn as_much_as_clocks_may_differ_is_no_jump_and_no_dead_clock() {
        assert_eq!(watch().read(at(61_000, 1_000)), Reading::Rearm);
        assert_eq!(watch().read(at(61_001, 1_000)), Reading::Jumped(60_001));
        assert!(!started(Some(Timestamp(60_000))).1);
        let (dead, is_dead) = started(Some(Timestamp(60_001)));
        assert_eq!((is_dead, dead.is_trusted(), dead.skew_ms()), (true, false, -60_001));
    }

    #[test]
    fn a_witness_takes_trust_away_and_gives_it_back_once() {
        let mut watch = watch();
        let now = at(0, 0);
        assert!(!watch.witness(now, Timestamp(60_000)) && watch.is_trusted());
        assert!(!watch.witness(now, Timestamp(60_001)));
        assert_eq!((watch.is_trusted(), watch.skew_ms()), (false, -60_001));
        assert!(watch.witness(now, Timestamp(-60_000)) && watch.is_trusted());
        assert!(!watch.witness(now, Timestamp(0)), "it was believed already");
    }
}
