//! How fast the pages of a listing may follow each other: about half of the integration's rate, so
//! that a listing of ten thousand accounts leaves the other half to everything else.
//!
//! Only pages are paced; a read or a write of one account never waits here. Refuses to read a clock.

use crate::engine::time::{BootTime, Millis};

/// How far throttling slows the pages down at most.
const SLOWEST: u64 = 16;

/// The turns that pages take (the generic cell rate algorithm, in milliseconds).
#[derive(Debug)]
pub(super) struct Pace {
    /// Between two pages, undisturbed.
    step: u64,
    /// Pages that may follow each other at once after a rest: half a second's worth.
    burst: u64,
    /// When the next page would be due if all had kept their distance.
    due: u64,
    /// Eighths by which a step is longer than it should be; grows with 429s.
    slow: u64,
}

impl Pace {
    /// The pace of an integration that may be asked `per_second` times a second.
    pub(super) fn new(per_second: u32) -> Self {
        let rate = u64::from(per_second.max(1));
        Self { step: 2_000_u64.div_ceil(rate), burst: (rate / 2).max(1), due: 0, slow: 8 }
    }

    /// Takes the next turn; how long to wait for it.
    pub(super) fn turn(&mut self, now: BootTime) -> Millis {
        let step = self.step * self.slow / 8;
        let ahead = step * (self.burst - 1);
        let due = self.due.max(now.0);
        self.due = due.saturating_add(step);
        Millis(due.saturating_sub(now.0.saturating_add(ahead)))
    }

    /// JumpCloud said that this was too fast: half as fast from here on.
    pub(super) fn throttled(&mut self) {
        self.slow = (self.slow * 2).min(8 * SLOWEST);
    }

    /// At this pace a listing comes to no end: twice as fast.
    pub(super) fn too_slow(&mut self) {
        self.slow = (self.slow / 2).max(8);
    }

    /// A whole listing went through: a little faster again.
    pub(super) fn went_well(&mut self) {
        self.slow = (self.slow - self.slow / 8).max(8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of so many pages leaves, if a page takes no time itself.
    fn leave(pace: &mut Pace, pages: usize) -> Vec<u64> {
        let mut now = 1_000_000;
        let mut left = Vec::new();
        for _ in 0..pages {
            now += pace.turn(BootTime(now)).0;
            left.push(now - 1_000_000);
        }
        left
    }

    #[test]
    fn a_listing_of_ten_thousand_accounts_takes_half_the_rate_and_no_more() {
        for rate in [1_u32, 3, 10, 100, 1000] {
            let left = leave(&mut Pace::new(rate), 100);
            for second in 0..=left[99] / 1000 {
                let within = left.iter().filter(|at| (second * 1000..second * 1000 + 1000).contains(*at));
                let most = (rate / 2).max(1) as usize * 2; // the burst, and what is regained meanwhile
                assert!(within.count() <= most, "{rate}/s, second {second}");
            }
            let shortest = 95 * 2_000 / u64::from(rate).max(1);
            assert!(rate > 100 || left[99] + 1_000 >= shortest, "{rate}/s: done after {} ms", left[99]);
        }
    }

    #[test]
    fn a_small_tenant_does_not_wait_and_the_next_listing_does_not_get_the_burst_again() {
        let mut pace = Pace::new(10);
        assert_eq!(leave(&mut pace, 5), [0; 5]);
        assert!(pace.turn(BootTime(1_000_000)).0 > 0, "the burst is used up");
        assert_eq!(pace.turn(BootTime(9_000_000)), Millis(0), "and comes back with time");
    }

    #[test]
    fn too_many_requests_slow_the_pages_down_and_success_speeds_them_up_again() {
        let mut pace = Pace::new(2);
        leave(&mut pace, 1);
        pace.throttled();
        let slow = leave(&mut pace, 4);
        assert_eq!(slow[3] - slow[2], 2_000, "half as fast");
        for _ in 0..100 {
            pace.throttled();
        }
        let slowest = leave(&mut pace, 4);
        assert_eq!(slowest[3] - slowest[2], 16_000, "and no slower than this");
        pace.too_slow();
        let faster = leave(&mut pace, 4);
        assert_eq!(faster[3] - faster[2], 8_000);
        for _ in 0..100 {
            pace.went_well();
        }
        let fast = leave(&mut pace, 4);
        assert_eq!(fast[3] - fast[2], 1_000);
    }
}
