//! What the journal says of extensions: accepted, in force, dropped.

use serde::{Deserialize, Serialize};

use super::{
    codes::{ResultCode, Rule},
    grant::End,
    ids::{AccountId, JobId, RoleName},
    job::{AccessRequest, Digest},
    record::About,
    recovery::Held,
    time::Timestamp,
};

/// An extension as accepted: enough to bring it into force after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Which grant.
    #[serde(flatten)]
    pub about: About,
    /// The job that asked for it.
    pub job: JobId,
    /// Its digest.
    pub digest: Digest,
    /// The new end.
    #[serde(flatten)]
    pub end: End,
    /// What the person asked for.
    pub request: AccessRequest,
    /// The policy that allowed it.
    pub policy_hash: String,
}

/// The end of a grant was moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantExtended {
    /// Which grant.
    #[serde(flatten)]
    pub about: About,
    /// The job that asked for it.
    pub job: JobId,
    /// Its digest.
    pub digest: Digest,
    /// The account's id, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The roles before the raise.
    pub before: Vec<RoleName>,
    /// The end that was in force.
    pub from: Timestamp,
    /// What its receipt authenticates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Box<Held>>,
    /// The end in force from now on.
    #[serde(flatten)]
    pub end: End,
    /// The policy that allowed it.
    pub policy_hash: String,
}

/// An accepted extension that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtensionDropped {
    /// Which grant.
    #[serde(flatten)]
    pub about: About,
    /// The job that asked for it.
    pub job: JobId,
    /// Its digest.
    pub digest: Digest,
    /// Why it did not come into force.
    pub code: ResultCode,
    /// The rule that refused it, if the policy or an agent's state did meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The policy in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_hash: Option<String>,
    /// The end in force.
    #[serde(flatten)]
    pub end: End,
}
