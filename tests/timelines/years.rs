//! Watches that began under a clock that was far ahead: they come to their end all the same.

use ephemerald::engine::{input::Input, time::Timestamp};

use super::{MINUTE, RoleMode, world};
use crate::world::{START, World};

const HOUR: u64 = 60 * MINUTE;
const YEAR: i64 = 365 * 86_400_000;

fn right(w: &World) -> Timestamp {
    Timestamp(START + i64::try_from(w.elapsed).unwrap())
}

/// The access of a grant ended on a boot whose clock was a year ahead; the machine has just started with the right
/// one.
fn watched_from_next_year() -> World {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 5);
    w.run(MINUTE);
    w.reboot_after(8_000);
    w.now.wall = Timestamp(right(&w).0 + YEAR);
    w.start();
    w.run(20 * MINUTE);
    check!(w, w.records("grant_settled").len(), 1);
    starts_right(&mut w);
    w
}

fn starts_right(w: &mut World) {
    w.reboot_after(8_000);
    w.now.wall = right(w);
    w.start();
}

fn is_over(w: &World) -> bool {
    w.engine.as_ref().unwrap().state().accounts.is_empty()
}

#[test]
fn a_watch_from_next_year_ends_on_a_machine_that_is_off_every_night_and_that_nobody_tells_the_time() {
    let mut w = watched_from_next_year();
    for _ in 0..4 {
        w.run(13 * HOUR);
        starts_right(&mut w);
    }
    w.run(HOUR);
    check!(w, is_over(&w), true);
    check!(w, w.records("grant_closed").len(), 1);
}

#[test]
fn a_watch_from_next_year_ends_a_day_after_the_time_is_known_again() {
    let mut w = watched_from_next_year();
    w.input(Input::ControlTime(right(&w)));
    w.run(13 * HOUR);
    starts_right(&mut w);
    w.run(12 * HOUR);
    check!(w, is_over(&w), true);
}
