//! People in the console: what they took stays taken, and an ending says what was found.

use ephemerald::engine::{
    action::Warning,
    ids::{AccountId, GrantId},
    input::Input,
    record::{GrantGone, Record},
    settings::RoleMode,
};

use super::{
    MINUTE, world,
    world::{Fate, World, email, jc, role},
};

fn gone(w: &World) -> GrantGone {
    let records = w.records("grant_gone");
    let Some(Record::GrantGone(gone)) = records.last() else { panic!("nothing is gone\n{}", w.story()) };
    gone.clone()
}

#[test]
fn what_a_person_took_while_his_word_did_not_count_is_not_left_behind_by_the_next_grant() {
    for mode in [RoleMode::Single, RoleMode::Multiple] {
        let mut w = world(mode);
        let ada = w.hire("ada@example.com", &["Help Desk"]);
        // Its holder could change himself: what is seen while it lives does not become the baseline.
        let billing = w.grant("ada@example.com", "Administrator With Billing", 60);
        w.run(MINUTE);
        w.human_sets(&ada, &["Read Only"]);
        w.run(2 * MINUTE);
        check!(w, w.ended(&billing).as_deref(), Some("revoked_externally"));
        let next = w.grant("ada@example.com", "Help Desk", 10);
        w.run(MINUTE);
        check!(w, w.result("j2").as_deref(), Some("granted"));
        w.run(10 * MINUTE);
        check!(
            w,
            (w.ended(&next).as_deref(), w.roles_of(&ada)),
            (Some("expired"), vec!["Read Only".to_owned()])
        );
    }
}

#[test]
fn in_multiple_mode_more_than_was_granted_is_told_as_left_to_a_person_seen_before_the_end_or_not() {
    for seen in [true, false] {
        let mut w = world(RoleMode::Multiple);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        let g = w.grant("ada@example.com", "Help Desk", 10);
        w.run(10 * MINUTE - 500 - if seen { 2 * MINUTE } else { 0 });
        w.human_sets(&ada, &["Read Only", "Help Desk", "Manager"]);
        w.run(3 * MINUTE);
        check!(w, w.roles_of(&ada), ["Manager", "Read Only"]);
        check!(w, w.ended(&g).as_deref(), Some("superseded"));
    }
}

#[test]
fn an_ending_says_what_was_before_what_was_written_and_what_was_found() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 10);
    w.run(11 * MINUTE);
    let usual = gone(&w);
    check!(w, usual.baseline, [role("Read Only")]);
    check!(w, usual.wrote, Some(vec![role("Read Only")]));
    check!(w, usual.observed, Some(vec![role("Read Only")]));
    let bob = w.hire("bob@example.com", &["Read Only"]);
    w.grant("bob@example.com", "Help Desk", 10);
    w.run(10 * MINUTE - 500);
    w.human_sets(&bob, &["Administrator"]);
    w.run(MINUTE);
    let superseded = gone(&w);
    check!(w, superseded.baseline, [role("Read Only")]);
    check!(w, superseded.wrote, Some(vec![role("Help Desk")]));
    check!(w, superseded.observed, Some(vec![role("Administrator")]));
}

#[test]
pub(crate) fn an_ending_gives_nothing_that_is_not_there() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Late(100_000)];
    w.grant("ada@example.com", "Manager", 60);
    w.run(45_000); // no answer: failed, and taken away to be sure
    check!(w, w.result("j1").as_deref(), Some("failed/not_confirmed"));
    w.human_sets(&ada, &["Command Runner"]);
    w.run(45_000); // a look sees it
    check!(w, w.records("baseline_moved").len(), 1);
    w.run(MINUTE); // the raise lands over it
    let landed = w.cloud.history.iter().any(|(_, id, r)| *id == ada && *r == Some(vec![role("Manager")]));
    assert!(landed, "or this shows nothing\n{}", w.story());
    w.run(5 * MINUTE);
    // What the person gave does not rank below what the late raise left: giving it back would be a raise.
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

/// The residual race: without a conditional write nobody can rule it out (`docs/semantics-races.md`).
#[test]
fn t5_a_demotion_between_the_read_and_the_write_of_an_ending_is_overtaken_and_nothing_of_ours_stays() {
    for raced in [true, false] {
        let mut w = world(RoleMode::Single);
        let ada = w.hire("ada@example.com", &["Help Desk"]);
        w.latency = 700;
        let g = w.grant_for("ada@example.com", "Manager", 600_000);
        w.run(10_000);
        let end = w.engine.as_ref().unwrap().state().grants[&g].end.boot.0;
        // The read begins at the end and takes 700 ms; the write takes effect 350 ms later.
        let edit = end + if raced { 800 } else { 2_000 };
        w.run(edit - w.now.boot.0);
        w.human_sets(&ada, &["Read Only"]);
        w.run(5 * MINUTE);
        check!(w, w.roles_of(&ada), [if raced { "Help Desk" } else { "Read Only" }]);
        check!(w, w.ended(&g).as_deref(), Some("expired"));
        check!(w, w.records("grant_reappeared").len(), 0);
    }
}

#[test]
fn the_floor_role_that_a_person_left_is_what_the_next_grants_end_on() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Billing Only"]);
    w.grant("ada@example.com", "Administrator With Billing", 1);
    w.run(30_000);
    w.human_sets(&ada, &["Read Only"]); // the holder's own word, perhaps: no new baseline yet
    w.run(20_000);
    let long = w.grant("ada@example.com", "Administrator", 15);
    w.run(20_000);
    check!(w, w.result("j2").as_deref(), Some("granted"));
    let short = w.grant("ada@example.com", "Administrator With Billing", 1);
    w.run(2 * MINUTE);
    check!(w, w.ended(&short).as_deref(), Some("expired"));
    check!(w, w.ended(&long), None);
    check!(w, w.roles_of(&ada), ["Administrator"]);
    w.run(15 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_role_that_does_not_compare_with_what_the_account_has_without_us_is_a_conflict() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Billing Only"]);
    w.grant("ada@example.com", "Administrator With Billing", 15);
    w.run(30_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
    w.grant("ada@example.com", "Manager", 5);
    w.run(30_000);
    check!(w, w.result("j2").as_deref(), Some("conflict/roles_incomparable"));
    w.run(15 * MINUTE);
    check!(w, w.roles_of(&ada), ["Billing Only"]);
}

#[test]
fn what_a_person_took_away_while_a_raise_is_in_doubt_is_not_given_back() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Administrator"]);
    w.fates = vec![Fate::Late(90_000)];
    w.grant("ada@example.com", "Administrator With Billing", 15);
    w.run(15_000);
    w.human_sets(&ada, &["Help Desk"]); // less: believed, whoever it was
    w.run(1_000);
    w.grant("ada@example.com", "Manager", 5);
    w.run(3 * MINUTE); // the late raise has landed, and is taken away
    check!(w, w.records("grant_reappeared").len(), 1);
    check!(w, w.roles_of(&ada), ["Manager"]);
    w.run(5 * MINUTE);
    check!(w, w.roles_of(&ada), ["Help Desk"]);
}

/// Ada is Manager for an hour among enough people for a listing to look cut off; some listings were taken.
fn one_of_many() -> (World, AccountId, GrantId) {
    let mut w = world(RoleMode::Single);
    for n in 0..8 {
        w.hire(&format!("person{n}@example.com"), &["Read Only"]);
    }
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.run(6 * MINUTE);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(6 * MINUTE);
    (w, ada, g)
}

#[test]
fn a_listing_that_suddenly_shows_less_than_half_proves_nobody_gone_until_it_has_been_so_for_a_while() {
    let (mut w, ada, g) = one_of_many();
    let cut = |w: &World| w.warnings.iter().any(|w| matches!(w, Warning::ListingCut(_)));
    check!(w, cut(&w), false);
    w.listing_shows = 3;
    w.cloud.admins.remove(&ada);
    w.run(9 * MINUTE);
    check!(w, w.ended(&g), None);
    check!(w, cut(&w), true);
    w.run(9 * MINUTE);
    check!(w, w.ended(&g).as_deref(), Some("target_gone"));
}

#[test]
fn one_that_is_lost_from_a_long_enough_listing_is_gone_at_once() {
    let (mut w, ada, g) = one_of_many();
    w.cloud.admins.remove(&ada);
    w.run(6 * MINUTE);
    check!(w, w.ended(&g).as_deref(), Some("target_gone"));
}

#[test]
fn two_listings_that_do_not_show_an_account_with_one_between_that_does_prove_nothing() {
    let (mut w, ada, g) = one_of_many();
    let all = w.cloud.admins.len();
    for shows in [all - 1, all, all - 1, all, all - 1, all] {
        w.listing_shows = shows;
        w.input(Input::Hint(jc()));
        w.run(10_000);
    }
    check!(w, (w.ended(&g), w.roles_of(&ada)), (None, vec!["Manager".to_owned()]));
}

#[test]
fn another_account_under_the_address_of_ours_is_told_and_left_alone() {
    let mut w = world(RoleMode::Single);
    let g = w.grant_ephemeral(30, "Help Desk");
    w.run(5_000);
    let stranger = |w: &World| w.warnings.iter().any(|w| matches!(w, Warning::Stranger(_)));
    check!(w, stranger(&w), false);
    let ours = w.cloud.by_email("ada+tag1@example.com").unwrap();
    w.cloud.admins.get_mut(&ours).unwrap().email = email("mine@elsewhere.example");
    let theirs = w.hire("ada+tag1@example.com", &["Manager"]);
    w.cloud.admins.get_mut(&theirs).unwrap().tagged = false;
    w.run(2 * MINUTE);
    check!(w, stranger(&w), true);
    w.run(30 * MINUTE);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&theirs)), (Some("expired"), vec!["Manager".to_owned()]));
    check!(w, w.cloud.admins.contains_key(&ours), false);
}
