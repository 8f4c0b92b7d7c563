//! A population written by hand, checked and completed before it is used.
//!
//! Refuses what could not be: no account, two with one address or identifier, a role that does not
//! exist, an identifier that is none; and a population in which nobody may write administrators.

use std::{collections::HashSet, fs, path::Path};

use super::{
    Error,
    account::Account,
    state::{State, holds_billing_admin},
    write::{is_email, is_id},
};

/// Reads the population in `path`; its first Administrator With Billing gets `key` if none has one.
///
/// # Errors
/// [`Error::File`] if the file cannot be read, [`Error::Seed`] if it holds no possible population.
pub(super) fn load(path: &Path, key: &str, now_ms: i64) -> Result<State, Error> {
    let text = fs::read(path).map_err(|error| Error::File(path.to_owned(), error))?;
    let wrong = |what: String| Error::Seed(path.to_owned(), what);
    let mut state: State = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    for at in 0..state.accounts.len() {
        let id = state.new_id(now_ms);
        let account = &mut state.accounts[at];
        if account.id.is_empty() {
            account.id = id;
            account.created_ms = now_ms;
        }
    }
    check(&state).map_err(&wrong)?;
    for at in 0..state.service_accounts.len() {
        let id = state.new_id(now_ms);
        let service = &mut state.service_accounts[at];
        if service.id.is_empty() {
            service.id = id;
        }
        check_service(&state, at).map_err(&wrong)?;
    }
    give_key(&mut state, key).map_err(wrong)?;
    Ok(state)
}

fn check(state: &State) -> Result<(), String> {
    if let Some((id, name)) = state.all_organizations().find(|(id, _)| !is_id(id)) {
        return Err(format!("the id of {name} is {id:?}, expected 24 hexadecimal digits"));
    }
    let mut ids = HashSet::new();
    let mut emails = HashSet::new();
    for account in &state.accounts {
        let email = &account.email;
        if !is_email(email) {
            return Err(format!("{email:?} is not an e-mail address"));
        }
        if !is_id(&account.id) {
            return Err(format!("the id of {email} is {:?}, expected 24 hexadecimal digits", account.id));
        }
        check_places(state, email, &account.roles, account.organization.iter().chain(&account.links))?;
        if account.provider && state.provider.is_none() {
            return Err(format!("{email} belongs to a provider, and there is none"));
        }
        if !ids.insert(&account.id) || !emails.insert(email.to_ascii_lowercase()) {
            return Err(format!("{email} is there twice, by address or by id"));
        }
    }
    Ok(())
}

fn check_service(state: &State, at: usize) -> Result<(), String> {
    let service = &state.service_accounts[at];
    if !is_id(&service.id) {
        return Err(format!(
            "the id of {} is {:?}, expected 24 hexadecimal digits",
            service.name, service.id
        ));
    }
    check_places(state, &service.name, &service.roles, service.organization.iter())
}

fn check_places<'a>(
    state: &State,
    who: &str,
    roles: &[String],
    mut organizations: impl Iterator<Item = &'a String>,
) -> Result<(), String> {
    if let Some(role) = roles.iter().find(|role| state.role(role).is_none()) {
        return Err(format!("{who} has the role {role:?}, which does not exist"));
    }
    match organizations.find(|id| !state.has_organization(id)) {
        Some(id) => Err(format!("{who} belongs to the organization {id:?}, which does not exist")),
        None => Ok(()),
    }
}

fn give_key(state: &mut State, key: &str) -> Result<(), String> {
    let owner = |account: &Account| holds_billing_admin(account) && !account.suspended;
    let has_key = |account: &Account| account.api_key_allowed && account.api_key.is_some();
    if state.accounts.iter().any(|account| owner(account) && has_key(account)) {
        return Ok(());
    }
    let first = state.accounts.iter_mut().find(|account| owner(account));
    let first = first.ok_or("it has no Administrator With Billing who is not suspended")?;
    first.api_key = Some(key.to_owned());
    first.api_key_allowed = true;
    Ok(())
}
