//! The JumpCloud administrators API, by hand: the handful of calls that the agent makes.
//!
//! What is known of the API is said where it is used. Refuses to decide anything: every answer becomes
//! one of the engine's observations or a [`Fault`](crate::engine::observed::Fault); no text that
//! JumpCloud chose goes any further. Never calls `reactivate` (a GET that sends mail). Writes carry
//! only the changed keys. What a raise may do is decided before: see [`crate::executor`].

mod client;
mod connection;
mod outcome;
mod wire;

pub use client::{Client, NewAccount};
pub use connection::{Connection, ConnectionError};
