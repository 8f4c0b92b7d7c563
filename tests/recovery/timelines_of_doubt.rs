//! The engine alone: how a doubt begins, what is asked while it lasts, when an adopted grant is over, and what is
//! remembered once the ledger is believed again.

use ephemerald::engine::{
    account::AccountKey,
    action::Warning,
    ids::{GrantId, OrgId},
    input::Input,
    observed::FaultClass,
    recovery::{Cannot, Cause, Deed, Finding},
    settings::RoleMode,
    state::State,
    time::{Millis, Timestamp},
};

use super::timelines::{MINUTE, believed, does, finding, held, is_revoke_only, proven, unproven, world};
use crate::world::{ORG, World, email, jc, role};

const TWO_HOURS: i64 = 2 * 60 * 60 * 1000;

fn state(w: &World) -> &State {
    w.engine.as_ref().unwrap().state()
}

fn alarms(w: &World) -> Vec<usize> {
    let claims = w.warnings.iter().filter_map(|warning| match warning {
        Warning::RevokeOnly { claims, .. } => Some(*claims),
        _ => None,
    });
    claims.collect()
}

fn missed(w: &World) -> bool {
    w.warnings.iter().any(|warning| matches!(warning, Warning::WheelMiss(_)))
}

/// A ledger that was put back from a backup while the agent ran.
fn restored() -> Input {
    Input::LedgerFinding(finding(Cause::Restored, "restored:1"))
}

#[test]
fn an_adopted_grant_loses_its_role_at_its_end_and_not_at_the_next_sweep() {
    for already_over in [false, true] {
        let mut w = world(RoleMode::Single);
        let ada = w.hire("ada@example.com", &["Manager"]);
        w.run(7_000);
        let ends_at = w.now.wall.0 + if already_over { -5 * 60_000 } else { 5 * 60_000 };
        w.input(believed(vec![proven(held(&ada, "g-lost", "Manager", &["Read Only"], ends_at))]));
        w.run(if already_over { 2_000 } else { 5 * MINUTE + 2_000 });
        assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
        assert!(!missed(&w), "{:?}", w.warnings);
    }
}

#[test]
fn the_role_of_an_adopted_grant_that_comes_back_hours_later_is_taken_away_again() {
    let mut w = world(RoleMode::Multiple);
    let ada = w.hire("ada@example.com", &["Help Desk", "Manager"]);
    let ends_at = w.now.wall.0 + 60_000;
    w.input(believed(vec![proven(held(&ada, "g-lost", "Manager", &["Help Desk"], ends_at))]));
    w.run(5 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Help Desk"], "{}", w.story());
    w.input(believed(vec![]));
    does(&mut w, Deed::Acknowledge { unheard: false });
    w.run(3 * 60 * MINUTE);
    w.human_sets(&ada, &["Help Desk", "Manager"]); // a write of the life that was lost, at last
    w.run(5 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Help Desk"], "{}", w.story());
}

#[test]
fn the_account_of_an_adopted_grant_is_opened_in_the_journal_unless_it_is_held() {
    for is_held in [false, true] {
        let mut w = world(RoleMode::Single);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        if is_held {
            w.grant("ada@example.com", "Help Desk", 60);
            w.run(5_000);
        }
        let ends_at = w.now.wall.0 + 60_000;
        w.input(believed(vec![proven(held(&ada, "g-lost", "Manager", &["Read Only"], ends_at))]));
        assert_eq!(w.records("account_opened").len(), 1, "{is_held}: {}", w.story());
    }
}

#[test]
fn what_the_control_plane_said_before_a_doubt_does_not_answer_it() {
    let mut w = world(RoleMode::Single);
    w.input(believed(vec![]));
    w.input(Input::LedgerFinding(finding(Cause::Copied, "replaced:7")));
    let early = state(&w).deed(&Deed::Acknowledge { unheard: false }, "uid 0", "", w.now.wall);
    assert_eq!(early.err(), Some(Cannot::Unheard));
    w.input(believed(vec![]));
    does(&mut w, Deed::Acknowledge { unheard: false });
}

#[test]
fn a_comparison_from_before_a_ledger_was_put_back_says_nothing_about_it() {
    for heads_first in [true, false] {
        let mut w = world(RoleMode::Single);
        let agree = |w: &mut World, heads: bool| {
            w.input(if heads { Input::HeadsAgree } else { believed(vec![]) });
        };
        agree(&mut w, heads_first);
        w.input(restored());
        agree(&mut w, !heads_first);
        assert!(is_revoke_only(&w), "{heads_first}: only half of it was said since");
        agree(&mut w, heads_first);
        assert!(!is_revoke_only(&w));
    }
}

#[test]
fn a_restored_ledger_is_not_believed_under_a_clock_that_is_not_and_is_as_soon_as_that_is() {
    let mut w = world(RoleMode::Single);
    w.input(restored());
    w.now.wall = Timestamp(w.now.wall.0 + TWO_HOURS);
    w.input(Input::HeadsAgree);
    w.input(believed(vec![]));
    w.run(MINUTE);
    assert!(is_revoke_only(&w), "jobs of the next two hours would be taken for those of a life before");
    w.now.wall = Timestamp(w.now.wall.0 - TWO_HOURS);
    w.input(Input::ControlTime(w.now.wall));
    assert!(!is_revoke_only(&w), "{}", w.story());
    assert_eq!(state(&w).recovery.jobs_from, Some(w.now.wall));
}

#[test]
fn an_adopted_grant_ends_by_the_time_that_passes_whatever_becomes_of_the_clock() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Manager"]);
    let ends_at = w.now.wall.0 + 5 * 60_000;
    w.input(believed(vec![proven(held(&ada, "g-lost", "Manager", &["Read Only"], ends_at))]));
    w.run(MINUTE);
    w.now.wall = Timestamp(w.now.wall.0 - TWO_HOURS);
    w.run(4 * MINUTE + 2_000);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
}

#[test]
fn jobs_from_before_the_ledger_was_believed_again_are_not_of_this_life() {
    let mut w = world(RoleMode::Single);
    assert_eq!(state(&w).recovery.jobs_from, None);
    w.input(restored());
    w.input(Input::HeadsAgree);
    w.run(MINUTE);
    w.input(believed(vec![]));
    let first = Some(w.now.wall);
    assert_eq!(state(&w).recovery.jobs_from, first);
    w.run(MINUTE);
    w.input(Input::LedgerFinding(finding(Cause::Lost, "lost:x")));
    w.input(believed(vec![]));
    does(&mut w, Deed::Acknowledge { unheard: false });
    assert_eq!(state(&w).recovery.jobs_from, Some(w.now.wall));
    assert!(first < Some(w.now.wall));
}

#[test]
fn numbers_that_a_forgotten_life_has_told_are_never_told_again() {
    let mut w = world(RoleMode::Single);
    for (mark, base, told) in [("head:9", 40, 47), ("head:12", 30, 47), ("head:99", 50, 57)] {
        w.input(Input::LedgerFinding(Finding { base, ..finding(Cause::RolledBack, mark) }));
        assert_eq!(state(&w).recovery.told(7), told);
    }
}

#[test]
fn a_ledger_in_doubt_has_the_tenant_listed_at_once_for_accounts_of_a_forgotten_life() {
    let mut w = World::new(RoleMode::Single);
    w.policy.as_mut().unwrap().ephemeral = None; // nobody else asks for a listing
    w.start();
    w.run(5 * MINUTE);
    let reads = w.cloud.reads;
    w.run(5 * MINUTE);
    assert_eq!(w.cloud.reads, reads);
    w.input(Input::LedgerFinding(finding(Cause::Lost, "lost:x")));
    w.run(1_000);
    assert_eq!(w.cloud.reads, reads + 1);
}

#[test]
fn a_receipt_vouches_for_the_organization_where_none_could_be_read() {
    let mut w = World::new(RoleMode::Single);
    w.org_unreadable = Some(FaultClass::Forbidden);
    w.start();
    w.run(1_000);
    let ada = w.hire("ada@example.com", &["Manager"]);
    assert!(state(&w).organizations.is_empty());
    let ends_at = w.now.wall.0 + 60_000;
    w.input(believed(vec![proven(held(&ada, "g-lost", "Manager", &["Read Only"], ends_at))]));
    assert_eq!(state(&w).organizations.get(&jc()), Some(&OrgId::new(ORG).unwrap()));
    // The key of another organization is noticed, although it is the first that answers.
    (w.org_unreadable, w.abroad) = (None, true);
    w.input(Input::CredentialChanged(jc()));
    w.run(1_000);
    assert!(w.warnings.contains(&Warning::WrongOrganization(jc())), "{:?}", w.warnings);
}

#[test]
fn the_alarm_is_given_every_minute_and_anew_with_what_is_left_once_a_claim_is_decided() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.input(believed(vec![unproven(&ada, "one"), unproven(&ada, "two")]));
    w.run(10 * MINUTE);
    let given = alarms(&w).len();
    assert!((9..=11).contains(&given), "{given}");
    assert_eq!(alarms(&w).last(), Some(&2));
    w.run(32_000); // it was just given
    does(&mut w, Deed::Dismiss(GrantId::new("one").unwrap()));
    w.run(30_000);
    assert_eq!(alarms(&w).last(), Some(&1));
}

#[test]
fn a_claim_of_a_grant_that_is_known_or_decided_opens_nothing() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let known = w.grant("ada@example.com", "Manager", 60);
    w.run(5_000);
    let ends_at = (w.now.wall + Millis(60_000)).0;
    let again = held(&ada, known.as_str(), "Manager", &["Read Only"], ends_at);
    w.input(believed(vec![proven(again), unproven(&ada, known.as_str())]));
    assert!(!is_revoke_only(&w));
    w.run(5 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Manager"], "it has the end that it was given: {}", w.story());
}

#[test]
fn a_tagged_account_that_an_operator_has_dismissed_is_not_claimed_again_and_one_that_is_held_never() {
    let mut w = world(RoleMode::Single);
    let grant = w.grant_ephemeral(60, "Help Desk");
    w.run(5_000);
    let ours = w.cloud.by_email("ada+tag1@example.com").unwrap();
    let id = w.hire("ada+tagged@example.com", &["Manager"]);
    let tagged = |id, address| (id, email(address), vec![role("Manager")]);
    let (ours, found) =
        (tagged(ours, "mine@elsewhere.example"), tagged(id.clone(), "ada+tagged@example.com"));
    w.input(Input::LedgerFinding(finding(Cause::Lost, "lost:x")));
    w.input(Input::Tagged(jc(), vec![ours.clone(), found.clone()]));
    let open: Vec<_> = state(&w).recovery.claims.values().map(|c| c.account.clone().unwrap()).collect();
    assert_eq!(open, std::slice::from_ref(&id));
    does(&mut w, Deed::Dismiss(GrantId::new(&format!("tagged-{id}")).unwrap()));
    w.input(Input::Tagged(jc(), vec![ours, found]));
    assert_eq!(state(&w).recovery.claims.len(), 0);
    assert_eq!(state(&w).grants[&grant].terms.account, AccountKey::Ephemeral(email("ada+tag1@example.com")));
}

#[test]
fn that_a_doubt_has_overtaken_an_extension_is_told_at_once_and_not_at_the_end_of_the_grant() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Manager", 60);
    w.run(5_000);
    w.disk = 50;
    let extension = w.extend(&grant, 120 * MINUTE);
    w.input(Input::LedgerFinding(finding(Cause::Copied, "replaced:7")));
    w.run(100);
    assert_eq!(w.result(&extension).as_deref(), Some("too_late"), "{}", w.story());
}
