//! What an access costs in requests, and who waits when there are too few: no look too many, no write too many, and
//! a proof as soon as there can be one.

use ephemerald::engine::{
    ids::{AccountId, GrantId},
    settings::RoleMode,
};

use super::{MINUTE, world};
use crate::world::{Fate, World};

fn spent(w: &World) -> (u64, u64) {
    (w.cloud.reads, w.cloud.writes)
}

/// What was spent from `before` on.
fn since(w: &World, before: (u64, u64)) -> (u64, u64) {
    (w.cloud.reads - before.0, w.cloud.writes - before.1)
}

/// Ada is Manager for an hour, since a minute.
fn manager() -> (World, AccountId, GrantId) {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE + 30_000);
    (w, ada, g)
}

#[test]
fn an_ephemeral_account_takes_a_listing_before_it_is_made_one_after_and_two_that_prove_it_gone() {
    let mut w = world(RoleMode::Single);
    let before = spent(&w);
    let g = w.grant_ephemeral(60, "Manager");
    w.run(2_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
    check!(w, since(&w, before), (2, 1));
    w.run(MINUTE + 30_000);
    let before = spent(&w);
    w.revoke(&g);
    w.run(5_000);
    check!(w, w.ended(&g).as_deref(), Some("requested"));
    check!(w, since(&w, before), (2, 1));
}

#[test]
fn an_ending_is_read_back_as_soon_as_its_write_is_answered() {
    let (mut w, _, g) = manager();
    let before = spent(&w);
    w.revoke(&g);
    w.run(300); // three calls of 40 ms
    check!(w, w.ended(&g).as_deref(), Some("requested"));
    check!(w, since(&w, before), (2, 1));
}

#[test]
fn a_raise_that_is_not_shown_yet_is_looked_for_ever_more_patiently() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Lie];
    let before = spent(&w);
    w.grant("ada@example.com", "Manager", 30);
    w.run(29_000);
    check!(w, w.result("j1"), None);
    let (reads, writes) = since(&w, before);
    assert!((6..20).contains(&reads) && writes == 1, "{reads} reads, {writes} writes");
}

#[test]
fn a_raise_that_was_not_made_is_left_alone_for_a_moment_before_anybody_looks_again() {
    for fate in [Fate::Throttled, Fate::Unreachable] {
        let mut w = world(RoleMode::Single);
        w.hire("ada@example.com", &["Read Only"]);
        w.fates = vec![fate];
        let before = spent(&w);
        w.grant("ada@example.com", "Manager", 30);
        w.run(220);
        check!(w, since(&w, before), (1, 1));
        w.run(5_000);
        check!(w, w.result("j1").as_deref(), Some("granted"));
    }
}

#[test]
fn an_ending_that_cannot_be_looked_at_is_tried_ever_more_seldom_and_at_once_when_it_can() {
    let (mut w, ada, g) = manager();
    w.down = true;
    let before = spent(&w);
    w.revoke(&g);
    w.run(1_000);
    let (reads, _) = since(&w, before);
    assert!((2..4).contains(&reads), "{reads} reads in the first second");
    w.run(10 * MINUTE);
    let (reads, writes) = since(&w, before);
    assert!((40..120).contains(&reads) && writes == 0, "{reads} reads, {writes} writes");
    w.down = false;
    w.run(15_200);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn where_live_grants_are_looked_at_nobody_looks_for_orphans_besides() {
    let (mut w, _, _) = manager();
    let before = spent(&w);
    w.run(30 * MINUTE);
    check!(w, since(&w, before), (30, 0));
}

#[test]
fn a_listing_of_a_thousand_requests_is_paid_for_before_anybody_who_only_looks_has_another() {
    let mut w = world(RoleMode::Single);
    w.listing_takes = (0, 1_000); // at fifty a second
    w.sync();
    w.run(1_000);
    check!(w, w.result("j1").as_deref(), Some("synced"));
    w.sync();
    w.run(15_000);
    check!(w, w.result("j2"), None);
    w.run(6_000);
    check!(w, w.result("j2").as_deref(), Some("synced"));
}

#[test]
fn a_listing_that_jumpcloud_refused_in_part_slows_down_what_comes_after_it() {
    for throttled in [false, true] {
        let mut w = World::new(RoleMode::Single);
        w.settings.integrations[0].rate_per_second = 4;
        w.start();
        let ada = w.hire("ada@example.com", &["Read Only"]);
        w.run(10_000);
        w.listing_throttled = throttled;
        w.grant("ada@example.com", "Manager", 30);
        w.run(500);
        let raised = w.roles_of(&ada) == ["Manager"];
        check!(w, raised, !throttled);
    }
}
