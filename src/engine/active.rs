//! The record that access was read back.
//!
//! Refuses to say less than what was there before and what is there now.

use serde::{Deserialize, Serialize};

use super::{
    ids::{AccountId, RoleName},
    record::About,
    recovery,
    time::Timestamp,
};

/// A read-back of granted access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantActive {
    /// Which grant.
    #[serde(flatten)]
    pub about: About,
    /// The account's id.
    pub account: AccountId,
    /// The roles before the raise.
    pub before: Vec<RoleName>,
    /// The roles read now.
    pub after: Vec<RoleName>,
    /// How many writes it took; none if another grant of ours carried the role already.
    pub attempts: u32,
    /// When it will end.
    pub ends_at: Timestamp,
    /// The policy that allowed it.
    pub policy_hash: String,
    /// An ephemeral account whose owner has not signed in yet, as far as that can be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting_activation: Option<bool>,
    /// What its receipt authenticates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<recovery::Held>>,
}
