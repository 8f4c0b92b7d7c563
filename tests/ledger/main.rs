//! The ledger from outside: real SQLite files, real locks, real kills, a real full disk.

mod crash;
mod disk;
mod journal;
mod refusals;
mod support;
