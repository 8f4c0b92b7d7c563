//! How often and how soon what does not succeed is tried again, and that one ending's troubles are not the next
//! one's.

use ephemerald::engine::{
    action::Warning,
    ids::{AccountId, GrantId, RoleName},
    observed::FaultClass,
    settings::RoleMode,
    time::Millis,
};

use super::{MINUTE, world};
use crate::world::{Fate, World, role};

/// Ada has Help Desk by herself and Manager for an hour.
fn manager() -> (World, AccountId, GrantId) {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Help Desk"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    (w, ada, g)
}

/// She has it once more, after an ending that is over.
fn manager_again(w: &mut World, first: &GrantId) -> GrantId {
    assert!(w.ended(first).is_some(), "the first one is gone\n{}", w.story());
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    g
}

/// What was written to take access away, in its order.
fn lowers(w: &World) -> Vec<Vec<RoleName>> {
    w.witness.writings.iter().filter(|w| w.lowers).map(|w| w.roles.clone()).collect()
}

fn warned(w: &World, of: fn(&Warning) -> bool) -> usize {
    w.warnings.iter().filter(|warning| of(warning)).count()
}

fn stood_still(warning: &Warning) -> bool {
    matches!(warning, Warning::Escalated(_))
}

fn floored(warning: &Warning) -> bool {
    matches!(warning, Warning::FloorInstead(_))
}

#[test]
fn what_failed_four_times_over_more_than_a_minute_is_given_up_for_the_floor_with_the_fifth_try() {
    for class in [FaultClass::Refused, FaultClass::Forbidden] {
        let (mut w, _, _) = manager();
        w.cloud.refuses = Some((role("Help Desk"), class));
        w.latency = 9_000; // so that there are no more tries in that time
        w.run(65 * MINUTE);
        let expected = ["Help Desk", "Help Desk", "Help Desk", "Help Desk", "Read Only"];
        check!(w, lowers(&w), expected.map(|name| vec![role(name)]));
    }
}

#[test]
fn what_never_succeeds_is_tried_ever_more_seldom() {
    let (mut w, _, g) = manager();
    w.default_fate = Fate::Refused;
    let writes = w.cloud.writes;
    w.revoke(&g);
    w.run(10 * MINUTE);
    let tries = w.cloud.writes - writes;
    assert!((40..60).contains(&tries), "{tries} tries");
}

#[test]
fn an_account_that_cannot_be_deleted_is_not_tried_without_end_in_one_moment() {
    let mut w = world(RoleMode::Single);
    let g = w.grant_ephemeral(60, "Manager");
    w.run(MINUTE);
    w.cloud.keeps_accounts = true;
    let (reads, writes) = (w.cloud.reads, w.cloud.writes);
    w.revoke(&g);
    w.run(10 * MINUTE);
    let tries = (w.cloud.reads - reads, w.cloud.writes - writes);
    assert!((40..120).contains(&tries.0) && (40..60).contains(&tries.1), "{tries:?} reads and writes");
}

#[test]
fn an_account_that_cannot_be_proven_gone_is_looked_for_ever_more_seldom() {
    let mut w = world(RoleMode::Single);
    let g = w.grant_ephemeral(60, "Manager");
    w.run(MINUTE);
    w.listing_complete = false;
    let reads = w.cloud.reads;
    w.revoke(&g);
    w.run(10 * MINUTE);
    check!(w, w.ended(&g), None);
    let looks = w.cloud.reads - reads;
    assert!((40..120).contains(&looks), "{looks} looks");
}

#[test]
fn where_nothing_may_be_written_it_is_looked_again_four_times_a_minute_and_once_a_person_helped_it_is_over() {
    let mut w = world(RoleMode::Multiple);
    let bob = w.hire("bob@example.com", &["Help Desk"]);
    let g = w.grant("bob@example.com", "Command Runner", 10);
    w.run(MINUTE);
    w.human_sets(&bob, &["Command Runner"]); // what is left beside it would be more than that
    w.run(10 * MINUTE);
    check!(w, (w.ended(&g), warned(&w, stood_still)), (None, 1));
    let reads = w.cloud.reads;
    w.run(10 * MINUTE);
    let looks = w.cloud.reads - reads;
    assert!((45..75).contains(&looks), "{looks} looks");
    w.human_sets(&bob, &["Read Only"]);
    w.run(15_200);
    check!(w, w.ended(&g).is_some(), true);
}

#[test]
fn after_an_ending_that_took_long_the_next_one_is_tried_again_as_soon_as_the_first_was() {
    let (mut w, ada, first) = manager();
    w.default_fate = Fate::Refused;
    w.revoke(&first);
    w.run(MINUTE - 20_000);
    w.default_fate = Fate::Fine;
    w.run(MINUTE);
    let second = manager_again(&mut w, &first);
    w.fates = vec![Fate::Refused];
    w.revoke(&second);
    w.run(1_000);
    check!(w, w.roles_of(&ada), ["Help Desk"]);
}

#[test]
fn an_ending_does_not_wait_because_a_look_before_it_failed() {
    let mut w = World::new(RoleMode::Single);
    w.settings.integrations[0].observe_interval = Millis::from_secs(86_400); // nothing else is looked at
    w.start();
    w.run(1_000);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let short = w.grant("ada@example.com", "Help Desk", 10);
    let long = w.grant("ada@example.com", "Manager", 60);
    w.run(10 * MINUTE + 5_000);
    check!(w, w.ended(&short).as_deref(), Some("expired"));
    w.down = true; // the look that is to settle it fails, again and again
    w.run(MINUTE);
    let reads = w.cloud.reads;
    while w.cloud.reads == reads {
        w.run(50);
    }
    w.run(100);
    w.down = false;
    w.revoke(&long);
    w.run(1_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_standstill_is_said_once_for_each_ending_that_comes_to_one_and_for_none_that_does_not() {
    let (mut w, _, first) = manager();
    w.default_fate = Fate::Refused;
    w.revoke(&first);
    w.run(30_000);
    check!(w, warned(&w, stood_still), 1);
    w.default_fate = Fate::Fine;
    w.run(MINUTE);
    let second = manager_again(&mut w, &first);
    w.revoke(&second);
    w.run(MINUTE);
    check!(w, (w.ended(&second).is_some(), warned(&w, stood_still)), (true, 1));
    let third = manager_again(&mut w, &second);
    w.default_fate = Fate::Refused;
    w.revoke(&third);
    w.run(30_000);
    check!(w, warned(&w, stood_still), 2);
}

#[test]
fn an_account_that_is_shown_without_any_role_is_told_each_time_that_it_begins() {
    let (mut w, ada, _) = manager();
    for times in 1..=2 {
        w.cloud.stale.insert(ada.clone(), Vec::new());
        w.run(3 * MINUTE);
        check!(w, warned(&w, stood_still), times);
        w.cloud.stale.clear();
        w.run(3 * MINUTE);
    }
}

#[test]
fn the_patience_for_a_baseline_begins_anew_with_every_ending() {
    for class in [FaultClass::Refused, FaultClass::Forbidden] {
        let (mut w, ada, first) = manager();
        w.cloud.refuses = Some((role("Help Desk"), class));
        w.revoke(&first);
        w.run(5_000);
        w.cloud.refuses = None;
        w.run(MINUTE);
        let second = manager_again(&mut w, &first);
        w.cloud.refuses = Some((role("Help Desk"), class));
        w.revoke(&second);
        w.run(30_000);
        check!(w, w.roles_of(&ada), ["Manager"]);
        w.cloud.refuses = None;
        w.run(MINUTE);
        check!(w, w.roles_of(&ada), ["Help Desk"]);
    }
}

#[test]
fn what_failed_for_one_ending_does_not_count_for_the_next() {
    let (mut w, ada, first) = manager();
    w.fates = vec![Fate::Dropped; 5];
    w.revoke(&first);
    w.run(3 * MINUTE);
    let second = manager_again(&mut w, &first);
    w.fates = vec![Fate::Dropped];
    w.default_fate = Fate::Unreachable;
    w.revoke(&second);
    w.run(2 * MINUTE);
    w.default_fate = Fate::Fine;
    w.run(MINUTE);
    check!(w, w.roles_of(&ada), ["Help Desk"]); // one try that reached JumpCloud is not a reason for the floor
}

#[test]
fn that_the_floor_is_written_instead_is_said_for_every_ending_that_needs_it() {
    let (mut w, ada, first) = manager();
    w.cloud.refuses = Some((role("Help Desk"), FaultClass::Refused));
    w.revoke(&first);
    w.run(3 * MINUTE);
    check!(w, (w.roles_of(&ada), warned(&w, floored)), (vec!["Read Only".to_owned()], 1));
    w.human_sets(&ada, &["Help Desk"]); // given back by a person
    let second = manager_again(&mut w, &first);
    w.revoke(&second);
    w.run(3 * MINUTE);
    check!(w, (w.roles_of(&ada), warned(&w, floored)), (vec!["Read Only".to_owned()], 2));
}

#[test]
fn what_was_lost_to_the_floor_a_moment_ago_is_not_what_the_next_grant_leaves() {
    let (mut w, ada, first) = manager();
    w.cloud.refuses = Some((role("Help Desk"), FaultClass::Refused));
    w.revoke(&first);
    while w.ended(&first).is_none() {
        w.run(1_000);
    }
    w.cloud.refuses = None;
    let second = manager_again(&mut w, &first);
    w.revoke(&second);
    w.run(MINUTE);
    check!(
        w,
        (w.ended(&second).as_deref(), w.roles_of(&ada)),
        (Some("requested"), vec!["Read Only".to_owned()])
    );
}
