//! An operator ends grants here, by whatever they have in common, and it is known who did.

use ephemerald::engine::{
    ids::GrantId,
    input::Input,
    order::{Deed, Selection},
    record::Record,
};

use crate::{
    MINUTE, order, world as started,
    world::{World, email, jc, role},
};

fn three(w: &mut World) -> [GrantId; 3] {
    for name in ["ada", "bob"] {
        w.hire(&format!("{name}@example.com"), &["Read Only"]);
    }
    let ada = w.grant("ada@example.com", "Manager", 60);
    let bob = w.grant("bob@example.com", "Help Desk", 60);
    let visitor = w.grant_ephemeral(60, "Help Desk");
    w.run(3_000);
    for job in ["j1", "j2", "j3"] {
        assert_eq!(w.result(job).as_deref(), Some("granted"), "{}", w.story());
    }
    [ada, bob, visitor]
}

fn ended(w: &World, grants: &[GrantId; 3]) -> [bool; 3] {
    grants.each_ref().map(|grant| w.ended(grant).as_deref() == Some("operator"))
}

#[test]
fn grants_are_ended_one_by_one_by_account_by_role_by_integration_or_all() {
    let by = |select: fn(&[GrantId; 3]) -> Selection| {
        let mut w = started();
        let grants = three(&mut w);
        w.orders(Deed::Revoke(select(&grants)));
        w.run(3 * MINUTE);
        ended(&w, &grants)
    };
    assert_eq!(by(|g| Selection::of(g[0].clone())), [true, false, false]);
    assert_eq!(
        by(|_| Selection { role: Some(role("Help Desk")), ..Selection::default() }),
        [false, true, true]
    );
    assert_eq!(
        by(|_| Selection { account: Some(email("BOB@example.com")), ..Selection::default() }),
        [false, true, false]
    );
    let person =
        |_: &[GrantId; 3]| Selection { account: Some(email("ada@example.com")), ..Selection::default() };
    assert_eq!(by(person), [true, false, true], "the ephemeral account is ada's too");
    assert_eq!(by(|_| Selection { integration: Some(jc()), ..Selection::default() }), [true; 3]);
    assert_eq!(by(|_| Selection::default()), [true; 3]);
    let both = |_: &[GrantId; 3]| Selection {
        role: Some(role("Help Desk")),
        account: Some(email("ada@example.com")),
        ..Selection::default()
    };
    assert_eq!(by(both), [false, false, true], "what is said twice must both fit");
}

#[test]
fn who_ended_a_grant_and_why_is_in_the_record_of_its_ending_and_of_its_end() {
    let mut w = started();
    let grants = three(&mut w);
    w.orders(Deed::Revoke(Selection::of(grants[0].clone())));
    w.crash();
    w.start();
    w.run(MINUTE);
    // The order was not on disk: the process that ordered it has died, and so has the order.
    assert!(w.ended(&grants[0]).is_none(), "{}", w.story());
    w.orders(Deed::Revoke(Selection::of(grants[0].clone())));
    w.run(10);
    w.crash();
    w.start();
    w.run(MINUTE);
    let orders: Vec<_> = w
        .all
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::GrantEnding(ending) => Some(ending.order.clone()),
            Record::GrantGone(gone) => Some(gone.order.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(orders, [Some(order()), Some(order())], "{}", w.story());
}

#[test]
fn a_job_that_is_not_decided_yet_is_not_granted_after_everything_was_revoked() {
    let mut w = started();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.down = true;
    w.grant("ada@example.com", "Manager", 60);
    w.run(100);
    w.orders(Deed::Revoke(Selection { account: Some(email("bob@example.com")), ..Selection::default() }));
    assert_eq!(w.result("j1"), None, "somebody else's");
    w.orders(Deed::Revoke(Selection::default()));
    assert_eq!(w.result("j1").as_deref(), Some("cancelled"), "{}", w.story());
    w.down = false;
    w.run(MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_drain_ends_everything_and_lets_nothing_in() {
    let mut w = started();
    let grants = three(&mut w);
    w.orders(Deed::Drain);
    w.run(3 * MINUTE);
    assert_eq!(ended(&w, &grants), [true; 3], "{}", w.story());
    w.crash();
    w.start();
    w.grant("ada@example.com", "Manager", 60);
    w.run(3_000);
    assert_eq!(w.result("j4").as_deref(), Some("frozen"), "{}", w.story());
    assert!(w.engine.as_ref().unwrap().state().frozen.as_ref().unwrap().freeze.draining);
}

#[test]
fn what_was_ordered_while_the_journal_was_lost_can_be_ordered_again_once_it_is_back() {
    let mut w = started();
    let grants = three(&mut w);
    w.ledger_fails(0);
    w.orders(Deed::Drain);
    let orders = w.engine.as_ref().unwrap().orders();
    w.ledger_reopens();
    assert!(w.engine.as_ref().unwrap().state().frozen.is_none(), "the journal never held it");
    for (deed, by) in orders {
        w.input(Input::Operator(deed, by));
    }
    w.run(3 * MINUTE);
    assert_eq!(ended(&w, &grants), [true; 3], "{}", w.story());
    assert!(w.engine.as_ref().unwrap().state().frozen.is_some());
    let again = w.engine.as_ref().unwrap().orders();
    let before = w.all.len();
    for (deed, by) in again {
        w.input(Input::Operator(deed, by));
    }
    assert_eq!(w.all.len(), before, "what the journal holds is not written twice");
}
