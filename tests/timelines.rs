//! The timelines of the design that must come out right, each under its own name. Time is the
//! world's, so an hour costs nothing.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use ephemerald::engine::{observed::FaultClass, settings::RoleMode};
use world::World;

const MINUTE: u64 = 60_000;

fn world(mode: RoleMode) -> World {
    let mut world = World::new(mode);
    world.start();
    world.run(1_000);
    world
}

macro_rules! check {
    ($world:expr, $left:expr, $right:expr) => {
        assert_eq!($left, $right, "\n{}", $world.story())
    };
}

#[path = "timelines/abroad.rs"]
mod abroad;
#[path = "timelines/absence.rs"]
mod absence;
#[path = "timelines/answers.rs"]
mod answers;
#[path = "timelines/clocks.rs"]
mod clocks;
#[path = "timelines/costs.rs"]
mod costs;
#[path = "timelines/crowds.rs"]
mod crowds;
#[path = "timelines/extend.rs"]
mod extend;
#[path = "timelines/fold.rs"]
mod fold;
#[path = "timelines/ladder.rs"]
mod ladder;
#[path = "timelines/looks.rs"]
mod looks;
#[path = "timelines/machine.rs"]
mod machine;
#[path = "timelines/neighbours.rs"]
mod neighbours;
#[path = "timelines/old_states.rs"]
mod old_states;
#[path = "timelines/one_and_another.rs"]
mod one_and_another;
#[path = "timelines/orphans.rs"]
mod orphans;
#[path = "timelines/overlaps.rs"]
mod overlaps;
#[path = "timelines/patience.rs"]
mod patience;
#[path = "timelines/people.rs"]
mod people;
#[path = "timelines/raises.rs"]
mod raises;
#[path = "timelines/reboots.rs"]
mod reboots;
#[path = "timelines/replay.rs"]
mod replay;
#[path = "timelines/standing.rs"]
mod standing;
#[path = "timelines/sync.rs"]
mod sync;
#[path = "timelines/taken_back.rs"]
mod taken_back;
#[path = "timelines/told.rs"]
mod told;
#[path = "timelines/uncertain.rs"]
mod uncertain;
#[path = "timelines/years.rs"]
mod years;

#[test]
fn a_grant_is_applied_read_back_expired_and_restored() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let before = (w.cloud.reads, w.cloud.writes);
    let g = w.grant("ada@example.com", "Manager", 30);
    w.run(1_000);
    check!(w, w.roles_of(&ada), ["Manager"]);
    check!(w, w.result("j1").as_deref(), Some("granted"));
    check!(w, (w.cloud.reads - before.0, w.cloud.writes - before.1), (2, 1));
    w.run(30 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
    w.run(25 * 60 * MINUTE);
    check!(w, w.engine.as_ref().unwrap().state().grants.len(), 0);
    check!(w, w.engine.as_ref().unwrap().state().accounts.len(), 0);
    check!(w, w.records("grant_settled").len(), 1);
}

#[test]
fn an_ephemeral_account_comes_and_goes() {
    let mut w = world(RoleMode::Single);
    let people = w.cloud.admins.len();
    let g = w.grant_ephemeral(30, "Help Desk");
    w.run(2_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
    check!(w, w.cloud.admins.len(), people + 1);
    w.run(30 * MINUTE + 20_000);
    check!(w, w.cloud.admins.len(), people);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
    w.run(25 * 60 * MINUTE);
    check!(w, w.engine.as_ref().unwrap().state().grants.len(), 0);
}

#[test]
fn t1_overlapping_grants_end_each_at_their_own_time() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Administrator", 60);
    w.run(1_000);
    w.grant("ada@example.com", "Help Desk", 180);
    w.run(1_000);
    check!(w, w.result("j2").as_deref(), Some("granted"));
    check!(w, w.roles_of(&ada), ["Administrator"]);
    w.run(60 * MINUTE);
    check!(w, w.roles_of(&ada), ["Help Desk"]);
    w.run(120 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn t2_multiple_roles_what_a_person_adds_stays() {
    let mut w = world(RoleMode::Multiple);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Command Runner", 60);
    w.run(1_000);
    w.human_sets(&ada, &["Read Only", "Command Runner", "Billing Only"]);
    w.run(61 * MINUTE);
    check!(w, w.roles_of(&ada), ["Billing Only", "Read Only"]);
}

#[test]
fn t3_multiple_roles_what_a_person_took_never_comes_back() {
    let mut w = world(RoleMode::Multiple);
    let ada = w.hire("ada@example.com", &["Help Desk"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(1_000);
    w.human_sets(&ada, &["Manager"]);
    w.run(61 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]); // the floor, which Manager covers
    let bob = w.hire("bob@example.com", &["Help Desk"]);
    w.grant("bob@example.com", "Command Runner", 60);
    w.run(1_000);
    w.human_sets(&bob, &["Command Runner"]);
    w.run(61 * MINUTE);
    // The floor does not rank below what is there: nothing may be written, a person must look.
    check!(w, w.roles_of(&bob), ["Command Runner"]);
    assert!(w.warnings.iter().any(|w| format!("{w:?}").starts_with("Escalated")));
}

#[test]
fn t4_a_person_promotes_past_the_grant() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Help Desk", 60);
    w.run(1_000);
    w.human_sets(&ada, &["Administrator"]);
    w.run(61 * MINUTE);
    check!(w, w.roles_of(&ada), ["Administrator"]);
    check!(w, w.ended(&g).as_deref(), Some("superseded"));
    // …also when it happened just before the end, unseen by any observation
    let bob = w.hire("bob@example.com", &["Read Only"]);
    let g = w.grant("bob@example.com", "Help Desk", 60);
    w.run(60 * MINUTE - 500);
    w.human_sets(&bob, &["Administrator"]);
    w.run(MINUTE);
    check!(w, w.roles_of(&bob), ["Administrator"]);
    check!(w, w.ended(&g).as_deref(), Some("superseded"));
}

#[test]
fn t11_an_ephemeral_account_with_another_address_is_deleted_by_id() {
    let mut w = world(RoleMode::Single);
    let people = w.cloud.admins.len();
    let g = w.grant_ephemeral(30, "Help Desk");
    w.run(2_000);
    let id = w.cloud.by_email("ada+tag1@example.com").unwrap();
    w.cloud.admins.get_mut(&id).unwrap().email = world::email("mine@elsewhere.example");
    w.run(31 * MINUTE);
    check!(w, w.cloud.admins.len(), people);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
    let gone = format!("{:?}", w.records("grant_gone"));
    assert!(gone.contains("mine@elsewhere.example"), "the other address is reported: {gone}");
}

#[test]
fn t14_protection_and_the_last_billing_holder_do_not_delay_an_ending() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Administrator With Billing", 60);
    w.run(1_000);
    check!(w, w.roles_of(&ada), ["Administrator With Billing"]);
    let mut policy = world::open_policy();
    policy.protected_accounts = vec![world::email("ada@example.com")];
    policy.dry_run = true;
    policy.roles.clear();
    w.input(ephemerald::engine::input::Input::Policy(Some(Box::new(policy))));
    let second = w.cloud.by_email("second@example.com").unwrap();
    w.human_sets(&second, &["Read Only"]);
    w.run(61 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn t15_a_role_that_a_live_grant_covers_is_granted_and_counted() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Administrator", 120);
    w.run(1_000);
    let writes = w.cloud.writes;
    let g = w.grant("ada@example.com", "Help Desk", 60);
    w.run(1_000);
    check!(w, w.result("j2").as_deref(), Some("granted"));
    check!(w, w.cloud.writes, writes);
    w.run(60 * MINUTE);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
    check!(w, w.roles_of(&ada), ["Administrator"]);
    w.run(60 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn t21_a_demotion_by_a_person_becomes_the_baseline() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Manager"]);
    let a = w.grant("ada@example.com", "Administrator", 180);
    w.run(1_000);
    w.human_sets(&ada, &["Read Only"]);
    w.grant("ada@example.com", "Help Desk", 60);
    w.run(1_000);
    check!(w, w.ended(&a).as_deref(), Some("revoked_externally"));
    check!(w, w.result("j2").as_deref(), Some("granted"));
    check!(w, w.roles_of(&ada), ["Help Desk"]);
    w.run(61 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_slow_jumpcloud_delays_a_grant_and_its_end_and_prevents_neither() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.latency = 4_000;
    let g = w.grant("ada@example.com", "Manager", 10);
    w.run(25_000);
    check!(w, w.result("j1").as_deref(), Some("granted"));
    w.run(10 * MINUTE);
    check!(w, (w.ended(&g).as_deref(), w.roles_of(&ada)), (Some("expired"), vec!["Read Only".to_owned()]));
}

#[test]
fn t23_an_organization_that_cannot_be_read_does_not_stop_an_ending() {
    for class in [FaultClass::Forbidden, FaultClass::Ambiguous, FaultClass::NotFound, FaultClass::Throttled] {
        let mut w = world(RoleMode::Single);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        w.grant("ada@example.com", "Manager", 60);
        w.run(30 * MINUTE);
        w.org_unreadable = Some(class);
        w.crash();
        w.start();
        w.run(31 * MINUTE);
        check!(w, w.roles_of(&ada), ["Read Only"]);
    }
}

#[test]
fn a_revoke_job_that_was_answered_is_not_answered_again_after_a_restart() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(5_000);
    w.revoke(&g);
    w.run(20_000);
    check!(w, w.ended(&g).as_deref(), Some("requested"));
    w.crash();
    w.start();
    w.human_sets(&ada, &["Manager"]);
    w.run(MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    check!(w, w.records("grant_gone").len(), 2);
    let answers = w.records("job_answered");
    check!(w, answers.len(), 1);
}
