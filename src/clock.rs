//! The only reader of clocks in the daemon: everything else is handed a [`Now`].
//!
//! Refuses: sleeping, comparing, correcting. `CLOCK_BOOTTIME` is used beside the wall clock
//! because it also counts the time that the machine was suspended.

use std::{
    fs,
    sync::{Mutex, OnceLock, PoisonError},
};

use aws_lc_rs::{digest, rand};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::engine::time::{BootId, BootTime, Now, Timestamp};

const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";

/// Reads both clocks, one right after the other.
#[must_use]
pub fn now() -> Now {
    let wall = Timestamp(millis(clock_gettime(ClockId::Realtime)));
    Now { wall, boot: boot_now(), boot_id: boot_id() }
}

/// Milliseconds since the machine started, suspended time included.
#[must_use]
pub fn boot_now() -> BootTime {
    BootTime(u64::try_from(millis(clock_gettime(ClockId::Boottime))).unwrap_or(0))
}

/// The newest record's wall time when the ledger was opened, and the boot-time clock then.
static RECORDED: Mutex<Option<(Timestamp, BootTime)>> = Mutex::new(None);

/// The journal holds a record of this instant, so it has passed, whatever the wall clock says.
pub fn recorded(newest: Timestamp) {
    *RECORDED.lock().unwrap_or_else(PoisonError::into_inner) = Some((newest, boot_now()));
}

/// The instant that has passed by the journal and the boot-time clock since it was opened, in Unix
/// milliseconds; `None` before any journal was opened. For nothing but the judgement of certificates that
/// are not valid yet by the wall clock.
#[must_use]
pub fn certainly_passed() -> Option<i64> {
    let (newest, then) = (*RECORDED.lock().unwrap_or_else(PoisonError::into_inner))?;
    let since = i64::try_from(boot_now().since(then).0).unwrap_or(i64::MAX);
    Some(newest.0.saturating_add(since))
}

fn millis(at: Timespec) -> i64 {
    at.tv_sec.saturating_mul(1000).saturating_add(at.tv_nsec / 1_000_000)
}

fn boot_id() -> BootId {
    static BOOT_ID: OnceLock<BootId> = OnceLock::new();
    *BOOT_ID.get_or_init(|| BootId(fs::read(BOOT_ID_FILE).map_or_else(|_| never_seen(), |id| digest_of(&id))))
}

fn digest_of(id: &[u8]) -> u64 {
    let digest = digest::digest(&digest::SHA256, id);
    first_eight(digest.as_ref())
}

/// Without the kernel's id no reading of an earlier process may be compared with ours, so this
/// process counts as a boot of its own.
fn never_seen() -> u64 {
    let mut bytes = [0_u8; 8];
    if rand::fill(&mut bytes).is_err() {
        return u64::from(std::process::id());
    }
    u64::from_be_bytes(bytes)
}

fn first_eight(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_never_goes_back_and_the_boot_keeps_its_id() {
        let (first, second) = (now(), now());
        assert!(second.boot >= first.boot);
        assert_eq!(first.boot_id, second.boot_id);
        assert!(first.wall > Timestamp(1_700_000_000_000), "the wall clock counts from 1970");
    }

    #[test]
    fn without_the_kernels_id_every_process_counts_as_a_boot_of_its_own() {
        assert_ne!(never_seen(), never_seen());
    }

    #[test]
    fn two_boots_have_two_ids() {
        assert_ne!(digest_of(b"a\n"), digest_of(b"b\n"));
    }
}
