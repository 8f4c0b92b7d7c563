//! Recovery of a lost ledger: what the control plane believes to be live.

use serde::{Deserialize, Serialize};

use super::{AccountRef, Utc};
use crate::engine::ids::{GrantId, IntegrationId, RoleName};

/// `POST /v1/agent/recover`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverRequest {
    /// Why it is asked.
    pub reason: RecoverReason,
    /// When the present ledger was created.
    pub ledger_created_at: Utc,
    /// Where the previous answer stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Why recovery is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoverReason {
    /// The ledger is new.
    EmptyLedger,
    /// The ledger is older than what the control plane has acknowledged.
    Rollback,
    /// Rows of the ledger cannot be believed.
    Damaged,
}

/// What the control plane believes to be live. The agent adopts a claim only if its receipt
/// verifies, and only to end it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverAnswer {
    /// Grants reported as granted and not as ended, at most 200.
    pub grants: Vec<Believed>,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The control plane's clock.
    pub server_time: Utc,
}

/// One grant that is believed to be live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Believed {
    /// The grant.
    pub grant_id: GrantId,
    /// The integration.
    pub integration: IntegrationId,
    /// The account, as it was reported.
    pub account: AccountRef,
    /// The role, as it was reported.
    pub role: RoleName,
    /// The end, as it was reported.
    pub ends_at: Utc,
    /// The receipt that came with `granted`, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}
