//! What an operator is told, and what is not said without need.

use ephemerald::engine::{
    action::Warning,
    codes::ResultCode,
    grants::Grants,
    ids::GrantId,
    input::{Input, Refusal},
    job::{Ask, Digest, Job, Target},
    record::Record,
    time::{Millis, Timestamp},
};

use super::{MINUTE, RoleMode, world};
use crate::world::{START, World, email, jc};

const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn told(w: &World, what: impl Fn(&Warning) -> bool) -> usize {
    w.warnings.iter().filter(|warning| what(warning)).count()
}

fn missed(w: &World) -> usize {
    told(w, |warning| matches!(warning, Warning::WheelMiss(_)))
}

#[test]
fn an_account_of_an_integration_that_is_not_configured_any_more_is_told_at_every_start() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    w.settings.integrations.clear();
    for start in 1..3 {
        w.crash();
        w.start();
        let account =
            |warning: &Warning| matches!(warning, Warning::Unconfigured(at) if at.integration == jc());
        check!(w, told(&w, account), start);
    }
    check!(w, w.roles_of(&ada), ["Manager"]);
}

#[test]
fn a_clock_that_is_not_believed_at_a_start_is_told_and_so_is_its_rehabilitation() {
    let mut w = world(RoleMode::Single);
    w.run(MINUTE);
    w.reboot_after(HOUR);
    w.now.wall = Timestamp(START - 10 * 86_400_000);
    w.start();
    check!(w, told(&w, |w| matches!(w, Warning::ClockUntrusted { jumped_ms } if *jumped_ms < 0)), 1);
    check!(w, told(&w, |w| *w == Warning::ClockTrusted), 0);
    w.now.wall = Timestamp(START + i64::try_from(w.elapsed).unwrap());
    w.input(Input::Tick);
    w.input(Input::ControlTime(w.now.wall));
    check!(w, told(&w, |w| *w == Warning::ClockTrusted), 1);
    w.input(Input::ControlTime(w.now.wall));
    check!(w, told(&w, |w| *w == Warning::ClockTrusted), 1);
}

#[test]
fn a_clock_that_is_set_while_the_agent_runs_is_told_once_with_by_how_much() {
    for by in [-7_200_000, 7_200_000] {
        let mut w = world(RoleMode::Single);
        w.run(MINUTE);
        w.now.wall = Timestamp(w.now.wall.0 + by);
        w.run(MINUTE);
        check!(w, told(&w, |w| *w == Warning::ClockUntrusted { jumped_ms: by }), 1);
        check!(w, told(&w, |w| matches!(w, Warning::ClockUntrusted { .. })), 1);
    }
}

#[test]
fn a_machine_that_slept_over_an_end_does_not_say_that_a_timer_was_missed() {
    for asleep in [10 * MINUTE, 10 * MINUTE + 17_000] {
        let mut w = world(RoleMode::Single);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        w.grant("ada@example.com", "Manager", 5);
        w.run(2 * MINUTE);
        w.suspend(asleep);
        w.run(30_000);
        check!(w, (w.roles_of(&ada), missed(&w)), (vec!["Read Only".to_owned()], 0));
    }
}

#[test]
fn a_clock_that_jumps_over_an_end_does_not_say_that_a_timer_was_missed() {
    for wait in [29_000, 40_000] {
        let mut w = world(RoleMode::Single);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        w.grant("ada@example.com", "Manager", 30);
        w.run(2 * MINUTE + wait);
        w.now.wall = Timestamp(w.now.wall.0 + 86_400_000);
        w.run(40_000);
        check!(w, (w.roles_of(&ada), missed(&w)), (vec!["Read Only".to_owned()], 0));
    }
}

#[test]
fn the_time_is_written_down_every_five_minutes_while_access_is_live_and_not_more_often() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(2 * HOUR);
    let times = w.records("time_seen").len();
    assert!((10..=12).contains(&times), "{times}\n{}", w.story());
}

#[test]
fn a_grant_that_is_closed_leaves_nothing_behind_but_the_memory_of_its_job_and_that_for_days() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 5);
    w.grant("ada@example.com", "Help Desk", 5);
    w.run(2 * DAY);
    check!(w, w.engine.as_ref().unwrap().state().grants, Grants::default());
    check!(w, w.engine.as_ref().unwrap().state().jobs.len(), 2);
    w.run(8 * DAY);
    check!(w, w.engine.as_ref().unwrap().state().jobs.len(), 0);
}

fn refused(w: &mut World, job: &Job) {
    let (job, digest) = (job.id.clone(), job.digest);
    w.input(Input::Refused(Refusal { job, digest, code: ResultCode::ExpiredBeforeStart, rule: None }));
}

#[test]
fn a_job_that_comes_again_too_late_is_told_the_result_that_it_has_and_no_other() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let (job, _) = w.grant_job(Target::Email(email("ada@example.com")), "Manager", 60);
    w.input(Input::Job(Box::new(job.clone())));
    refused(&mut w, &job); // it waits for its result
    w.run(MINUTE);
    check!(w, w.records("job_refused").len(), 0);
    let (seq, records) = (w.all.iter().find(|e| e.record.kind() == "grant_active").unwrap().seq, w.all.len());
    refused(&mut w, &job);
    check!(w, (w.requeued.clone(), w.all.len()), (vec![seq], records));
}

#[test]
fn what_is_no_job_of_ours_is_told_once_and_another_body_of_the_same_name_once_more() {
    let mut w = world(RoleMode::Single);
    let job = Job { ask: Ask::Test, ..w.next_job() };
    let other = Job { digest: Digest([9; 32]), ..job.clone() };
    for job in [&job, &job, &other, &other] {
        refused(&mut w, job);
    }
    check!(w, w.records("job_refused").len(), 2);
    w.input(Input::Job(Box::new(job)));
    w.run(MINUTE);
    check!(w, w.result("j1").is_some(), true);
}

#[test]
fn an_account_that_a_job_names_by_its_id_is_looked_at_at_once() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let bob = w.hire("bob@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 5);
    w.run(20_000); // everything that a raise needs to know is known
    w.grant_to(Target::Account(bob), "Manager", 5);
    w.run(1_000);
    check!(w, w.result("j2").as_deref(), Some("granted"));
}

#[test]
fn a_test_of_the_integration_asks_jumpcloud_now_however_lately_it_was_read() {
    let mut w = world(RoleMode::Single);
    w.run(10_000);
    let reads = w.cloud.reads;
    let job = Job { ask: Ask::Test, ..w.next_job() };
    w.input(Input::Job(Box::new(job)));
    w.run(1_000);
    check!(w, (w.result("j1").is_some(), w.cloud.reads - reads), (true, 3));
}

#[test]
fn another_job_for_a_grant_that_there_is_already_is_told_so_and_changes_nothing() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let bob = w.hire("bob@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Manager", 60);
    w.run(5_000);
    let (mut job, _) = w.grant_job(Target::Account(bob.clone()), "Manager", 60);
    if let Ask::Grant(ask, _) = &mut job.ask {
        ask.grant = grant;
    }
    w.input(Input::Job(Box::new(job)));
    check!(w, w.result("j2").as_deref(), Some("conflict/duplicate_grant"));
    w.run(5_000);
    check!(w, w.roles_of(&bob), ["Read Only"]);
}

#[test]
fn a_grant_that_ended_while_the_machine_slept_does_not_count_for_the_job_that_wakes_it() {
    let mut w = world(RoleMode::Single);
    w.policy.as_mut().unwrap().max_live_grants = 1;
    w.input(Input::Policy(w.policy.clone().map(Box::new)));
    w.hire("ada@example.com", &["Read Only"]);
    let bob = w.hire("bob@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 5);
    w.run(2 * MINUTE + 500);
    // Nothing is told to the agent before the job is.
    w.now.boot = w.now.boot + Millis(10 * MINUTE);
    w.now.wall = w.now.wall + Millis(10 * MINUTE);
    w.elapsed += 10 * MINUTE;
    w.grant("bob@example.com", "Manager", 5);
    w.run(5_000);
    check!(w, (w.result("j2").as_deref(), w.roles_of(&bob)), (Some("granted"), vec!["Manager".to_owned()]));
}

#[test]
fn a_job_for_a_grant_with_the_name_of_an_orphan_is_refused_as_malformed() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let (mut job, _) = w.grant_job(Target::Email(email("ada@example.com")), "Manager", 60);
    if let Ask::Grant(ask, _) = &mut job.ask {
        ask.grant = GrantId::new("orphan-000000000000000000000007").unwrap();
    }
    w.input(Input::Job(Box::new(job)));
    w.run(5_000);
    check!(w, (w.result("j1").as_deref(), w.cloud.writes), (Some("rejected/malformed"), 0));
}

#[test]
fn what_was_stopped_because_it_held_a_secret_is_in_the_journal_by_its_fingerprint() {
    let mut w = world(RoleMode::Single);
    w.input(Input::Withheld { outlet: "log", secret: "0a1b2c3d".to_owned() });
    w.run(100);
    let kept: Vec<_> = w.durable.iter().filter(|e| e.record.kind() == "secret_withheld").collect();
    let found = |r: &Record| matches!(r, Record::SecretWithheld { outlet, secret } if outlet == "log" && secret == "0a1b2c3d");
    check!(w, (kept.len(), kept.iter().all(|e| found(&e.record))), (1, true));
}
