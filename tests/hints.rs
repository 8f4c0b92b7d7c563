//! What the engine makes of hints, and of what an integration offers.

#[path = "support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use ephemerald::engine::{
    ids::{AccountId, IntegrationId},
    input::Input,
    settings::RoleMode,
    time::Millis,
};
use world::{World, jc, role};

fn world_with_a_grant() -> (World, AccountId) {
    let mut w = World::new(RoleMode::Single);
    let ada = start_with_a_grant(&mut w);
    (w, ada)
}

fn start_with_a_grant(w: &mut World) -> AccountId {
    w.start();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.run(1_000);
    w.grant("ada@example.com", "Manager", 60);
    w.run(10_000);
    assert_eq!(w.result("j1").as_deref(), Some("granted"), "{}", w.story());
    ada
}

#[test]
fn a_hint_makes_the_agent_look_now_and_not_at_the_next_interval() {
    for (hint, found) in [(true, 1), (false, 0)] {
        let (mut w, ada) = world_with_a_grant();
        w.human_sets(&ada, &["Billing Only"]);
        if hint {
            w.input(Input::Hint(jc()));
        }
        w.run(1_000);
        assert_eq!(w.records("grant_ending").len(), found, "hint: {hint}\n{}", w.story());
    }
}

#[test]
fn a_hint_alone_changes_nothing_and_a_flood_of_them_asks_for_few_listings() {
    let (mut w, ada) = world_with_a_grant();
    let (records, reads) = (w.all.len(), w.cloud.reads);
    for _ in 0..100 {
        w.input(Input::Hint(jc()));
        w.input(Input::Hint(IntegrationId::new("unknown").unwrap()));
        w.run(100);
    }
    assert_eq!(w.all.len(), records, "no record\n{}", w.story());
    assert_eq!(w.roles_of(&ada), ["Manager"]);
    let asked = w.cloud.reads - reads;
    assert!((1..=4).contains(&asked), "{asked} listings in ten seconds");
}

#[test]
fn hints_do_not_keep_the_regular_look_away() {
    let mut w = World::new(RoleMode::Single);
    w.settings.integrations[0].observe_interval = Millis::from_secs(1);
    let ada = start_with_a_grant(&mut w);
    w.input(Input::Hint(jc()));
    w.run(500);
    w.human_sets(&ada, &["Billing Only"]);
    w.input(Input::Hint(jc())); // asks for a look five seconds after the first one
    w.run(1_500);
    assert_eq!(w.records("grant_ending").len(), 1, "{}", w.story());
}

#[test]
fn a_role_that_the_integration_does_not_offer_is_refused_though_the_policy_names_it() {
    let mut w = World::new(RoleMode::Single);
    w.settings.integrations[0].offered_roles = Some(vec![role("Help Desk")]);
    w.start();
    w.hire("ada@example.com", &["Read Only"]);
    w.run(1_000);
    w.grant("ada@example.com", "Manager", 60);
    w.run(5_000);
    assert_eq!(w.result("j1").as_deref(), Some("rejected/role_not_grantable"), "{}", w.story());
    w.grant("ada@example.com", "Help Desk", 60);
    w.run(5_000);
    assert_eq!(w.result("j2").as_deref(), Some("granted"), "{}", w.story());
}
