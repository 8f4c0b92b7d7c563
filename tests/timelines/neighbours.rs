//! Two integrations: whatever becomes of the other one, this one's grants are given and ended at the very
//! same instants.

use ephemerald::engine::{
    ids::{IntegrationId, JobId},
    input::Input,
    job::{Ask, Job, Target},
    settings::{IntegrationSettings, RoleMode},
};

use super::MINUTE;
use crate::world::{Neighbour, World, email};

fn other() -> IntegrationId {
    IntegrationId::new("other").unwrap()
}

/// The same half hour beside a neighbour in some state; what JumpCloud went through, and the answers.
fn beside(neighbour: Option<Neighbour>, busy: bool) -> (World, String) {
    let mut w = World::new(RoleMode::Single);
    if let Some(state) = neighbour {
        let own = w.settings.integrations[0].clone();
        w.settings.integrations.push(IntegrationSettings { id: other(), ..own });
        w.neighbour = state;
    }
    w.hire("ada@example.com", &["Read Only"]);
    w.start();
    w.run(1_000);
    let mut asked = 0;
    let mut pester = |w: &mut World| {
        for n in 0..if busy { 20 } else { 0 } {
            asked += 1;
            let (job, _) = w.grant_job(Target::Email(email(&format!("person{n}@example.com"))), "Manager", 5);
            let Ask::Grant(mut grant, request) = job.ask else { panic!("a grant") };
            grant.grant = ephemerald::engine::ids::GrantId::new(&format!("other{asked}")).unwrap();
            let id = JobId::new(&format!("other{asked}")).unwrap();
            let mut digest = job.digest;
            digest.0[31] = 1;
            let ask = Ask::Grant(grant, request);
            w.input(Input::Job(Box::new(Job { id, digest, integration: other(), ask, ..job })));
        }
    };
    let from = w.now.boot.0;
    pester(&mut w);
    let (one, g) = named(&mut w, "one", "ada@example.com", "Manager", 10);
    w.input(Input::Job(Box::new(one)));
    w.run(2_000);
    pester(&mut w);
    let job = w.extend_job(&g, 20 * MINUTE);
    w.input(Input::Job(Box::new(Job { id: JobId::new("two").unwrap(), ..job })));
    w.run(5 * MINUTE);
    pester(&mut w);
    w.run(25 * MINUTE);
    let results: Vec<_> = ["one", "two"].iter().map(|job| w.result(job)).collect();
    let history: Vec<_> = w.cloud.history.iter().filter(|(at, ..)| *at >= from).collect();
    let told = format!("{results:?}\n{history:?}");
    (w, told)
}

fn named(
    w: &mut World,
    id: &str,
    address: &str,
    role: &str,
    minutes: u64,
) -> (Job, ephemerald::engine::ids::GrantId) {
    let (job, _) = w.grant_job(Target::Email(email(address)), role, minutes);
    let Ask::Grant(mut grant, request) = job.ask else { panic!("a grant") };
    grant.grant = ephemerald::engine::ids::GrantId::new(id).unwrap();
    let named = grant.grant.clone();
    (Job { id: JobId::new(id).unwrap(), ask: Ask::Grant(grant, request), ..job }, named)
}

#[test]
fn a_broken_integration_never_delays_another() {
    let (_, alone) = beside(None, false);
    assert!(alone.contains("granted") && alone.contains("extended"), "{alone}");
    for neighbour in [Neighbour::Silent, Neighbour::Throttled, Neighbour::Slow(25_000), Neighbour::Well] {
        for busy in [false, true] {
            let (w, told) = beside(Some(neighbour), busy);
            assert_eq!(told, alone, "{neighbour:?}, busy: {busy}\n{}", w.story());
        }
    }
}

#[test]
fn jobs_for_an_integration_that_never_answers_fail_by_themselves() {
    let (w, _) = beside(Some(Neighbour::Silent), true);
    let of_the_other = w.answers.iter().filter(|(job, _)| job.as_str().starts_with("other"));
    let codes: Vec<String> = of_the_other
        .flat_map(|(_, found)| found.iter().map(|(code, rule)| format!("{code}/{rule:?}")))
        .collect();
    assert_eq!(codes.len(), 60);
    assert!(codes.iter().all(|code| code == "failed/Some(NotObservable)"), "{codes:?}");
    assert!(w.engine.as_ref().unwrap().jobs_in_hand().is_empty());
}

/// Two integrations of one organization.
fn twins() -> World {
    let mut w = World::new(RoleMode::Single);
    let own = w.settings.integrations[0].clone();
    w.settings.integrations.push(IntegrationSettings { id: other(), ..own });
    w.neighbour = Neighbour::Well;
    w.start();
    w.run(1_000);
    w
}

fn through_the_other(w: &mut World, id: &str, address: &str, role: &str, minutes: u64) {
    let (job, _) = named(w, id, address, role, minutes);
    w.input(Input::Job(Box::new(Job { integration: other(), ..job })));
    w.run(2_000);
}

#[test]
fn of_two_integrations_of_one_organization_only_one_holds_an_account() {
    let mut w = twins();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let bob = w.hire("bob@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Help Desk", 30);
    w.run(2_000);
    through_the_other(&mut w, "one", "ada@example.com", "Manager", 60);
    through_the_other(&mut w, "two", "bob@example.com", "Manager", 60);
    let told = ["one", "two"].map(|job| w.result(job).unwrap_or_default());
    check!(w, told, ["rejected/account_barred", "granted"]);
    check!(w, [w.roles_of(&ada), w.roles_of(&bob)], [["Help Desk"], ["Manager"]]);
    w.run(27 * 60 * MINUTE);
    check!(w, [w.roles_of(&ada), w.roles_of(&bob)], [["Read Only"], ["Read Only"]]);
    through_the_other(&mut w, "three", "ada@example.com", "Manager", 60);
    check!(w, w.result("three").as_deref(), Some("granted")); // nothing is remembered of it any more
}

#[test]
fn what_one_integration_made_is_no_orphan_of_another_one_of_the_same_organization() {
    let mut w = twins();
    w.policy.as_mut().unwrap().ephemeral.as_mut().unwrap().delete_unknown = true;
    w.input(Input::Policy(w.policy.clone().map(Box::new)));
    w.grant_ephemeral(60, "Help Desk");
    w.run(50 * MINUTE);
    let made = w.cloud.admins.keys().next_back().unwrap().clone();
    check!(w, w.roles_of(&made), ["Help Desk"]);
    check!(w, w.records("orphan_found").len() + w.records("grant_ending").len(), 0);
}
