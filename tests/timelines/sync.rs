//! Syncs: what is read, what is handed over, and in whose way it does not stand.

use ephemerald::engine::{
    input::Input,
    job::{Ask, Job},
    settings::RoleMode,
    time::Millis,
};

use super::{MINUTE, world};
use crate::world::{Fate, role};

#[test]
fn a_sync_hands_over_what_was_read_after_it_came() {
    let mut w = world(RoleMode::Multiple);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.hire("bob@example.com", &["Command Runner"]);
    let g = w.grant("ada@example.com", "Manager", 30);
    w.run(5_000);
    w.sync();
    w.run(5_000);
    check!(w, w.result("j2").as_deref(), Some("synced"));
    let handed = &w.inventories[0];
    check!(w, (handed.accounts.len(), handed.complete, handed.roles.len()), (4, true, 7));
    let jit: Vec<String> = handed.jit.iter().map(|((a, r), g)| format!("{a} {r} {g}")).collect();
    check!(w, jit, [format!("{ada} Manager {g}")]);
    assert!(handed.roles.contains(&(role("Manager"), true)));
}

#[test]
fn a_role_that_the_account_has_by_itself_is_not_called_ours_and_one_that_is_ending_is() {
    let mut w = world(RoleMode::Multiple);
    let ada = w.hire("ada@example.com", &["Help Desk"]);
    w.grant("ada@example.com", "Manager", 30);
    w.run(5_000);
    w.grant("ada@example.com", "Help Desk", 30); // has it by itself: nothing of ours
    w.run(5_000);
    check!(w, w.result("j2").as_deref(), Some("already_granted"));
    w.default_fate = Fate::Refused;
    w.run(31 * MINUTE);
    w.sync();
    w.run(5_000);
    let jit: Vec<String> = w.inventories[0].jit.keys().map(|(a, r)| format!("{a} {r}")).collect();
    check!(w, jit, [format!("{ada} Manager")]);
}

#[test]
fn a_tenant_that_serves_no_roles_shows_those_of_its_administrators() {
    let mut w = world(RoleMode::Single);
    w.serves_roles = false;
    w.listing_complete = false;
    w.crash();
    w.start();
    w.sync();
    w.run(5_000);
    check!(w, w.result("j1").as_deref(), Some("synced"));
    check!(w, w.inventories[0].roles, [(role("Administrator With Billing"), true)]);
    check!(w, w.inventories[0].complete, false);
}

#[test]
fn syncs_that_wait_together_share_their_reads() {
    let mut w = world(RoleMode::Single);
    w.listing_takes = (5_000, 50);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.sync();
    w.run(1_000);
    w.human_sets(&ada, &["Manager"]);
    let reads = w.cloud.reads;
    for _ in 0..5 {
        w.sync(); // while the first one's listing is under way: these need the next one
    }
    w.run(MINUTE);
    check!(w, w.inventories.len(), 2);
    check!(w, w.inventories[1].jobs.len(), 5);
    let roles = |n: usize| w.inventories[n].accounts.iter().find(|a| a.id == ada).unwrap().roles.clone();
    check!(w, (roles(0), roles(1)), (vec![role("Read Only")], vec![role("Manager")]));
    assert!(w.cloud.reads - reads <= 6, "{} reads", w.cloud.reads - reads);
    for job in ["j1", "j2", "j6"] {
        check!(w, w.result(job).as_deref(), Some("synced"));
    }
}

#[test]
fn a_long_sync_outlasts_its_start_by_instant_but_one_that_could_not_begin_does_not() {
    let mut w = world(RoleMode::Single);
    w.listing_takes = (9 * MINUTE, 400);
    let mut job = Job { ask: Ask::Sync, ..w.next_job() };
    job.start_by = w.now.wall + Millis::from_secs(60);
    w.input(Input::Job(Box::new(job)));
    w.run(10 * MINUTE);
    check!(w, w.result("j1").as_deref(), Some("synced"));
    w.down = true;
    w.listing_takes = (0, 1);
    w.run(MINUTE);
    let mut job = Job { ask: Ask::Sync, ..w.next_job() };
    job.start_by = w.now.wall + Millis::from_secs(60);
    w.input(Input::Job(Box::new(job)));
    w.run(2 * MINUTE);
    check!(w, w.result("j2").as_deref(), Some("expired_before_start"));
}

#[test]
fn an_inventory_that_cannot_be_handed_over_fails_the_job_and_a_withdrawn_one_is_cancelled() {
    let mut w = world(RoleMode::Single);
    w.takes_inventories = false;
    w.sync();
    w.run(5_000);
    check!(w, w.result("j1").as_deref(), Some("failed/not_delivered"));
    let job = Job { ask: Ask::Sync, ..w.next_job() };
    let id = job.id.clone();
    w.input(Input::Job(Box::new(job)));
    w.run(10);
    w.input(Input::Cancelled(id));
    w.run(5_000);
    check!(w, w.result("j2").as_deref(), Some("cancelled"));
    check!(w, w.records("job_answered").len(), 2);
}

#[test]
fn a_sync_that_a_crash_interrupts_is_done_again_when_it_comes_again() {
    let mut w = world(RoleMode::Single);
    let job = Job { ask: Ask::Sync, ..w.next_job() };
    w.input(Input::Job(Box::new(job.clone())));
    w.run(60);
    w.crash();
    w.start();
    w.run(1_000);
    w.input(Input::Job(Box::new(job)));
    w.run(5_000);
    check!(w, w.result("j1").as_deref(), Some("synced"));
    check!(w, w.records("job_answered").len(), 1);
}

#[test]
fn a_long_listing_for_a_sync_delays_neither_raises_nor_endings() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 10);
    let g = w.grant_ephemeral(10, "Help Desk");
    w.run(10 * MINUTE - 5_000);
    w.listing_takes = (5 * MINUTE, 300);
    w.sync();
    w.run(100);
    w.listing_takes = (0, 1); // what somebody waits for is small, or another server answers it
    w.run(15_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
    w.grant("ada@example.com", "Administrator", 10);
    w.run(1_000);
    check!(w, w.result("j4").as_deref(), Some("granted"));
    w.run(6 * MINUTE);
    check!(w, w.result("j3").as_deref(), Some("synced"));
}
