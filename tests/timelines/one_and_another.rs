//! One of two that go on: a grant beside one that is closed, an ending over a start, a job whose answer hangs on
//! somebody else.

use ephemerald::engine::input::Input;

use super::{MINUTE, RoleMode, world};

const HOUR: u64 = 60 * MINUTE;

#[test]
fn a_grant_goes_on_to_its_own_end_when_another_one_of_its_account_is_closed() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Help Desk", 5); // j1
    let long = w.grant("ada@example.com", "Manager", 20 * 60); // j2
    w.run(19 * HOUR);
    w.extend(&long, 20 * HOUR);
    w.run(6 * HOUR);
    check!(w, (w.records("grant_closed").len(), w.roles_of(&ada)), (1, vec!["Manager".to_owned()]));
    let state = w.engine.as_ref().unwrap().state();
    let at = state.accounts.keys().next().unwrap();
    check!(
        w,
        state.grants_of(at).map(|g| g.terms.grant.clone()).collect::<Vec<_>>(),
        std::slice::from_ref(&long)
    );
    w.run(14 * HOUR + MINUTE);
    check!(w, (w.ended(&long).as_deref(), w.roles_of(&ada)), (Some("expired"), vec!["Read Only".to_owned()]));
}

#[test]
fn an_ending_that_a_start_finds_under_way_does_not_wait_for_the_listing_of_a_large_tenant() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 5);
    w.run(MINUTE);
    w.down = true;
    w.run(5 * MINUTE);
    w.crash();
    w.down = false;
    w.listing_takes = (25_000, 100);
    w.start();
    w.run(2_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_grant_that_is_withdrawn_while_its_raise_waits_for_the_disk_ends_and_its_job_is_cancelled() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.disk = 2_000;
    let (job, g) = w.grant_job(ephemerald::engine::job::Target::Account(ada.clone()), "Manager", 60);
    w.input(Input::Job(Box::new(job.clone())));
    w.run(1_000);
    check!(w, w.records("grant_accepted").len(), 1);
    w.input(Input::Cancelled(job.id));
    check!(w, w.result("j1").as_deref(), Some("cancelled/ended_before_active"));
    w.run(MINUTE);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&ada)), (Some("requested"), vec!["Read Only".to_owned()]));
}

#[test]
fn a_sync_of_whose_inventory_nobody_hears_again_fails_as_not_delivered() {
    let mut w = world(RoleMode::Single);
    w.loses_inventories = true;
    let job = w.sync();
    w.run(5_000);
    check!(w, (w.inventories.len(), w.result(&job)), (1, None));
    w.run(61 * MINUTE);
    check!(w, w.result(&job).as_deref(), Some("failed/not_delivered"));
    check!(w, w.answers[job.as_str()].len(), 1);
}

#[test]
fn a_job_that_waits_while_the_key_turns_out_to_be_another_organizations_is_answered_so() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.run(20_000);
    w.abroad = true;
    w.grant("ada@example.com", "Manager", 60);
    w.run(2 * MINUTE);
    check!(w, w.result("j1").as_deref(), Some("rejected/credential"));
    check!(w, (w.answers["j1"].len(), w.roles_of(&ada)), (1, vec!["Read Only".to_owned()]));
}
