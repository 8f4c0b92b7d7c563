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
    /// Give out a new server nonce every so many seconds instead of 300; at least 1.
    pub nonce_s: Option<u16>,
    /// Speak these protocol versions instead of version 1.
    pub versions: Option<Vec<u32>>,
    /// Hand out, with each status, a key set that agents must refuse.
    pub key_set: Option<BadKeySet>,
    /// Take the new keys of so many announcements and lose the answers.
    pub lose_rotations: u32,
    /// Refuse to take new agent keys.
    pub refuse_rotations: bool,
}

/// What is wrong with a key set that must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadKeySet {
    /// A lower version than the one in force.
    Older,
    /// Another key under the version in force.
    Forked,
    /// A higher version, signed by somebody who poses as the root.
    OtherRoot,
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

    /// Whether the answer to this announcement of a key is to be lost; counts down.
    pub(super) fn takes_rotation(&self) -> bool {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = guard.0.lose_rotations > 0;
        guard.0.lose_rotations = guard.0.lose_rotations.saturating_sub(1);
        lost
    }

    /// Whether the acknowledgement of this request is to be lost; counts down.
    pub(super) fn takes_ack(&self) -> bool {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = guard.0.drop_acks > 0;
        guard.0.drop_acks = guard.0.drop_acks.saturating_sub(1);
        lost
    }
}
