//! One administrator of the simulated organization, and how the API shows it.
//!
//! Refuses to show an API key: the answer carries its prefix only, as JumpCloud's does.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{roles::Role, state::hex_digest};

/// An administrator account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// 24 hexadecimal digits; never used twice. Made up if a seed file leaves it out.
    #[serde(default)]
    pub id: String,
    /// Unique without regard to case.
    pub email: String,
    /// Given name.
    #[serde(default)]
    pub firstname: String,
    /// Family name.
    #[serde(default)]
    pub lastname: String,
    /// Names of the roles held; the first is shown as `roleName`.
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
    /// When it was created, in Unix milliseconds.
    #[serde(default)]
    pub created_ms: i64,
    /// Whether the administrator may have an API key.
    #[serde(default)]
    pub api_key_allowed: bool,
    /// The API key, if there is one.
    #[serde(default)]
    pub api_key: Option<String>,
}

impl Account {
    /// The object that `/api/users` answers; `plural` adds `roles` and `roleNames`.
    pub(super) fn shown(&self, roles: &[Role], organization: &str, plural: bool) -> Value {
        let ids: Vec<&str> = self.roles.iter().filter_map(|name| role_id(roles, name)).collect();
        let created = rfc3339(self.created_ms);
        let mut shown = json!({
            "_id": self.id,
            "email": self.email,
            "firstname": self.firstname,
            "lastname": self.lastname,
            "suspended": self.suspended,
            "enableMultiFactor": self.enable_multi_factor,
            "totpEnrolled": self.totp_enrolled,
            "created": created,
            "organization": organization,
            "apiKeyAllowed": self.api_key_allowed,
            "apiKeySet": self.api_key.is_some(),
            "sessionCount": 0,
        });
        // JumpCloud's document has these as texts: without a value, there is no such field.
        if let (Some(id), Some(name)) = (ids.first(), self.roles.first()) {
            shown["role"] = json!(id);
            shown["roleName"] = json!(name);
        }
        if plural {
            shown["roles"] = json!(ids);
            shown["roleNames"] = json!(self.roles);
        }
        if let Some(key) = &self.api_key {
            let prefix: String = key.chars().take(8).collect();
            shown["apiKeyHash"] = json!({"prefix": prefix, "createdAt": created});
        }
        shown
    }

    /// The object for the sandbox's own control API: everything, and a digest of the key.
    pub(super) fn shown_to_the_sandbox(&self, roles: &[Role], organization: &str) -> Value {
        let mut shown = self.shown(roles, organization, true);
        shown["apiKeyDigest"] = json!(self.api_key.as_deref().map(hex_digest));
        shown
    }

    /// Whether this is the account with that address.
    pub(super) fn has_email(&self, email: &str) -> bool {
        self.email.eq_ignore_ascii_case(email)
    }
}

fn role_id<'a>(roles: &'a [Role], name: &str) -> Option<&'a str> {
    roles.iter().find(|role| role.name == name).map(|role| role.id.as_str())
}

fn rfc3339(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string()
}
