//! The messages of protocol version 1, exactly as `docs/protocol/schemas` describes them.
//!
//! Signed claims refuse every field that they do not know. Plain answers ignore such fields, so that
//! a control plane may grow. No message decides anything; that is done past this module.

mod enroll;
mod inventory;
mod job;
mod jobs;
mod offers;
mod problem;
mod recover;
mod reports;
mod status;
mod utc;

pub use enroll::{
    EnrollAnswer, EnrollRequest, Jwk, KeySetClaims, ROTATION_TYP, RotateKeyAnswer, RotateKeyRequest,
    RotationClaims,
};
pub use inventory::{
    InventoryAccount, InventoryAnswer, InventoryItem, InventoryPage, InventoryPermission, InventoryRequest,
    InventoryRole, PageKind, PermissionType,
};
pub use job::{
    APPROVAL_TYP, ApprovalClaims, Ephemeral, ExtendBody, GrantBody, JOB_TYP, JOB_TYPES, JobBody, JobClaims,
    MAX_APPROVAL_BYTES, MAX_APPROVALS, MAX_JOB_BYTES, Request, RevokeBody, Target,
};
pub use jobs::{
    AcquireAnswer, AcquireRequest, Delivery, HeartbeatAnswer, HeartbeatRequest, JobState, Reachable,
};
pub use offers::{FEATURES, IntegrationOffer, Limits, Offers, ROLE_MODES, TARGETS};
pub use problem::{NO_COMMON_VERSION, PROBLEM_PREFIX, PROBLEMS, Problem, TOKEN_REFUSED, USE_NONCE};
pub use recover::{Believed, RecoverAnswer, RecoverReason, RecoverRequest};
pub use reports::{
    AccountRef, Code, Evidence, RefusedReport, Report, ReportKind, ReportsAnswer, ReportsRequest,
};
pub use status::{IntegrationStatus, JournalHead, StatusAnswer, StatusRequest};
pub use utc::Utc;

/// The protocol's major version, the `v` of every signed object.
pub const VERSION: u32 = 1;

/// Answer header that carries the nonce for the next proof.
pub const NONCE_HEADER: &str = "ephemerald-nonce";

/// An optional field of a signed object is there or not; `null` is neither, so that no two readers
/// can differ on it.
pub(super) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
