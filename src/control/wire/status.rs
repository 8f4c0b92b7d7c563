//! The agent's state, sent at every change of note and at least every few minutes.

use serde::{Deserialize, Serialize};

use super::{Offers, Utc};
use crate::engine::ids::IntegrationId;

/// `POST /v1/agent/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRequest {
    /// The agent's version.
    pub version: String,
    /// The agent's clock.
    pub at: Utc,
    /// When this process started.
    pub started_at: Utc,
    /// Grants that are live now.
    pub live_grants: u32,
    /// The next end of a grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_expiry: Option<Utc>,
    /// Grants that are being ended and whose end is not proven: their access may still be there.
    #[serde(default)]
    pub ending: u32,
    /// Grants whose end is due for more than 30 s and not proven.
    pub overdue: u32,
    /// Grants that need a person.
    pub stuck: u32,
    /// Reports not yet acknowledged.
    pub outbox: u64,
    /// Whether an operator has stopped raises.
    pub frozen: bool,
    /// Whether the policy is in dry run.
    pub dry_run: bool,
    /// Whether nothing is raised because the ledger must be explained first.
    pub revoke_only: bool,
    /// The agent's clock minus the control plane's, milliseconds, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew_ms: Option<i64>,
    /// The newest durable record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalHead>,
    /// SHA-256 of the policy file in force, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_hash: Option<String>,
    /// The version of the job-signing key set in force.
    pub key_set_version: u64,
    /// The integrations.
    pub integrations: Vec<IntegrationStatus>,
    /// What the agent can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offers: Option<Offers>,
}

/// The head of the journal's hash chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalHead {
    /// Its sequence number.
    pub seq: u64,
    /// Its hash, hexadecimal.
    pub hash: String,
}

/// One integration's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrationStatus {
    /// Its name.
    pub name: IntegrationId,
    /// Whether JumpCloud answered lately.
    pub reachable: bool,
    /// Whether raises are stopped there (credential, breaker, organization).
    pub raises_paused: bool,
}

/// The answer to a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusAnswer {
    /// The control plane's clock.
    pub server_time: Utc,
    /// When to poll again, seconds, 0 to 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_after_s: Option<u32>,
    /// A newer job-signing key set, signed by the root key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_set: Option<String>,
    /// Thumbprint of the agent's key that it should replace; nothing happens if it has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_key: Option<String>,
    /// A process of this agent with a later epoch has been heard of: this one gets no jobs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
    /// The protocol version that is spoken; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The journal head that the control plane had stored before this status: a ledger that does not have it
    /// is older than it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalHead>,
}
