//! Clocks that stand still, are set while nobody looks, or are told to be wrong: a grant ends no later than it should.

use ephemerald::engine::{
    ids::{AccountId, GrantId},
    input::Input,
    settings::RoleMode,
    time::Timestamp,
};

use super::{MINUTE, world, world::START, world::World};

const HOUR: u64 = 60 * MINUTE;

fn truth(w: &World) -> Timestamp {
    Timestamp(START + i64::try_from(w.elapsed).unwrap())
}

/// The clock shows so many minutes after the world's beginning.
fn shows(w: &mut World, minutes: i64) {
    w.now.wall = Timestamp(START + minutes * 60_000);
}

fn granted(minutes: u64) -> (World, AccountId, GrantId) {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", minutes);
    w.run(5 * MINUTE);
    check!(w, w.roles_of(&ada), ["Manager"]);
    (w, ada, g)
}

#[test]
fn a_clock_that_stood_still_while_the_machine_was_off_is_made_up_for_once_the_time_is_told_and_for_good() {
    for restarted in [false, true] {
        let (mut w, ada, g) = granted(120);
        w.reboot_after(HOUR);
        shows(&mut w, 6);
        w.start();
        w.run(1_000);
        w.input(Input::ControlTime(truth(&w)));
        w.run(1_000);
        check!(w, w.ended(&g), None);
        if restarted {
            w.crash();
            w.start();
            w.grant("ada@example.com", "Help Desk", 5);
            w.run(1_000);
            check!(w, w.result("j2").as_deref(), Some("clock_untrusted"));
        }
        w.run(120 * MINUTE + 2_000 - w.elapsed);
        check!(w, w.roles_of(&ada), ["Read Only"]);
    }
}

#[test]
fn a_witness_who_says_it_again_and_again_writes_one_end_and_one_time() {
    let (mut w, _, _) = granted(240);
    w.reboot_after(HOUR);
    shows(&mut w, 6);
    w.start();
    for _ in 0..20 {
        w.run(10_000);
        w.input(Input::ControlTime(truth(&w)));
    }
    let anchored = w.records("end_anchored").len();
    check!(w, anchored, 2); // one at the start, one by the witness
}

#[test]
fn while_a_clock_is_behind_and_nobody_tells_the_time_the_time_that_has_come_is_kept_all_the_same() {
    let (mut w, ada, _) = granted(8 * 60);
    shows(&mut w, 3);
    w.run(6 * HOUR);
    w.reboot_after(8_000);
    shows(&mut w, 7);
    w.start();
    w.run(1_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn what_passed_while_the_process_stood_still_counts_although_the_clock_was_set_back_meanwhile() {
    let (mut w, ada, _) = granted(8 * 60);
    shows(&mut w, -145);
    w.suspend(3 * HOUR);
    w.run(1_000);
    w.reboot_after(8_000);
    shows(&mut w, 37);
    w.start();
    w.run(1_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_clock_that_was_set_back_while_the_process_was_down_is_found_out_by_the_other_clock() {
    let (mut w, ada, _) = granted(8 * 60);
    w.run(MINUTE); // since a time was kept
    w.crash();
    w.run(6 * HOUR);
    shows(&mut w, 10);
    w.start();
    w.run(1_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn what_an_engine_knew_of_the_time_the_next_one_knows_although_the_disk_took_nothing() {
    for (minutes, roles) in [(-30, "Read Only"), (150, "Manager")] {
        let (mut w, ada, _) = granted(8 * 60);
        w.disk = 20_000;
        w.reboot_after(HOUR);
        w.start();
        w.run(1_000);
        w.ledger_fails(0);
        w.disk = 2;
        shows(&mut w, minutes);
        w.run(60_000);
        w.ledger_reopens();
        w.run(1_000);
        check!(w, w.roles_of(&ada), [roles]);
        w.grant("ada@example.com", "Help Desk", 5);
        w.run(1_000);
        check!(w, w.result("j2").as_deref(), Some("clock_untrusted"));
    }
}

#[test]
fn a_clock_that_was_ahead_keeps_no_time_that_has_not_come() {
    let (mut w, ada, g) = granted(8 * 60);
    shows(&mut w, 125); // two hours ahead
    w.run(20 * MINUTE);
    let right = truth(&w);
    w.now.wall = right;
    w.run(MINUTE);
    w.reboot_after(8_000);
    w.start();
    w.run(MINUTE);
    check!(w, (w.ended(&g), w.roles_of(&ada)), (None, vec!["Manager".to_owned()]));
}

#[test]
fn what_a_witness_told_is_known_to_the_next_engine_of_the_process_although_the_disk_took_nothing() {
    let (mut w, ada, _) = granted(120);
    w.reboot_after(HOUR);
    shows(&mut w, 6);
    w.start();
    w.run(1_000);
    w.disk = 20_000;
    w.input(Input::ControlTime(truth(&w)));
    w.run(1_000);
    w.ledger_fails(0);
    w.disk = 2;
    w.run(60_000);
    w.ledger_reopens();
    w.run(120 * MINUTE + 2_000 - w.elapsed);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_time_that_was_kept_ahead_unnoticed_is_corrected_by_a_control_plane_that_finds_the_clock_right() {
    let (mut w, ada, g) = granted(8 * 60);
    for (step, then) in [(50_000, 1_000), (50_000, 6 * MINUTE), (-50_000, 1_000), (-50_000, 1_000)] {
        w.now.wall = Timestamp(w.now.wall.0 + step); // less than is noticed
        w.input(Input::Tick);
        w.run(then);
    }
    w.input(Input::ControlTime(truth(&w)));
    w.run(1_000);
    w.crash();
    w.start();
    w.run(1_000);
    check!(w, (w.ended(&g), w.roles_of(&ada)), (None, vec!["Manager".to_owned()]));
}
