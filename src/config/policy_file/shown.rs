//! The policy in force as keys and values, and what one policy changes of another.

use std::collections::BTreeMap;

use super::hours;
use crate::{
    config::duration,
    engine::{
        policy::{AccountPattern, Policy},
        time::Millis,
    },
};

/// A key that one policy has otherwise than another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key, dotted as in the file.
    pub key: String,
    /// What it was; `None`: it was not there.
    pub from: Option<String>,
    /// What it is; `None`: it is not there any more.
    pub to: Option<String>,
}

/// A length of time as the file writes it.
#[must_use]
pub fn span(length: Millis) -> String {
    duration::show(length)
}

/// Every key with its value in force, defaults included.
#[must_use]
pub fn entries(policy: &Policy) -> BTreeMap<String, String> {
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    let patterns = |items: &[AccountPattern]| list(items.iter().map(pattern).collect());
    let require = &policy.require;
    let mut all = BTreeMap::from(
        [
            ("mode", if policy.dry_run { "dry_run" } else { "enforce" }.to_owned()),
            ("max_duration", span(policy.max_duration)),
            ("max_continuous", span(policy.max_continuous)),
            ("cool_down", span(policy.cool_down)),
            ("max_live_grants", policy.max_live_grants.to_string()),
            ("max_grants_per_hour", policy.max_grants_per_hour.to_string()),
            ("protected_accounts", list(policy.protected_accounts.iter().map(ToString::to_string).collect())),
            ("denied_roles", list(policy.denied_roles.iter().map(ToString::to_string).collect())),
            ("accounts.allow", patterns(&policy.accounts_allow)),
            ("accounts.deny", patterns(&policy.accounts_deny)),
            ("ephemeral.allowed", policy.ephemeral.is_some().to_string()),
            ("require.request_number", require.request_number.to_string()),
            ("require.justification", require.justification.to_string()),
            ("require.approvers", require.approvers.to_string()),
            ("require.requester_not_approver", require.requester_not_approver.to_string()),
            ("require.signatures", policy.signatures().to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    if let Some(rules) = &policy.ephemeral {
        all.insert("ephemeral.template".to_owned(), rules.template.clone());
        all.insert("ephemeral.domains".to_owned(), list(rules.domains.clone()));
        all.insert("ephemeral.delete_unknown".to_owned(), rules.delete_unknown.to_string());
    }
    if let Some(hours) = &policy.hours {
        all.insert("hours.zone".to_owned(), hours.zone.name.clone());
        all.insert("hours.windows".to_owned(), list(hours.windows.iter().map(hours::show).collect()));
        all.insert("hours.whole".to_owned(), hours.whole.to_string());
    }
    let roles = policy.roles.iter().map(|(role, longest)| (format!("roles.\"{role}\""), span(*longest)));
    all.extend(roles);
    all.extend(
        policy.approval_keys.iter().map(|(who, key)| (format!("approval_keys.\"{who}\""), key.clone())),
    );
    all
}

/// What `new` changes, by key.
#[must_use]
pub fn changes(old: &Policy, new: &Policy) -> Vec<Change> {
    let (old, mut new) = (entries(old), entries(new));
    let mut changes = Vec::new();
    for (key, from) in old {
        let to = new.remove(&key);
        if to.as_ref() != Some(&from) {
            changes.push(Change { key, from: Some(from), to });
        }
    }
    changes.extend(new.into_iter().map(|(key, to)| Change { key, from: None, to: Some(to) }));
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    changes
}

fn pattern(pattern: &AccountPattern) -> String {
    match pattern {
        AccountPattern::Mailbox(email) => email.to_string(),
        AccountPattern::Domain(domain) => format!("*@{domain}"),
    }
}
