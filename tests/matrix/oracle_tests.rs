//! The oracle itself: each kind of wrong is found, and what is right is not.

use std::collections::BTreeSet;

use ephemerald::{
    admin::view::GrantView,
    sandbox::{
        control_plane::ResultView,
        jumpcloud::{
            Account, Change, Changed, Entry, Event, Received, RoleNameWrite, RoleNamesWrite, default_roles,
        },
    },
};
use serde_json::{Value, json};

use crate::{
    grid,
    oracle::judge,
    play::{Happened, Job},
    stories::{Kind, Story, population},
};

const ID: &str = "000000000000000000000001";

/// A cell in which one grant was given and ended as it should be, by default switches; `change`
/// makes it otherwise.
fn found(change: impl FnOnce(&mut Happened, &mut grid::Cell)) -> (Vec<String>, String) {
    let mut cell = grid::alone().remove(0);
    let mut happened = Happened {
        roles: default_roles(),
        before: accounts(),
        after: accounts(),
        log: vec![put(1_000), changed(1_001, &["Help Desk"]), put(6_000), changed(6_001, &["Read Only"])],
        reports: vec![
            report(2_000, &json!({"kind": "result", "code": "granted", "job_id": "j", "ends_at": at(5_000)})),
            report(7_000, &json!({"kind": "event", "code": "grant_ended", "reason": "expired"})),
        ],
        jobs: vec![Job {
            integration: "i00".into(),
            story: Story::Expires,
            leg: 0,
            kind: Kind::Grant,
            id: "j".into(),
            sent_ms: 500,
        }],
        inventory: None,
        held: Vec::new(),
        alarms: BTreeSet::new(),
        undescribed: Vec::new(),
        unfinished: false,
        agent_log: String::new(),
    };
    change(&mut happened, &mut cell);
    let verdict = judge(&cell, &happened);
    (verdict.wrong, verdict.words[&Story::Expires].clone())
}

fn accounts() -> Vec<Account> {
    let population = population();
    let accounts = population["accounts"].as_array().unwrap().iter().enumerate();
    let accounts = accounts.map(|(at, account)| {
        let mut account: Account = serde_json::from_value(account.clone()).unwrap();
        account.id =
            if account.email == Story::Expires.email() { ID.to_owned() } else { format!("a{at:023}") };
        account
    });
    accounts.collect()
}

fn put(at_ms: i64) -> Entry {
    request(at_ms, "PUT", &format!("/api/users/{ID}"))
}

fn request(at_ms: i64, method: &str, path: &str) -> Entry {
    let (method, path) = (method.to_owned(), path.to_owned());
    let received =
        Received { method, path, key_digest: None, status: Some(200), fault: None, executed: true };
    Entry { seq: 1, at_ms, event: Event::Request(received) }
}

fn changed(at_ms: i64, roles: &[&str]) -> Entry {
    let changed = Changed {
        actor: "owner@example.com".into(),
        change: Change::Updated,
        account: ID.into(),
        email: Story::Expires.email(),
        roles: roles.iter().map(|&role| role.to_owned()).collect(),
        suspended: false,
    };
    Entry { seq: 1, at_ms, event: Event::Changed(changed) }
}

fn report(at_ms: i64, what: &Value) -> ResultView {
    let mut report = what.clone();
    report["at"] = at(at_ms);
    report["grant_id"] = json!("i00-expires-0");
    let view = json!({"agent": "a", "seq": 1, "received_at": 0, "repeats": 0, "conflicting": 0, "malformed": null, "report": report});
    serde_json::from_value(view).unwrap()
}

fn at(ms: i64) -> Value {
    json!(jiff::Timestamp::from_millisecond(ms).unwrap().to_string())
}

#[test]
fn what_is_right_is_right() {
    assert_eq!(found(|_, _| {}), (vec![], "granted → restored".to_owned()));
}

#[test]
fn a_grant_that_was_never_there_and_an_end_that_has_not_come_are_false_reports() {
    let (wrong, _) = found(|happened, _| {
        happened.log = vec![];
    });
    assert!(wrong.iter().any(|w| w.contains("never had Help Desk")), "{wrong:?}");
    let (wrong, _) = found(|happened, _| happened.log[3].at_ms = 7_500);
    assert!(wrong.iter().any(|w| w.contains("still had [\"Help Desk\"]")), "{wrong:?}");
    let (wrong, _) = found(|happened, _| happened.reports[1].report["reason"] = json!("superseded"));
    assert!(wrong.iter().any(|w| w.contains("ended as superseded")), "{wrong:?}");
}

#[test]
fn access_that_stays_or_goes_too_late_is_wrong() {
    let (wrong, words) = found(|happened, _| happened.log.truncate(2));
    assert!(wrong.iter().any(|w| w.contains("and has Some")) && words.contains("WRONG"), "{wrong:?} {words}");
    let (wrong, _) = found(|happened, _| happened.log[3].at_ms = 36_000);
    assert!(wrong.iter().any(|w| w.contains("it was due at 5000")), "{wrong:?}");
}

#[test]
fn an_extension_that_was_reported_and_did_not_hold_is_wrong() {
    let extended = |until: i64| {
        found(|happened, _| {
            happened.jobs.push(Job { kind: Kind::Extend, id: "e".into(), ..happened.jobs[0].clone() });
            let result = json!({"kind": "result", "code": "extended", "job_id": "e", "ends_at": at(until)});
            happened.reports.push(report(3_000, &result));
        })
    };
    assert_eq!(extended(6_000), (vec![], "granted, extended → restored".to_owned()));
    let (wrong, _) = extended(9_000);
    assert!(wrong.iter().any(|w| w.contains("lost Help Desk before 9000")), "{wrong:?}");
}

#[test]
fn a_field_that_nobody_asked_to_change_is_wrong_where_a_write_keeps_what_it_leaves_out() {
    let (wrong, _) = found(|happened, _| happened.after[2].enable_multi_factor = false);
    assert!(wrong.iter().any(|w| w.contains("other fields")), "{wrong:?}");
}

#[test]
fn two_results_and_writes_to_others_and_in_circles_are_wrong() {
    let (wrong, _) = found(|happened, _| happened.reports.push(happened.reports[0].clone()));
    assert!(wrong.iter().any(|w| w.contains("2 results")), "{wrong:?}");
    let (wrong, _) = found(|happened, _| {
        let bystander = happened.before.iter().find(|a| a.email == "bystander@example.com").unwrap();
        happened.log.push(request(9_000, "PUT", &format!("/api/users/{}", bystander.id)));
    });
    assert!(wrong.iter().any(|w| w.contains("bystander@example.com") && w.contains("no grant")), "{wrong:?}");
    let (wrong, _) = found(|happened, _| happened.log.extend((0..20).map(|_| put(9_000))));
    assert!(wrong.iter().any(|w| w.contains("in circles")), "{wrong:?}");
}

/// Access that stays is forgiven only where no write takes it away and a person was called.
#[test]
fn an_alarm_excuses_only_what_the_switches_make_impossible() {
    let stays = |possible: bool, called: bool| {
        found(|happened, cell| {
            happened.log = vec![put(1_000), changed(1_001, &["Read Only", "Help Desk"])];
            happened.reports.truncate(1);
            let held = GrantView {
                grant_id: "i00-expires-0".into(),
                account_email: Story::Expires.email(),
                state: "revoking".into(),
                ..GrantView::default()
            };
            happened.held = vec![held];
            if called {
                happened.alarms.insert(ID.to_owned());
            }
            cell.switches.role_name = RoleNameWrite::Adds;
            cell.switches.role_names =
                if possible { RoleNamesWrite::Replaces } else { RoleNamesWrite::Refused };
        })
    };
    assert_eq!(stays(false, true), (vec![], "granted → escalated".to_owned()));
    for (possible, called) in [(false, false), (true, true), (true, false)] {
        let (wrong, words) = stays(possible, called);
        assert!(!wrong.is_empty() && words == "granted → WRONG", "{possible} {called}: {wrong:?} {words}");
    }
}
