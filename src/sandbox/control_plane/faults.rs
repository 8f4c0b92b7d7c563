//! Faults that a test or a curious reader can switch on: an outage, lost acknowledgements, duplicate
//! deliveries, a mandatory server nonce, server pacing.
//!
//! Kept in memory only: a restart is a healthy control plane again.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::store::now_ms;

/// What to break; each `PUT` or `POST` replaces the whole set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Answer the agent side with 503 for this many seconds from now.
    pub unavailable_s: u32,
    /// Store the reports of this many requests without acknowledging any.
    pub drop_acks: u32,
    /// Deliver every job that is queued from now on twice.
    pub deliver_twice: bool,
    /// Refuse proofs without a fresh server nonce.
    pub require_nonce: bool,
    /// Ask the agent to wait this many seconds between polls (at most 300).
    pub poll_after_s: Option<u16>,
}

#[derive(Default)]
pub(super) struct FaultSwitch(Mutex<(Faults, i64)>);

impl FaultSwitch {
    pub(super) fn set(&self, faults: Faults) {
        let until = now_ms().saturating_add(i64::from(faults.unavailable_s) * 1000);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (faults, until);
    }

    pub(super) fn get(&self) -> Faults {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Seconds that the outage still lasts.
    pub(super) fn outage_s(&self) -> Option<u64> {
        let left_ms = self.0.lock().unwrap_or_else(PoisonError::into_inner).1.saturating_sub(now_ms());
        u64::try_from(left_ms).ok().filter(|&ms| ms > 0).map(|ms| ms.div_ceil(1000))
    }

    /// Whether the acknowledgement of this request is to be lost; counts down.
    pub(super) fn takes_ack(&self) -> bool {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = guard.0.drop_acks > 0;
        guard.0.drop_acks = guard.0.drop_acks.saturating_sub(1);
        lost
    }
}
