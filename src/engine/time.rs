//! Time as the engine sees it: two clock readings, handed in.
//!
//! The wall clock says when a grant ends for people; the boot-time clock (it also counts suspended
//! time) says how long it has lasted. Whichever reaches a grant's end first ends it.

use std::{fmt, ops};

use serde::{Deserialize, Serialize};

/// UTC milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

/// Milliseconds on the boot-time clock (`CLOCK_BOOTTIME`): counts suspended time, never steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootTime(pub u64);

/// Which boot of the machine a [`BootTime`] belongs to; two boots are never comparable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub u64);

/// What the boot-time clock shows, and which boot's it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootReading {
    /// The clock.
    #[serde(default)]
    pub boot: BootTime,
    /// The boot that it belongs to.
    #[serde(default)]
    pub boot_id: BootId,
}

/// Both clocks, read at one instant by the shell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// The boot-time clock.
    pub boot: BootTime,
    /// The boot that `boot` belongs to.
    pub boot_id: BootId,
}

impl BootReading {
    /// With what the wall clock showed at that instant.
    #[must_use]
    pub const fn and(self, wall: Timestamp) -> Now {
        Now { wall, boot: self.boot, boot_id: self.boot_id }
    }
}

impl Now {
    /// What the wall clock of this reading would show by now if nobody had set it; of another boot, what it showed.
    #[must_use]
    pub fn carried_to(self, now: Self) -> Timestamp {
        let passed = if self.boot_id == now.boot_id { now.boot.since(self.boot) } else { Millis(0) };
        self.wall + passed
    }
}

impl Millis {
    /// Whole seconds as milliseconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }
}

impl ops::Add<Millis> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Millis) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.0).unwrap_or(i64::MAX)))
    }
}

impl ops::Add<Millis> for BootTime {
    type Output = Self;

    fn add(self, rhs: Millis) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl Timestamp {
    /// Milliseconds from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Millis {
        Millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl BootTime {
    /// Milliseconds from `earlier` to `self`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
