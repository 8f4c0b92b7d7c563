//! What was decided and has not left yet: raises and extensions that a policy, a lost ledger or a clock overtakes,
//! and what must not wait for them.

use ephemerald::engine::{ids::GrantId, input::Input, policy::Policy, time::Timestamp};

use super::{MINUTE, RoleMode, world};
use crate::world::{Fate, START, World, open_policy, role};

fn enforce(w: &mut World, policy: Policy) {
    w.input(Input::Policy(Some(Box::new(policy))));
}

/// A policy that differs from the one in force by more than its name.
fn without(name: &str) -> Policy {
    let mut policy = Policy { hash: "1".repeat(64), ..open_policy() };
    policy.roles.remove(&role(name));
    policy
}

fn grants(w: &World) -> &std::collections::BTreeMap<GrantId, ephemerald::engine::grant::Grant> {
    &w.engine.as_ref().unwrap().state().grants
}

#[test]
fn a_raise_that_waits_for_the_disk_is_not_sent_once_a_policy_forbids_it() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.disk = 2_000;
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(1_000);
    check!(w, w.records("attempt_started").len(), 1);
    enforce(&mut w, without("Manager"));
    w.run(MINUTE);
    check!(w, (w.cloud.raises_applied, w.roles_of(&ada)), (0, vec!["Read Only".to_owned()]));
    check!(w, (w.ended(&g).as_deref(), w.answers["j1"].len()), (Some("failed"), 1));
}

#[test]
fn a_raise_that_waits_for_the_disk_is_made_under_another_policy_that_allows_it() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.disk = 2_000;
    w.grant("ada@example.com", "Manager", 60);
    w.run(1_000);
    enforce(&mut w, without("Help Desk"));
    w.run(MINUTE);
    check!(w, (w.result("j1").as_deref(), w.roles_of(&ada)), (Some("granted"), vec!["Manager".to_owned()]));
    check!(w, w.cloud.raises_applied, 1);
}

#[test]
fn an_ending_does_not_wait_for_a_raise_that_a_lost_ledger_did_not_take() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 10);
    w.run(9 * MINUTE);
    w.disk = 5 * MINUTE;
    w.grant("ada@example.com", "Administrator", 60);
    w.run(1_000);
    check!(w, w.records("attempt_started").len(), 2);
    w.ledger_fails(0);
    w.run(MINUTE + 2_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn an_extension_that_has_come_into_force_is_not_taken_back_by_a_ledger_that_is_lost_later() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 30);
    w.run(MINUTE);
    let extension = w.extend(&g, 120 * MINUTE);
    w.run(MINUTE);
    check!(w, w.result(&extension).as_deref(), Some("extended"));
    w.ledger_fails(0);
    w.run(60 * MINUTE);
    check!(w, w.roles_of(&ada), ["Manager"]);
    check!(w, w.answers[extension.as_str()].len(), 1);
    w.run(60 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

/// An hour of which two more are asked for in the second minute; the disk takes so many milliseconds from then on.
fn asked_for_more(disk: u64) -> (World, GrantId, String) {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    w.disk = disk;
    let extension = w.extend(&g, 120 * MINUTE);
    (w, g, extension)
}

/// An extension that is on the disk and does not come into force, because the clock is not believed.
fn waits_for_the_time() -> (World, GrantId, String) {
    let (mut w, g, extension) = asked_for_more(500);
    w.now.wall = Timestamp(w.now.wall.0 - 10 * 60_000);
    w.run(20_000);
    check!(w, w.result(&extension), None);
    w.disk = 2;
    (w, g, extension)
}

fn right_clock(w: &mut World) {
    w.now.wall = Timestamp(START + i64::try_from(w.elapsed).unwrap());
    w.input(Input::Tick);
    w.input(Input::ControlTime(w.now.wall));
}

#[test]
fn an_extension_that_waits_for_a_clock_comes_into_force_as_soon_as_the_clock_is_believed() {
    let (mut w, g, extension) = waits_for_the_time();
    right_clock(&mut w);
    check!(w, w.result(&extension).as_deref(), Some("extended"));
    check!(w, grants(&w)[&g].extensions.is_empty(), true);
}

#[test]
fn an_extension_that_waits_for_a_policy_comes_into_force_as_soon_as_there_is_one() {
    let (mut w, _, extension) = asked_for_more(500);
    w.run(501);
    w.crash();
    w.answers.clear();
    w.policy = None;
    w.start();
    w.run(20_000);
    check!(w, w.result(&extension), None);
    enforce(&mut w, open_policy());
    check!(w, w.result(&extension).as_deref(), Some("extended"));
}

#[test]
fn an_ending_that_waits_for_the_disk_goes_on_as_soon_as_the_disk_has_written() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let first = w.grant("ada@example.com", "Administrator", 60);
    w.run(MINUTE);
    w.disk = 4_000;
    w.grant("ada@example.com", "Manager", 60); // covered, and live at once
    w.run(1_000);
    w.revoke(&first);
    w.run(2_900);
    check!(w, w.roles_of(&ada), ["Administrator"]);
    w.run(2_000);
    check!(w, w.roles_of(&ada), ["Manager"]);
}

#[test]
fn a_revocation_does_not_wait_for_the_patience_of_a_raise_that_is_not_shown() {
    for after in [20_000, 21_500, 23_000] {
        let mut w = world(RoleMode::Single);
        w.hire("ada@example.com", &["Read Only"]);
        w.fates = vec![Fate::Dropped];
        let g = w.grant("ada@example.com", "Manager", 60);
        w.run(after);
        let reads = w.cloud.reads;
        w.revoke(&g);
        w.run(10);
        check!(w, w.cloud.reads, reads + 1);
    }
}

#[test]
fn an_answer_that_never_comes_holds_up_an_ending_for_two_minutes_and_no_longer() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 5);
    w.run(4 * MINUTE);
    w.latency = 24 * 60 * MINUTE;
    w.revoke(&g);
    w.run(1_000);
    w.latency = 40;
    w.run(2 * MINUTE + 5_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    w.run(60 * MINUTE);
    check!(w, w.answers["j2"], [(ephemerald::engine::codes::ResultCode::Revoked, None)]);
}

#[test]
fn what_a_process_that_died_had_sent_is_taken_away_hours_after_it_was_given_up() {
    for mode in [RoleMode::Single, RoleMode::Multiple] {
        let mut w = world(mode);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        w.fates = vec![Fate::Late(3 * 60 * MINUTE)];
        w.grant("ada@example.com", "Manager", 60);
        w.run(500);
        check!(w, (w.cloud.raises_applied, w.records("attempt_ended").len()), (1, 0));
        w.crash();
        w.start();
        check!(w, (w.records("attempt_ended").len(), w.records("grant_indeterminate").len()), (1, 1));
        w.run(3 * 60 * MINUTE);
        assert!(
            w.cloud
                .history
                .iter()
                .any(|(_, _, roles)| *roles == Some(vec![role("Manager")]) || mode == RoleMode::Multiple)
        );
        w.run(5 * MINUTE);
        check!(w, w.roles_of(&ada), ["Read Only"]);
    }
}

#[test]
fn an_extension_whose_end_in_the_journal_cannot_be_read_is_answered_anew_at_the_start() {
    let (mut w, g, extension) = asked_for_more(50);
    w.down = true;
    w.revoke(&g);
    w.run(MINUTE);
    w.crash();
    w.durable.retain(|entry| entry.record.kind() != "extension_dropped");
    w.answers.clear();
    w.start();
    w.run(1_000);
    check!(w, w.result(&extension).as_deref(), Some("too_late"));
}

#[test]
fn what_is_over_by_the_time_of_the_control_plane_ends_although_this_machine_does_not_know_the_time() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(10 * MINUTE);
    let stood = w.now.wall;
    w.reboot_after(120 * MINUTE);
    w.now.wall = Timestamp(stood.0 + 1_000);
    w.start();
    w.run(5_000);
    w.input(Input::ControlTime(Timestamp(START + i64::try_from(w.elapsed).unwrap())));
    w.run(30_000);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&ada)), (Some("expired"), vec!["Read Only".to_owned()]));
    w.grant("ada@example.com", "Manager", 60); // j2
    w.run(1_000);
    check!(w, w.result("j2").as_deref(), Some("clock_untrusted"));
}
