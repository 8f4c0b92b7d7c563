//! Disks that fail, lie, forget and fill up: the real ledger and the shipped program on each of them, and
//! ledgers that earlier builds wrote.
//!
//! `cargo test --release --test disk -- --ignored --nocapture --skip writes_the_corpus` goes through all that
//! the normal run samples.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on says where")]

mod closure;
#[path = "../preload/compile.rs"]
mod compile;
mod corpus;
mod cuts;
mod flips;
mod lives;
mod model;
mod shim;
mod workload;
#[path = "../support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

/// Seeded chance (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// 0 to `limit` − 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }
}

/// Whether the extended run was asked for; told to the process that plays it.
pub(crate) fn is_extended() -> bool {
    std::env::var_os("EPHEMERALD_DISK_EXTENDED").is_some()
}
