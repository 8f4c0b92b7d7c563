//! Reads that show what was, and not what is: replicas that lag, listings that take long.

use ephemerald::engine::{action::Warning, settings::RoleMode, time::Millis};

use super::{MINUTE, world};
use crate::world::{Fate, World, email, role};

#[test]
fn an_old_state_shown_once_does_not_end_a_grant_and_a_person_who_demotes_does() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(10_000);
    w.cloud.stale.insert(ada.clone(), vec![role("Read Only")]);
    w.run(MINUTE);
    check!(w, w.ended(&g), None);
    w.cloud.stale.clear();
    w.run(5 * MINUTE);
    check!(w, (w.ended(&g), w.roles_of(&ada)), (None, vec!["Manager".to_owned()]));
    w.human_sets(&ada, &["Read Only"]);
    w.run(90_000);
    check!(w, w.ended(&g).as_deref(), Some("revoked_externally"));
}

#[test]
fn while_a_live_grants_access_seems_gone_nothing_is_built_on_it() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(10_000);
    w.cloud.stale.insert(ada.clone(), vec![role("Read Only")]);
    let writes = w.cloud.writes;
    w.grant("ada@example.com", "Help Desk", 90); // j2
    w.run(5_000);
    check!(w, (w.cloud.writes, w.result("j2")), (writes, None));
    w.cloud.stale.clear();
    w.run(20_000);
    check!(w, w.result("j2").as_deref(), Some("granted"));
    check!(w, w.roles_of(&ada), ["Manager"]);
}

#[test]
fn what_was_there_before_a_raise_does_not_prove_that_the_raise_is_gone() {
    for mode in [RoleMode::Single, RoleMode::Multiple] {
        let mut w = world(mode);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        let g = w.grant("ada@example.com", "Manager", 60);
        w.run(1_000);
        // No write takes anything away, and the reads lag: they show what was there before the raise.
        w.default_fate = Fate::Lie;
        w.cloud.stale.insert(ada.clone(), vec![role("Read Only")]);
        w.revoke(&g);
        w.run(10_000);
        w.cloud.stale.clear();
        w.run(5 * MINUTE);
        check!(w, w.records("grant_gone").len(), 0);
        assert!(w.roles_of(&ada).contains(&"Manager".to_owned()), "or this shows nothing\n{}", w.story());
        let alarmed = w.warnings.iter().any(|warning| matches!(warning, Warning::Escalated(_)));
        assert!(alarmed, "it is said aloud\n{}", w.story());
    }
}

#[test]
fn a_revocation_right_after_its_grant_is_carried_out_at_once_and_told_when_it_is_proven() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(1_000);
    w.revoke(&g);
    w.run(1_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    check!(w, w.ended(&g), None);
    let reads = w.cloud.reads;
    w.run(10_000);
    check!(w, w.cloud.reads, reads);
    w.run(5_000);
    check!(w, w.ended(&g).as_deref(), Some("requested"));
    check!(w, w.result("j2").as_deref(), Some("revoked"));
}

#[test]
fn what_a_slow_listing_showed_is_read_again_before_a_write_is_based_on_it() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.listing_takes = (10_000, 100);
    w.grant("ada@example.com", "Manager", 60);
    w.run(5_000);
    w.human_sets(&ada, &["Help Desk"]);
    w.run(10_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
    w.run(61 * MINUTE);
    check!(w, w.roles_of(&ada), ["Help Desk"]);
}

#[test]
fn a_listing_that_was_under_way_names_the_account_of_a_job_but_does_not_say_that_there_is_none() {
    let mut w = World::new(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.listing_takes = (12_000, 100);
    w.start();
    w.run(1_000); // the listing of the start is under way
    let late = w.hire("bob@example.com", &["Read Only"]); // not in it any more
    w.grant("ada@example.com", "Manager", 60);
    w.grant("bob@example.com", "Manager", 60);
    w.run(12_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
    check!(w, w.result("j2"), None);
    w.run(14_000);
    check!(w, w.result("j2").as_deref(), Some("granted"));
    check!(
        w,
        (w.roles_of(&ada), w.roles_of(&late)),
        (vec!["Manager".to_owned()], vec!["Manager".to_owned()])
    );
}

#[test]
fn an_account_that_got_another_address_meanwhile_is_not_the_one_that_was_asked_for() {
    let mut w = World::new(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.listing_takes = (20_000, 100);
    w.start();
    w.run(1_000);
    w.grant("ada@example.com", "Manager", 60);
    w.cloud.admins.get_mut(&ada).unwrap().email = email("carla@example.com");
    w.run(30_000);
    check!(w, w.result("j1").as_deref(), Some("rejected/account_not_found"));
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn an_ending_just_after_its_raise_is_proven_as_soon_as_a_read_can_prove_it() {
    // Longer than a read counts as fresh, and shorter.
    for settle in [15_000, 1_000] {
        let mut w = World::new(RoleMode::Single);
        w.settings.timing.settle = Millis(settle);
        w.start();
        w.run(1_000);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        let g = w.grant("ada@example.com", "Manager", 30);
        w.run(200);
        check!(w, w.roles_of(&ada), ["Manager"]);
        w.revoke(&g);
        w.run(settle - 500);
        check!(w, w.records("grant_gone").len(), 0);
        w.run(1_000);
        check!(w, w.records("grant_gone").len(), 1);
    }
}
