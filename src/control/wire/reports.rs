//! Results and events, from the agent's outbox.

use serde::{Deserialize, Serialize};

use super::{JournalHead, Utc};
use crate::engine::{
    codes::{EndReason, EventCode, ResultCode, Rule, WokenBy},
    ids::{AccountId, Email, GrantId, IntegrationId, JobId, RoleName},
    inventory::Counts,
};

/// `POST /v1/agent/reports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportsRequest {
    /// 1 to 100 reports in the order of `seq`.
    pub reports: Vec<Report>,
    /// The newest durable record, as in `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalHead>,
}

/// One result or event. `(agent, seq)` is unique for ever; a repeat has the same content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The journal's number, or that and a constant once the ledger was found to be older than it was: grows,
    /// with gaps.
    pub seq: u64,
    /// When it happened, by the agent's clock.
    pub at: Utc,
    /// Result or event.
    pub kind: ReportKind,
    /// The job that a result answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// The grant concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<GrantId>,
    /// What happened.
    pub code: Code,
    /// The rule behind `rejected`, `failed` or `conflict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// Why a grant ended, with `grant_ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// For people; nothing that JumpCloud chose, no secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The integration concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<IntegrationId>,
    /// The account concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
    /// The role concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// What was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// When the access will end, with `granted` and `extended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Utc>,
    /// To be kept and given back in an answer to `recover`, with `granted`, `extended` and `grant_adopted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    /// A console session opened before the end may last until then, with `revoked` and `grant_ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_may_persist_until: Option<Utc>,
    /// SHA-256 of the policy file that judged it, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_hash: Option<String>,
}

/// What a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportKind {
    /// The one final answer to a job.
    Result,
    /// Something that happened to a grant later.
    Event,
}

/// A result code or an event code; the words do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Code {
    /// Of a result.
    Result(ResultCode),
    /// Of an event.
    Event(EventCode),
}

impl Code {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Result(code) => code.as_str(),
            Self::Event(code) => code.as_str(),
        }
    }

    /// The kind of report that carries it.
    #[must_use]
    pub const fn kind(self) -> ReportKind {
        match self {
            Self::Result(_) => ReportKind::Result,
            Self::Event(_) => ReportKind::Event,
        }
    }
}

/// An account as the agent knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRef {
    /// JumpCloud's id, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<AccountId>,
    /// The address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
}

/// What was seen and measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Roles read before the first write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles_before: Option<Vec<RoleName>>,
    /// Roles read afterwards; an empty list for an account that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles_after: Option<Vec<RoleName>>,
    /// Writes sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Whether a read has confirmed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_by_read: Option<bool>,
    /// From the due instant to the first attempt, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lateness_ms: Option<u64>,
    /// What noticed that the end was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub woken_by: Option<WokenBy>,
    /// What was found instead, with `superseded`, `revoked_externally` and `grant_reappeared`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Vec<RoleName>>,
    /// Whether an ephemeral account waits for the person's first sign-in, where that can be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaiting_activation: Option<bool>,
    /// What was handed over, with `synced`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Counts>,
}

/// Which reports need not be sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportsAnswer {
    /// Sequence numbers that are stored for good.
    pub acked: Vec<u64>,
    /// Reports that will never be taken: the agent parks them and raises an alarm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedReport>,
    /// The control plane's clock.
    pub server_time: Utc,
}

/// A report that will never be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedReport {
    /// Which.
    pub seq: u64,
    /// Why, for people.
    pub reason: String,
}
