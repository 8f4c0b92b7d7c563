//! What JumpCloud said, in the engine's words. The client translates every answer into one of
//! these; past this point nobody looks at a status code or a body again.
//!
//! Refuses to fold "could not look" into "is not there": they are different values.

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, Email, OrgId, RoleName};

/// One administrator as read from JumpCloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedAccount {
    /// JumpCloud's id (`_id`, or `id`).
    pub id: AccountId,
    /// The address shown now.
    pub email: Email,
    /// The organization that it says it belongs to, where it says so. An account of another one may be
    /// shown to a credential of several; it is never raised here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgId>,
    /// Suspended accounts are never raised.
    pub suspended: bool,
    /// `roleNames` when present and not empty, else the single `roleName`; sorted, no doubles.
    pub roles: Vec<RoleName>,
    /// Whether the answer carried a non-empty `roleNames`: writes then use the plural field.
    pub plural: bool,
    /// Whether MFA is required, where shown.
    pub mfa_required: Option<bool>,
    /// Whether a second factor is enrolled, where shown: the best sign of a first sign-in.
    pub mfa_enrolled: Option<bool>,
    /// Whether the account may own an API key, where shown.
    pub api_key_allowed: Option<bool>,
}

/// A complete listing: every page read, in one pass, sorted by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// All administrators.
    pub accounts: Vec<ObservedAccount>,
    /// Whether no id came twice, and either every page stated the number that came, or nothing was
    /// stated and two whole passes in a row showed the same accounts.
    pub complete: bool,
    /// The organization that answered, where it can be read.
    pub org: Option<OrgId>,
    /// Accounts whose address carries a tag of our key, made for the organization that was asked.
    pub tagged: Vec<AccountId>,
    /// How many requests it took: what it costs of the integration's rate.
    pub requests: u32,
    /// Whether JumpCloud refused one of them because there were too many, and took it later.
    pub throttled: bool,
}

/// One admin role as `/api/v2/roles` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveredRole {
    /// The name, as JumpCloud spells it.
    pub name: RoleName,
    /// Scopes, sorted; `None` when the listing has none.
    pub scopes: Option<Vec<String>>,
}

/// Whose credential the agent holds, and in which organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhoAmI {
    /// The credential's own administrator account, where it can be learnt.
    pub account: Option<AccountId>,
    /// Its address, where it can be learnt.
    pub email: Option<Email>,
    /// Its role, where it can be learnt.
    pub role: Option<RoleName>,
    /// Its organization, where it can be learnt.
    pub org: Option<OrgId>,
}

/// Why a call brought nothing that can be used. Carries no text that JumpCloud chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What it means for the caller.
    pub class: FaultClass,
    /// The HTTP status, if there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When to come back, if the answer said so; already clamped to a sane range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// The one classification of everything that can go wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// 401: the credential is not accepted.
    Credential,
    /// 403: refused, or an address block; never terminal for a lower.
    Forbidden,
    /// 404 or 410: not there, or the wrong organization. Proves nothing by itself.
    NotFound,
    /// Any other 4xx: this request will not be carried out as it is.
    Refused,
    /// 429: not carried out; come back later.
    Throttled,
    /// 5xx, a time-out, a reset, a garbled or oversized answer after the request was sent: it may
    /// or may not have been carried out.
    Ambiguous,
    /// The request never left: DNS, connect, TLS, proxy, or the send-by instant had passed.
    NotSent,
    /// 3xx: never followed.
    Redirected,
    /// The organization that answered is not the pinned one.
    WrongOrganization,
}

impl Fault {
    /// A fault without status or hint.
    #[must_use]
    pub fn of(class: FaultClass) -> Self {
        Self { class, status: None, retry_after_ms: None }
    }

    /// Whether a write that met this fault may nevertheless have been (or yet be) carried out.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self.class, FaultClass::Ambiguous | FaultClass::Redirected)
    }
}

/// Outcome of a write; `Ok` means JumpCloud said 2xx, which proves nothing until it is read back.
pub type WriteOutcome<T> = Result<T, Fault>;

/// Outcome of a read.
pub type ReadOutcome<T> = Result<T, Fault>;
