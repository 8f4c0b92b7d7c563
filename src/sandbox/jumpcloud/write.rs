//! What a body written to `/api/users` makes of an account.
//!
//! Refuses what JumpCloud has no field for as JumpCloud seems to: silently. Unknown role names,
//! addresses that are taken and fields of the wrong kind are refused with a status.

use serde_json::{Map, Value};

use super::{
    account::Account,
    roles::BILLING_ADMIN,
    state::State,
    switches::{BothWritten, RoleNameWrite, RoleNamesWrite, Switches},
};

/// Why a write is not done.
pub(super) struct Refusal {
    /// The status to answer.
    pub(super) status: u16,
    /// The text to answer.
    pub(super) message: String,
}

/// The body of a `POST` or `PUT`.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 if it is not a JSON object.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            _ => Err(bad("the body must be a JSON object")),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(&format!("{name} must be a string"))),
        }
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(bad(&format!("{name} must be a boolean"))),
        }
    }

    fn texts(&self, name: &str) -> Result<Option<Vec<&str>>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let texts = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        texts.map(Some).ok_or_else(|| bad(&format!("{name} must be a list of strings")))
    }
}

/// The account that a `POST` asks for.
///
/// # Errors
/// The refusal to answer.
pub(super) fn created(
    state: &mut State,
    switches: &Switches,
    fields: &Fields,
    now_ms: i64,
) -> Result<Account, Refusal> {
    let Some(email) = fields.text("email")? else { return Err(bad("email is required")) };
    let account = state.blank(email, now_ms);
    let mut account = updated(state, switches, account, fields)?;
    if account.roles.is_empty() && !fields.0.contains_key("roleNames") {
        let role = switches.default_role.clone();
        account.roles = vec![role.ok_or_else(|| bad("roleName is required"))?];
    }
    Ok(account)
}

/// `account` with `fields` written over it; what is not written stays.
///
/// # Errors
/// The refusal to answer.
pub(super) fn updated(
    state: &State,
    switches: &Switches,
    mut account: Account,
    fields: &Fields,
) -> Result<Account, Refusal> {
    if let Some(email) = fields.text("email")? {
        if !is_email(email) {
            return Err(bad("email is not an e-mail address"));
        }
        if state.email_is_taken(email, &account.id) {
            let status = switches.duplicate_status;
            return Err(refusal(status, "Bad Request: this email address has already been registered"));
        }
        email.clone_into(&mut account.email);
    }
    if let Some(name) = fields.text("firstname")? {
        name.clone_into(&mut account.firstname);
    }
    if let Some(name) = fields.text("lastname")? {
        name.clone_into(&mut account.lastname);
    }
    account.enable_multi_factor = fields.flag("enableMultiFactor")?.unwrap_or(account.enable_multi_factor);
    account.api_key_allowed = fields.flag("apiKeyAllowed")?.unwrap_or(account.api_key_allowed);
    let roles = roles_after(state, switches, &account.roles, fields)?;
    if !roles.iter().any(|role| role == BILLING_ADMIN)
        && !switches.last_admin_may_be_demoted
        && state.is_last_billing_admin(&account.id)
    {
        let status = switches.protected_status;
        return Err(refusal(status, "Bad Request: an organization needs an Administrator With Billing"));
    }
    account.roles = roles;
    Ok(account)
}

fn roles_after(
    state: &State,
    switches: &Switches,
    held: &[String],
    fields: &Fields,
) -> Result<Vec<String>, Refusal> {
    let known = |name: &str| {
        let known = state.role_name(name, switches.role_case_ignored);
        known.ok_or_else(|| bad(&format!("role {name:?} not found")))
    };
    let one = fields.text("roleName")?.map(known).transpose()?;
    let several = match switches.role_names {
        RoleNamesWrite::Ignored => None,
        RoleNamesWrite::Refused if fields.0.contains_key("roleNames") => {
            return Err(bad("roleNames is not allowed"));
        }
        _ => fields.texts("roleNames")?,
    };
    let several: Option<Vec<String>> =
        several.map(|names| names.into_iter().map(known).collect()).transpose()?;
    if several.as_ref().is_some_and(Vec::is_empty) && !switches.empty_roles_accepted {
        return Err(bad("roleNames must not be empty"));
    }
    Ok(match (one, several) {
        (None, None) => held.to_vec(),
        (Some(one), Some(_)) if switches.both == BothWritten::RoleNameWins => vec![one],
        (_, Some(several)) if switches.role_names == RoleNamesWrite::Adds => with(held, several),
        (_, Some(several)) => with(&[], several),
        (Some(one), None) => with_lone_role(switches.role_name, held, one),
    })
}

fn with_lone_role(meaning: RoleNameWrite, held: &[String], role: String) -> Vec<String> {
    match meaning {
        RoleNameWrite::IgnoredWithSeveral if held.len() > 1 => held.to_vec(),
        RoleNameWrite::ReplacesAll | RoleNameWrite::IgnoredWithSeveral => vec![role],
        RoleNameWrite::ReplacesFirst => with(&[role], held.get(1..).unwrap_or_default().to_vec()),
        RoleNameWrite::Adds => with(held, vec![role]),
    }
}

fn with(held: &[String], more: Vec<String>) -> Vec<String> {
    let mut roles = held.to_vec();
    for role in more {
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    roles
}

/// Whether `id` has the form of an identifier: 24 hexadecimal digits.
pub(super) fn is_id(id: &str) -> bool {
    id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether `email` could be an address.
pub(super) fn is_email(email: &str) -> bool {
    let local_and_host = email.split_once('@');
    email.len() <= 1024
        && local_and_host
            .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
}

fn bad(what: &str) -> Refusal {
    refusal(400, &format!("Bad Request: {what}"))
}

fn refusal(status: u16, message: &str) -> Refusal {
    Refusal { status, message: message.to_owned() }
}
