//! Everything that has to be looked at later, on the one timer wheel.
//!
//! A wake-up is a hint: whoever is woken looks at the state again and may find nothing to do.

use std::collections::HashMap;

use super::{
    account::AccountRef,
    ids::{GrantId, IntegrationId, JobId},
    planted::{self, Planted},
    time::BootTime,
    wheel::{Fired, Timer, Wheel},
};

/// Whom to wake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// A grant's end.
    Grant(GrantId),
    /// An account with something to do later: a retry, a look of the watch, a deadline.
    Account(AccountRef),
    /// An integration: probes, observation, budget.
    Integration(IntegrationId),
    /// A waiting job's deadline.
    Job(JobId),
    /// The periodic sweep.
    Sweep,
}

/// A wake-up that can be taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Alarm {
    timer: Timer,
    key: u32,
    /// When.
    pub at: BootTime,
}

/// All wake-ups.
pub(super) struct Alarms {
    wheel: Wheel<u32>,
    wakes: HashMap<u32, Wake>,
    next: u32,
}

/// Work done in one turn at most: a burst of equal deadlines must not stall the loop.
const BUDGET: usize = 4096;

impl Alarms {
    /// An empty set; time starts at `now`.
    #[must_use]
    pub(super) fn new(now: BootTime) -> Self {
        Self { wheel: Wheel::new(now.0), wakes: HashMap::new(), next: 0 }
    }

    /// Wakes `who` at `at`.
    pub(super) fn set(&mut self, at: BootTime, who: Wake) -> Alarm {
        self.next = self.next.wrapping_add(1);
        while self.wakes.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let key = self.next;
        let lost = key.is_multiple_of(3) && planted::is(Planted::LostTimer);
        if !lost {
            self.wakes.insert(key, who);
        }
        Alarm { timer: self.wheel.insert(at.0, key), key, at }
    }

    /// Takes a wake-up back; harmless if it has fired.
    pub(super) fn clear(&mut self, alarm: Alarm) {
        if self.wheel.cancel(alarm.timer).is_some() {
            self.wakes.remove(&alarm.key);
        }
    }

    /// Moves on to `now` and appends whoever is due; true if more is due at once.
    pub(super) fn due(&mut self, now: BootTime, woken: &mut Vec<Wake>) -> bool {
        let mut fired: Vec<Fired<u32>> = Vec::new();
        let more = self.wheel.advance(now.0, BUDGET, &mut fired);
        woken.extend(fired.iter().filter_map(|f| self.wakes.remove(&f.item)));
        more
    }

    /// When to look again, at the latest.
    #[must_use]
    pub(super) fn next_wake(&self) -> Option<BootTime> {
        self.wheel.next_wake().map(BootTime)
    }
}

impl std::fmt::Debug for Alarms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alarms").field("waiting", &self.wakes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(n: u32) -> Wake {
        Wake::Grant(GrantId::new(&format!("g{n}")).unwrap())
    }

    #[test]
    fn wake_ups_that_fired_or_were_taken_back_leave_nothing_behind_and_hurt_no_other() {
        let mut alarms = Alarms::new(BootTime(0));
        let fired = alarms.set(BootTime(10), grant(0));
        let (mut woken, kept) = (Vec::new(), alarms.set(BootTime(5_000), Wake::Sweep));
        alarms.due(BootTime(20), &mut woken);
        for n in 1..1_000 {
            let other = alarms.set(BootTime(100 + u64::from(n)), grant(n));
            alarms.clear(fired);
            alarms.clear(other);
            assert_eq!(alarms.wakes.len(), 1, "taken back at once");
            alarms.clear(other);
        }
        assert_eq!((woken.len(), alarms.wakes.len()), (1, 1));
        alarms.due(kept.at, &mut woken);
        assert_eq!((woken[1..].to_vec(), alarms.wakes.len()), (vec![Wake::Sweep], 0));
    }
}
