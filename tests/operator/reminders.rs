//! How often something is said again, and what an operator's word does not do.

use ephemerald::engine::{action::Warning, order::Deed};

use crate::{MINUTE, world as started, world::Fate};

#[test]
fn a_grant_that_was_given_up_is_told_every_hour_and_not_at_every_sweep() {
    let mut w = started();
    w.hire("ada@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Manager", 1);
    w.run(2_000);
    w.default_fate = Fate::Refused;
    w.run(10 * MINUTE);
    w.orders(Deed::Forget(grant));
    w.run(5 * 60 * MINUTE);
    let told = w.warnings.iter().filter(|warning| matches!(warning, Warning::Forgotten(_))).count();
    assert!((5..=7).contains(&told), "{told}");
}

#[test]
fn a_raise_that_was_sent_is_not_told_as_one_that_was_not_because_another_one_was_held_back() {
    let mut w = started();
    w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Dropped, Fate::Throttled];
    w.grant("ada@example.com", "Help Desk", 60); // j1: sent, and nobody knows what became of it
    w.run(10_100);
    let second = w.grant("ada@example.com", "Manager", 60); // j2: throttled
    while w.cloud.raises_applied < 2 {
        assert!(w.step(w.now.boot.0 + 10_000), "{}", w.story());
    }
    w.run(41);
    w.revoke(&second);
    w.run(MINUTE);
    assert_eq!(w.result("j2").as_deref(), Some("cancelled/ended_before_active"), "{}", w.story());
    assert_eq!(w.result("j1").as_deref(), Some("failed/not_confirmed"), "{}", w.story());
}

#[test]
fn a_raise_that_was_not_sent_when_it_froze_is_not_sent_after_a_thaw_that_follows_at_once() {
    let mut w = started();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Throttled];
    w.grant("ada@example.com", "Manager", 30);
    w.run(150);
    w.orders(Deed::Freeze);
    w.orders(Deed::Thaw);
    w.run(MINUTE);
    assert_eq!(w.result("j1").as_deref(), Some("frozen/frozen"), "{}", w.story());
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
}
