//! Who is not shown: what two listings prove and one does not, and how soon it is acted upon when somebody is
//! there after all.

use ephemerald::engine::{ids::AccountId, input::Input, job::Target, settings::RoleMode};

use super::{MINUTE, world};
use crate::world::{Admin, World, jc};

/// An ephemeral account that was made for half an hour, is deleted, and has been read as gone once; and what it was.
fn deleted() -> (World, (AccountId, Admin)) {
    let mut w = world(RoleMode::Single);
    let g = w.grant_ephemeral(30, "Manager");
    w.run(MINUTE);
    let made = w.cloud.admins.iter().next_back().map(|(id, admin)| (id.clone(), admin.clone())).unwrap();
    w.run(29 * MINUTE + 10_000);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
    check!(w, (w.records("grant_settled").len(), w.cloud.admins.contains_key(&made.0)), (0, false));
    (w, made)
}

/// The next read of anything was answered.
fn next_read(w: &mut World) {
    let reads = w.cloud.reads;
    while w.cloud.reads == reads {
        w.run(50);
    }
    w.run(100);
}

#[test]
fn one_listing_that_does_not_show_an_account_does_not_settle_its_end_however_often_it_was_proven_gone_before()
{
    let (mut w, (id, admin)) = deleted();
    w.listing_shows = w.cloud.admins.len(); // and not the one that is back
    w.cloud.admins.insert(id.clone(), admin);
    next_read(&mut w);
    w.listing_shows = usize::MAX;
    w.run(5_000);
    check!(w, w.cloud.admins.contains_key(&id), false);
    let told = ["grant_settled", "grant_reappeared"].map(|kind| w.records(kind).len());
    check!(w, told, [0, 1]);
}

#[test]
fn an_account_that_is_back_loses_its_role_at_once_although_nobody_could_prove_it_gone_for_long() {
    let (mut w, (id, admin)) = deleted();
    w.listing_complete = false;
    w.run(10 * MINUTE); // looks that prove nothing, ever more seldom
    next_read(&mut w);
    w.listing_complete = true;
    for _ in 0..2 {
        w.input(Input::Hint(jc()));
        w.run(5_050);
    }
    check!(w, w.records("grant_settled").len(), 1);
    w.cloud.admins.insert(id.clone(), admin);
    w.input(Input::Hint(jc()));
    w.run(200);
    check!(w, w.roles_of(&id) == ["Manager"], false);
    w.run(5_000);
    check!(w, w.cloud.admins.contains_key(&id), false);
}

#[test]
fn a_job_for_an_account_that_nobody_has_is_told_so_and_does_not_wait_for_its_time_to_pass() {
    let mut w = world(RoleMode::Single);
    let nobody = AccountId::new("5f00000000000000000000ff").unwrap();
    w.grant_to(Target::Account(nobody), "Manager", 30);
    w.run(2_000);
    check!(w, w.result("j1").as_deref(), Some("rejected/account_not_found"));
}

#[test]
fn a_job_for_an_account_that_was_once_not_found_goes_on_once_a_listing_shows_it() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.blind = true;
    w.grant_to(Target::Account(ada), "Manager", 30);
    w.run(60);
    w.blind = false;
    w.run(2_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
}

#[test]
fn a_job_for_an_address_is_told_whether_nobody_has_it_or_somebody_who_is_suspended() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.cloud.admins.get_mut(&ada).unwrap().suspended = true;
    w.grant("ada@example.com", "Manager", 30);
    w.grant("nobody@example.com", "Manager", 30);
    w.run(2_000);
    let told = ["j1", "j2"].map(|job| w.result(job).unwrap_or_default());
    check!(w, told, ["rejected/account_suspended", "rejected/account_not_found"]);
}

#[test]
fn a_job_that_has_its_answer_is_not_looked_for_any_more() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.blind = true; // it is listed, and cannot be read by itself
    w.grant_to(Target::Account(ada), "Manager", 30);
    w.run(40_000);
    check!(w, w.result("j1").as_deref(), Some("failed/not_observable"));
    let reads = w.cloud.reads;
    w.run(5 * MINUTE);
    check!(w, w.cloud.reads, reads);
}

#[test]
fn a_free_address_that_a_slow_listing_showed_is_looked_for_again_at_once() {
    let mut w = world(RoleMode::Single);
    w.listing_takes = (6_000, 10);
    w.grant_ephemeral(30, "Manager");
    w.run(5_000);
    w.listing_takes = (0, 1);
    w.run(3_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
}

#[test]
fn listings_that_were_cut_off_once_do_not_make_the_next_cut_one_believed() {
    let mut w = world(RoleMode::Single);
    for n in 0..8 {
        w.hire(&format!("person{n}@example.com"), &["Read Only"]);
    }
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 120);
    w.run(5 * MINUTE);
    for shows in [3, usize::MAX, 3] {
        w.listing_shows = shows;
        w.run(9 * MINUTE);
    }
    check!(w, (w.ended(&g), w.roles_of(&ada)), (None, vec!["Manager".to_owned()]));
}

#[test]
fn in_an_organization_of_eight_a_listing_of_three_proves_nobody_gone_yet() {
    let mut w = world(RoleMode::Single);
    for n in 0..5 {
        w.hire(&format!("person{n}@example.com"), &["Read Only"]);
    }
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 120);
    w.run(5 * MINUTE);
    check!(w, w.cloud.admins.len(), 8);
    w.listing_shows = 3;
    w.run(9 * MINUTE);
    check!(w, (w.ended(&g), w.roles_of(&ada)), (None, vec!["Manager".to_owned()]));
}

#[test]
fn where_listings_do_not_say_whose_they_are_the_organization_is_asked_before_anybody_is_believed_gone() {
    let mut w = world(RoleMode::Single);
    w.listings_nameless = true;
    let g = w.grant_ephemeral(30, "Manager");
    w.run(30 * MINUTE + 15_000);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
}

#[test]
fn an_account_whose_id_was_told_when_it_was_made_is_read_by_it_before_any_listing_shows_it() {
    let mut w = world(RoleMode::Single);
    w.tells_ids = true;
    w.listing_shows = w.cloud.admins.len();
    w.grant_ephemeral(30, "Manager");
    w.run(2_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
}
