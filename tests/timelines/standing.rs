//! How an integration stands, as its operator is told, and how often it is asked while it does not answer.

use ephemerald::engine::{
    action::Warning,
    input::Input,
    job::{Ask, Job},
    observed::FaultClass,
    settings::RoleMode,
    views::IntegrationView,
};

use super::{MINUTE, world};
use crate::world::{World, jc};

fn view(w: &World) -> IntegrationView {
    w.engine.as_ref().unwrap().integrations().find(|view| view.id == jc()).unwrap()
}

fn test(w: &mut World) {
    let job = Job { ask: Ask::Test, ..w.next_job() };
    w.input(Input::Job(Box::new(job)));
}

#[test]
fn an_integration_is_told_as_it_answered_last() {
    let mut w = world(RoleMode::Single);
    let owner = w.cloud.by_email("owner@example.com");
    test(&mut w);
    w.run(40);
    let told = view(&w);
    check!(w, (told.answered_at, told.own_account), (Some(w.now.boot), owner));
    check!(w, (told.fault.is_none(), told.credential_refused, told.circuit_open), (true, false, false));
    w.org_unreadable = Some(FaultClass::Credential);
    test(&mut w);
    w.run(2_000);
    let told = view(&w);
    check!(w, (told.fault.map(|f| f.class), told.credential_refused), (Some(FaultClass::Credential), true));
    let said = |w: &World| w.warnings.iter().filter(|w| matches!(w, Warning::CredentialRefused(_))).count();
    w.run(10 * MINUTE);
    check!(w, said(&w), 1); // and not at each try
    w.org_unreadable = None;
    w.run(MINUTE);
    let told = view(&w);
    check!(w, (told.fault.is_none(), told.credential_refused), (true, false));
    check!(w, said(&w), 1);
}

/// Reads that are tried once more before the circuit breaks, in an outage in which a test waits for all three of its
/// answers.
fn asked_in_an_outage(w: &mut World) -> u64 {
    w.down = true;
    test(w);
    let before = w.cloud.reads;
    w.run(1_500);
    let asked = w.cloud.reads - before;
    w.run(5 * MINUTE);
    w.down = false;
    w.run(MINUTE);
    test(w);
    w.run(MINUTE);
    asked
}

#[test]
fn an_outage_is_asked_after_as_patiently_as_the_one_before_and_no_more() {
    let mut w = world(RoleMode::Single);
    for _ in 0..5 {
        check!(w, asked_in_an_outage(&mut w), 3);
    }
}

#[test]
fn a_failing_read_is_tried_again_ever_more_seldom() {
    let mut w = world(RoleMode::Single);
    w.down = true;
    test(&mut w);
    w.run(MINUTE);
    let before = w.cloud.reads;
    w.run(MINUTE);
    let asked = w.cloud.reads - before;
    assert!((3..=15).contains(&asked), "three reads, each every 11 to 15 seconds: {asked}");
}

#[test]
fn where_listings_do_not_name_their_organization_a_raise_asks_for_it_before_it_waits_in_vain() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.listings_nameless = true;
    w.run(30 * MINUTE);
    w.grant("ada@example.com", "Manager", 5);
    w.run(2_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
}

#[test]
fn a_key_that_is_taken_again_is_known_to_be_from_the_first_answer_and_not_from_a_long_listing() {
    let mut w = world(RoleMode::Single);
    w.org_unreadable = Some(FaultClass::Credential);
    test(&mut w);
    w.run(MINUTE);
    check!(w, view(&w).credential_refused, true);
    w.org_unreadable = None;
    w.listing_takes = (MINUTE, 300);
    w.input(Input::CredentialChanged(jc()));
    w.run(200);
    check!(w, view(&w).credential_refused, false);
}

#[test]
fn whoever_needs_a_listing_waits_for_the_one_under_way_or_for_the_next_and_asks_for_none_of_his_own() {
    let mut w = world(RoleMode::Single);
    w.listing_takes = (10_000, 10);
    let before = w.cloud.reads;
    for n in 0..8 {
        w.grant(&format!("person{n}@example.com"), "Manager", 5);
        w.run(1_000);
    }
    check!(w, w.cloud.reads - before, 1);
    w.run(10_000);
    check!(w, w.cloud.reads - before, 2);
}

#[test]
fn an_integration_of_which_nobody_holds_anything_is_looked_over_six_times_an_hour() {
    let mut w = world(RoleMode::Single);
    w.run(MINUTE);
    let reads = w.cloud.reads;
    w.run(60 * MINUTE);
    check!(w, w.cloud.reads - reads, 6);
}

#[test]
fn a_held_account_is_looked_at_once_in_each_interval() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 120);
    w.run(5 * MINUTE);
    let reads = w.cloud.reads;
    w.run(60 * MINUTE);
    check!(w, w.cloud.reads - reads, 60); // the look for accounts that nobody knows is in them
}
