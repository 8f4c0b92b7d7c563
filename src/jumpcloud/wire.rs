//! JumpCloud's JSON, read tolerantly: unknown fields are ignored, both spellings of the id are taken,
//! and what lacks an id or an address is not an account but an answer that cannot be used.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::{
    ids::{AccountId, Email, OrgId, RoleName},
    observed::{DiscoveredRole, ObservedAccount},
    time::Timestamp,
};

/// An administrator (`userreturn` of the published V1 document; `id` instead of `_id` in V2).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Admin {
    #[serde(rename = "_id")]
    v1_id: Option<String>,
    id: Option<String>,
    email: Option<String>,
    role_name: Option<String>,
    role_names: Option<Vec<String>>,
    suspended: Option<bool>,
    enable_multi_factor: Option<bool>,
    totp_enrolled: Option<bool>,
    api_key_allowed: Option<bool>,
    organization: Option<Value>,
    api_key_hash: Option<Value>,
}

/// A page of `/api/users` or `/api/v2/roles`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    results: Vec<Value>,
    total_count: Option<u64>,
}

/// The body of a create. MFA is required and API access is off; no password exists.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Create<'a> {
    pub(super) email: &'a str,
    pub(super) role_name: &'a str,
    pub(super) enable_multi_factor: bool,
    pub(super) api_key_allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) firstname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lastname: Option<&'a str>,
}

/// The body of a role change: no other key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetRoles<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role_names: Option<Vec<&'a str>>,
}

/// The answer cannot be used.
#[derive(Debug)]
pub(super) struct Unusable;

/// One account.
pub(super) fn account(body: &[u8]) -> Result<ObservedAccount, Unusable> {
    let value: Value = serde_json::from_slice(body).map_err(|_| Unusable)?;
    of(value)
}

/// A page of accounts and the total that it states. A bare array is a page without a total.
pub(super) fn accounts(body: &[u8]) -> Result<(Vec<ObservedAccount>, Option<u64>), Unusable> {
    let page = page(body)?;
    let accounts = page.results.into_iter().map(of).collect::<Result<_, _>>()?;
    Ok((accounts, page.total_count))
}

/// A page of roles.
pub(super) fn roles(body: &[u8]) -> Result<(Vec<DiscoveredRole>, Option<u64>), Unusable> {
    let page = page(body)?;
    let role = |value: Value| {
        let name = value.get("name").and_then(Value::as_str).ok_or(Unusable)?;
        let scopes = value.get("scopes").and_then(scopes);
        Ok(DiscoveredRole { name: RoleName::new(name).map_err(|_| Unusable)?, scopes })
    };
    Ok((page.results.into_iter().map(role).collect::<Result<_, _>>()?, page.total_count))
}

/// Sorted, no doubles. One scope that cannot be read makes all unknown: left out, it would make the
/// role look smaller than it is.
fn scopes(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_array()?.iter().map(|scope| scope.as_str().map(str::to_owned));
    let mut scopes: Vec<String> = texts.collect::<Option<_>>()?;
    scopes.sort();
    scopes.dedup();
    Some(scopes)
}

/// What getSelf tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) account: Option<AccountId>,
    pub(super) email: Option<Email>,
    pub(super) role: Option<RoleName>,
    pub(super) org: Option<OrgId>,
    /// When the API key that asked runs out.
    pub(super) key_ends: Option<Timestamp>,
}

/// The answer of getSelf.
pub(super) fn own(body: &[u8]) -> Result<Own, Unusable> {
    let admin: Admin = serde_json::from_slice(body).map_err(|_| Unusable)?;
    Ok(Own {
        account: admin.v1_id.or(admin.id).and_then(|id| AccountId::new(&id).ok()),
        email: admin.email.and_then(|e| Email::new(&e).ok()),
        role: admin.role_name.and_then(|r| RoleName::new(&r).ok()),
        org: admin.organization.as_ref().and_then(org),
        key_ends: admin.api_key_hash.as_ref().and_then(|hash| instant(hash.get("expireAt")?)),
    })
}

/// A page of `/api/organizations`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Organizations {
    pub(super) ids: Vec<OrgId>,
    pub(super) total: Option<u64>,
}

impl Organizations {
    /// The one organization; `None` when there are several or none.
    pub(super) fn only(&self) -> Option<&OrgId> {
        match &self.ids[..] {
            [only] if self.total.is_none_or(|total| total == 1) => Some(only),
            _ => None,
        }
    }
}

/// Organizations of the credential; one that cannot be read makes the page unusable, or several would
/// look like one.
pub(super) fn organizations(body: &[u8]) -> Result<Organizations, Unusable> {
    let page = page(body)?;
    let ids = page.results.iter().map(org).collect::<Option<_>>().ok_or(Unusable)?;
    Ok(Organizations { ids, total: page.total_count })
}

/// An instant as RFC 3339, or as seconds or milliseconds since 1970. Nothing up to 1970 is one: servers
/// write a zero, of whichever calendar, for "never".
pub(super) fn instant(value: &Value) -> Option<Timestamp> {
    /// Seconds beyond this would be in the year 5138: it is milliseconds.
    const SECONDS_END: i64 = 100_000_000_000;
    let number = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(instant) => return Some(Timestamp(instant.as_millisecond())).filter(|at| at.0 > 0),
            Err(_) => text.parse().ok()?,
        },
        _ => return None,
    };
    let ms = if number < SECONDS_END { number.checked_mul(1000)? } else { number };
    (ms > 0).then_some(Timestamp(ms))
}

/// Whether a write's answer is one of the API: nothing, or JSON (which is not looked into).
pub(super) fn is_answer(body: &[u8]) -> bool {
    body.trim_ascii().is_empty() || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// The id in the answer of a create, if it tells one.
pub(super) fn created(body: &[u8]) -> Option<AccountId> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let id = value.get("_id").or_else(|| value.get("id"))?.as_str()?;
    AccountId::new(id).ok()
}

fn page(body: &[u8]) -> Result<Page, Unusable> {
    match serde_json::from_slice(body).map_err(|_| Unusable)? {
        Value::Array(results) => Ok(Page { results, total_count: None }),
        object @ Value::Object(_) => serde_json::from_value(object).map_err(|_| Unusable),
        _ => Err(Unusable),
    }
}

fn of(value: Value) -> Result<ObservedAccount, Unusable> {
    let admin: Admin = serde_json::from_value(value).map_err(|_| Unusable)?;
    let id = admin.v1_id.or(admin.id).ok_or(Unusable)?;
    let email = admin.email.ok_or(Unusable)?;
    let plural = admin.role_names.as_ref().is_some_and(|names| !names.is_empty());
    let names =
        if plural { admin.role_names.unwrap_or_default() } else { admin.role_name.into_iter().collect() };
    // A role name that cannot be read would make the set look smaller than it is.
    let mut roles: Vec<RoleName> = names
        .iter()
        .filter(|n| !n.is_empty())
        .map(|n| RoleName::new(n))
        .collect::<Result<_, _>>()
        .map_err(|_| Unusable)?;
    roles.sort();
    roles.dedup();
    Ok(ObservedAccount {
        org: admin.organization.as_ref().and_then(org),
        id: AccountId::new(&id).map_err(|_| Unusable)?,
        email: Email::new(&email).map_err(|_| Unusable)?,
        suspended: admin.suspended.unwrap_or(false),
        roles,
        plural,
        mfa_required: admin.enable_multi_factor,
        mfa_enrolled: admin.totp_enrolled,
        api_key_allowed: admin.api_key_allowed,
    })
}

fn org(value: &Value) -> Option<OrgId> {
    let id = match value {
        Value::String(id) => Some(id.as_str()),
        Value::Object(fields) => fields.get("_id").or_else(|| fields.get("id")).and_then(Value::as_str),
        _ => None,
    };
    id.and_then(|id| OrgId::new(id).ok())
}
