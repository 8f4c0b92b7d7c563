//! The ledger from outside: real SQLite files, real locks, real kills, a real full disk.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod crash;
mod disk;
mod journal;
mod losses;
mod refusals;
mod support;
