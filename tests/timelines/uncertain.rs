//! Writes whose fate nobody knows: late, lost, overtaken, sent by a process that slept.

use ephemerald::engine::settings::RoleMode;

use super::{
    MINUTE, world,
    world::{Fate, role},
};

#[test]
pub(crate) fn t6_a_late_raise_of_an_ended_grant_is_not_taken_for_a_baseline() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Late(100_000)];
    let g1 = w.grant("ada@example.com", "Manager", 60);
    w.run(45_000);
    check!(w, w.result("j1").as_deref(), Some("failed/not_confirmed"));
    check!(w, w.ended(&g1).as_deref(), Some("failed"));
    w.run(56_000); // it lands
    check!(w, w.roles_of(&ada), ["Manager"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(30_000);
    check!(w, w.result("j2").as_deref(), Some("granted"));
    w.run(61 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn t19_a_lower_that_timed_out_unexecuted_is_made_again() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Fine, Fate::Dropped];
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(61 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
}

#[test]
fn a_role_that_only_a_raise_in_doubt_would_justify_is_not_gone_yet() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Fine, Fate::Dropped];
    let lower = w.grant("ada@example.com", "Help Desk", 5);
    w.run(5 * MINUTE - 6_000);
    let higher = w.grant("ada@example.com", "Manager", 60);
    w.run(16_000); // the lower one has ended meanwhile, nobody knows whether the higher one is there
    check!(w, w.ended(&lower), None);
    check!(w, w.roles_of(&ada), ["Help Desk"]);
    w.run(30_000);
    check!(w, w.ended(&higher).as_deref(), Some("failed"));
    check!(w, w.ended(&lower).as_deref(), Some("expired"));
    check!(w, w.roles_of(&ada), ["Read Only"]);
    w.run(61 * MINUTE);
    check!(w, w.records("grant_reappeared").len(), 0);
}

#[test]
fn t20_a_late_raise_beside_a_live_grant_is_lowered_to_it() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Late(5 * MINUTE)];
    w.grant("ada@example.com", "Administrator", 180);
    w.run(45_000);
    check!(w, w.result("j1").as_deref(), Some("failed/not_confirmed"));
    w.grant("ada@example.com", "Help Desk", 180);
    w.run(1_000);
    check!(w, w.roles_of(&ada), ["Help Desk"]);
    w.run(7 * MINUTE);
    check!(w, w.roles_of(&ada), ["Help Desk"]);
    let landed =
        w.cloud.history.iter().any(|(_, id, r)| *id == ada && *r == Some(vec![role("Administrator")]));
    assert!(landed, "the late write did land: otherwise this shows nothing");
    check!(w, w.records("grant_reappeared").len(), 1);
    w.run(180 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn t22_a_role_that_comes_back_is_lowered_again() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(60 * MINUTE + 1_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    w.run(5_000);
    w.human_sets(&ada, &["Manager"]); // what a reverting replica would do
    w.run(20_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    check!(w, w.records("grant_reappeared").len(), 1);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
}

#[test]
pub(crate) fn t9_a_raise_that_slept_between_its_commit_and_its_sending_is_not_sent() {
    for sleeps in [5_200, 20 * MINUTE] {
        let mut w = world(RoleMode::Single);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        w.disk = sleeps;
        w.grant("ada@example.com", "Manager", 10);
        w.run(4_000); // its records are written…
        assert!(w.is_unsynced(), "or this shows nothing\n{}", w.story());
        w.run(sleeps); // …and the process wakes after that
        check!(w, w.cloud.raises_applied, 0);
        w.disk = 2;
        w.run(30 * MINUTE);
        if sleeps > 10 * MINUTE {
            // It was over before anybody woke.
            let given = w.cloud.history.iter().any(|(_, _, roles)| *roles == Some(vec![role("Manager")]));
            check!(w, given, false);
            check!(w, w.result("j1").as_deref().is_some_and(|result| result != "granted"), true);
        }
        check!(w, w.roles_of(&ada), ["Read Only"]);
    }
}

#[test]
fn a_late_raise_that_carries_the_role_of_another_grant_brings_neither_back() {
    let mut w = world(RoleMode::Multiple);
    let ada = w.hire("ada@example.com", &["Billing Only"]);
    w.fates = vec![Fate::Fine, Fate::Late(95_000)];
    let first = w.grant("ada@example.com", "Manager", 60);
    w.run(10_000);
    w.grant("ada@example.com", "Administrator", 60);
    w.run(40_000); // not confirmed
    w.revoke(&first);
    w.run(20_000);
    check!(w, w.roles_of(&ada), ["Billing Only"]);
    let third = w.grant("ada@example.com", "Administrator", 60); // so that what lands is not all too much
    w.run(5_000);
    w.down = true;
    w.run(130_000); // it lands, and nobody can look until long after
    check!(w, w.roles_of(&ada), ["Administrator", "Billing Only", "Manager"]);
    w.down = false;
    w.run(5 * MINUTE);
    check!(w, w.roles_of(&ada), ["Administrator", "Billing Only"]);
    w.revoke(&third);
    w.run(MINUTE);
    check!(w, w.roles_of(&ada), ["Billing Only"]);
    check!(w, w.records("baseline_moved").len(), 0);
}

#[test]
fn a_throttled_lower_is_not_repeated_before_its_time() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Fine, Fate::Throttled];
    w.grant("ada@example.com", "Manager", 10);
    w.run(10 * MINUTE + 200);
    check!(w, w.cloud.writes, 2);
    w.run(500);
    check!(w, w.cloud.writes, 2);
    w.run(MINUTE);
    check!(w, (w.cloud.writes, w.roles_of(&ada)), (3, vec!["Read Only".to_owned()]));
}
