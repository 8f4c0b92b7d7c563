//! When the policy is asked: as a job comes in, again just before a raise leaves, and never about an
//! ending. And that every decision names the policy that made it.

use std::collections::{BTreeMap, BTreeSet};

use ephemerald::engine::{
    codes::{ResultCode, Rule},
    ids::JobId,
    input::{Input, Refusal},
    job::Digest,
    policy::{
        Policy,
        hours::{Hours, Window, Zone},
    },
    record::Record,
    time::Millis,
};

use super::{
    HOUR, MINUTE, check, enforce, open_policy, two_hours, world,
    world::{Fate, email, role},
};

/// A policy of another hash.
fn strict(policy: Policy) -> Policy {
    Policy { hash: "1".repeat(64), ..policy }
}

fn denied() -> Policy {
    strict(Policy { denied_roles: BTreeSet::from([role("Manager")]), ..open_policy() })
}

#[test]
fn a_job_that_waited_is_judged_by_the_policy_of_the_instant_at_which_it_would_raise() {
    let mut w = world(open_policy());
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.down = true;
    w.grant("ada@example.com", "Manager", 10);
    w.run(5_000);
    check!(w, w.result("j1"), None);
    enforce(&mut w, denied());
    w.down = false;
    w.run(20_000);
    check!(w, w.result("j1").as_deref(), Some("rejected/role_not_grantable"));
    check!(w, w.cloud.raises_applied, 0);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_raise_that_was_not_carried_out_is_not_made_again_under_a_policy_that_refuses_it() {
    for refusing in [
        denied(),
        strict(Policy { max_duration: Millis(MINUTE), ..open_policy() }),
        strict(Policy { protected_accounts: vec![email("ADA@example.com")], ..open_policy() }),
        strict(Policy { max_live_grants: 0, ..open_policy() }),
        strict(Policy { dry_run: true, ..open_policy() }),
        strict(Policy { hours: Some(never_now()), ..open_policy() }),
    ] {
        let mut w = world(open_policy());
        let ada = w.hire("ada@example.com", &["Read Only"]);
        w.default_fate = Fate::Throttled;
        w.grant("ada@example.com", "Manager", 10);
        while w.records("attempt_ended").is_empty() {
            w.run(10);
        }
        enforce(&mut w, refusing);
        let sent = w.cloud.raises_applied;
        w.default_fate = Fate::Fine;
        w.run(60_000);
        check!(w, w.cloud.raises_applied, sent);
        check!(w, w.result("j1").as_deref(), Some("failed/not_sent_in_time"));
        check!(w, w.roles_of(&ada), ["Read Only"]);
    }
}

#[test]
fn a_raise_that_was_not_carried_out_is_made_again_under_the_limits_that_it_fills() {
    let mut w = world(Policy { max_live_grants: 1, max_grants_per_hour: 1, ..two_hours() });
    w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Throttled];
    w.grant("ada@example.com", "Manager", 120);
    w.run(20_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
}

#[test]
fn no_policy_stops_an_ending() {
    let mut w = world(open_policy());
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let bob = w.hire("bob@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 10);
    let asked = w.grant("bob@example.com", "Manager", 60);
    w.run(MINUTE);
    let closed = Policy {
        roles: BTreeMap::new(),
        hours: Some(never_now()),
        max_live_grants: 0,
        max_continuous: Millis(1),
        ..open_policy()
    };
    enforce(&mut w, strict(closed));
    w.run(10 * MINUTE);
    w.revoke(&asked);
    w.run(MINUTE);
    check!(w, (w.roles_of(&ada), w.roles_of(&bob)), (vec!["Read Only".into()], vec!["Read Only".into()]));
    check!(w, w.result("j3").as_deref(), Some("revoked"));
}

#[test]
fn a_role_that_manages_administrators_is_refused_by_that_name() {
    let mut w = world(Policy { roles: BTreeMap::new(), ..open_policy() });
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Administrator With Billing", 10);
    w.grant("ada@example.com", "Administrator", 10);
    w.run(5_000);
    check!(w, w.result("j1").as_deref(), Some("rejected/role_manages_admins"));
    check!(w, w.result("j2").as_deref(), Some("rejected/role_not_grantable"));
}

#[test]
fn a_grant_and_an_extension_must_lie_in_the_hours() {
    // The world begins on a Monday at 14:13 UTC.
    let until = |hour: u16| Hours {
        zone: Zone { name: "UTC".to_owned(), first: 0, changes: Vec::new() },
        windows: vec![Window { days: [true; 7], from: 0, until: hour * 60 }],
        whole: true,
    };
    let mut w = world(Policy { hours: Some(until(16)), ..open_policy() });
    w.hire("ada@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Manager", 60);
    w.grant("ada@example.com", "Administrator", 180);
    w.run(10_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
    check!(w, w.result("j2").as_deref(), Some("rejected/outside_hours"));
    let late = w.extend(&grant, 3 * HOUR);
    w.run(1_000);
    check!(w, w.result(&late).as_deref(), Some("rejected/outside_hours"));
}

#[test]
fn every_record_of_a_decision_names_the_policy_that_made_it() {
    let mut w = world(open_policy());
    w.hire("ada@example.com", &["Read Only"]);
    let refused = |rule| Refusal {
        job: JobId::new("x").unwrap(),
        digest: Digest([rule as u8; 32]),
        code: ResultCode::Rejected,
        rule: Some(rule),
    };
    w.input(Input::Refused(refused(Rule::EphemeralNotAllowed)));
    w.input(Input::Refused(refused(Rule::BadSignature)));
    w.grant("nobody@example.com", "Manager", 10);
    w.default_fate = Fate::Refused;
    w.grant("ada@example.com", "Manager", 10);
    w.run(60_000);
    let open = Some("0".repeat(64));
    let hashes: Vec<Option<String>> = w
        .all
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::JobAnswered(a) | Record::JobRefused(a) => Some(a.policy_hash.clone()),
            Record::GrantAccepted(terms) => Some(Some(terms.policy_hash.clone())),
            Record::GrantEnding(ending) => Some(ending.policy_hash.clone()),
            _ => None,
        })
        .collect();
    // Refused by policy, by signature (no policy was asked), not found, accepted, failed.
    check!(w, hashes, [open.clone(), None, open.clone(), open.clone(), open]);
}

#[test]
fn every_record_of_a_grants_life_names_the_policy_in_force() {
    let mut w = world(open_policy());
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 10);
    w.run(60_000);
    w.extend(&g, 20 * 60_000);
    w.run(9 * 60_000);
    w.disk = 50;
    w.extend(&g, 30 * 60_000);
    w.revoke(&g); // the extension is not on the disk yet
    w.default_fate = Fate::Refused;
    w.run(3 * 60_000);
    w.default_fate = Fate::Fine;
    w.run(10_000);
    w.human_sets(&ada, &["Manager"]); // as a raise that lands late would
    w.run(30 * 60 * 60_000);
    let kinds = [
        "grant_accepted",
        "grant_active",
        "extension_accepted",
        "grant_extended",
        "extension_dropped",
        "grant_ending",
        "revocation_overdue",
        "grant_gone",
        "grant_reappeared",
        "grant_settled",
        "job_answered",
    ];
    for kind in kinds {
        let found = w.records(kind);
        assert!(!found.is_empty(), "no {kind}\n{}", w.story());
        for record in found {
            let json = serde_json::to_value(record).unwrap();
            check!(w, json["policy_hash"].as_str(), Some("0".repeat(64).as_str()));
        }
    }
}

/// Hours that do not hold the world's first hours.
fn never_now() -> Hours {
    let mut days = [false; 7];
    days[6] = true;
    Hours {
        zone: Zone { name: "UTC".to_owned(), first: 0, changes: Vec::new() },
        windows: vec![Window { days, from: 0, until: 60 }],
        whole: true,
    }
}
