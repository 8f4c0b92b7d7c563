//! A freeze stops what gives access, at whatever point it is, and nothing that takes it away.

use ephemerald::engine::{ids::GrantId, order::Deed};

use crate::{
    MINUTE, world as started,
    world::{Fate, World},
};

fn grant_of(w: &mut World, minutes: u64) -> GrantId {
    w.grant("ada@example.com", "Manager", minutes)
}

#[test]
fn t18_a_raise_that_waits_for_the_disk_is_never_sent_and_fails_as_frozen() {
    let mut w = started();
    w.disk = 400;
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let grant = grant_of(&mut w, 30);
    w.run(200);
    assert_eq!(w.records("grant_accepted").len(), 1, "accepted and not on disk\n{}", w.story());

    w.orders(Deed::Freeze);
    w.run(60 * MINUTE);

    assert_eq!(w.result("j1").as_deref(), Some("frozen/frozen"), "{}", w.story());
    assert_eq!(w.ended(&grant).as_deref(), Some("failed"), "{}", w.story());
    assert_eq!(w.cloud.raises_applied, 0, "{}", w.story());
    assert_eq!(w.roles_of(&ada), ["Read Only"]);
    assert_eq!(w.answers["j1"].len(), 1, "one final result");
}

#[test]
fn t18_a_raise_that_was_throttled_is_not_made_again_while_frozen() {
    let mut w = started();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Throttled];
    grant_of(&mut w, 30);
    w.run(150);
    w.orders(Deed::Freeze);
    w.run(60 * MINUTE);
    assert_eq!(w.result("j1").as_deref(), Some("frozen/frozen"), "{}", w.story());
    assert_eq!(w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn t18_a_raise_that_was_sent_is_observed_and_lives_to_its_end() {
    for fate in [Fate::Fine, Fate::AnswerLost] {
        let mut w = started();
        let ada = w.hire("ada@example.com", &["Read Only"]);
        w.latency = 300;
        w.fates = vec![fate];
        let grant = grant_of(&mut w, 30);
        while w.cloud.raises_applied == 0 {
            let next = w.now.boot.0 + 1_000;
            w.step(next);
        }
        w.orders(Deed::Freeze);
        w.run(MINUTE);
        assert_eq!(w.result("j1").as_deref(), Some("granted"), "{fate:?}\n{}", w.story());
        assert_eq!(w.roles_of(&ada), ["Manager"], "{fate:?}\n{}", w.story());
        w.run(31 * MINUTE);
        assert_eq!(w.roles_of(&ada), ["Read Only"], "{fate:?}\n{}", w.story());
        assert_eq!(w.ended(&grant).as_deref(), Some("expired"), "{fate:?}\n{}", w.story());
    }
}

#[test]
fn t18_a_raise_that_was_sent_and_lost_is_lowered_to_be_sure() {
    for fate in [Fate::Dropped, Fate::Late(20_000)] {
        let mut w = started();
        let ada = w.hire("ada@example.com", &["Read Only"]);
        w.fates = vec![fate];
        grant_of(&mut w, 5);
        w.run(200);
        w.orders(Deed::Freeze);
        w.run(10 * MINUTE);
        assert_eq!(w.roles_of(&ada), ["Read Only"], "{fate:?}\n{}", w.story());
        assert!(w.result("j1").is_some(), "{fate:?}\n{}", w.story());
    }
}

#[test]
fn what_waits_when_the_freeze_comes_is_refused_at_once_and_what_comes_later_too() {
    let mut w = started();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.down = true;
    grant_of(&mut w, 30);
    w.run(100);
    w.orders(Deed::Freeze);
    assert_eq!(w.result("j1").as_deref(), Some("frozen"), "{}", w.story());
    w.down = false;
    grant_of(&mut w, 30);
    w.run(5_000);
    assert_eq!(w.result("j2").as_deref(), Some("frozen"), "{}", w.story());
    assert_eq!(w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_freeze_outlives_the_process_and_a_thaw_ends_it() {
    let mut w = started();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.orders(Deed::Freeze);
    w.run(100);
    w.crash();
    w.start();
    w.run(1_000);
    let frozen = w.engine.as_ref().unwrap().state().frozen.clone().unwrap();
    assert_eq!(frozen.freeze.order, crate::order(), "who and why is remembered");
    grant_of(&mut w, 30);
    w.run(1_000);
    assert_eq!(w.result("j1").as_deref(), Some("frozen"), "{}", w.story());

    w.orders(Deed::Thaw);
    grant_of(&mut w, 30);
    w.run(1_000);
    assert_eq!(w.result("j2").as_deref(), Some("granted"), "{}", w.story());
    assert_eq!(w.roles_of(&ada), ["Manager"]);
}

#[test]
fn a_second_freeze_and_a_thaw_of_nothing_leave_no_record() {
    let mut w = started();
    w.orders(Deed::Thaw);
    w.orders(Deed::Freeze);
    w.orders(Deed::Freeze);
    assert_eq!((w.records("raises_frozen").len(), w.records("raises_thawed").len()), (1, 0));
}

#[test]
fn a_frozen_agent_extends_nothing_and_ends_what_is_live_on_time() {
    let mut w = started();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let grant = grant_of(&mut w, 30);
    w.run(2_000);
    w.disk = 400;
    let waiting = w.extend(&grant, 90 * MINUTE);
    w.orders(Deed::Freeze);
    assert_eq!(w.result(&waiting).as_deref(), Some("frozen"), "not on disk yet\n{}", w.story());
    let refused = w.extend(&grant, 90 * MINUTE);
    w.run(1_000);
    assert_eq!(w.result(&refused).as_deref(), Some("frozen"), "{}", w.story());
    w.run(28 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Manager"], "a freeze takes nothing away\n{}", w.story());
    w.run(2 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
    assert_eq!(w.ended(&grant).as_deref(), Some("expired"), "{}", w.story());
}

#[test]
fn t14_a_freeze_does_not_delay_an_ending_that_is_under_way() {
    let mut w = started();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let grant = grant_of(&mut w, 1);
    w.run(2_000);
    w.down = true;
    w.run(2 * MINUTE);
    w.orders(Deed::Freeze);
    w.down = false;
    w.run(20_000);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
    assert_eq!(w.ended(&grant).as_deref(), Some("expired"), "{}", w.story());
}
