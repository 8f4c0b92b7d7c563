//! What a body written to `/api/users` makes of an account; `roles.rs` says what it makes of its roles.
//!
//! Refuses what JumpCloud has no field for as JumpCloud seems to: silently, unless a switch says
//! otherwise. Unknown role names, addresses that are taken and fields of the wrong kind are refused
//! with a status.

mod fields;
mod roles;

pub(super) use self::fields::Fields;
use super::{
    account::Account,
    caller::Caller,
    state::{State, holds_billing_admin},
    switches::{FieldWritten, PutOmitted, Switches},
};

/// Why a write is not done. With a status below 300, it passes for one that was.
pub(super) struct Refusal {
    /// The status to answer.
    pub(super) status: u16,
    /// The text to answer.
    pub(super) message: String,
}

/// Who writes.
pub(super) struct Writer<'a> {
    pub(super) caller: &'a Caller,
}

/// The account that a `POST` asks for, made of a blank one.
///
/// # Errors
/// The refusal to answer.
pub(super) fn created(
    state: &State,
    switches: &Switches,
    writer: &Writer<'_>,
    blank: Account,
    fields: &Fields,
) -> Result<Account, Refusal> {
    for required in std::iter::once("email").chain(switches.create_requires.iter().map(String::as_str)) {
        if !fields.has(required) {
            return Err(bad(&format!("{required} is required")));
        }
    }
    let mut account = written(state, switches, writer, blank, fields)?;
    if account.roles.is_empty() && !fields.has("roleNames") {
        match &switches.default_role {
            Some(role) => account.roles = vec![role.clone()],
            None if switches.roleless_created => {}
            None => return Err(bad("roleName is required")),
        }
    }
    match switches.password_written {
        FieldWritten::Obeyed if fields.has("password") => account.registered = true,
        FieldWritten::Refused if fields.has("password") => return Err(bad("password is not allowed")),
        _ => {}
    }
    Ok(account)
}

/// `account` with `fields` written over it.
///
/// # Errors
/// The refusal to answer.
pub(super) fn updated(
    state: &State,
    switches: &Switches,
    writer: &Writer<'_>,
    mut account: Account,
    fields: &Fields,
) -> Result<Account, Refusal> {
    let before = account.roles.clone();
    match switches.put_omitted {
        PutOmitted::Kept => {}
        PutOmitted::RoleReset => {
            if !fields.has("roleName") && !fields.has("roleNames") {
                account.roles = switches.default_role.iter().cloned().collect();
            }
        }
        PutOmitted::FlagsReset => {
            (account.firstname, account.lastname) = (String::new(), String::new());
            (account.enable_multi_factor, account.api_key_allowed) = (false, false);
        }
    }
    let mut account = written(state, switches, writer, account, fields)?;
    if account.roles != before {
        if account.id == writer.caller.author.id && !switches.own_role_may_change {
            return Err(refusal(switches.protected_status, "Bad Request: you cannot change your own role"));
        }
        settle_role_change(&mut account, switches);
    }
    if !holds_billing_admin(&account)
        && !switches.last_admin_may_be_demoted
        && state.is_last_billing_admin(&account.id)
    {
        let status = switches.protected_status;
        return Err(refusal(status, "Bad Request: an organization needs an Administrator With Billing"));
    }
    Ok(account)
}

/// What a change of roles does beside changing roles.
pub(super) fn settle_role_change(account: &mut Account, switches: &Switches) {
    if switches.role_change_kills_key {
        account.api_key = None;
    }
    if switches.role_change_ends_sessions {
        account.sessions = 0;
    }
}

fn written(
    state: &State,
    switches: &Switches,
    writer: &Writer<'_>,
    mut account: Account,
    fields: &Fields,
) -> Result<Account, Refusal> {
    if let Some(email) = fields.text("email")? {
        if !is_email(email) {
            return Err(bad("email is not an e-mail address"));
        }
        if let Some(holder) = state.holder_of(email, &account.id) {
            let same =
                holder.provider == account.provider && state.home_of(holder) == state.home_of(&account);
            let status = if same { switches.duplicate_status } else { switches.duplicate_elsewhere_status };
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
    match switches.suspended_written {
        FieldWritten::Obeyed => account.suspended = fields.flag("suspended")?.unwrap_or(account.suspended),
        FieldWritten::Refused if fields.has("suspended") => return Err(bad("suspended is not allowed")),
        _ => {}
    }
    account.roles = roles::after(state, switches, writer, &account.roles, fields)?;
    Ok(account)
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
