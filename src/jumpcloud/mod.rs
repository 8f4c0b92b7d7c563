//! The JumpCloud administrators API, by hand: the handful of calls that the agent makes.
//!
//! What is known of the API is said where it is used. Refuses to decide anything: every answer becomes
//! one of the engine's observations or a [`Fault`](crate::engine::observed::Fault); no text that
//! JumpCloud chose goes any further. Never calls `reactivate` (a GET that sends mail). Writes carry
//! only the changed keys. What a raise may do is decided before: see [`crate::executor`].

pub mod answers;
mod auth;
mod client;
mod connection;
mod identity;
mod insights;
mod listing;
mod outcome;
mod pace;
mod sending;
mod wire;

pub use auth::TokenProblem;
pub use client::{Client, NewAccount, Setup};
pub use connection::{Connection, ConnectionError, Credential, Options, Place, Region};
pub use identity::Me;
pub use insights::{Change, ChangeKind, Insights};
