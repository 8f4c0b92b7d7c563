//! Accounts with our tag that no grant explains.

use ephemerald::engine::{action::Warning, input::Input, job::Target, policy::Policy, settings::RoleMode};

use super::{MINUTE, world};
use crate::world::{World, email, open_policy, role};

const ADDRESS: &str = "visitor+tag9@example.com";

/// Somebody with our key made it, and nobody here knows of it.
fn stray(w: &mut World) {
    let now = w.now.boot.0;
    w.cloud.add(now, email(ADDRESS), vec![role("Manager")]);
}

fn with(w: &mut World, change: impl FnOnce(&mut Policy)) {
    let mut policy = open_policy();
    change(&mut policy);
    w.policy = Some(policy.clone());
    w.input(Input::Policy(Some(Box::new(policy))));
}

#[test]
fn an_account_with_our_tag_that_nobody_knows_is_told_once_and_left_alone() {
    let mut w = world(RoleMode::Single);
    stray(&mut w);
    w.run(30 * MINUTE);
    check!(w, w.records("orphan_found").len(), 1);
    check!(w, w.cloud.writes, 0);
    w.crash();
    w.start();
    w.run(30 * MINUTE);
    check!(w, w.records("orphan_found").len(), 1);

    let id = w.cloud.by_email(ADDRESS).unwrap();
    w.cloud.admins.remove(&id);
    w.run(30 * MINUTE);
    check!(w, w.records("orphan_over").len(), 1);
}

#[test]
fn by_policy_it_is_deleted_and_its_deletion_proven() {
    let mut w = world(RoleMode::Single);
    stray(&mut w);
    w.run(30 * MINUTE);
    with(&mut w, |policy| policy.ephemeral.as_mut().unwrap().delete_unknown = true);
    w.run(30 * MINUTE);
    check!(w, w.cloud.by_email(ADDRESS), None);
    check!(w, w.records("grant_gone").len(), 1);
}

#[test]
fn in_a_dry_run_not_even_the_policy_deletes_what_is_unknown() {
    let mut w = world(RoleMode::Single);
    with(&mut w, |policy| {
        policy.dry_run = true;
        policy.ephemeral.as_mut().unwrap().delete_unknown = true;
    });
    stray(&mut w);
    w.run(30 * MINUTE);
    check!(w, (w.cloud.writes, w.records("orphan_found").len()), (0, 1));
}

#[test]
fn what_was_made_here_and_is_over_is_deleted_whenever_it_is_there_again() {
    let mut w = world(RoleMode::Single);
    w.grant_ephemeral(30, "Manager");
    w.run(MINUTE);
    let made = w.cloud.admins.values().next_back().unwrap().email.clone();
    w.run(26 * 60 * MINUTE);
    check!(w, w.records("account_closed").len(), 1);
    w.crash();
    w.start();
    let now = w.now.boot.0;
    w.cloud.add(now, made.clone(), vec![role("Manager")]);
    w.run(30 * MINUTE);
    check!(w, w.cloud.by_email(made.as_str()), None);
    check!(w, w.records("orphan_found").len(), 0);
}

#[test]
fn an_account_without_our_tag_and_a_listing_that_proves_nothing_lead_to_nothing() {
    let mut w = world(RoleMode::Single);
    with(&mut w, |policy| policy.ephemeral.as_mut().unwrap().delete_unknown = true);
    w.hire("visitor+other@example.com", &["Manager"]);
    w.run(30 * MINUTE);
    check!(w, (w.cloud.writes, w.records("orphan_found").len()), (0, 0));
    w.listing_complete = false;
    stray(&mut w);
    w.run(30 * MINUTE);
    check!(w, (w.cloud.writes, w.records("orphan_found").len()), (0, 0));
}

#[test]
fn an_account_that_was_made_for_one_grant_gets_no_second_one() {
    let mut w = world(RoleMode::Single);
    w.grant_ephemeral(60, "Help Desk");
    w.run(MINUTE);
    let (id, made) = w.cloud.admins.iter().next_back().map(|(id, a)| (id.clone(), a.email.clone())).unwrap();
    w.grant_to(Target::Email(made), "Manager", 30);
    w.grant_to(Target::Account(id.clone()), "Manager", 30);
    w.run(MINUTE);
    let told = ["j1", "j2", "j3"].map(|job| w.result(job).unwrap_or_default());
    check!(w, told, ["granted", "rejected/account_barred", "rejected/account_barred"]);
    check!(w, w.roles_of(&id), ["Help Desk"]);
    w.run(60 * MINUTE);
    check!(w, w.cloud.admins.contains_key(&id), false);
}

#[test]
fn an_account_with_our_tag_that_nobody_knows_is_raised_no_further() {
    let mut w = world(RoleMode::Single);
    stray(&mut w);
    w.run(30 * MINUTE);
    w.grant_to(Target::Email(email(ADDRESS)), "Administrator", 30);
    w.run(MINUTE);
    check!(w, w.result("j1").as_deref(), Some("rejected/account_barred"));
}

#[test]
fn an_orphan_that_is_to_go_is_deleted_by_the_listing_that_finds_it_and_nothing_counts_as_missed() {
    let mut w = world(RoleMode::Single);
    with(&mut w, |policy| policy.ephemeral.as_mut().unwrap().delete_unknown = true);
    stray(&mut w);
    w.sync(); // a listing
    w.run(500);
    check!(w, w.cloud.by_email(ADDRESS), None);
    w.run(2 * MINUTE);
    let missed = w.warnings.iter().filter(|warning| matches!(warning, Warning::WheelMiss(_))).count();
    check!(w, missed, 0);
}

#[test]
fn an_orphan_that_is_to_go_by_a_later_policy_is_an_ending_from_then_on_and_no_orphan_any_more() {
    let mut w = world(RoleMode::Single);
    stray(&mut w);
    w.run(11 * MINUTE);
    let told = |w: &World| ["orphan_found", "orphan_over", "grant_ending"].map(|kind| w.records(kind).len());
    check!(w, told(&w), [1, 0, 0]);
    w.cloud.keeps_accounts = true;
    with(&mut w, |policy| policy.ephemeral.as_mut().unwrap().delete_unknown = true);
    w.run(10 * MINUTE);
    check!(w, told(&w), [1, 1, 1]);
}
