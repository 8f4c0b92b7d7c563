//! What the daemon shows to operators. These shapes are an interface: `--output json` prints them.
//!
//! Refuses: secrets, and anything that would let a reader act. Times are RFC 3339 in UTC.

use serde::{Deserialize, Serialize};

/// The daemon at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// The daemon's version.
    pub version: String,
    /// The agent's id; `None` before enrolment.
    pub agent_id: Option<String>,
    /// Whether the agent is enrolled.
    pub enrolled: bool,
    /// The connection to the control plane.
    pub control_plane: ControlPlaneView,
    /// One entry per configured integration.
    pub integrations: Vec<IntegrationView>,
    /// How many grants are in which state.
    pub grants: GrantCounts,
    /// When the next grant ends.
    pub next_expiry: Option<String>,
    /// Reports that the control plane has not acknowledged.
    pub outbox_depth: u64,
    /// The journal.
    pub ledger: LedgerView,
    /// What the agent thinks of its clock.
    pub clock: ClockView,
    /// An operator's stop for raises.
    pub frozen: Option<FrozenView>,
    /// The local policy.
    pub policy: PolicyView,
    /// Why nothing is raised at the moment; empty when raises are possible.
    pub raises_paused: Vec<String>,
}

/// The connection to the control plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ControlPlaneView {
    /// Its URL; `None` before enrolment.
    pub url: Option<String>,
    /// When it last answered.
    pub last_contact_at: Option<String>,
    /// Whether the last request was answered.
    pub connected: bool,
    /// What was wrong with the last request.
    pub error: Option<String>,
}

/// One JumpCloud organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IntegrationView {
    /// Its name in the configuration.
    pub name: String,
    /// The pinned organization.
    pub org_id: Option<String>,
    /// Whether JumpCloud answered the last request.
    pub reachable: bool,
    /// The account that the credential belongs to.
    pub self_account: Option<String>,
    /// When the accounts were last read.
    pub last_observed_at: Option<String>,
    /// Why this integration raises nothing at the moment.
    pub raises_paused: Option<String>,
    /// Requests a second allowed at the moment.
    pub rate: u32,
    /// The key in use, by the first 8 digits of its SHA-256.
    #[serde(default)]
    pub key: Option<String>,
    /// When that key ends, where anybody says so.
    #[serde(default)]
    pub key_ends_at: Option<String>,
    /// Days until then; negative when it is past.
    #[serde(default)]
    pub key_days_left: Option<i64>,
}

/// How many grants are in which state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantCounts {
    /// Access is there or being given.
    pub live: u64,
    /// Being revoked.
    pub ending: u64,
    /// Being revoked for longer than the overdue limit.
    pub overdue: u64,
    /// Ended, and still looked at.
    pub watched: u64,
    /// Given up by an operator, and not read back as gone.
    pub abandoned: u64,
}

/// An operator's stop for raises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenView {
    /// Since when.
    pub since: String,
    /// The user who ordered it.
    pub by_uid: u32,
    /// Why, in that person's words.
    pub reason: Option<String>,
    /// For good: everything is being ended.
    pub draining: bool,
}

/// The journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerView {
    /// Whether the last write succeeded.
    pub ok: bool,
    /// Sequence number of the newest record.
    pub head_seq: u64,
    /// Hash of the newest record, in hexadecimal.
    pub head_hash: String,
    /// Why the ledger is not believed, so that nothing is raised; empty when it is.
    #[serde(default)]
    pub doubts: Vec<String>,
    /// Claims that wait for an operator.
    #[serde(default)]
    pub claims: u64,
}

/// What the agent thinks of its clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockView {
    /// Whether raises may rely on it.
    pub trusted: bool,
    /// Milliseconds that it is ahead of the control plane's; negative when behind.
    pub skew_ms: i64,
}

/// The local policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyView {
    /// Whether there is one in force.
    pub loaded: bool,
    /// SHA-256 of its file.
    pub hash: Option<String>,
    /// Why there is none, or why the newest file was not taken.
    pub error: Option<String>,
}

/// One grant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantView {
    /// The grant's id.
    pub grant_id: String,
    /// The job that asked for it.
    pub job_id: String,
    /// The integration that it is in.
    pub integration: String,
    /// The account's address.
    pub account_email: String,
    /// The account's id, once known.
    pub account_id: Option<String>,
    /// The granted role.
    pub role: String,
    /// `role` or `ephemeral`.
    pub kind: String,
    /// Where the grant is in its life: `applying`, `active`, `revoking`, `settling`, `ended`.
    pub state: String,
    /// When its clock started.
    pub accepted_at: String,
    /// When it ends.
    pub ends_at: String,
    /// Seconds until its end; 0 when that is past.
    pub seconds_left: u64,
    /// How long after its end the access was read back as gone.
    pub lateness_ms: Option<u64>,
    /// Whether its end is due for more than 30 seconds and not proven.
    pub overdue: bool,
    /// Why it ended.
    pub ended_reason: Option<String>,
    /// On whose word, and why, if an operator ended it or gave it up.
    pub ended_by: Option<String>,
    /// Whether an operator gave it up and no read has shown it gone.
    pub given_up: bool,
    /// The access request's number.
    pub request_number: Option<String>,
    /// Why the access was asked for.
    pub justification: Option<String>,
    /// Requests sent to JumpCloud for it.
    pub attempts: u32,
    /// What went wrong last.
    pub last_fault: Option<String>,
}

/// What came of reading a connection again. Keys are named by the first 8 digits of their SHA-256.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// The integration.
    pub integration: String,
    /// How it ended.
    pub outcome: KeyOutcome,
    /// Where the connection comes from.
    pub source: String,
    /// The key that this is about.
    pub key: Option<String>,
    /// The key that was in use before, or stays in use instead.
    pub previous: Option<String>,
    /// The organization that JumpCloud names.
    pub organization: Option<String>,
    /// Whose key it is.
    pub account: Option<String>,
    /// The role of that account.
    pub role: Option<String>,
    /// When the key ends, where anybody says so.
    pub ends_at: Option<String>,
    /// What was in the way.
    pub problem: Option<String>,
}

/// How the reading of a connection ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOutcome {
    /// It is the key in use.
    Kept,
    /// A new key is in use.
    Taken,
    /// JumpCloud does not confirm the key.
    Refused,
    /// There is no key to be had.
    #[default]
    Unreadable,
}

/// What came of a change of the agent's key. Keys are named by their thumbprints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationView {
    /// How it ended.
    pub outcome: RotationOutcome,
    /// The key in force.
    pub key: Option<String>,
    /// The key that it replaced.
    pub previous: Option<String>,
    /// What was in the way.
    pub problem: Option<String>,
}

/// How a change of the agent's key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationOutcome {
    /// The new key is in force.
    Done,
    /// The old key stays.
    Refused,
    /// It goes on by itself; both keys are kept until then.
    Pending,
    /// There is no control plane to announce it to.
    Impossible,
}

/// Whether the daemon lives and is ready to work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthView {
    /// The loop answers; never depends on a network.
    pub live: bool,
    /// New grants can be served.
    pub ready: bool,
    /// What keeps it from being ready.
    pub why_not: Vec<String>,
}
