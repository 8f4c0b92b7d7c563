//! `init` from outside: the shipped binary, scripted and at a pseudo-terminal, against the simulated
//! JumpCloud as a process of its own; and the whole way of a newcomer.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod bench;
#[path = "../contract/process_guard.rs"]
mod guard;
mod newcomer;
mod refusals;
mod scripted;
mod tenants;
mod terminal;
