//! A raise that was certainly not carried out: when it is made again, when it is not, and what is told of it. And
//! what is told of one that needed no write.

use ephemerald::engine::{
    action::Warning,
    codes::ResultCode,
    ids::AccountId,
    input::Input,
    job::Target,
    observed::FaultClass,
    order::{Deed, Order, Peer},
    policy::Policy,
    record::Record,
    settings::RoleMode,
};

use super::{MINUTE, world};
use crate::world::{Fate, World, Writing, email, open_policy, role};

/// A raise that JumpCloud refuses because there were too many requests; some milliseconds later.
fn throttled() -> (World, AccountId) {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Throttled];
    w.grant("ada@example.com", "Manager", 30);
    w.run(300);
    check!(w, (w.cloud.writes, w.result("j1")), (1, None));
    (w, ada)
}

#[test]
fn a_raise_that_was_throttled_is_made_once_more_and_granted() {
    let (mut w, ada) = throttled();
    w.run(10_000);
    check!(w, (w.cloud.writes, w.result("j1").as_deref()), (2, Some("granted")));
    check!(w, w.roles_of(&ada), ["Manager"]);
}

#[test]
fn it_is_not_made_again_for_somebody_who_is_suspended_by_then() {
    let (mut w, ada) = throttled();
    w.cloud.admins.get_mut(&ada).unwrap().suspended = true;
    w.run(10_000);
    check!(w, (w.cloud.writes, w.result("j1").as_deref()), (1, Some("failed/not_sent_in_time")));
}

#[test]
fn nor_once_raises_are_frozen_and_then_its_job_is_told_that() {
    let (mut w, _) = throttled();
    let by = Peer { uid: 0, gid: 0, pid: None };
    w.input(Input::Operator(Deed::Freeze, Order { by, remark: None }));
    w.run(10_000);
    check!(w, (w.cloud.writes, w.result("j1").as_deref()), (1, Some("frozen/frozen")));
}

#[test]
fn nor_under_a_policy_that_does_not_allow_it_any_more() {
    let (mut w, _) = throttled();
    let mut policy = open_policy();
    policy.hash = "1".repeat(64);
    policy.roles.clear();
    w.input(Input::Policy(Some(Box::new(policy))));
    w.run(10_000);
    check!(w, (w.cloud.writes, w.result("j1").as_deref()), (1, Some("failed/not_sent_in_time")));
}

#[test]
fn a_raise_that_came_to_stand_beside_another_role_is_told_as_failed_at_once() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.cloud.lone = Writing::Adds;
    w.grant("ada@example.com", "Manager", 30);
    w.run(2_000);
    check!(w, w.result("j1").as_deref(), Some("failed/several_roles"));
    w.cloud.lone = Writing::Replaces;
    w.run(MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn what_is_told_of_a_grant_that_another_one_carries_says_that_nothing_was_written_for_it() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    w.grant("ada@example.com", "Help Desk", 30);
    w.run(MINUTE);
    let told: Vec<_> = w
        .records("grant_active")
        .into_iter()
        .map(|record| match record {
            Record::GrantActive(active) => (active.attempts, active.before.clone(), active.after.clone()),
            _ => panic!("{record:?}"),
        })
        .collect();
    let (before, after) = (vec![role("Read Only")], vec![role("Manager")]);
    check!(w, told, [(1, before, after.clone()), (0, after.clone(), after)]);
}

#[test]
fn an_organization_whose_word_grows_old_while_an_account_is_read_is_asked_again_and_the_job_goes_on() {
    let mut w = World::new(RoleMode::Single);
    w.policy.as_mut().unwrap().ephemeral = None; // or somebody would look for orphans
    w.start();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.run(5 * MINUTE - 20);
    w.grant_to(Target::Account(ada), "Manager", 30);
    w.run(1_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
}

#[test]
fn in_a_dry_run_every_grant_job_is_told_at_once_what_was_there_and_what_would_be_written() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let policy = Policy { dry_run: true, hash: "2".repeat(64), ..open_policy() };
    w.input(Input::Policy(Some(Box::new(policy))));
    w.grant("ada@example.com", "Manager", 30);
    w.grant_ephemeral(30, "Help Desk");
    w.run(2_000);
    let told: Vec<_> = w
        .records("job_answered")
        .into_iter()
        .map(|record| match record {
            Record::JobAnswered(answer) => (answer.code, answer.observed.clone(), answer.would_write.clone()),
            _ => panic!("{record:?}"),
        })
        .collect();
    let seen = |roles: &[&str]| Some(roles.iter().map(|name| role(name)).collect::<Vec<_>>());
    let expected = [
        (ResultCode::DryRun, seen(&["Read Only"]), seen(&["Manager"])),
        (ResultCode::DryRun, seen(&[]), seen(&["Help Desk"])),
    ];
    check!(w, (told.as_slice(), w.cloud.writes), (expected.as_slice(), 0));
}

#[test]
fn an_account_is_not_made_with_a_role_that_jumpcloud_does_not_have_and_its_job_is_told_so_at_once() {
    let mut w = world(RoleMode::Single);
    let mut policy = Policy { hash: "3".repeat(64), ..open_policy() };
    policy.roles.insert(role("No Such Role"), policy.max_duration);
    w.input(Input::Policy(Some(Box::new(policy))));
    w.grant_ephemeral(30, "No Such Role");
    w.run(2_000);
    check!(w, (w.result("j1").as_deref(), w.cloud.writes), (Some("rejected/role_unknown"), 0));
}

#[test]
fn a_raise_whose_answer_was_lost_is_in_the_journal_as_one_of_which_nobody_knows() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::AnswerLost];
    w.grant("ada@example.com", "Manager", 30);
    w.run(20_000);
    check!(w, w.records("grant_indeterminate").len(), 1);
    check!(w, w.result("j1").as_deref(), Some("granted"));
}

#[test]
fn an_id_with_another_address_where_no_organization_answers_is_told_and_tried_at_the_pace_of_an_ending() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(30 * MINUTE);
    w.crash();
    w.org_unreadable = Some(FaultClass::Forbidden);
    w.cloud.admins.get_mut(&ada).unwrap().email = email("somebody@example.com");
    w.start();
    w.run(31 * MINUTE);
    check!(w, w.roles_of(&ada), ["Manager"]);
    let told = |w: &World| w.warnings.iter().filter(|w| matches!(w, Warning::Escalated(_))).count();
    check!(w, told(&w), 1);
    let reads = w.cloud.reads;
    w.run(10 * MINUTE);
    let asked = w.cloud.reads - reads;
    assert!(asked < 150, "{asked} reads in ten minutes");
    w.org_unreadable = None;
    w.run(2 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_raise_in_doubt_that_a_reboot_has_outlasted_is_given_up_at_the_first_look_and_not_after_a_time_of_its_own()
 {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Dropped];
    w.grant("ada@example.com", "Manager", 60);
    w.run(5_000);
    w.reboot_after(20 * MINUTE);
    w.start();
    w.run(20_000);
    check!(w, w.result("j1").as_deref(), Some("failed/not_confirmed"));
}
