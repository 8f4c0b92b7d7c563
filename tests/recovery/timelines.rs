//! The engine alone: what it does with a ledger in doubt.

use ephemerald::engine::{
    account::AccountKey,
    ids::{AccountId, GrantId, JobId, OrgId},
    input::Input,
    recovery::{Believed, Cause, Claim, Deed, Finding, Held, Problem, Source, Told},
    settings::RoleMode,
    time::{Millis, Timestamp},
};

use crate::world::{ORG, START, World, email, jc, role};

pub(super) const MINUTE: u64 = 60_000;

pub(super) fn world(mode: RoleMode) -> World {
    let mut world = World::new(mode);
    world.start();
    world.run(1_000);
    world
}

pub(super) fn finding(cause: Cause, mark: &str) -> Finding {
    Finding { cause, mark: mark.to_owned(), detail: "found by a test".to_owned(), base: 0 }
}

/// What a receipt of our key says.
pub(super) fn held(id: &AccountId, grant: &str, wanted: &str, baseline: &[&str], ends_at: i64) -> Held {
    Held {
        grant: GrantId::new(grant).unwrap(),
        job: JobId::new(&format!("job-of-{grant}")).unwrap(),
        integration: jc(),
        org: Some(OrgId::new(ORG).unwrap()),
        account: AccountKey::Standing(id.clone()),
        id: id.clone(),
        email: email("ada@example.com"),
        role: role(wanted),
        baseline: baseline.iter().map(|name| role(name)).collect(),
        plural: false,
        ends_at: Timestamp(ends_at),
    }
}

pub(super) fn believed(claims: Vec<Told>) -> Input {
    Input::Believed(Believed { claims, answered: true, complete: true })
}

pub(super) fn proven(held: Held) -> Told {
    Told::Proven(Box::new(held))
}

pub(super) fn unproven(id: &AccountId, grant: &str) -> Told {
    Told::Claimed(Box::new(Claim {
        grant: GrantId::new(grant).unwrap(),
        integration: jc(),
        account: Some(id.clone()),
        email: Some(email("ada@example.com")),
        role: Some(role("Manager")),
        ends_at: Some(Timestamp(START)),
        source: Source::ControlPlane,
        problem: Problem::BadReceipt,
    }))
}

pub(super) fn does(world: &mut World, deed: Deed) {
    let refused = world.engine.as_ref().unwrap().state().deed(&deed, "uid 0", "a test", world.now.wall).err();
    assert_eq!(refused, None, "{deed:?}");
    world.input(Input::LedgerDeed { deed, by: "uid 0".to_owned(), why: "a test".to_owned() });
}

pub(super) fn is_revoke_only(world: &World) -> bool {
    world.engine.as_ref().unwrap().state().recovery.is_revoke_only()
}

#[test]
fn t7_an_account_whose_elevation_was_forgotten_is_barred_after_the_acknowledgement_and_never_a_baseline() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    // The snapshot is taken here. What happens now is forgotten.
    let snapshot = w.durable.len();
    w.grant("ada@example.com", "Manager", 60);
    w.run(2_000);
    assert_eq!(w.roles_of(&ada), ["Manager"]);
    w.crash();
    w.durable.truncate(snapshot);
    w.findings = vec![finding(Cause::RolledBack, "head:9")];
    w.start();
    w.run(2_000);
    assert!(is_revoke_only(&w));

    // The control plane never heard of it either: nothing can be recovered.
    w.input(believed(vec![]));
    let refused = w.grant("ada@example.com", "Administrator", 5);
    w.run(5_000);
    assert_eq!(w.result("j2").as_deref(), Some("rejected/revoke_only"), "{refused}");
    does(&mut w, Deed::Acknowledge { unheard: false });
    assert!(!is_revoke_only(&w));

    w.grant("ada@example.com", "Administrator", 5);
    w.run(5_000);
    assert_eq!(w.result("j3").as_deref(), Some("rejected/account_barred"));
    // Over a restart, too.
    w.crash();
    w.start();
    w.grant("ada@example.com", "Administrator", 5);
    w.run(5_000);
    assert_eq!(w.result("j4").as_deref(), Some("rejected/account_barred"));
    assert_eq!(w.roles_of(&ada), ["Manager"], "nothing was written: {}", w.story());

    // A person takes it away in the console, and says so.
    w.human_sets(&ada, &["Read Only"]);
    does(&mut w, Deed::Explain(jc(), Some("Ada@example.com".to_owned())));
    w.grant("ada@example.com", "Administrator", 5);
    w.run(5_000);
    assert_eq!(w.result("j5").as_deref(), Some("granted"));
    w.run(6 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
}

#[test]
fn in_revoke_only_mode_every_grant_ends_on_time_and_nothing_begins_or_is_extended() {
    let mut w = world(RoleMode::Single);
    let (ada, bob) = (w.hire("ada@example.com", &["Read Only"]), w.hire("bob@example.com", &["Help Desk"]));
    let first = w.grant("ada@example.com", "Manager", 10);
    w.grant("bob@example.com", "Manager", 30);
    w.run(5_000);
    w.input(Input::LedgerFinding(finding(Cause::Copied, "replaced:7")));
    let extension = w.extend(&first, 60 * MINUTE);
    w.grant("ada@example.com", "Administrator", 5);
    w.run(5_000);
    assert_eq!(w.result(extension.as_str()).as_deref(), Some("rejected/revoke_only"));
    assert_eq!(w.result("j4").as_deref(), Some("rejected/revoke_only"));
    w.crash();
    w.start();
    assert!(is_revoke_only(&w), "it is persisted");
    w.run(10 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"]);
    assert_eq!(w.roles_of(&bob), ["Manager"], "the other one still has its time");
    w.run(20 * MINUTE);
    assert_eq!(w.roles_of(&bob), ["Help Desk"], "{}", w.story());
}

#[test]
fn an_extension_under_way_when_the_ledger_comes_into_doubt_leaves_the_old_end() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Manager", 10);
    w.run(5_000);
    w.disk = 50;
    let extension = w.extend(&grant, 60 * MINUTE);
    w.input(Input::LedgerFinding(finding(Cause::Copied, "replaced:7")));
    w.run(11 * MINUTE);
    assert_eq!(w.result(extension.as_str()).as_deref(), Some("too_late"));
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
}

#[test]
fn a_proven_claim_is_adopted_and_ended_at_its_end_with_the_baseline_of_its_receipt() {
    for (mode, before, after) in [
        (RoleMode::Single, vec!["Help Desk"], vec!["Manager"]),
        (RoleMode::Multiple, vec!["Help Desk"], vec!["Help Desk", "Manager"]),
    ] {
        let mut w = world(mode);
        let ada = w.hire("ada@example.com", &after);
        w.crash();
        w.findings = vec![finding(Cause::Lost, "lost:x")];
        w.start();
        w.run(1_000);
        let ends_at = w.now.wall.0 + 10 * 60_000;
        w.input(believed(vec![proven(held(&ada, "g-lost", "Manager", &before, ends_at))]));
        w.run(5 * MINUTE);
        assert_eq!(w.roles_of(&ada), after, "{mode:?}: it has its time");
        w.crash();
        w.start();
        w.run(6 * MINUTE);
        assert_eq!(w.roles_of(&ada), before, "{mode:?}: {}", w.story());
        assert_eq!(w.ended(&GrantId::new("g-lost").unwrap()).as_deref(), Some("expired"));
    }
}

#[test]
fn an_adopted_grant_can_be_ended_early_and_never_extended() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Manager"]);
    let ends_at = w.now.wall.0 + 60 * 60_000;
    w.input(believed(vec![proven(held(&ada, "g-lost", "Manager", &["Read Only"], ends_at))]));
    w.run(1_000);
    assert!(is_revoke_only(&w), "a grant that the ledger does not know speaks against it");
    does(&mut w, Deed::Acknowledge { unheard: false });
    let grant = GrantId::new("g-lost").unwrap();
    let extension = w.extend(&grant, 120 * MINUTE);
    assert_eq!(w.result(extension.as_str()).as_deref(), Some("rejected/revoke_only"));
    let revoke = w.revoke(&grant);
    w.run(MINUTE);
    assert_eq!(w.result(revoke.as_str()).as_deref(), Some("revoked"));
    assert_eq!(w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_hostile_control_plane_that_invents_claims_on_a_first_enrolment_moves_nothing() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Manager"]);
    let claims = (0..3_000).map(|n| unproven(&ada, &format!("invented-{n}"))).collect();
    w.input(believed(claims));
    w.run(24 * 60 * MINUTE);
    assert_eq!(w.cloud.history.iter().filter(|(_, id, _)| *id == ada).count(), 1, "{}", w.story());
    assert!(w.records("attempt_started").is_empty());
    let open = w.engine.as_ref().unwrap().state().recovery.claims.len();
    assert_eq!(open, 1_000, "and it cannot fill the disk");
    assert!(is_revoke_only(&w));
    let grant = w.grant("ada@example.com", "Administrator", 5);
    w.run(5_000);
    assert_eq!(w.result("j1").as_deref(), Some("rejected/revoke_only"), "{grant}");
}

#[test]
fn dismissed_inventions_leave_no_account_barred() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.input(believed(vec![unproven(&ada, "invented")]));
    let state = w.engine.as_ref().unwrap().state();
    let early = state.deed(&Deed::Acknowledge { unheard: false }, "uid 0", "", w.now.wall);
    assert!(early.is_err(), "a claim is open");
    does(&mut w, Deed::Dismiss(GrantId::new("invented").unwrap()));
    does(&mut w, Deed::Acknowledge { unheard: false });
    w.grant("ada@example.com", "Manager", 5);
    w.run(5_000);
    assert_eq!(w.result("j1").as_deref(), Some("granted"));
    // It is asked again after a restart of nothing, and told the same: it stays decided.
    w.input(believed(vec![unproven(&ada, "invented")]));
    assert!(!is_revoke_only(&w));
}

#[test]
fn a_claim_that_an_operator_has_revoked_loses_its_role_and_gets_nothing_back() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Manager"]);
    w.input(believed(vec![unproven(&ada, "forgotten")]));
    does(&mut w, Deed::Revoke(GrantId::new("forgotten").unwrap()));
    w.run(MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "the floor role: {}", w.story());
}

#[test]
fn after_a_life_that_was_proven_to_be_forgotten_every_account_is_to_be_explained() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Manager"]);
    w.hire("bob@example.com", &["Read Only"]);
    let ends_at = w.now.wall.0 + 60_000;
    w.input(believed(vec![proven(held(&ada, "g-lost", "Manager", &["Read Only"], ends_at))]));
    w.run(10 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
    w.input(believed(vec![]));
    does(&mut w, Deed::Acknowledge { unheard: false });
    w.grant("bob@example.com", "Manager", 5); // j1
    w.run(5_000);
    assert_eq!(w.result("j1").as_deref(), Some("rejected/account_barred"), "{}", w.story());
}

#[test]
fn what_a_receipt_says_of_the_time_before_is_given_back_where_no_roles_compare() {
    let mut w = World::new(RoleMode::Single);
    w.serves_roles = false;
    w.start();
    w.run(1_000);
    let ada = w.hire("ada@example.com", &["Manager"]);
    let ends_at = w.now.wall.0 + 60_000;
    w.input(believed(vec![proven(held(&ada, "g-lost", "Manager", &["Help Desk"], ends_at))]));
    w.run(10 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Help Desk"], "{}", w.story());
}

#[test]
fn receipts_of_another_organization_and_old_ones_wait_for_an_operator() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Manager"]);
    let now = w.now.wall.0;
    let mut abroad = held(&ada, "abroad", "Manager", &["Read Only"], now);
    abroad.org = Some(OrgId::new(crate::world::OTHER_ORG).unwrap());
    let old = held(&ada, "old", "Manager", &["Read Only"], now - 31 * 24 * 3_600_000);
    w.input(believed(vec![proven(abroad), proven(old)]));
    w.run(60 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Manager"]);
    assert_eq!(w.engine.as_ref().unwrap().state().recovery.claims.len(), 2);
}

#[test]
fn a_baseline_does_not_follow_a_role_that_may_come_from_a_forgotten_grant() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Help Desk", 10);
    w.run(2_000);
    w.input(Input::LedgerFinding(finding(Cause::RolledBack, "head:9")));
    // What a forgotten grant of ours did.
    w.human_sets(&ada, &["Manager"]);
    w.run(3 * MINUTE);
    let ends_at = w.now.wall.0 + 60_000;
    w.input(believed(vec![proven(held(&ada, "forgotten", "Manager", &["Read Only"], ends_at))]));
    w.run(20 * MINUTE);
    assert!(w.records("baseline_moved").is_empty(), "{}", w.story());
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
}

#[test]
fn a_restored_ledger_is_believed_again_once_it_is_as_new_as_what_the_control_plane_knows() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.crash();
    w.findings = vec![finding(Cause::Restored, "restored:1")];
    w.start();
    w.run(1_000);
    w.input(Input::HeadsAgree);
    assert!(is_revoke_only(&w), "only half of the comparison");
    w.input(believed(vec![]));
    assert!(!is_revoke_only(&w));
    w.grant("ada@example.com", "Manager", 5);
    w.run(5_000);
    assert_eq!(w.result("j1").as_deref(), Some("granted"), "and nobody is barred");
}

#[test]
fn a_restored_ledger_that_does_not_know_a_live_grant_is_older_than_it_was() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Manager"]);
    w.crash();
    w.findings = vec![finding(Cause::Restored, "restored:1")];
    w.start();
    w.run(1_000);
    let ends_at = w.now.wall.0 + 60_000;
    w.input(believed(vec![proven(held(&ada, "g-lost", "Manager", &["Read Only"], ends_at))]));
    w.input(Input::HeadsAgree);
    w.run(10 * MINUTE);
    assert!(is_revoke_only(&w));
    assert_eq!(w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_finding_is_doubted_once_and_the_alarm_is_repeated_until_somebody_acts() {
    let mut w = world(RoleMode::Single);
    let alarms = |w: &World| w.warnings.iter().filter(|w| format!("{w:?}").contains("RevokeOnly")).count();
    for starts in 1..4 {
        w.crash();
        w.findings = vec![finding(Cause::Damaged, "row:3")];
        w.start();
        assert_eq!(alarms(&w), starts, "each start says it at once");
    }
    assert_eq!(w.records("ledger_doubted").len(), 1);
    let before = alarms(&w);
    w.run(10 * MINUTE);
    assert!(alarms(&w) >= before + 8, "{:?}", w.warnings);
    w.input(believed(vec![]));
    does(&mut w, Deed::Acknowledge { unheard: false });
    let before = alarms(&w);
    w.run(10 * MINUTE);
    assert_eq!(alarms(&w), before);
    w.crash();
    w.findings = vec![finding(Cause::Damaged, "row:3")];
    w.start();
    assert!(!is_revoke_only(&w), "the row is known");
}

#[test]
fn an_account_with_a_tag_of_ours_and_no_grant_waits_for_an_operator_who_has_it_deleted() {
    let mut w = world(RoleMode::Single);
    let id = w.hire("ada+tagged@example.com", &["Manager"]);
    let found =
        || Input::Tagged(jc(), vec![(id.clone(), email("ada+tagged@example.com"), vec![role("Manager")])]);
    w.input(found());
    assert!(w.records("claim_opened").is_empty(), "in a ledger that is believed nobody asks");
    w.input(Input::LedgerFinding(finding(Cause::Lost, "lost:x")));
    w.input(found());
    w.input(found());
    assert_eq!(w.records("claim_opened").len(), 1);
    w.run(60 * MINUTE);
    assert_eq!(w.roles_of(&id), ["Manager"], "nobody has said so");
    does(&mut w, Deed::Revoke(GrantId::new(&format!("tagged-{id}")).unwrap()));
    w.run(5 * MINUTE);
    assert!(w.roles_of(&id).is_empty(), "deleted: {}", w.story());
}

#[test]
fn a_receipt_answers_the_claim_that_a_tag_has_opened() {
    let mut w = world(RoleMode::Single);
    let id = w.hire("ada+tagged@example.com", &["Manager"]);
    w.input(Input::LedgerFinding(finding(Cause::Lost, "lost:x")));
    w.input(Input::Tagged(jc(), vec![(id.clone(), email("ada+tagged@example.com"), vec![role("Manager")])]));
    let ends_at = (w.now.wall + Millis(60_000)).0;
    let mut ephemeral = held(&id, "g-eph", "Manager", &[], ends_at);
    ephemeral.account = AccountKey::Ephemeral(email("ada+tagged@example.com"));
    ephemeral.email = email("ada+tagged@example.com");
    w.input(believed(vec![proven(ephemeral)]));
    assert!(w.engine.as_ref().unwrap().state().recovery.claims.is_empty());
    w.run(10 * MINUTE);
    assert!(w.roles_of(&id).is_empty(), "deleted at its end: {}", w.story());
}
