//! The rules in words, with the values in force.

use crate::{
    config::policy_file::{entries, span},
    engine::policy::{Check, Policy},
};

/// What a rule is called; also in JSON.
pub(super) const fn name(check: Check) -> &'static str {
    match check {
        Check::Role => "role",
        Check::Duration => "duration",
        Check::Protected => "protected",
        Check::Account => "account",
        Check::Ephemeral => "ephemeral",
        Check::RequestNumber => "request_number",
        Check::Justification => "justification",
        Check::Approvers => "approvers",
        Check::Requester => "requester",
        Check::Signatures => "signatures",
        Check::Hours => "hours",
        Check::LiveGrants => "live_grants",
        Check::GrantsPerHour => "grants_per_hour",
        Check::Continuous => "continuous",
    }
}

/// What a rule says under this policy.
pub(super) fn says(check: Check, policy: &Policy) -> String {
    let entries = entries(policy);
    let value =
        |key: &str| entries.get(key).map(|v| v.trim_matches(['[', ']']).to_owned()).unwrap_or_default();
    let require = &policy.require;
    let unless = |asked: bool, text: &str| if asked { text.to_owned() } else { "not asked".to_owned() };
    match check {
        Check::Role => roles(policy),
        Check::Duration => format!("at most {}, and the role's own longest", span(policy.max_duration)),
        Check::Protected => match value("protected_accounts") {
            none if none.is_empty() => "no account is protected".to_owned(),
            some => format!("never raised: {some}"),
        },
        Check::Account => accounts(&value("accounts.allow"), &value("accounts.deny")),
        Check::Ephemeral => match &policy.ephemeral {
            None => "no ephemeral accounts".to_owned(),
            Some(rules) => format!("for mailboxes of {}, as {}", rules.domains.join(", "), rules.template),
        },
        Check::RequestNumber => unless(require.request_number, "the request must have a number"),
        Check::Justification => unless(require.justification, "the request must say why"),
        Check::Approvers => match require.approvers {
            0 => "not asked".to_owned(),
            1 => "an approver, in the control plane's word".to_owned(),
            n => format!("{n} different approvers, in the control plane's word"),
        },
        Check::Requester => {
            unless(require.requester_not_approver, "the requester must be named, and not among the approvers")
        }
        Check::Signatures => match policy.signatures() {
            0 => "not asked: the policy names no approval_keys".to_owned(),
            n => {
                let keys: Vec<&str> = policy.approval_keys.keys().map(String::as_str).collect();
                format!("signed by at least {n} of {}", keys.join(", "))
            }
        },
        Check::Hours => hours(policy, &value("hours.windows")),
        Check::LiveGrants => format!("at most {} live at once", policy.max_live_grants),
        Check::GrantsPerHour => format!("at most {} accepted within an hour", policy.max_grants_per_hour),
        Check::Continuous => format!(
            "at most {} of access for one person without a rest of {}",
            span(policy.max_continuous),
            span(policy.cool_down)
        ),
    }
}

fn hours(policy: &Policy, windows: &str) -> String {
    let Some(hours) = &policy.hours else { return "at any time".to_owned() };
    let what = if hours.whole { "the whole grant" } else { "its beginning" };
    format!("{windows} ({}); {what}", hours.zone.name)
}

fn roles(policy: &Policy) -> String {
    let granted = policy.roles.keys().filter_map(|role| Some((role, policy.longest(role)?)));
    let mut granted: Vec<String> =
        granted.map(|(role, longest)| format!("{role} ({})", span(longest))).collect();
    if granted.is_empty() {
        granted.push("none: nothing is granted".to_owned());
    }
    let mut text = granted.join(", ");
    if !policy.denied_roles.is_empty() {
        let denied: Vec<&str> = policy.denied_roles.iter().map(|role| role.as_str()).collect();
        text += &format!("; never {}", denied.join(", "));
    }
    text
}

fn accounts(allow: &str, deny: &str) -> String {
    let allowed = if allow.is_empty() { "every account" } else { allow };
    if deny.is_empty() { allowed.to_owned() } else { format!("{allowed}; never {deny}") }
}
