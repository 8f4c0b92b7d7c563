//! T16, and what an extension may and may not do. Each job is `j1`, `j2`, … in the order of the asking.

use ephemerald::engine::{
    codes::EndReason,
    input::Input,
    job::Ask,
    policy::{Policy, Requirements},
    record::Record,
    settings::RoleMode,
    time::Millis,
};

use super::{MINUTE, world};
use crate::world::{World, open_policy};

/// Ada is Manager for half an hour; the end, in milliseconds of the boot-time clock.
fn managed() -> (World, ephemerald::engine::ids::GrantId, u64) {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Manager", 30);
    w.run(1_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
    let end = w.engine.as_ref().unwrap().state().grants[&grant].end.boot.0;
    (w, grant, end)
}

fn role_of_ada(w: &World) -> Vec<String> {
    w.roles_of(&w.cloud.by_email("ada@example.com").unwrap())
}

fn run_to(w: &mut World, boot: u64) {
    let ms = boot - w.now.boot.0;
    w.run(ms);
}

#[test]
fn an_extended_grant_ends_once_at_its_new_end() {
    let (mut w, g, end) = managed();
    run_to(&mut w, end - 10 * MINUTE);
    w.extend(&g, 20 * MINUTE);
    w.run(100);
    check!(w, w.result("j2").as_deref(), Some("extended"));
    run_to(&mut w, end + 9 * MINUTE);
    check!(w, role_of_ada(&w), ["Manager"]);
    run_to(&mut w, end + 10 * MINUTE + 1_000);
    check!(w, role_of_ada(&w), ["Read Only"]);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
    check!(w, w.records("grant_ending").len(), 1);
}

#[test]
fn t16_at_the_instant_of_the_end_an_extension_is_extended_wholly_or_too_late() {
    let mut seen = [0, 0];
    for disk in [1, 2, 20] {
        for lead in 0..=disk + 2 {
            let (mut w, g, end) = managed();
            w.disk = disk;
            run_to(&mut w, end - lead);
            w.extend(&g, 10 * MINUTE);
            w.run(MINUTE);
            let answers = w.answers.values().flatten().filter(|(code, _)| code.as_str() != "granted");
            check!(w, answers.count(), 1);
            let extended = w.result("j2").as_deref() == Some("extended");
            seen[usize::from(extended)] += 1;
            if extended {
                check!(w, role_of_ada(&w), ["Manager"]);
                check!(w, w.records("grant_ending").len(), 0);
            } else {
                check!(w, w.result("j2").as_deref(), Some("too_late"));
                check!(w, role_of_ada(&w), ["Read Only"]);
            }
            w.run(10 * MINUTE);
            let broken = |v: &&(&str, String)| matches!(v.0, "extended_or_too_late" | "write_before_act");
            check!(w, w.witness.violations.iter().find(broken), None);
            check!(w, role_of_ada(&w), ["Read Only"]);
            check!(w, w.ended(&g).as_deref(), Some("expired"));
            check!(w, w.records("grant_ending").len(), 1);
        }
    }
    assert!(seen[0] >= 3 && seen[1] >= 3, "both outcomes were seen: {seen:?}");
}

#[test]
fn t16_until_the_extension_is_durable_the_old_end_stays() {
    let (mut w, g, end) = managed();
    w.disk = 5_000;
    run_to(&mut w, end - 1_000);
    w.extend(&g, 10 * MINUTE);
    w.run(2_000);
    check!(w, w.result("j2").as_deref(), Some("too_late"));
    w.run(10_000);
    check!(w, role_of_ada(&w), ["Read Only"]);
    check!(w, w.records("grant_extended").len(), 0);
}

#[test]
fn t16_a_crash_before_the_record_is_durable_leaves_the_old_end_and_the_job_is_judged_anew() {
    let (mut w, g, end) = managed();
    w.disk = 5_000;
    let job = w.extend_job(&g, 40 * MINUTE);
    w.input(Input::Job(Box::new(job.clone())));
    w.crash();
    w.start();
    w.disk = 2;
    w.run(1_000);
    let ends = w.engine.as_ref().unwrap().state().grants[&g].end;
    check!(w, ends.boot.0, end);
    w.input(Input::Job(Box::new(job)));
    w.run(1_000);
    check!(w, w.records("grant_extended").len(), 1);
}

#[test]
fn t16_a_crash_after_the_record_is_durable_extends_once_at_the_start() {
    for gone_for in [500, 20 * MINUTE] {
        let (mut w, g, end) = managed();
        run_to(&mut w, end - 10 * MINUTE);
        let job = w.extend_job(&g, 15 * MINUTE);
        w.input(Input::Job(Box::new(job.clone())));
        w.disk = 5_000; // the record of the acceptance is written, the next one is not
        w.run(100);
        check!(w, w.records("grant_extended").len(), 1);
        w.crash();
        w.run(gone_for);
        w.disk = 2;
        w.start();
        w.input(Input::Job(Box::new(job))); // it had no result: it comes again
        w.run(5_000);
        let (code, role) = if gone_for == 500 { ("extended", "Manager") } else { ("too_late", "Read Only") };
        let found: Vec<_> = w.durable.iter().map(|e| e.record.kind()).collect();
        let results = found.iter().filter(|k| matches!(**k, "grant_extended" | "extension_dropped"));
        check!(w, results.count(), 1);
        check!(w, w.result("j2").as_deref(), Some(code));
        check!(w, role_of_ada(&w), [role]);
        w.run(20 * MINUTE);
        check!(w, role_of_ada(&w), ["Read Only"]);
    }
}

#[test]
fn t16_a_lost_ledger_takes_an_extension_back_and_what_is_on_the_disk_decides() {
    for kept in [0, 1] {
        let (mut w, g, end) = managed();
        run_to(&mut w, end - 10 * MINUTE - 1_000);
        w.disk = 5_000;
        let job = w.extend_job(&g, 15 * MINUTE + 1_000);
        w.input(Input::Job(Box::new(job.clone())));
        w.run(100);
        w.ledger_fails(kept);
        check!(w, w.engine.as_ref().unwrap().state().grants[&g].end.boot.0, end);
        w.run(1_000);
        w.disk = 2;
        w.ledger_reopens();
        w.run(1_000);
        check!(w, w.records("grant_extended").len(), kept);
        w.input(Input::Job(Box::new(job)));
        w.run(1_000);
        check!(w, w.records("grant_extended").len(), 1);
        check!(w, w.result("j2").as_deref(), Some("extended"));
        run_to(&mut w, end + 4 * MINUTE);
        check!(w, role_of_ada(&w), ["Manager"]);
        w.run(3 * MINUTE);
        check!(w, role_of_ada(&w), ["Read Only"]);
    }
}

#[test]
fn t16_a_ledger_that_is_lost_over_the_end_lets_nothing_outlive_it() {
    for (told, kept) in [(false, 0), (false, 1), (true, 0)] {
        let (mut w, g, end) = managed();
        w.disk = if told { 2 } else { 5_000 };
        run_to(&mut w, end - MINUTE);
        w.extend(&g, 10 * MINUTE);
        w.disk = 5_000;
        w.run(100);
        check!(w, w.records("grant_extended").len(), usize::from(told));
        w.ledger_fails(kept);
        run_to(&mut w, end + 2_000);
        check!(w, role_of_ada(&w), ["Read Only"]); // from memory
        w.disk = 2;
        w.ledger_reopens();
        w.run(5_000);
        check!(w, w.records("grant_extended").len(), 0);
        check!(w, w.ended(&g).as_deref(), Some("expired"));
        if told || kept == 1 {
            check!(w, w.result("j2").as_deref(), Some("too_late"));
        }
    }
}

#[test]
fn an_extension_delivered_twice_has_one_effect_and_another_body_is_an_equivocation() {
    let (mut w, g, _) = managed();
    let job = w.extend_job(&g, 60 * MINUTE);
    for _ in 0..2 {
        w.input(Input::Job(Box::new(job.clone())));
        w.run(1_000);
    }
    check!(w, w.records("extension_accepted").len(), 1);
    let mut other = w.extend_job(&g, 90 * MINUTE);
    other.id = job.id;
    w.input(Input::Job(Box::new(other)));
    w.run(1_000);
    check!(w, w.records("job_equivocated").len(), 1);
    check!(w, w.records("grant_extended").len(), 1);
}

#[test]
fn a_withdrawn_extension_is_cancelled_and_stays_so_after_a_restart() {
    let (mut w, g, end) = managed();
    w.disk = 50;
    let job = w.extend_job(&g, 60 * MINUTE);
    w.input(Input::Job(Box::new(job.clone())));
    w.input(Input::Cancelled(job.id));
    w.run(1_000);
    check!(w, w.result("j2").as_deref(), Some("cancelled"));
    w.engine.as_mut().unwrap();
    w.crash();
    w.start();
    w.run(1_000);
    check!(w, w.engine.as_ref().unwrap().state().grants[&g].end.boot.0, end);
    check!(w, w.records("grant_extended").len(), 0);
}

#[test]
fn a_revocation_overtakes_an_extension_that_is_not_durable() {
    let (mut w, g, _) = managed();
    w.disk = 50;
    w.extend(&g, 60 * MINUTE);
    w.revoke(&g);
    w.run(20_000);
    check!(w, w.result("j2").as_deref(), Some("too_late"));
    check!(w, w.result("j3").as_deref(), Some("revoked"));
    check!(w, role_of_ada(&w), ["Read Only"]);
}

#[test]
fn only_an_active_grant_of_ours_is_extended() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 30); // j1
    w.extend(&g, 60 * MINUTE); // j2: still being read
    check!(w, w.result("j2").as_deref(), Some("rejected/grant_not_active"));
    w.fates = vec![world::Fate::Late(8_000)];
    w.run(200);
    w.extend(&g, 60 * MINUTE); // j3: sent, not answered
    check!(w, w.result("j3").as_deref(), Some("rejected/grant_not_active"));
    w.run(20_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
    let nobody = ephemerald::engine::ids::GrantId::new("nobody").unwrap();
    w.extend(&nobody, 60 * MINUTE); // j4
    check!(w, w.result("j4").as_deref(), Some("rejected/unknown_grant"));
    w.extend(&g, MINUTE); // j5
    check!(w, w.result("j5").as_deref(), Some("rejected/not_longer"));
    w.revoke(&g); // j6
    w.run(5_000);
    w.extend(&g, 60 * MINUTE); // j7
    check!(w, w.result("j7").as_deref(), Some("too_late"));
}

#[test]
fn the_policy_in_force_judges_an_extension_by_its_own_request() {
    let strict = |change: fn(&mut Policy)| {
        let mut policy = open_policy();
        change(&mut policy);
        Some(Box::new(policy))
    };
    let closed = [
        (None, "rejected/no_policy"),
        (strict(|p| p.dry_run = true), "dry_run"),
        (strict(|p| p.roles.clear()), "rejected/role_not_grantable"),
        (strict(|p| p.max_duration = Millis::from_secs(1_800)), "rejected/duration_too_long"),
        (
            strict(|p| p.protected_accounts = vec![world::email("ada@example.com")]),
            "rejected/protected_account",
        ),
        (
            strict(|p| p.require = Requirements { justification: true, ..Requirements::default() }),
            "rejected/justification_required",
        ),
        (
            strict(|p| p.require = Requirements { approvers: 1, ..Requirements::default() }),
            "rejected/approvers_required",
        ),
    ];
    for (policy, expected) in closed {
        let (mut w, g, end) = managed();
        w.input(Input::Policy(policy));
        w.extend(&g, 60 * MINUTE);
        w.run(1_000);
        check!(w, w.result("j2").as_deref(), Some(expected));
        check!(w, w.engine.as_ref().unwrap().state().grants[&g].end.boot.0, end);
        w.run(30 * MINUTE);
        check!(w, role_of_ada(&w), ["Read Only"]);
    }
}

#[test]
fn an_extension_of_an_ephemeral_account_is_judged_by_whose_it_is() {
    let mut w = world(RoleMode::Single);
    let people = w.cloud.admins.len();
    let g = w.grant_ephemeral(30, "Help Desk");
    w.run(2_000);
    let mut policy = open_policy();
    policy.accounts_allow =
        vec![ephemerald::engine::policy::AccountPattern::Mailbox(world::email("ada@example.com"))];
    w.input(Input::Policy(Some(Box::new(policy.clone()))));
    w.extend(&g, 60 * MINUTE);
    w.run(1_000);
    check!(w, w.result("j2").as_deref(), Some("extended"));
    policy.accounts_deny = std::mem::take(&mut policy.accounts_allow);
    w.input(Input::Policy(Some(Box::new(policy))));
    w.extend(&g, 90 * MINUTE);
    check!(w, w.result("j3").as_deref(), Some("rejected/account_not_allowed"));
    w.run(60 * MINUTE + 5_000);
    check!(w, w.cloud.admins.len(), people);
}

#[test]
fn an_extension_that_came_too_late_to_be_started_is_answered_so() {
    let (mut w, g, _) = managed();
    let mut job = w.extend_job(&g, 60 * MINUTE);
    job.start_by = w.now.wall;
    w.input(Input::Job(Box::new(job)));
    check!(w, w.result("j2").as_deref(), Some("expired_before_start"));
}

#[test]
fn a_wall_clock_set_back_does_not_lengthen_an_extended_grant() {
    let (mut w, g, end) = managed();
    w.extend(&g, 40 * MINUTE);
    w.run(1_000);
    w.now.wall = ephemerald::engine::time::Timestamp(w.now.wall.0 - 3_600_000);
    run_to(&mut w, end + 11 * MINUTE);
    check!(w, role_of_ada(&w), ["Read Only"]);
    let reason = |r: &&Record| matches!(r, Record::GrantEnding(e) if e.reason == EndReason::Expired);
    check!(w, w.records("grant_ending").iter().filter(|r| reason(r)).count(), 1);
    assert!(matches!(w.next_job().ask, Ask::Test));
}

#[test]
fn the_index_of_open_grants_follows_the_end_in_force() {
    let (mut w, g, _) = managed();
    w.extend(&g, 60 * MINUTE);
    w.run(1_000);
    let state = w.engine.as_ref().unwrap().state();
    let entry = w.all.iter().find(|e| e.record.kind() == "grant_extended").unwrap();
    let open = ephemerald::ledger::codec::row(entry, state).marks.open.unwrap();
    let prefix: ephemerald::engine::state::RevokePrefix =
        serde_json::from_slice(&open.revoke.unwrap()).unwrap();
    check!(w, (open.ends_at, prefix.ends_at), (Some(state.grants[&g].end.at.0), state.grants[&g].end.at));
}

#[test]
fn a_waiting_extension_is_judged_again_by_a_policy_that_changed_meanwhile() {
    for (max, restarts) in [(15, false), (15, true), (60, false), (60, true)] {
        let (mut w, g, end) = managed();
        run_to(&mut w, end - 10 * MINUTE);
        w.disk = 5_000; // the record of the acceptance is written, the next one is not
        w.extend(&g, 20 * MINUTE);
        let other = Policy { hash: "1".repeat(64), max_duration: Millis(max * MINUTE), ..open_policy() };
        w.policy = Some(other.clone());
        if restarts {
            w.run(5_100);
            w.crash();
            w.answers.clear(); // what was told is not on disk
            w.disk = 2;
            w.start();
        } else {
            w.input(Input::Policy(Some(Box::new(other))));
        }
        w.disk = 2;
        w.run(12_000);
        let told = w.result("j2");
        let allowed = max == 60;
        check!(w, told.as_deref(), Some(if allowed { "extended" } else { "rejected/duration_too_long" }));
        run_to(&mut w, end + 1_000);
        check!(w, role_of_ada(&w), [if allowed { "Manager" } else { "Read Only" }]);
    }
}

#[test]
fn an_extension_waits_while_nobody_has_read_a_policy_and_is_too_late_at_the_end() {
    let (mut w, g, end) = managed();
    run_to(&mut w, end - 10 * MINUTE);
    w.disk = 5_000;
    w.extend(&g, 20 * MINUTE);
    w.run(5_100);
    w.crash();
    w.answers.clear();
    w.disk = 2;
    w.policy = None;
    w.start();
    w.run(MINUTE);
    check!(w, w.result("j2"), None);
    run_to(&mut w, end + 1_000);
    check!(w, w.result("j2").as_deref(), Some("too_late"));
    check!(w, role_of_ada(&w), ["Read Only"]);
}
