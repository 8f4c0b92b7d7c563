//! Clocks that jump while a grant is live, or that are wrong when the machine starts. The agent's two clocks
//! are moved; JumpCloud and the control plane stay on true time and judge.

use rustix::process::Signal;

use crate::{machine::Machine, process::asking::Ask};

const HOUR: i64 = 3_600_000;
/// Of the agent's own making, so that only a wrong clock can end it.
const LONG: u64 = 500;

/// A grant of six seconds lives about that long: not born dead, not extended.
async fn a_new_grant_lives_and_ends(machine: &Machine, account: &str, baseline: &str) {
    let request = machine.world.approved(Ask::role(account, "Manager", 6)).await;
    machine.world.about(&request, "granted").await;
    let ended = machine.ended_once(&request).await;
    assert_eq!((&ended["reason"], &ended["evidence"]["woken_by"]), (&"expired".into(), &"wheel".into()));
    machine.world.sees(account, Some(baseline)).await;
    let spans = machine.spans(account);
    assert!(spans.len() == 1 && spans[0] > 1_000, "it lived {spans:?} ms");
}

#[tokio::test]
async fn a_wall_clock_that_jumps_forward_ends_a_live_grant_early_and_says_so() {
    let machine = Machine::ready().await;
    let request = machine.world.approved(Ask::role("amara@example.com", "Help Desk", LONG)).await;
    machine.world.about(&request, "granted").await;

    machine.orders.move_clocks(HOUR, 0);

    machine.world.sees("amara@example.com", Some("Read Only")).await;
    assert_eq!(machine.ended_once(&request).await["reason"], "expired");
    machine.world.logs("clock: ").await;
    machine.trusts_its_clock(false).await;
    let paused = machine.status().await.raises_paused;
    assert!(!paused.is_empty(), "and the status says that nothing is raised");

    machine.orders.move_clocks(0, 0);
    machine.trusts_its_clock(true).await;
    a_new_grant_lives_and_ends(&machine, "bruno@example.com", "Read Only").await;
}

#[tokio::test]
async fn a_wall_clock_that_jumps_back_lengthens_no_live_grant() {
    let machine = Machine::ready().await;
    let request = machine.world.approved(Ask::role("amara@example.com", "Help Desk", 5)).await;
    machine.world.about(&request, "granted").await;

    machine.orders.move_clocks(-HOUR, 0);

    // An hour by the wall clock; whoever waits for it has not the patience.
    machine.world.sees("amara@example.com", Some("Read Only")).await;
    assert_eq!(machine.ended_once(&request).await["reason"], "expired");
    machine.world.logs("clock: ").await;
    machine.trusts_its_clock(false).await;

    machine.orders.move_clocks(0, 0);
    machine.trusts_its_clock(true).await;
    a_new_grant_lives_and_ends(&machine, "bruno@example.com", "Read Only").await;
}

#[tokio::test]
async fn a_wall_clock_that_slips_back_by_less_than_is_alarmed_lengthens_no_live_grant() {
    let machine = Machine::ready().await;
    let request = machine.world.approved(Ask::role("amara@example.com", "Help Desk", 5)).await;
    machine.world.about(&request, "granted").await;

    // A minute is where it would be called a jump. By this clock alone the grant would last longer than
    // anybody here waits.
    machine.orders.move_clocks(-58_000, 0);

    machine.world.sees("amara@example.com", Some("Read Only")).await;
    assert_eq!(machine.ended_once(&request).await["reason"], "expired");
    assert!(machine.status().await.clock.trusted, "nothing that raises would have to wait for");
}

#[tokio::test]
async fn an_hour_of_suspend_ends_what_came_due_and_the_next_grant_is_not_born_dead() {
    let machine = Machine::ready().await;
    let request = machine.world.approved(Ask::role("amara@example.com", "Help Desk", LONG)).await;
    machine.world.about(&request, "granted").await;

    machine.signal(Signal::STOP);
    machine.stands_still().await;
    machine.orders.move_clocks(HOUR, HOUR);
    machine.signal(Signal::CONT);

    machine.world.sees("amara@example.com", Some("Read Only")).await;
    let ended = machine.ended_once(&request).await;
    assert_eq!(ended["reason"], "expired");
    let late = ended["evidence"]["lateness_ms"].as_i64().unwrap();
    assert!(late >= HOUR - i64::try_from(LONG).unwrap() * 1000 - 60_000, "lateness is honest: {late}");

    // The servers have not slept along: for the agent they are an hour behind, so the wall clock goes back.
    machine.orders.move_clocks(0, HOUR);
    machine.trusts_its_clock(true).await;
    a_new_grant_lives_and_ends(&machine, "bruno@example.com", "Read Only").await;
}

#[tokio::test]
async fn a_boot_time_clock_that_jumps_alone_ends_a_live_grant_early() {
    let machine = Machine::ready().await;
    let request = machine.world.approved(Ask::role("amara@example.com", "Help Desk", LONG)).await;
    machine.world.about(&request, "granted").await;

    machine.orders.move_clocks(0, HOUR);

    machine.world.sees("amara@example.com", Some("Read Only")).await;
    assert_eq!(machine.ended_once(&request).await["reason"], "expired");
    machine.world.logs("clock: ").await;
    // The control plane agrees with the wall clock, so that it is believed again.
    machine.trusts_its_clock(true).await;
    a_new_grant_lives_and_ends(&machine, "bruno@example.com", "Read Only").await;
}

#[tokio::test]
async fn t12_the_shipped_program_that_starts_in_the_year_2000_ends_what_was_live_and_raises_nothing() {
    let mut machine = Machine::ready().await;
    let request = machine.world.approved(Ask::role("amara@example.com", "Help Desk", LONG)).await;
    machine.world.about(&request, "granted").await;

    let year_2000 = jiff::Timestamp::from_second(946_684_800).unwrap();
    let ahead = year_2000.as_millisecond() - jiff::Timestamp::now().as_millisecond();
    machine.reboots(ahead).await;

    machine.world.sees("amara@example.com", Some("Read Only")).await;
    assert!(!machine.status().await.clock.trusted, "such a clock is not believed");
    let waiting = machine.world.approved(Ask::role("bruno@example.com", "Manager", 6)).await;
    machine.world.logs("clock: ").await;
    let ended = machine.ended_once(&request).await;
    assert_eq!(ended["evidence"]["woken_by"], "start");
    assert_eq!(machine.writes_to("bruno@example.com"), 0, "nothing is raised by such a clock");
    assert_ne!(machine.world.results_of(&waiting).await, ["granted"]);

    let since_boot = 2_000 - uptime_ms();
    machine.orders.move_clocks(0, since_boot);
    machine.trusts_its_clock(true).await;
    a_new_grant_lives_and_ends(&machine, "chiara@example.com", "Read Only").await;
}

#[tokio::test]
async fn t13_the_shipped_program_that_starts_ten_years_ahead_ends_live_grants_early_and_works_again() {
    let mut machine = Machine::ready().await;
    let request = machine.world.approved(Ask::role("amara@example.com", "Help Desk", LONG)).await;
    machine.world.about(&request, "granted").await;

    machine.reboots(10 * 365 * 24 * HOUR).await;

    machine.world.sees("amara@example.com", Some("Read Only")).await;
    assert_eq!(machine.ended_once(&request).await["reason"], "expired");
    machine.trusts_its_clock(false).await;

    machine.orders.move_clocks(0, 2_000 - uptime_ms());
    machine.trusts_its_clock(true).await;
    a_new_grant_lives_and_ends(&machine, "bruno@example.com", "Read Only").await;
}

fn uptime_ms() -> i64 {
    let up = std::fs::read_to_string("/proc/uptime").unwrap();
    up.split('.').next().unwrap().parse::<i64>().unwrap() * 1000
}
