//! How long to wait before the control plane is asked again: exponential, capped, full jitter, and
//! never giving up. Polling and reporting only; revocations have their own rule in the engine.
//!
//! The one module that uses the `backoff` crate (unmaintained, RUSTSEC-2025-0012).

use std::time::Duration;

use backoff::{ExponentialBackoff, backoff::Backoff as _};

/// The longest wait.
pub const CAP: Duration = Duration::from_secs(60);

/// Waits between attempts that fail in a row.
#[derive(Debug)]
pub struct Waits(ExponentialBackoff);

impl Default for Waits {
    fn default() -> Self {
        let first = Duration::from_millis(500);
        // With a randomization factor of 1 the crate draws from 0 to twice the interval.
        Self(ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            randomization_factor: 1.0,
            multiplier: 2.0,
            max_interval: CAP / 2,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }
}

impl Waits {
    /// The wait before the next attempt, at least `asked` if the other side named a time.
    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let drawn = self.0.next_backoff().unwrap_or(CAP).min(CAP);
        asked.map_or(drawn, |asked| asked.saturating_add(drawn / 8))
    }

    /// An attempt went well.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_stay_under_the_cap_and_never_end() {
        let mut waits = Waits::default();
        let drawn: Vec<Duration> = (0..2000).map(|_| waits.next(None)).collect();
        assert!(drawn[0] <= Duration::from_secs(1));
        assert!(drawn.iter().all(|wait| *wait <= CAP));
        let late = &drawn[1000..];
        let mean = late.iter().sum::<Duration>() / 1000;
        assert!((20..40).contains(&mean.as_secs()), "full jitter has half the cap as its mean: {mean:?}");
        assert!(late.iter().any(|wait| wait.as_secs() < 5), "full jitter draws short waits too");
        waits.reset();
        assert!(waits.next(None) <= Duration::from_secs(1));
    }

    #[test]
    fn a_wait_that_the_other_side_names_is_kept() {
        let asked = Duration::from_secs(90);
        let wait = Waits::default().next(Some(asked));
        assert!(wait >= asked && wait < asked * 2);
    }
}
