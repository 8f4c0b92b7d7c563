//! What an independent review of the engine found, each as the story that went wrong.

#[path = "support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use ephemerald::engine::{record::Record, settings::RoleMode};
use world::World;

const MINUTE: u64 = 60_000;

fn world() -> World {
    let mut world = World::new(RoleMode::Single);
    world.settings.integrations[0].rate_per_second = 10;
    world.start();
    world.run(1_000);
    world
}

#[test]
fn forty_grants_that_end_at_once_are_all_taken_back_at_the_rate_that_is_allowed() {
    let mut w = world();
    let people: Vec<_> = (0..40).map(|n| w.hire(&format!("p{n}@example.com"), &["Read Only"])).collect();
    for n in 0..40u64 {
        // Accepted 5 s apart, all ending in the same instant.
        w.grant_for(&format!("p{n}@example.com"), "Manager", 600_000 - n * 5_000);
        w.run(5_000);
    }
    assert!(people.iter().all(|p| w.roles_of(p) == ["Manager"]), "{}", w.story());
    w.run(600_000 - 200_000);
    // Three requests each, ten a second: twelve seconds, and a little room.
    w.run(16_000);
    let left = people.iter().filter(|p| w.roles_of(p) != ["Read Only"]).count();
    assert_eq!(left, 0, "still raised after 16 s");
}

#[test]
fn an_account_shown_without_any_role_is_no_proof_that_the_access_is_gone() {
    let mut w = world();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(2_000);
    w.human_sets(&ada, &[]);
    w.run(5 * MINUTE);
    w.human_sets(&ada, &["Manager"]);
    w.run(60 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
}

#[test]
fn a_revoke_that_overtakes_its_grant_job_wins() {
    let mut w = world();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Administrator", 60);
    let revoke = w.revoke(&grant);
    w.run(MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"]);
    assert_eq!(w.result("j1").as_deref(), Some("cancelled"));
    assert_eq!(w.result(revoke.as_str()).as_deref(), Some("already_ended"));
}

#[test]
fn an_account_whose_own_row_is_lost_does_not_keep_its_access() {
    let mut w = world();
    let ada = w.hire("ada@example.com", &["Help Desk"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(2_000);
    w.crash();
    w.durable.retain(|entry| !matches!(entry.record, Record::AccountOpened { .. }));
    w.start();
    w.run(61 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Help Desk"], "{}", w.story());
}
