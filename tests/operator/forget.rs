//! The last resort: a grant whose end cannot be proven is given up in the books and nowhere else.

use ephemerald::engine::{
    action::Warning,
    ids::{AccountId, GrantId},
    order::Deed,
    record::Record,
};

use crate::{
    MINUTE, order, world as started,
    world::{Fate, World},
};

/// A grant that is over and that JumpCloud does not let go.
fn stuck(w: &mut World) -> (AccountId, GrantId) {
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Manager", 1);
    w.run(2_000);
    w.default_fate = Fate::Refused;
    w.run(10 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Manager"], "{}", w.story());
    (ada, grant)
}

fn told(w: &World) -> usize {
    w.warnings.iter().filter(|warning| matches!(warning, Warning::Forgotten(_))).count()
}

#[test]
fn a_live_grant_and_one_that_is_gone_cannot_be_given_up() {
    let mut w = started();
    w.hire("ada@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Manager", 1);
    w.run(2_000);
    let may = |w: &World| w.engine.as_ref().unwrap().may_forget(&grant);
    assert!(may(&w).unwrap_err().contains("revoke it"));
    w.orders(Deed::Forget(grant.clone()));
    w.run(MINUTE);
    assert!(may(&w).unwrap_err().contains("nothing to give up"), "{}", w.story());
    w.orders(Deed::Forget(grant.clone()));
    assert!(w.records("grant_forgotten").is_empty());
    assert_eq!(w.ended(&grant).as_deref(), Some("expired"));
}

#[test]
fn a_grant_that_was_given_up_is_recorded_watched_alarmed_and_bars_its_account() {
    let mut w = started();
    let (_, grant) = stuck(&mut w);
    let job = w.revoke(&grant);
    w.run(1_000);
    assert_eq!(w.result(job.as_str()), None, "it waits for the proof");

    w.orders(Deed::Forget(grant.clone()));

    let Record::GrantForgotten(record) = w.records("grant_forgotten")[0] else { panic!("another record") };
    assert_eq!((&record.about.grant, &record.order), (&grant, &order()));
    assert_eq!(w.result(job.as_str()).as_deref(), Some("failed/not_confirmed"), "every job is answered");
    let in_hand = w.engine.as_ref().unwrap().jobs_in_hand();
    assert!(in_hand.iter().all(|(waiting, _)| *waiting != job), "and no longer in hand: {in_hand:?}");
    assert_eq!(told(&w), 1);
    w.run(3 * 60 * MINUTE);
    assert!(told(&w) >= 3, "said again and again: {}", told(&w));
    w.crash();
    w.start();
    w.run(MINUTE);
    w.grant("ada@example.com", "Help Desk", 60);
    w.run(5_000);
    let result = w.result(&format!("j{}", 3));
    assert_eq!(result.as_deref(), Some("rejected/account_barred"), "also after a start\n{}", w.story());
    assert!(w.engine.as_ref().unwrap().may_forget(&grant).unwrap_err().contains("already"));
}

#[test]
fn a_grant_that_was_given_up_is_taken_away_the_moment_that_is_possible() {
    let mut w = started();
    let (ada, grant) = stuck(&mut w);
    w.orders(Deed::Forget(grant.clone()));
    w.run(60 * MINUTE);
    w.default_fate = Fate::Fine;
    w.run(MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
    assert_eq!(w.ended(&grant).as_deref(), Some("abandoned"), "{}", w.story());
    let said = told(&w);
    w.run(25 * 60 * MINUTE);
    assert_eq!(told(&w), said, "nothing is there any more");
    w.grant("ada@example.com", "Help Desk", 60);
    w.run(5_000);
    assert_eq!(w.result("j2").as_deref(), Some("granted"), "the account is explained\n{}", w.story());
}
