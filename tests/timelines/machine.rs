//! The machine fails: a disk that takes nothing, clocks that lie.

use ephemerald::engine::{
    input::Input,
    job::{Ask, Job},
    settings::RoleMode,
    time::Timestamp,
};

use super::{
    MINUTE, world,
    world::{START, World},
};

const HOUR: u64 = 60 * MINUTE;
const YEAR_2000: Timestamp = Timestamp(946_684_800_000);

fn right_clock(w: &mut World) {
    w.now.wall = Timestamp(START + i64::try_from(w.elapsed).unwrap());
    w.input(Input::ControlTime(w.now.wall));
}

#[test]
fn t8_a_disk_that_takes_nothing_at_the_end_of_a_grant_delays_no_revocation_and_is_told_later() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 30);
    w.run(29 * MINUTE);
    w.ledger_fails(0);
    w.run(2 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    let told = |w: &World| w.durable.iter().any(|entry| entry.record.kind() == "grant_gone");
    assert!(!told(&w), "nothing was written\n{}", w.story());
    w.grant("ada@example.com", "Manager", 30); // j2
    w.run(1_000);
    check!(w, w.result("j2").as_deref(), Some("ledger_unavailable"));
    w.ledger_reopens();
    w.run(MINUTE);
    check!(w, (w.ended(&g).as_deref(), told(&w)), (Some("expired"), true));
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn t12_a_clock_that_starts_in_the_year_2000_ends_what_was_live_and_raises_nothing() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(30 * MINUTE);
    w.reboot_after(8 * HOUR);
    w.now.wall = YEAR_2000;
    w.start();
    w.run(30_000);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&ada)), (Some("expired"), vec!["Read Only".to_owned()]));
    w.grant("ada@example.com", "Manager", 60); // j2
    w.run(30_000);
    check!(w, w.result("j2").as_deref(), Some("clock_untrusted"));
    check!(w, w.roles_of(&ada), ["Read Only"]);
    right_clock(&mut w);
    w.grant("ada@example.com", "Manager", 60); // j3
    w.run(30_000);
    check!(w, w.result("j3").as_deref(), Some("granted"));
}

#[test]
fn t13_a_clock_that_jumps_ten_years_once_ends_live_grants_early_and_new_jobs_work_again() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(10 * MINUTE);
    w.now.wall = Timestamp(w.now.wall.0 + 10 * 365 * 86_400_000);
    w.run(30_000);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&ada)), (Some("expired"), vec!["Read Only".to_owned()]));
    right_clock(&mut w);
    w.run(MINUTE);
    w.grant("ada@example.com", "Manager", 60); // j2
    w.run(30_000);
    check!(w, w.result("j2").as_deref(), Some("granted"));
    check!(w, w.roles_of(&ada), ["Manager"]);
    w.run(60 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_clock_that_comes_back_hours_early_from_a_power_cut_is_known_to_be_wrong_though_nothing_happened_meanwhile()
 {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 8 * 60);
    w.run(7 * 60 * MINUTE);
    // Two hours off, and a clock of an hour ago: later than anything that the agent did.
    let real = w.now.wall;
    w.reboot_after(120 * MINUTE);
    w.now.wall = Timestamp(real.0 - 60 * 60_000);
    w.start();
    w.run(MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
}

#[test]
fn a_clock_that_stood_still_while_the_machine_was_off_lengthens_no_grant_once_the_control_plane_tells_the_time()
 {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(10 * MINUTE);
    let stood = w.now.wall;
    w.reboot_after(2 * HOUR);
    w.now.wall = Timestamp(stood.0 + 1_000);
    w.start();
    w.run(5_000);
    check!(w, (w.ended(&g), w.roles_of(&ada)), (None, vec!["Manager".to_owned()]));
    right_clock(&mut w);
    w.run(30_000);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&ada)), (Some("expired"), vec!["Read Only".to_owned()]));
}

#[test]
fn an_account_whose_own_row_cannot_be_read_has_again_what_its_grant_says_that_it_had_before() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 30);
    w.run(10 * MINUTE);
    w.crash();
    w.durable.retain(|entry| entry.record.kind() != "account_opened");
    w.start();
    w.run(25 * MINUTE);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&ada)), (Some("expired"), vec!["Read Only".to_owned()]));
}

#[test]
fn it_is_given_back_also_where_the_roles_can_no_longer_be_compared() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Help Desk"]);
    let g = w.grant("ada@example.com", "Manager", 30);
    w.run(10 * MINUTE);
    w.crash();
    w.durable.retain(|entry| entry.record.kind() != "account_opened");
    w.serves_roles = false;
    w.start();
    w.run(25 * MINUTE);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&ada)), (Some("expired"), vec!["Help Desk".to_owned()]));
}

#[test]
fn a_revoke_that_came_while_the_clock_was_dead_is_not_forgotten_before_its_answer() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    w.reboot_after(8_000);
    w.now.wall = YEAR_2000;
    w.down = true;
    w.start();
    w.run(MINUTE);
    let job = Job { ask: Ask::Revoke(g), ..w.next_job() };
    w.input(Input::Job(Box::new(job.clone())));
    w.run(MINUTE);
    right_clock(&mut w);
    w.run(2 * MINUTE); // over a sweep, which forgets what is old
    w.input(Input::Job(Box::new(job)));
    w.down = false;
    w.run(2 * MINUTE);
    check!(w, w.answers.get("j2").map(Vec::len), Some(1));
    check!(w, w.roles_of(&ada), ["Read Only"]);
}
