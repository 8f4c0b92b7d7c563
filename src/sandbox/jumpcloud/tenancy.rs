//! What there may be beside one organization: more of them, a provider over them, service accounts
//! and their tokens.
//!
//! Refuses to keep a token over a restart: a client must be able to get a new one at any time.

use serde::{Deserialize, Serialize};

/// A further organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Its display name.
    pub name: String,
}

/// Who manages several organizations (a multi-tenant customer).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A service account: it has a role as administrators have, and no address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// 24 hexadecimal digits. Made up if a seed file leaves it out.
    #[serde(default)]
    pub id: String,
    /// For people.
    pub name: String,
    /// Names of the roles held.
    pub roles: Vec<String>,
    /// The organization it belongs to; none for the first one.
    #[serde(default)]
    pub organization: Option<String>,
    /// Public half of its client credentials, if it has some.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Secret half.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// An API key, if it has one.
    #[serde(default)]
    pub api_key: Option<String>,
    /// When its credentials die, in Unix milliseconds.
    #[serde(default)]
    pub expires_ms: Option<i64>,
}

impl ServiceAccount {
    /// Whether its credentials work at this time.
    pub(super) fn is_live(&self, now_ms: i64) -> bool {
        self.expires_ms.is_none_or(|end| end > now_ms)
    }
}

/// An access token given out.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) text: String,
    /// Identifier of the service account.
    pub(super) service: String,
    pub(super) expires_ms: i64,
}
