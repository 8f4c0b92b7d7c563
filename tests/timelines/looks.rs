//! Looks at what goes on: what one of them means however long it took, and what a failed one leaves behind.

use ephemerald::engine::{
    input::Input,
    job::{Ask, Job},
    observed::FaultClass,
    order::{Deed, Order, Peer, Selection},
    record::Record,
    settings::RoleMode,
    time::Millis,
};

use super::{MINUTE, world};
use crate::world::{JumpCloud, World, jc, role};

#[test]
fn access_that_a_person_took_away_is_seen_by_a_listing_that_takes_long_as_well() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    w.listing_takes = (5_000, 10);
    w.human_sets(&ada, &["Read Only"]);
    w.run(3 * MINUTE);
    check!(w, w.ended(&g).as_deref(), Some("revoked_externally"));
}

#[test]
fn an_ephemeral_account_whose_role_a_person_took_away_is_deleted_then_and_not_at_its_end() {
    let mut w = world(RoleMode::Single);
    let people = w.cloud.admins.len();
    let g = w.grant_ephemeral(60, "Manager");
    w.run(MINUTE);
    let made = w.cloud.admins.keys().next_back().unwrap().clone();
    w.human_sets(&made, &["Read Only"]);
    w.run(3 * MINUTE);
    check!(w, w.ended(&g).as_deref(), Some("revoked_externally"));
    check!(w, w.cloud.admins.len(), people);
}

#[test]
fn failures_that_were_each_followed_by_an_answer_do_not_add_up_to_an_outage() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.hire("bob@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(20_000);
    for _ in 0..5 {
        w.down = true;
        w.input(Input::Hint(jc()));
        w.run(60); // one listing fails
        w.down = false;
        w.run(6_000); // and is made again
    }
    w.grant("bob@example.com", "Manager", 60);
    w.run(1_000);
    check!(w, w.result("j2").as_deref(), Some("granted"));
}

#[test]
fn of_two_old_states_with_the_present_one_between_neither_ends_a_grant() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(20_000);
    for _ in 0..2 {
        w.cloud.stale.insert(ada.clone(), vec![role("Read Only")]);
        w.input(Input::Hint(jc()));
        w.run(1_000);
        w.cloud.stale.clear();
        w.run(MINUTE);
    }
    check!(w, (w.ended(&g), w.roles_of(&ada)), (None, vec!["Manager".to_owned()]));
    check!(w, w.records("grant_ending").len(), 0);
}

#[test]
fn a_second_ending_is_settled_by_a_look_of_its_own_although_the_account_was_watched_before() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    for n in 0..2 {
        let g = w.grant("ada@example.com", "Manager", 5);
        w.run(5 * MINUTE + 10_000);
        check!(w, w.ended(&g).as_deref(), Some("expired"));
        check!(w, w.records("grant_settled").len(), n);
        w.run(20 * MINUTE);
        check!(w, w.records("grant_settled").len(), n + 1);
    }
}

#[test]
fn an_ending_that_waits_for_the_disk_goes_on_as_soon_as_the_disk_has_it() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let higher = w.grant("ada@example.com", "Administrator", 10);
    w.run(MINUTE);
    w.disk = 5_000;
    w.grant("ada@example.com", "Manager", 60); // covered by what is there, and live
    w.run(1_000);
    let deed = Deed::Revoke(Selection::of(higher));
    let by = Peer { uid: 0, gid: 0, pid: None };
    w.input(Input::Operator(deed, Order { by, remark: None }));
    w.run(3_500);
    check!(w, w.roles_of(&ada), ["Administrator"]); // its role is to be written, and the disk does not know of it
    w.run(800);
    check!(w, w.roles_of(&ada), ["Manager"]);
}

#[test]
fn an_account_that_was_made_with_another_role_than_was_asked_for_is_told_as_failed_and_deleted_at_once() {
    let mut w = world(RoleMode::Single);
    let people = w.cloud.admins.len();
    let next = JumpCloud::id_of_nth(w.cloud.made + 1);
    w.cloud.stale.insert(next, vec![role("Administrator")]);
    w.grant_ephemeral(30, "Help Desk");
    w.run(3_000);
    check!(w, w.result("j1").as_deref(), Some("failed/not_confirmed"));
    check!(w, (w.cloud.made, w.cloud.admins.len()), (people as u64 + 1, people));
}

#[test]
fn the_listing_of_another_organization_stops_raises_at_once() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    w.abroad = true;
    w.input(Input::Hint(jc()));
    w.run(200);
    w.grant("bob@example.com", "Manager", 60);
    check!(w, w.result("j2").as_deref(), Some("rejected/credential"));
}

#[test]
fn a_revocation_that_is_overdue_says_what_it_met_although_nothing_could_be_written() {
    let mut w = World::new(RoleMode::Single);
    w.settings.integrations[0].observe_interval = Millis::from_secs(86_400); // nothing else is looked at
    w.start();
    w.run(1_000);
    w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    w.down = true;
    w.revoke(&g);
    w.run(3 * MINUTE);
    let told: Vec<_> = w
        .records("revocation_overdue")
        .into_iter()
        .map(|record| match record {
            Record::RevocationOverdue { fault, .. } => fault.as_ref().map(|fault| fault.class),
            _ => panic!("{record:?}"),
        })
        .collect();
    check!(w, told, [Some(FaultClass::Ambiguous)]);
}

#[test]
fn a_slow_listing_that_began_before_an_ending_is_no_sign_that_the_access_is_back() {
    for ephemeral in [false, true] {
        let mut w = world(RoleMode::Single);
        w.hire("ada@example.com", &["Read Only"]);
        let g = if ephemeral {
            w.grant_ephemeral(60, "Manager")
        } else {
            w.grant("ada@example.com", "Manager", 60)
        };
        w.run(MINUTE + 30_000);
        w.listing_takes = (5_000, 10);
        w.input(Input::Hint(jc()));
        w.run(1_000);
        w.listing_takes = (0, 1);
        w.revoke(&g);
        w.run(3_000);
        check!(w, w.ended(&g).as_deref(), Some("requested"));
        w.run(3_000);
        check!(w, (w.records("grant_reappeared").len(), w.cloud.writes), (0, 2));
    }
}

#[test]
fn a_test_is_passed_once_everything_was_read_since_it_came_and_not_before() {
    let mut w = world(RoleMode::Single);
    w.run(MINUTE);
    w.listing_takes = (5_000, 10);
    let test = Job { ask: Ask::Test, ..w.next_job() };
    w.input(Input::Job(Box::new(test)));
    w.run(4_000);
    check!(w, w.result("j1"), None);
    w.run(2_000);
    check!(w, w.result("j1").as_deref(), Some("tested"));
}
