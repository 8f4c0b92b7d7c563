//! The inventory: roles, accounts and permissions in pages, each sent only when its content changed.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::Utc;
use crate::engine::ids::{AccountId, Email, GrantId, IntegrationId, RoleName};

/// `POST /v1/agent/inventory`: first all pages without items, then those that the answer misses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryRequest {
    /// The integration.
    pub integration: IntegrationId,
    /// Names one reading of the tenant; the same in all its requests.
    pub snapshot: String,
    /// When it was read.
    pub taken_at: Utc,
    /// Whether the listing was complete; an incomplete one never proves an absence.
    pub complete: bool,
    /// The pages.
    pub pages: Vec<InventoryPage>,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryPage {
    /// What it lists.
    pub kind: PageKind,
    /// Its place among the pages of its kind, from 0.
    pub index: u32,
    /// SHA-256 of the canonical JSON (RFC 8785) of `items`, hexadecimal.
    pub hash: String,
    /// At most 200 items; absent when only announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<InventoryItem>>,
}

impl InventoryPage {
    /// The hash of a page with these items.
    ///
    /// Items hold strings and booleans only, and their keys are ASCII: sorted keys, no white space and
    /// the writer's escapes are then all that RFC 8785 asks for.
    #[must_use]
    pub fn hash_of(items: &[InventoryItem]) -> String {
        Self::hash_of_json(&serde_json::to_value(items).expect("checked names and booleans serialise"))
    }

    /// The hash of a page whose items came as JSON, unknown fields included.
    #[must_use]
    pub fn hash_of_json(items: &serde_json::Value) -> String {
        use std::fmt::Write as _;
        let sha = digest(&SHA256, items.to_string().as_bytes());
        sha.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
            text
        })
    }
}

/// What a page lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    /// Admin roles.
    Roles,
    /// Administrators.
    Accounts,
    /// Account × role.
    Permissions,
}

/// One item of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InventoryItem {
    /// An admin role.
    Role(InventoryRole),
    /// An administrator.
    Account(InventoryAccount),
    /// An account × role.
    Permission(InventoryPermission),
}

/// An admin role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryRole {
    /// Its name.
    pub name: RoleName,
    /// Whether the local policy allows it to be granted.
    pub grantable: bool,
}

/// An administrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryAccount {
    /// JumpCloud's id.
    pub id: AccountId,
    /// The address.
    pub email: Email,
    /// Whether it is suspended.
    pub suspended: bool,
}

/// An account × role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryPermission {
    /// The account.
    pub account: AccountId,
    /// The role.
    pub role: RoleName,
    /// Whose it is.
    #[serde(rename = "type")]
    pub kind: PermissionType,
    /// The grant behind a `jit` permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<GrantId>,
}

/// Whose a permission is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionType {
    /// Not ours.
    External,
    /// Of a live grant of ours.
    Jit,
}

/// Which announced pages the control plane has not got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryAnswer {
    /// Hashes of pages to send with items.
    pub missing: Vec<String>,
    /// The control plane's clock.
    pub server_time: Utc,
}
