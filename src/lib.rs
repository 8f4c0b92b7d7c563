//! `ephemerald`: a self-hosted agent for just-in-time JumpCloud administrator access.
//!
//! The library is one pure core and a thin shell around it. [`engine`] decides, [`ledger`]
//! remembers, [`control`] and [`jumpcloud`] talk, [`agent`] is the one loop that joins them.
//! `ARCHITECTURE.md` has the picture, the invariants and the rules of who may import whom.

// So that the engine's tests can share the worlds of the tests outside.
#[cfg(test)]
extern crate self as ephemerald;

pub mod admin;
pub mod agent;
pub mod cli;
pub mod clock;
pub mod columns;
pub mod config;
pub mod control;
pub mod engine;
pub mod executor;
pub mod hardening;
pub mod http;
pub mod jumpcloud;
pub mod ledger;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod secrets;
pub mod strict;
pub mod telemetry;
