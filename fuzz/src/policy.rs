//! The policy file, and what the policy makes of requests.
//!
//! Refuses two judgements of one request, access to a role that the file does not name, for longer than it
//! says, to a protected or denied account, and hours that allow a whole and not its part.

use ephemerald::{
    config::policy_file,
    engine::{
        ids::{Email, RoleName},
        job::AccessRequest,
        policy::{AccountPattern, Asked, Facts, Policy, Whose},
        time::{Millis, Timestamp},
    },
};

const ORIGIN: &str = "fuzz-policy.toml";
/// A Tuesday.
const NOW: Timestamp = Timestamp(1_795_500_000_000);
const HOUR: Millis = Millis(3_600_000);
const LONGEST: Millis = Millis(30 * 24 * 3_600_000);

/// Reads a policy and asks it.
pub fn policy(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let policy = match policy_file::parse(text, ORIGIN) {
        Ok(policy) => policy,
        Err(error) => {
            assert!(error.to_string().starts_with(ORIGIN), "which file is not told: {error}");
            return;
        }
    };
    assert_eq!(policy_file::parse(text, ORIGIN).expect("it was one"), policy, "one text, two policies");
    a_comment_changes_nothing(text, &policy);
    is_in_range(&policy);
    let roles = policy.roles.keys().chain(&policy.denied_roles).take(8).cloned();
    for role in roles.chain([named("Nobody's Role")]) {
        for email in addresses(&policy) {
            judge(&policy, &role, &email);
        }
    }
    hours_allow_a_part_of_what_they_allow(&policy);
}

fn a_comment_changes_nothing(text: &str, policy: &Policy) {
    let with = policy_file::parse(&format!("# a comment\n{text}"), ORIGIN).expect("a comment is no error");
    assert_ne!(with.hash, policy.hash, "another text, the same name");
    assert_eq!(policy_file::changes(policy, &with), []);
    assert_eq!(Policy { hash: policy.hash.clone(), ..with }, *policy);
}

fn is_in_range(policy: &Policy) {
    let lengths = policy.roles.values().chain([&policy.max_duration, &policy.max_continuous]);
    assert!(lengths.into_iter().all(|length| length.0 > 0 && *length <= LONGEST));
    assert!((1..=10_000).contains(&policy.max_live_grants));
    assert!((1..=10_000).contains(&policy.max_grants_per_hour));
    if let Some(rules) = &policy.ephemeral {
        assert!(rules.template.contains("{tag}") && !rules.domains.is_empty());
    }
    if !policy.approval_keys.is_empty() {
        assert!(policy.signatures() as usize <= policy.approval_keys.len(), "no one could ever be let in");
    }
}

fn addresses(policy: &Policy) -> Vec<Email> {
    let allowed = policy.accounts_allow.iter().chain(&policy.accounts_deny).map(|pattern| match pattern {
        AccountPattern::Mailbox(email) => Some(email.clone()),
        AccountPattern::Domain(domain) => Email::new(&format!("somebody@{domain}")).ok(),
    });
    let protected = policy.protected_accounts.iter().cloned().map(Some);
    let mut all: Vec<Email> = allowed.chain(protected).flatten().take(8).collect();
    all.push(Email::new("Ada+x@Example.com").expect("a plain address"));
    all
}

fn judge(policy: &Policy, role: &RoleName, email: &Email) {
    let mut request = AccessRequest {
        number: Some("AR-1".to_owned()),
        requester: Some("requester@example.com".to_owned()),
        approvers: (0..10).map(|n| format!("approver-{n}@example.com")).collect(),
        justification: Some("why".to_owned()),
        signed_by: policy.approval_keys.values().cloned().collect(),
    };
    let longest = policy.longest(role).unwrap_or(HOUR);
    for duration in [Millis(0), Millis(1), longest, Millis(longest.0 + 1)] {
        for whose in [Whose::Account(email), Whose::Unresolved, Whose::Ephemeral(email)] {
            let asked = asked(role, duration, whose, &request);
            let judged = policy.judge(&asked);
            assert_eq!(judged, policy.judge(&asked), "one request, two judgements");
            if judged.is_ok() {
                may_be_let_in(policy, &asked);
            }
        }
    }
    request.signed_by.clear();
    let unsigned = policy.judge(&asked(role, longest, Whose::Account(email), &request));
    assert!(unsigned.is_err() || policy.signatures() == 0, "let in without a signature");
}

fn asked<'a>(
    role: &'a RoleName,
    duration: Millis,
    whose: Whose<'a>,
    request: &'a AccessRequest,
) -> Asked<'a> {
    Asked { role, duration, whose, request, from: NOW, until: NOW + duration, facts: Facts::default() }
}

/// Written from the policy's own words, without its rules.
fn may_be_let_in(policy: &Policy, asked: &Asked<'_>) {
    let longest = policy.roles.get(asked.role).expect("let in with a role that the policy does not name");
    assert!(!policy.denied_roles.contains(asked.role), "let in with a denied role");
    assert!(
        asked.duration.0 > 0 && asked.duration <= (*longest).min(policy.max_duration),
        "let in for longer"
    );
    let (Whose::Account(email) | Whose::Ephemeral(email)) = asked.whose else { return };
    let same = |other: &Email| other.as_str().eq_ignore_ascii_case(email.as_str());
    assert!(!policy.protected_accounts.iter().any(same), "a protected account was let in");
    let covers = |pattern: &AccountPattern| match pattern {
        AccountPattern::Mailbox(mailbox) => same(mailbox),
        AccountPattern::Domain(domain) => {
            let at = email.as_str().rsplit('@').next();
            at.is_some_and(|found| found.eq_ignore_ascii_case(domain))
        }
    };
    assert!(!policy.accounts_deny.iter().any(covers), "a denied account was let in");
    assert!(policy.accounts_allow.is_empty() || policy.accounts_allow.iter().any(covers), "not allowed");
    if let Whose::Ephemeral(requester) = asked.whose {
        let rules = policy.ephemeral.as_ref().expect("an ephemeral account where none is allowed");
        let at = requester.as_str().rsplit('@').next().unwrap_or_default();
        assert!(rules.domains.iter().any(|domain| domain.eq_ignore_ascii_case(at)), "of no allowed domain");
    }
}

fn hours_allow_a_part_of_what_they_allow(policy: &Policy) {
    let Some(hours) = &policy.hours else { return };
    assert!(!hours.windows.is_empty() && hours.zone.changes.is_sorted_by_key(|(from, _)| *from));
    for step in 0..7 {
        let (from, middle) = (NOW + Millis(step * 5 * HOUR.0), NOW + Millis((step * 5 + 1) * HOUR.0));
        let until = middle + HOUR;
        if hours.allow(from, until) {
            assert!(hours.allow(from, middle), "a whole and not its beginning");
            assert!(!hours.whole || hours.allow(middle, until), "a whole and not its end");
        }
    }
}

fn named(role: &str) -> RoleName {
    RoleName::new(role).expect("a plain name")
}
