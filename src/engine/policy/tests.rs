//! The rules one by one.

use super::{
    hours::{Hours, Window, Zone},
    *,
};
use crate::engine::codes::Rule;

const HOUR: Millis = Millis(3_600_000);
/// 2026-11-23, a Monday, 00:00 UTC.
const MONDAY: i64 = 1_795_392_000_000;

fn role(name: &str) -> RoleName {
    RoleName::new(name).unwrap()
}

fn policy() -> Policy {
    let roles = BTreeMap::from([(role("Help Desk"), HOUR), (role("Manager"), HOUR)]);
    Policy { roles, max_duration: HOUR, ..Policy::default() }
}

fn verdict(policy: &Policy, change: impl FnOnce(&mut Asked<'_>)) -> Result<(), Rule> {
    let (role, email, request) =
        (role("Help Desk"), Email::new("ada@example.com").unwrap(), AccessRequest::default());
    let from = Timestamp(MONDAY);
    let mut asked = Asked {
        role: &role,
        duration: HOUR,
        whose: Whose::Account(&email),
        request: &request,
        from,
        until: from + HOUR,
        facts: Facts::default(),
    };
    change(&mut asked);
    policy.judge(&asked)
}

#[test]
fn a_denied_role_is_refused_although_it_is_named() {
    let denied = Policy { denied_roles: BTreeSet::from([role("Help Desk")]), ..policy() };
    assert_eq!(verdict(&policy(), |_| {}), Ok(()));
    assert_eq!(verdict(&denied, |_| {}), Err(Rule::RoleNotGrantable));
}

#[test]
fn a_role_that_manages_administrators_has_its_own_refusal_until_the_policy_names_it() {
    let manages = |asked: &mut Asked<'_>| asked.facts.manages_admins = Some(true);
    let without = Policy { roles: BTreeMap::new(), ..policy() };
    assert_eq!(verdict(&without, manages), Err(Rule::RoleManagesAdmins));
    assert_eq!(verdict(&without, |_| {}), Err(Rule::RoleNotGrantable));
    assert_eq!(verdict(&policy(), manages), Ok(()));
}

#[test]
fn limits_hold_at_their_exact_value() {
    let limited = Policy { max_live_grants: 2, max_grants_per_hour: 3, max_continuous: HOUR, ..policy() };
    let facts = |live, last_hour, ms| Facts {
        manages_admins: None,
        live: Some(live),
        last_hour: Some(last_hour),
        continuous: Some(Millis(ms)),
    };
    assert_eq!(verdict(&limited, |a| a.facts = facts(1, 2, HOUR.0)), Ok(()));
    assert_eq!(verdict(&limited, |a| a.facts = facts(2, 2, HOUR.0)), Err(Rule::Quota));
    assert_eq!(verdict(&limited, |a| a.facts = facts(1, 3, HOUR.0)), Err(Rule::GrantsPerHour));
    assert_eq!(verdict(&limited, |a| a.facts = facts(1, 2, HOUR.0 + 1)), Err(Rule::MaxContinuous));
    assert_eq!(verdict(&limited, |a| a.duration = Millis(HOUR.0 + 1)), Err(Rule::DurationTooLong));
}

#[test]
fn signatures_are_counted_by_key_and_the_requesters_own_does_not_count() {
    let keys = [("ada", "K1"), ("grace", "K2"), ("joan", "K3")];
    let approval_keys = keys.map(|(who, key)| (who.to_owned(), key.to_owned())).into();
    let require = Requirements { signatures: 2, ..Requirements::default() };
    let any = Policy { approval_keys, require, ..policy() };
    let strict = Policy {
        require: Requirements { requester_not_approver: true, ..any.require.clone() },
        ..any.clone()
    };
    let signed = |policy: &Policy, keys: &[&str]| {
        let request = AccessRequest {
            requester: Some("Ada".to_owned()),
            signed_by: keys.iter().map(|k| (*k).to_owned()).collect(),
            ..AccessRequest::default()
        };
        let (role, email) = (role("Help Desk"), Email::new("ada@example.com").unwrap());
        let (from, until) = (Timestamp(MONDAY), Timestamp(MONDAY) + HOUR);
        let (whose, facts) = (Whose::Account(&email), Facts::default());
        let asked = Asked { role: &role, duration: HOUR, whose, request: &request, from, until, facts };
        policy.judge(&asked)
    };
    assert_eq!(signed(&any, &["K1", "K2"]), Ok(()));
    assert_eq!(signed(&any, &["K1", "K1"]), Err(Rule::ApprovalRequired), "one key twice is one");
    assert_eq!(signed(&any, &["K1", "K9"]), Err(Rule::ApprovalRequired), "a key that was taken away");
    assert_eq!(signed(&strict, &["K1", "K2"]), Err(Rule::ApprovalRequired), "ada asked");
    assert_eq!(signed(&strict, &["K3", "K2"]), Ok(()));
}

fn at(day: i64, hour: i64, minute: i64) -> Timestamp {
    Timestamp(MONDAY + ((day * 24 + hour) * 60 + minute) * 60_000)
}

fn hours(windows: &[([bool; 7], u16, u16)], whole: bool) -> Hours {
    let zone = Zone { name: "UTC".to_owned(), first: 0, changes: Vec::new() };
    let window =
        |(days, from, until): &([bool; 7], u16, u16)| Window { days: *days, from: *from, until: *until };
    Hours { zone, windows: windows.iter().map(window).collect(), whole }
}

const WEEKDAYS: [bool; 7] = [true, true, true, true, true, false, false];
const FRIDAY: [bool; 7] = [false, false, false, false, true, false, false];

#[test]
fn a_grant_lies_in_the_hours_wholly_or_by_its_beginning() {
    let whole = hours(&[(WEEKDAYS, 8 * 60, 18 * 60)], true);
    assert!(whole.allow(at(0, 8, 0), at(0, 18, 0)));
    assert!(!whole.allow(at(0, 7, 59), at(0, 9, 0)), "a minute too early");
    assert!(!whole.allow(at(0, 17, 0), at(0, 18, 1)), "a minute too late");
    assert!(!whole.allow(at(5, 9, 0), at(5, 10, 0)), "Saturday");
    assert!(!whole.allow(at(0, 9, 0), at(1, 9, 0)), "the night is between");
    let begun = hours(&[(WEEKDAYS, 8 * 60, 18 * 60)], false);
    assert!(begun.allow(at(0, 17, 59), at(1, 3, 0)) && !begun.allow(at(0, 18, 0), at(0, 19, 0)));
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_opens() {
    let night = hours(&[(FRIDAY, 22 * 60, 6 * 60)], true);
    assert!(night.allow(at(4, 22, 0), at(5, 6, 0)));
    assert!(!night.allow(at(4, 5, 0), at(4, 5, 30)), "the night before is Thursday's");
    assert!(!night.allow(at(5, 22, 0), at(5, 23, 0)), "Saturday's");
    let joined =
        hours(&[(FRIDAY, 0, 24 * 60), ([false, false, false, false, false, true, false], 0, 60)], true);
    assert!(joined.allow(at(4, 0, 0), at(5, 1, 0)), "windows that touch are one");
}

#[test]
fn no_length_is_too_long_to_be_judged() {
    let always = hours(&[([true; 7], 0, 24 * 60)], true);
    assert!(always.allow(at(0, 0, 0), Timestamp(i64::MAX)));
    let but_an_hour = hours(&[([true; 7], 0, 23 * 60)], true);
    assert!(!but_an_hour.allow(at(0, 0, 0), Timestamp(i64::MAX)));
}

#[test]
fn the_zone_s_offset_counts_before_and_after_it_changes() {
    let mut summer = hours(&[(WEEKDAYS, 8 * 60, 18 * 60)], true);
    summer.zone = Zone { name: "X".to_owned(), first: 3600, changes: vec![(at(2, 0, 0), 7200)] };
    assert!(summer.allow(at(0, 7, 0), at(0, 17, 0)) && !summer.allow(at(0, 6, 59), at(0, 7, 30)));
    assert!(summer.allow(at(2, 6, 0), at(2, 16, 0)) && !summer.allow(at(2, 16, 0), at(2, 16, 1)));
}

#[test]
fn a_plus_in_a_requesters_address_does_not_lead_past_a_denial() {
    let plus: &'static Email = Box::leak(Box::new(Email::new("ada+x@example.com").unwrap()));
    let closed = Policy { protected_accounts: vec![Email::new("ada@example.com").unwrap()], ..policy() };
    assert_eq!(verdict(&closed, |a| a.whose = Whose::Ephemeral(plus)), Err(Rule::ProtectedAccount));
    assert_eq!(verdict(&closed, |a| a.whose = Whose::Account(plus)), Ok(()), "an account of its own");
}
