//! `options` of a connection: how this organization is to be treated. Each may stand in the
//! `[[integration]]` block instead; the two are put together where the agent is assembled.
//!
//! Refuses unknown keys and values of the wrong kind; `null` counts as not there.

use serde_json::{Map, Value};

use super::{
    error::{ConnectionError, Teller},
    keys,
};
use crate::engine::{
    ids::{Email, RoleName},
    settings::RoleMode,
};

/// What the connection says; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The roles that are offered here; an empty list offers all.
    pub roles: Option<Vec<RoleName>>,
    /// Accounts that are never raised.
    pub exclude_accounts: Option<Vec<Email>>,
    /// One role per administrator, or several.
    pub role_mode: Option<RoleMode>,
    /// How ephemeral addresses are built; not checked here.
    pub email_template: Option<String>,
    /// Requests a second at most, 1 to 1000.
    pub rate_limit: Option<u32>,
    /// Accounts in one page of a listing, 1 to 100.
    pub page_size: Option<u32>,
    /// Whether Directory Insights is asked for hints.
    pub insights: Option<bool>,
}

impl Options {
    pub(super) fn parse(
        teller: Teller<'_>,
        options: Option<&Map<String, Value>>,
    ) -> Result<Self, ConnectionError> {
        let Some(map) = options else { return Ok(Self::default()) };
        keys::check(teller, "options.", map.keys(), &keys::OPTIONS)?;
        let read = Reader { teller, map };
        Ok(Self {
            roles: read.list("roles", "options.roles", "a list of role names", RoleName::new)?,
            exclude_accounts: read.list(
                "exclude_accounts",
                "options.exclude_accounts",
                "a list of e-mail addresses",
                Email::new,
            )?,
            role_mode: read.get("role_mode", "options.role_mode", "\"single\" or \"multiple\"", |value| {
                match value.as_str()? {
                    "single" => Some(RoleMode::Single),
                    "multiple" => Some(RoleMode::Multiple),
                    _ => None,
                }
            })?,
            email_template: read.get("email_template", "options.email_template", "a text", |value| {
                value.as_str().map(str::to_owned)
            })?,
            rate_limit: read.number("rate_limit", "options.rate_limit", 1000)?,
            page_size: read.number("page_size", "options.page_size", 100)?,
            insights: read.get("insights", "options.insights", "true or false", Value::as_bool)?,
        })
    }
}

struct Reader<'a> {
    teller: Teller<'a>,
    map: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn get<T>(
        &self,
        key: &str,
        shown: &'static str,
        expected: &'static str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, ConnectionError> {
        let value = self.map.get(key).filter(|value| !value.is_null());
        value.map(|value| read(value).ok_or_else(|| self.teller.value(shown, expected))).transpose()
    }

    fn list<T, E>(
        &self,
        key: &str,
        shown: &'static str,
        expected: &'static str,
        new: fn(&str) -> Result<T, E>,
    ) -> Result<Option<Vec<T>>, ConnectionError> {
        self.get(key, shown, expected, |value| {
            value.as_array()?.iter().map(|item| new(item.as_str()?).ok()).collect()
        })
    }

    fn number(&self, key: &str, shown: &'static str, most: u32) -> Result<Option<u32>, ConnectionError> {
        let fits = |value: &Value| {
            value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=most).contains(n))
        };
        let expected =
            if most == 100 { "a whole number from 1 to 100" } else { "a whole number from 1 to 1000" };
        self.get(key, shown, expected, fits)
    }
}
