//! What a signed job says. Nothing outside these claims has any weight.
//!
//! Refuses unknown fields at every level; unknown job types and newer versions are told apart by
//! [`verify`](crate::control::verify) before this shape is tried.

use serde::{Deserialize, Serialize};

use super::present;
use crate::engine::ids::{AccountId, AgentId, Email, GrantId, IntegrationId, JobId, RoleName};

/// `typ` of the protected header of a job.
pub const JOB_TYP: &str = "ephemerald-job+jws";

/// The longest compact JWS that is looked at, in bytes.
pub const MAX_JOB_BYTES: usize = 64 * 1024;

/// `typ` of the protected header of an approval.
pub const APPROVAL_TYP: &str = "ephemerald-approval+jws";

/// The longest approval that is looked at, in bytes.
pub const MAX_APPROVAL_BYTES: usize = 16 * 1024;

/// How many approvals a request may carry.
pub const MAX_APPROVALS: usize = 8;

/// Every job type of version 1.
pub const JOB_TYPES: [&str; 5] = ["grant", "revoke", "extend", "sync", "test"];

/// The claims of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobClaims {
    /// Protocol version: 1.
    pub v: u32,
    /// Who issued it: the control plane's origin.
    pub iss: String,
    /// The one agent it is for.
    pub aud: AgentId,
    /// Its id, which is also the idempotency key.
    pub job_id: JobId,
    /// Issued at, Unix seconds.
    pub iat: i64,
    /// Not to be started after this, Unix seconds.
    pub start_by: i64,
    /// The integration it is for, by the name that the agent's configuration gives it.
    pub integration: IntegrationId,
    /// What it asks.
    pub job: JobBody,
}

/// What a job asks; `type` names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum JobBody {
    /// Give access for a while.
    Grant(GrantBody),
    /// End a grant now.
    Revoke(RevokeBody),
    /// Move the end of a grant.
    Extend(ExtendBody),
    /// Read the inventory and send it.
    Sync {},
    /// Test the integration.
    Test {},
}

/// A time-boxed permission or ephemeral account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantBody {
    /// Chosen by the control plane, never used twice.
    pub grant_id: GrantId,
    /// Whose access.
    pub target: Target,
    /// The role, as JumpCloud spells it.
    pub role: RoleName,
    /// For how long from the agent's acceptance, seconds, at least 1.
    pub duration_s: u64,
    /// An absolute end, Unix seconds; can only shorten.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// The access request behind it.
    pub request: Request,
}

/// Whose access a grant is about: exactly one of the three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The administrator with this address.
    Email(Email),
    /// The administrator with this id.
    AccountId(AccountId),
    /// An account made for this grant and deleted at its end.
    Ephemeral(Ephemeral),
}

/// For whom an ephemeral account is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ephemeral {
    /// The requester's own mailbox; the agent adds its tag to the address.
    pub requester: Email,
    /// For the console's display.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub firstname: Option<String>,
    /// For the console's display.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub lastname: Option<String>,
}

/// What a person asked for, as the control plane tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The request's number.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Who asked.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// Who approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// Why.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Approvers' signatures: compact JWS over [`ApprovalClaims`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<String>,
}

/// What an approver signs: the job, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalClaims {
    /// Protocol version: 1.
    pub v: u32,
    /// The one agent it is for.
    pub aud: AgentId,
    /// The job.
    pub job_id: JobId,
    /// The integration that the job names.
    pub integration: IntegrationId,
    /// Approved at, Unix seconds.
    pub iat: i64,
    /// Not to be counted from then on, Unix seconds; at most 12 hours after `iat`.
    pub exp: i64,
    /// What is approved: the job's own `job`, without `request.approvals`.
    pub job: JobBody,
}

/// Ends a grant of ours; never names an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeBody {
    /// The grant.
    pub grant_id: GrantId,
    /// Why, for the journal.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Moves the end of a grant of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtendBody {
    /// The grant.
    pub grant_id: GrantId,
    /// The new length from the agent's acceptance of the extension, seconds, at least 1.
    pub duration_s: u64,
    /// The access request behind the extension: it needs its own approval.
    pub request: Request,
}
