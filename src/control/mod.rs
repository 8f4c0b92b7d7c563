//! The control plane as this agent sees it: what is said ([`wire`]), what is believed ([`jws`]).
//!
//! Refuses to act: a job that passed here is authentic and fresh, nothing more. Whether it may
//! raise anything is for the local policy.

pub mod approval;
pub mod backoff;
pub mod client;
pub mod enroll;
mod error;
pub mod identity;
pub mod jws;
pub mod key_file;
pub mod keys;
pub mod poll;
pub mod proof;
pub mod rotation;
pub mod token;
pub mod verify;
pub mod wire;
