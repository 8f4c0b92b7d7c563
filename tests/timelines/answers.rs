//! A job that comes again is told its one result again, whatever it was, and is kept as it was signed.

use ephemerald::engine::{
    ids::GrantId,
    input::Input,
    job::{Ask, Job, Target},
    observed::FaultClass,
    settings::RoleMode,
    time::Millis,
};

use super::{MINUTE, world};
use crate::world::{World, email, role};

fn comes(w: &mut World, job: &Job) {
    w.input(Input::Job(Box::new(job.clone())));
}

/// What is told when the job comes once more: the kinds of the records that hold its result.
fn told_again(w: &mut World, job: &Job) -> Vec<&'static str> {
    let (records, writes) = (w.all.len(), w.cloud.writes);
    w.requeued.clear();
    comes(w, job);
    w.run(100);
    check!(w, (w.all.len(), w.cloud.writes), (records, writes));
    let kind = |seq| w.all.iter().find(|e| e.seq == seq).map_or("nothing", |e| e.record.kind());
    w.requeued.iter().map(|seq| kind(*seq)).collect()
}

fn granted(w: &mut World, address: &str, minutes: u64) -> (Job, GrantId) {
    let (job, grant) = w.grant_job(Target::Email(email(address)), "Manager", minutes);
    comes(w, &job);
    w.run(5_000);
    (job, grant)
}

#[test]
fn a_granted_a_failed_an_extended_and_a_revoked_job_are_each_told_again_from_their_own_record() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.hire("bob@example.com", &["Read Only"]);
    let (job, grant) = granted(&mut w, "ada@example.com", 60);
    check!(w, told_again(&mut w, &job), ["grant_active"]);
    let extension = w.extend_job(&grant, 90 * MINUTE);
    comes(&mut w, &extension);
    w.run(5_000);
    check!(w, told_again(&mut w, &extension), ["grant_extended"]);
    w.requeued.clear();
    let revoke = Job { ask: Ask::Revoke(grant), ..w.next_job() };
    comes(&mut w, &revoke);
    comes(&mut w, &revoke); // it has no result yet: nothing is told
    check!(w, w.requeued.is_empty(), true);
    w.run(MINUTE);
    check!(w, told_again(&mut w, &revoke), ["job_answered"]);
    w.cloud.refuses = Some((role("Manager"), FaultClass::Refused));
    let (failed, _) = granted(&mut w, "bob@example.com", 60);
    check!(w, told_again(&mut w, &failed), ["grant_ending"]);
}

#[test]
fn a_sync_a_test_a_dry_run_and_a_refused_job_are_told_again() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let sync = Job { ask: Ask::Sync, ..w.next_job() };
    let test = Job { ask: Ask::Test, ..w.next_job() };
    let (unknown, _) = w.grant_job(Target::Email(email("nobody@example.com")), "Manager", 5);
    for job in [&sync, &test, &unknown] {
        comes(&mut w, job);
    }
    w.run(5_000);
    for job in [&sync, &test, &unknown] {
        check!(w, told_again(&mut w, job), ["job_answered"]);
    }
}

#[test]
fn an_extension_that_is_dropped_is_told_again_from_its_own_record() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let (_, grant) = granted(&mut w, "ada@example.com", 60);
    w.disk = 3_000;
    let extension = w.extend_job(&grant, 90 * MINUTE);
    comes(&mut w, &extension);
    w.input(Input::Cancelled(extension.id.clone()));
    w.run(5_000);
    check!(w, told_again(&mut w, &extension), ["extension_dropped"]);
}

#[test]
fn every_job_that_has_an_effect_or_an_answer_is_kept_as_it_was_signed() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let (_, grant) = granted(&mut w, "ada@example.com", 60); // j1
    w.extend(&grant, 90 * MINUTE); // j2
    w.grant("nobody@example.com", "Manager", 5); // j3
    w.run(5_000);
    w.revoke(&grant); // j4
    let kept: Vec<String> =
        w.records("job_evidence").iter().map(|r| serde_json::to_value(r).unwrap().to_string()).collect();
    for job in ["j1", "j2", "j3", "j4"] {
        assert!(kept.iter().any(|r| r.contains(&format!("\"{job}\""))), "{job}: {kept:?}");
    }
}

#[test]
fn a_sync_and_a_test_under_a_key_that_is_refused_fail_by_it_at_once() {
    let mut w = world(RoleMode::Single);
    w.org_unreadable = Some(FaultClass::Credential);
    w.sync();
    let test = Job { ask: Ask::Test, ..w.next_job() };
    comes(&mut w, &test);
    w.run(2_000);
    for job in ["j1", "j2"] {
        check!(w, w.result(job).as_deref(), Some("failed/credential"));
    }
}

#[test]
fn a_sync_whose_reading_never_comes_to_an_end_fails_after_an_hour() {
    let mut w = world(RoleMode::Single);
    w.listing_takes = (3 * 60 * MINUTE, 1_000);
    let mut job = Job { ask: Ask::Sync, ..w.next_job() };
    job.start_by = w.now.wall + Millis::from_secs(60);
    comes(&mut w, &job);
    w.run(59 * MINUTE);
    check!(w, w.result("j1"), None);
    w.run(2 * MINUTE);
    check!(w, w.result("j1").as_deref(), Some("failed/not_observable"));
}

#[test]
fn a_target_that_an_incomplete_listing_does_not_settle_is_looked_for_again_at_once() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.listing_complete = false;
    w.grant("ada@example.com", "Manager", 5);
    w.run(1_000);
    check!(w, w.result("j1"), None);
    w.listing_complete = true;
    w.run(2_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
}

#[test]
fn a_grant_asks_anew_for_roles_that_were_read_long_ago() {
    let mut w = World::new(RoleMode::Single);
    w.serves_roles = false;
    w.start();
    w.hire("ada@example.com", &["Read Only"]);
    w.hire("bob@example.com", &["Read Only"]);
    w.run(1_000);
    w.grant("ada@example.com", "Manager", 5); // j1
    w.run(2_000);
    check!(w, w.result("j1").as_deref(), Some("conflict/roles_incomparable"));
    w.serves_roles = true;
    w.run(11 * MINUTE);
    w.grant("bob@example.com", "Manager", 5); // j2
    w.run(2_000);
    check!(w, w.result("j2").as_deref(), Some("granted"));
}
