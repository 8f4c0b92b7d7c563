//! The two records of an ending: that it began, and that a read shows the access gone.
//!
//! Refuse to say less than why, on whose word, and how late.

use serde::{Deserialize, Serialize};

use super::{
    codes::{EndReason, Rule, WokenBy},
    ids::{Email, RoleName},
    observed::Fault,
    order::Order,
    record::About,
    time::Timestamp,
};

/// Why and how late an ending began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantEnding {
    /// Which grant.
    #[serde(flatten)]
    pub about: About,
    /// Why.
    pub reason: EndReason,
    /// What noticed it.
    pub woken_by: WokenBy,
    /// How long after its end, in milliseconds.
    pub lateness_ms: u64,
    /// For a grant that never became active: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The fault behind that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// On whose word, if an operator ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The policy in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_hash: Option<String>,
}

/// A read that shows a grant's access gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantGone {
    /// Which grant.
    #[serde(flatten)]
    pub about: About,
    /// Why it ended, as it turned out.
    pub reason: EndReason,
    /// What noticed it.
    pub woken_by: WokenBy,
    /// How long after its end the first attempt began, in milliseconds.
    pub lateness_ms: u64,
    /// The roles read; `None` when the account is gone.
    pub observed: Option<Vec<RoleName>>,
    /// The baseline at that time.
    pub baseline: Vec<RoleName>,
    /// The roles last written by us, if any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrote: Option<Vec<RoleName>>,
    /// An address that was changed while the grant lived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_email: Option<Email>,
    /// On whose word it ended or was given up, if an operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The policy in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_hash: Option<String>,
    /// When.
    pub at: Timestamp,
}
