//! What one life of the process leaves to the next: ends on another boot's clock, writes on their way, records
//! that never reached the disk.

use ephemerald::engine::{
    ids::{AccountId, GrantId},
    input::Input,
    order::{Deed, Order, Peer, Selection},
    settings::RoleMode,
    time::Timestamp,
};

use super::{MINUTE, world, world::Fate, world::START, world::World};

fn step_back(w: &mut World, ms: i64) {
    w.now.wall = Timestamp(w.now.wall.0 - ms);
    w.input(Input::Tick);
}

/// A grant of an hour, and the machine started anew in its eleventh minute.
fn an_hour_that_a_reboot_interrupts() -> (World, AccountId, GrantId) {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(10 * MINUTE);
    w.reboot_after(MINUTE);
    w.start();
    (w, ada, g)
}

#[test]
fn a_clock_that_steps_back_after_a_reboot_lengthens_no_grant_that_began_before_it() {
    let (mut w, ada, g) = an_hour_that_a_reboot_interrupts();
    w.run(MINUTE);
    step_back(&mut w, 60 * 60_000);
    w.run(47 * MINUTE);
    check!(w, (w.ended(&g), w.roles_of(&ada)), (None, vec!["Manager".to_owned()]));
    w.run(MINUTE + 2_000);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&ada)), (Some("expired"), vec!["Read Only".to_owned()]));
}

#[test]
fn nor_does_it_if_the_process_dies_after_the_step_and_the_newest_record_is_too_old_to_show_it() {
    let (mut w, ada, g) = an_hour_that_a_reboot_interrupts();
    w.run(5 * MINUTE - 10_000); // since the last record of the time
    step_back(&mut w, 5 * 60_000 + 40_000);
    w.crash();
    w.start();
    w.run(45 * MINUTE);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&ada)), (Some("expired"), vec!["Read Only".to_owned()]));
}

#[test]
fn an_extension_of_before_a_reboot_is_bound_to_the_new_clock_as_well() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    w.extend(&g, 120 * MINUTE);
    w.run(w.disk); // it is there, and nobody was told
    w.reboot_after(MINUTE);
    w.start();
    w.run(MINUTE);
    step_back(&mut w, 60 * 60_000);
    w.run(118 * MINUTE + 2_000);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&ada)), (Some("expired"), vec!["Read Only".to_owned()]));
}

/// A raise is on its way when the machine goes down; it comes back with a clock that is wrong by so much.
fn lands_after_a_reboot(apart: i64, ephemeral: bool) -> (World, bool) {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Late(100_000)];
    if ephemeral {
        w.grant_ephemeral(60, "Manager");
    } else {
        w.grant("ada@example.com", "Manager", 60);
    }
    w.run(80_000); // not confirmed: it has ended, and what was there before is there
    w.reboot_after(8_000);
    w.now.wall = Timestamp(w.now.wall.0 + apart);
    w.start();
    w.run(4 * MINUTE);
    let made = w.cloud.births.last().map(|(id, _)| w.cloud.admins.contains_key(id));
    let there =
        if ephemeral { made == Some(true) && w.cloud.made > 3 } else { w.roles_of(&ada) != ["Read Only"] };
    (w, there)
}

#[test]
fn what_was_on_its_way_when_the_machine_went_down_is_taken_away_whatever_its_clock_says_afterwards() {
    const HOUR: i64 = 3_600_000;
    for apart in [0, 2 * HOUR, 30 * HOUR, -2 * HOUR, -9_000 * HOUR] {
        for ephemeral in [false, true] {
            let (w, there) = lands_after_a_reboot(apart, ephemeral);
            assert!(!there, "{apart} {ephemeral}\n{}", w.story());
        }
    }
}

/// A grant of an hour; the clock is set back so far after `age` minutes, something is written under it, and the machine
/// is off for a while. Nobody tells the time.
fn set_back_and_off(age: u64, back: i64, off: u64) -> (World, AccountId) {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(age * MINUTE);
    w.now.wall = Timestamp(w.now.wall.0 - back);
    w.grant("ada@example.com", "Help Desk", 5); // j2: refused, and in the journal with the wrong time
    w.run(10_000);
    check!(w, w.result("j2").as_deref(), Some("clock_untrusted"));
    w.reboot_after(off);
    w.start();
    w.run((60 - age) * MINUTE);
    (w, ada)
}

#[test]
fn a_clock_that_was_set_back_before_a_reboot_lengthens_no_grant_although_the_last_record_has_its_time() {
    let hours = 3 * 60 * 60_000;
    for (age, back, off) in
        [(1, hours, 10 * MINUTE), (20, hours, 10 * MINUTE), (49, hours, 10 * MINUTE), (4, 180_000, 8_000)]
    {
        let (w, ada) = set_back_and_off(age, back, off);
        check!(w, w.roles_of(&ada), ["Read Only"]);
    }
}

/// Where the clock stands against the truth, a minute apart each; somebody tells the truth or nobody does.
enum Clock {
    Apart(i64),
    Told,
}

/// A grant of an hour under a clock that does all this, with something written after each; then the machine is off for
/// a moment, and its clock goes on from where it was.
fn through(first: i64, then: &[Clock]) -> (World, GrantId, AccountId) {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.now.wall = Timestamp(START + first);
    w.reboot_after(1_000); // it is behind from the first record on
    w.durable.clear();
    w.start();
    w.run(1_000);
    let begun = w.elapsed;
    let g = w.grant("ada@example.com", "Manager", 60);
    for step in then {
        w.run(4 * MINUTE);
        let truth = START + i64::try_from(w.elapsed).unwrap();
        match step {
            Clock::Apart(by) => w.now.wall = Timestamp(truth + by),
            Clock::Told => w.input(Input::ControlTime(Timestamp(truth))),
        }
        w.grant("ada@example.com", "Help Desk", 5);
    }
    w.run(10_000);
    w.reboot_after(8_000);
    w.start();
    w.run(60 * MINUTE + 2_000 - (w.elapsed - begun));
    (w, g, ada)
}

#[test]
fn whatever_a_clock_did_before_a_reboot_what_it_had_come_to_before_is_known_after_it() {
    use Clock::{Apart, Told};
    const M: i64 = 60_000;
    for (first, then) in [
        (0, vec![Apart(30 * M), Apart(-6 * M)]),
        (0, vec![Apart(-120 * M), Apart(-3 * M), Apart(-8 * M)]),
        (-2 * M, vec![Told, Apart(-6 * M)]),
        (-40 * M, vec![Apart(-20 * M), Told, Apart(-46 * M)]),
    ] {
        let (w, _, ada) = through(first, &then);
        check!(w, w.roles_of(&ada), ["Read Only"]);
    }
}

#[test]
fn a_time_ahead_to_which_a_clock_was_only_set_back_ends_nothing_at_the_next_start() {
    const HOUR: i64 = 60 * 60_000;
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 240);
    for by in [3 * HOUR, -HOUR, -2 * HOUR] {
        w.run(MINUTE);
        step_back(&mut w, -by);
    }
    w.grant("ada@example.com", "Help Desk", 5);
    w.run(MINUTE);
    w.crash();
    w.start();
    w.run(MINUTE);
    check!(w, w.ended(&g), None);
}

/// Starts on a clock of the year 2000 again and again; nothing is given there. The time of before.
fn dead_again_and_again(w: &mut World) -> Timestamp {
    let right = w.now.wall;
    w.reboot_after(8_000);
    w.now.wall = Timestamp(946_684_800_000);
    for _ in 0..3 {
        w.start(); // the last record is of the dead clock, from the second time on
        w.run(1_000);
        let refused = w.grant("ada@example.com", "Help Desk", 60);
        w.run(1_000);
        let job = refused.as_str().replace('g', "j");
        check!(w, w.result(&job).as_deref(), Some("clock_untrusted"));
        w.crash();
    }
    right
}

#[test]
fn a_clock_that_was_dead_gives_nothing_after_a_further_start_until_the_time_is_told() {
    for live in [false, true] {
        let mut w = world(RoleMode::Single);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        if live {
            w.grant("ada@example.com", "Manager", 60); // its beginning is the newest time that is known
        }
        w.run(1_000);
        w.now.wall = dead_again_and_again(&mut w);
        w.start();
        w.input(Input::ControlTime(w.now.wall));
        w.run(MINUTE);
        for minutes in [60, 5] {
            let g = w.grant("ada@example.com", "Manager", minutes);
            w.run(5_000);
            check!(w, w.roles_of(&ada), ["Manager"]);
            w.revoke(&g);
            w.run(5_000);
            w.crash();
            w.start(); // and now it is believed without being told
            w.run(1_000);
        }
    }
}

#[test]
fn a_time_ahead_is_forgotten_once_the_time_is_told() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.run(1_000);
    w.crash();
    w.now.wall = Timestamp(w.now.wall.0 + 86_400_000);
    w.start();
    w.run(1_000);
    w.crash();
    w.now.wall = Timestamp(w.now.wall.0 - 86_400_000);
    w.start();
    w.run(1_000);
    w.grant("ada@example.com", "Manager", 60);
    check!(w, w.result("j1").as_deref(), Some("clock_untrusted"));
    w.input(Input::ControlTime(w.now.wall));
    w.run(1_000);
    w.crash();
    w.start();
    w.run(1_000);
    w.grant("ada@example.com", "Manager", 60);
    w.run(1_000);
    check!(w, w.roles_of(&ada), ["Manager"]);
}

#[test]
fn a_lower_carries_no_role_for_a_grant_of_which_the_disk_does_not_know_yet() {
    for mode in [RoleMode::Single, RoleMode::Multiple] {
        let mut w = world(mode);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        let higher = w.grant("ada@example.com", "Administrator", 10);
        w.run(MINUTE);
        w.disk = 5_000;
        let lower = w.grant("ada@example.com", "Manager", 60);
        w.run(1_000); // covered by what is there, and live
        let by = Peer { uid: 0, gid: 0, pid: None };
        let deed = Deed::Revoke(Selection::of(higher));
        w.input(Input::Operator(deed, Order { by, remark: None }));
        w.run(1_000);
        w.crash();
        w.disk = 2;
        w.start();
        w.run(20 * MINUTE);
        check!(w, w.engine.as_ref().unwrap().state().grants.get(&lower).is_some(), false);
        check!(w, w.roles_of(&ada), ["Read Only"]);
    }
}

#[test]
fn on_a_lost_ledger_an_ending_leaves_nothing_to_a_grant_that_was_never_kept() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Administrator", 10);
    w.run(9 * MINUTE);
    w.disk = 5 * MINUTE;
    w.grant("ada@example.com", "Manager", 60);
    w.run(1_000);
    w.ledger_fails(0);
    w.run(2 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn an_answer_that_came_while_the_machine_slept_is_too_old_to_write_upon() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    w.latency = 700;
    w.revoke(&g); // it is looked at
    w.run(300);
    w.human_sets(&ada, &["Help Desk"]);
    w.suspend(MINUTE);
    w.run(MINUTE);
    check!(w, w.roles_of(&ada), ["Help Desk"]);
}
