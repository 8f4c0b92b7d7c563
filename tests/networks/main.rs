//! Networks as they are: proxies that carry, refuse, inspect, lie or are down; authorities of a company's own;
//! names that do not resolve; a family of addresses that is dead.
//!
//! What must hold: where a proxy is set nothing goes past it, each channel takes its own, nobody on the way
//! sees a credential in the clear, and the person who must act is told who stands in the way.
//!
//! One part runs Debian's `tinyproxy`, one needs namespaces of its own (`unshare`, `ip`). Where they are
//! missing the test says so and tries nothing; with `EPHEMERALD_NETWORKS=whole` it fails instead.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod authority;
mod bench;
mod captive;
mod certificates;
mod checked;
mod environment;
mod exceptions;
mod namespace;
#[allow(dead_code, reason = "the stories use the rest")]
#[path = "../process/mod.rs"]
mod process;
mod proxy;
mod refusals;
mod story;
mod tiny;

/// Says aloud that a part was not tried.
fn skipped(what: &str, why: &str) {
    assert!(std::env::var_os("EPHEMERALD_NETWORKS").is_none_or(|asked| asked != "whole"), "{what}: {why}");
    eprintln!("SKIPPED: {what}: {why}");
}
