//! Bodies of JumpCloud's answers. Every body goes to every parser: a listing is not a page of roles, and
//! which parser a body meets is JumpCloud's choice only.
//!
//! Refuses a row that is left out, a name, address or id that the body does not hold, a set of roles with
//! doubles, and a token that is believed for ever or could not be sent.

use std::collections::HashSet;

use ephemerald::{
    engine::{
        observed::{FaultClass, ObservedAccount},
        time::{Millis, Timestamp},
    },
    jumpcloud::answers,
};
use serde_json::Value;

const NOW: Timestamp = Timestamp(1_795_500_000_000);

/// Reads an answer's body.
pub fn answers(data: &[u8]) {
    // Fields that nobody reads may hold bytes that are no text.
    let body: Option<Value> = serde_json::from_str(&String::from_utf8_lossy(data)).ok();
    let mut texts = HashSet::new();
    if let Some(body) = &body {
        gather(body, &mut texts);
    }
    let text = |name: &str| assert!(texts.contains(name), "{name:?} is not in the body");
    listing(data, body.as_ref(), &text);
    roles(data, body.as_ref(), &text);
    if let Some(account) = answers::account(data) {
        shows(&account, &text);
        alone_and_in_a_page_it_is_the_same(data, &account);
        written_again_it_is_the_same(&account);
    }
    if let Some((ids, _)) = answers::organizations(data) {
        assert_eq!(Some(ids.len()), rows(body.as_ref()), "an organization was left out");
        ids.iter().for_each(|id| text(id.as_str()));
    }
    if let Some(me) = answers::own(data) {
        me.who.account.iter().for_each(|id| text(id.as_str()));
        me.who.email.iter().for_each(|email| text(email.as_str()));
        me.who.role.iter().for_each(|role| text(role.as_str()));
        me.who.org.iter().for_each(|org| text(org.as_str()));
        assert!(me.key_ends.is_none_or(|end| end > Timestamp(0)), "a key that ended before it began");
    }
    token(data, &texts);
}

fn listing(data: &[u8], body: Option<&Value>, text: &impl Fn(&str)) {
    let Some((accounts, total)) = answers::accounts(data) else { return };
    assert_eq!(Some(accounts.len()), rows(body), "an account was left out");
    assert_eq!(total, body.and_then(|body| body.get("totalCount")?.as_u64()));
    for account in &accounts {
        shows(account, text);
    }
}

fn roles(data: &[u8], body: Option<&Value>, text: &impl Fn(&str)) {
    let Some((roles, _)) = answers::roles(data) else { return };
    assert_eq!(Some(roles.len()), rows(body), "a role was left out");
    for role in &roles {
        text(role.name.as_str());
        let scopes = role.scopes.as_deref().unwrap_or_default();
        scopes.iter().for_each(|scope| text(scope));
        assert!(scopes.is_sorted_by(|a, b| a < b), "scopes twice or out of order");
    }
}

fn shows(account: &ObservedAccount, text: &impl Fn(&str)) {
    text(account.id.as_str());
    text(account.email.as_str());
    account.roles.iter().for_each(|role| text(role.as_str()));
    account.org.iter().for_each(|org| text(org.as_str()));
    assert!(account.roles.is_sorted_by(|a, b| a < b), "roles twice or out of order");
}

fn alone_and_in_a_page_it_is_the_same(data: &[u8], account: &ObservedAccount) {
    let page = [b"[", data, b"]"].concat();
    let (accounts, total) = answers::accounts(&page).expect("a page of one usable account is usable");
    assert_eq!((accounts.as_slice(), total), (std::slice::from_ref(account), None));
}

fn written_again_it_is_the_same(account: &ObservedAccount) {
    let roles = if account.plural { "roleNames" } else { "roleName" };
    let names: Vec<&str> = account.roles.iter().map(|role| role.as_str()).collect();
    let names = if account.plural { Value::from(names) } else { names.first().copied().into() };
    let body = serde_json::json!({
        "_id": account.id.as_str(),
        "email": account.email.as_str(),
        "organization": account.org.as_ref().map(|org| org.as_str()),
        "suspended": account.suspended,
        roles: names,
        "enableMultiFactor": account.mfa_required,
        "totpEnrolled": account.mfa_enrolled,
        "apiKeyAllowed": account.api_key_allowed,
    });
    let mut again = answers::account(body.to_string().as_bytes()).expect("what was read can be read again");
    // A list of empty names is a list, and shows no role.
    again.plural |= account.roles.is_empty() && account.plural;
    assert_eq!(&again, account);
}

fn token(data: &[u8], texts: &HashSet<String>) {
    // What is wrong is said in fixed words: their type leaves no room for the answer's.
    if let Ok((token, lives)) = answers::token(data, NOW) {
        assert!(texts.contains(token.expose()), "the token is not in the answer");
        assert!(token.expose().bytes().all(|byte| byte.is_ascii_graphic()), "cannot be sent");
        assert!((Millis(1_000)..=Millis(86_400_000)).contains(&lives), "believed for {lives:?}");
        assert_eq!(format!("{token:?}"), "Secret(***)");
    }
    for status in [400, 401, 403, 404, 429, 500] {
        let class = answers::token_refused(status, data);
        let blames = class == FaultClass::Credential;
        assert!(!blames || status == 400 || status == 401, "a {status} is no fault of the credential");
        assert_eq!(status == 429, class == FaultClass::Throttled);
    }
}

/// How many rows the page has, whoever reads it.
fn rows(body: Option<&Value>) -> Option<usize> {
    match body? {
        Value::Array(rows) => Some(rows.len()),
        Value::Object(page) => page.get("results")?.as_array().map(Vec::len),
        _ => None,
    }
}

/// Every text of the body that is no key.
fn gather(value: &Value, texts: &mut HashSet<String>) {
    match value {
        Value::String(text) => drop(texts.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(fields) => fields.values().for_each(|field| gather(field, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
