//! A revocation that does not succeed: what is said, and what is done instead, by its overdue age.

use ephemerald::engine::{action::Warning, observed::FaultClass, record::Record, settings::RoleMode};

use super::{MINUTE, world};
use crate::world::{Fate, role};

#[test]
fn a_revocation_that_was_asked_for_is_overdue_from_then_on_and_said_aloud_for_ever() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 24 * 60);
    w.run(MINUTE);
    w.default_fate = Fate::Refused;
    w.revoke(&g);
    w.run(3 * 60 * MINUTE);
    let said: Vec<u64> = w
        .records("revocation_overdue")
        .into_iter()
        .filter_map(|record| match record {
            Record::RevocationOverdue { overdue_ms, .. } => Some(overdue_ms / MINUTE),
            _ => None,
        })
        .collect();
    check!(w, said, [1, 5, 15, 60, 120]);
    w.default_fate = Fate::Fine;
    w.run(MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    check!(w, w.ended(&g).as_deref(), Some("requested"));
}

#[test]
fn an_ephemeral_account_that_cannot_be_deleted_loses_its_role_and_is_deleted_as_soon_as_it_can_be() {
    let mut w = world(RoleMode::Single);
    let people = w.cloud.admins.len();
    let g = w.grant_ephemeral(30, "Manager");
    w.run(MINUTE);
    w.cloud.keeps_accounts = true;
    w.run(30 * MINUTE);
    let made = w.cloud.admins.keys().next_back().unwrap().clone();
    check!(w, w.roles_of(&made), ["Manager"]);
    w.run(3 * MINUTE);
    check!(w, w.roles_of(&made), ["Read Only"]);
    check!(w, w.ended(&g), None);
    w.cloud.keeps_accounts = false;
    w.run(MINUTE);
    check!(w, w.cloud.admins.len(), people);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
}

#[test]
fn a_baseline_that_is_forbidden_for_long_gives_way_to_the_floor_and_one_that_only_failed_for_a_while_does_not()
 {
    for class in [FaultClass::Forbidden, FaultClass::NotFound, FaultClass::Ambiguous] {
        let mut w = world(RoleMode::Single);
        let ada = w.hire("ada@example.com", &["Help Desk"]);
        let g = w.grant("ada@example.com", "Manager", 30);
        w.run(MINUTE);
        w.cloud.refuses = Some((role("Help Desk"), class));
        w.run(29 * MINUTE + 40_000);
        check!(w, w.roles_of(&ada), ["Manager"]); // it may be an outage
        w.run(3 * MINUTE);
        check!(w, w.roles_of(&ada), ["Read Only"]);
        check!(w, w.ended(&g).as_deref(), Some("expired"));
        let said = w.warnings.iter().filter(|w| matches!(w, Warning::FloorInstead(_))).count();
        check!(w, said, 1);
    }
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Help Desk"]);
    w.grant("ada@example.com", "Manager", 30);
    w.run(MINUTE);
    w.cloud.refuses = Some((role("Help Desk"), FaultClass::Ambiguous));
    w.run(29 * MINUTE + 40_000);
    w.cloud.refuses = None;
    w.run(3 * MINUTE);
    check!(w, w.roles_of(&ada), ["Help Desk"]);
}

#[test]
fn that_the_floor_is_written_instead_is_said_once_however_often_it_is_tried() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Help Desk"]);
    w.grant("ada@example.com", "Manager", 30);
    w.run(MINUTE);
    w.default_fate = Fate::Refused;
    w.run(35 * MINUTE);
    check!(w, w.roles_of(&ada), ["Manager"]);
    let said = w.warnings.iter().filter(|w| matches!(w, Warning::FloorInstead(_))).count();
    check!(w, said, 1);
}

#[test]
fn what_was_lost_to_the_floor_does_not_come_back_with_the_next_grants_end() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Help Desk"]);
    w.grant("ada@example.com", "Manager", 30);
    w.run(MINUTE);
    w.cloud.refuses = Some((role("Help Desk"), FaultClass::Refused));
    w.run(33 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    w.cloud.refuses = None;
    w.grant("ada@example.com", "Manager", 30); // j2
    w.run(MINUTE);
    check!(w, w.result("j2").as_deref(), Some("granted"));
    w.run(33 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}
