//! Acquiring jobs and keeping their leases.

use serde::{Deserialize, Serialize};

use super::{Offers, Utc};
use crate::engine::ids::{IntegrationId, JobId};

/// `POST /v1/agent/jobs/acquire`, a long poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcquireRequest {
    /// The most jobs that may be handed out.
    pub capacity: u32,
    /// How long the agent waits for one, seconds, at most 55.
    pub wait_s: u32,
    /// The integrations that this agent has.
    pub integrations: Vec<Reachable>,
    /// Jobs that the agent holds without a result: their leases are renewed, they are not sent again.
    pub known: Vec<JobId>,
    /// What the agent can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offers: Option<Offers>,
}

/// One integration of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reachable {
    /// Its name.
    pub name: IntegrationId,
    /// Whether JumpCloud answered lately.
    pub reachable: bool,
}

/// The jobs that are there; empty after a quiet wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcquireAnswer {
    /// At most `capacity` jobs.
    pub jobs: Vec<Delivery>,
    /// When to ask again, seconds, 0 to 300; 0 or absent = at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_after_s: Option<u32>,
    /// The protocol version that is spoken; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The control plane's clock.
    pub server_time: Utc,
}

/// One job under a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The job's id, also inside the signature; only that one counts.
    pub job_id: JobId,
    /// The compact JWS over [`JobClaims`](super::JobClaims).
    pub jws: String,
    /// How long the lease lasts without a heartbeat, seconds.
    pub lease_s: u32,
}

/// `POST /v1/agent/jobs/{id}/heartbeat`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatRequest {
    /// How far the job is.
    pub state: JobState,
    /// The agent raises nothing because its ledger is in doubt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoke_only: bool,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Accepted, nothing sent.
    Accepted,
    /// Being carried out.
    Running,
}

/// The lease is extended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    /// For how long, seconds.
    pub lease_s: u32,
    /// Whether the job was withdrawn: a raise not yet sent is not sent, a sent one is ended.
    #[serde(default)]
    pub cancelled: bool,
    /// The control plane's clock.
    pub server_time: Utc,
}
