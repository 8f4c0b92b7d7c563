//! One administrator of a simulated organization; `shown.rs` says how the API shows it.
//!
//! Refuses to know what others may see of it.

use serde::{Deserialize, Serialize};

/// An administrator account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// 24 hexadecimal digits; never used twice. Made up if a seed file leaves it out.
    #[serde(default)]
    pub id: String,
    /// Unique without regard to case, over all organizations.
    pub email: String,
    /// Given name.
    #[serde(default)]
    pub firstname: String,
    /// Family name.
    #[serde(default)]
    pub lastname: String,
    /// Names of the roles held, in the order in which they were given.
    pub roles: Vec<String>,
    /// A suspended administrator's key is refused.
    #[serde(default)]
    pub suspended: bool,
    /// Whether a second factor is required.
    #[serde(default)]
    pub enable_multi_factor: bool,
    /// Whether a second factor is enrolled.
    #[serde(default)]
    pub totp_enrolled: bool,
    /// Whether the administrator has set a password.
    #[serde(default = "yes")]
    pub registered: bool,
    /// Portal sessions that are open.
    #[serde(default)]
    pub sessions: u32,
    /// When it was created, in Unix milliseconds.
    #[serde(default)]
    pub created_ms: i64,
    /// Whether the administrator may have an API key.
    #[serde(default)]
    pub api_key_allowed: bool,
    /// The API key, if there is one.
    #[serde(default)]
    pub api_key: Option<String>,
    /// When the API key dies, in Unix milliseconds.
    #[serde(default)]
    pub api_key_expires_ms: Option<i64>,
    /// The organization it belongs to; none for the first one. Unused for a provider's administrator.
    #[serde(default)]
    pub organization: Option<String>,
    /// Whether it is an administrator of the provider, whose key sees the organizations in `links`.
    #[serde(default)]
    pub provider: bool,
    /// The organizations that a provider's administrator is linked to.
    #[serde(default)]
    pub links: Vec<String>,
}

impl Account {
    /// An account that holds no role and nothing else either.
    pub(super) fn blank(id: String, email: &str, now_ms: i64) -> Self {
        Self {
            id,
            email: email.to_owned(),
            firstname: String::new(),
            lastname: String::new(),
            roles: Vec::new(),
            suspended: false,
            enable_multi_factor: true,
            totp_enrolled: false,
            registered: false,
            sessions: 0,
            created_ms: now_ms,
            api_key_allowed: false,
            api_key: None,
            api_key_expires_ms: None,
            organization: None,
            provider: false,
            links: Vec::new(),
        }
    }

    /// Whether this is the account with that address.
    pub(super) fn has_email(&self, email: &str) -> bool {
        self.email.eq_ignore_ascii_case(email)
    }

    /// Whether its key works at this time, if it has one.
    pub(super) fn may_use_its_key(&self, now_ms: i64) -> bool {
        let expired = self.api_key_expires_ms.is_some_and(|end| end <= now_ms);
        self.api_key_allowed && !self.suspended && !expired
    }
}

const fn yes() -> bool {
    true
}
