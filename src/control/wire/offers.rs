//! What the agent can do, told at enrolment, with each status and with each long poll.
//!
//! Refuses nothing: a word or field that the reader does not know means nothing to it, so that both
//! sides may grow. What the local policy allows is no capability and is not told here.

use serde::{Deserialize, Serialize};

use super::{JOB_TYPES, MAX_JOB_BYTES, VERSION};
use crate::engine::ids::IntegrationId;

/// What an agent can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offers {
    /// Protocol versions that it speaks, ascending.
    pub versions: Vec<u32>,
    /// Job types that it carries out; `revoke` is always among them.
    pub job_types: Vec<String>,
    /// Things beyond jobs that it does, [`FEATURES`].
    #[serde(default)]
    pub features: Vec<String>,
    /// What it takes at most.
    pub limits: Limits,
    /// Its integrations.
    #[serde(default)]
    pub integrations: Vec<IntegrationOffer>,
}

/// What an agent takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Jobs in hand at once, for each integration.
    pub jobs: u32,
    /// Bytes of one signed job.
    pub job_bytes: u64,
    /// Bytes of one answer's body.
    pub answer_bytes: u64,
    /// How far away a job's start-by instant may be, seconds.
    pub start_by_s: u64,
    /// How far ahead of the agent's clock a job may be issued, seconds.
    pub skew_s: u64,
}

/// What an agent can do in one integration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrationOffer {
    /// Its name.
    pub name: IntegrationId,
    /// How grants meet standing roles, [`ROLE_MODES`].
    pub role_mode: String,
    /// What a grant may name as its target, [`TARGETS`].
    pub targets: Vec<String>,
    /// Job types here, if they differ from the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_types: Option<Vec<String>>,
}

/// Features of version 1: it acts on `cancelled` in a heartbeat's answer, takes key sets from a
/// status answer, changes its key when asked, and takes `approvals` in a job's request.
pub const FEATURES: [&str; 4] = ["cancel", "key_set", "rotate_key", "approvals"];

/// Role modes of version 1.
pub const ROLE_MODES: [&str; 2] = ["single", "multiple"];

/// Targets of version 1.
pub const TARGETS: [&str; 3] = ["email", "account_id", "ephemeral"];

impl Offers {
    /// An agent without integrations that does everything of version 1 but the job types `left_out`.
    #[must_use]
    pub fn without(left_out: &[&str], limits: Limits) -> Self {
        let kept = |word: &&&str| !left_out.contains(*word);
        Self {
            versions: vec![VERSION],
            job_types: JOB_TYPES.iter().filter(kept).map(|word| (*word).to_owned()).collect(),
            features: FEATURES.map(str::to_owned).to_vec(),
            limits,
            integrations: Vec::new(),
        }
    }

    /// Whether a job of this type may be sent for this integration. One that is not named here is
    /// left for the agent to refuse.
    #[must_use]
    pub fn takes(&self, integration: &IntegrationId, job_type: &str) -> bool {
        let here = self.integrations.iter().find(|offer| offer.name == *integration);
        let types = here.and_then(|offer| offer.job_types.as_ref()).unwrap_or(&self.job_types);
        types.iter().any(|word| word == job_type)
    }

    /// Whether a grant for this integration may name such a target.
    #[must_use]
    pub fn takes_target(&self, integration: &IntegrationId, target: &str) -> bool {
        let here = self.integrations.iter().find(|offer| offer.name == *integration);
        here.is_none_or(|offer| offer.targets.iter().any(|word| word == target))
    }
}

impl Limits {
    /// The limits of one job of this version.
    #[must_use]
    pub const fn of_version_1(jobs: u32, answer_bytes: u64, start_by_s: u64, skew_s: u64) -> Self {
        Self { jobs, job_bytes: MAX_JOB_BYTES as u64, answer_bytes, start_by_s, skew_s }
    }
}
