//! A credential of several organizations may be shown accounts of another one: they are never raised,
//! and what of ours is there is ended all the same.

#[path = "support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use ephemerald::engine::{ids::OrgId, settings::RoleMode};
use world::{ORG, World};

fn org(text: &str) -> Option<OrgId> {
    Some(OrgId::new(text).unwrap())
}

fn world() -> World {
    let mut w = World::new(RoleMode::Single);
    w.start();
    w.run(1_000);
    w
}

#[test]
fn an_account_that_shows_another_organization_is_not_raised() {
    for (shown, result) in [
        (org("5f00000000000000000000ff"), "rejected/account_not_found"),
        (org(ORG), "granted"),
        (None, "granted"),
    ] {
        let mut w = world();
        w.cloud.births_at = shown;
        let ada = w.hire("ada@example.com", &["Read Only"]);
        w.grant("ada@example.com", "Manager", 30);
        w.run(5_000);
        assert_eq!(w.result("j1").as_deref(), Some(result), "{}", w.story());
        assert_eq!(w.roles_of(&ada) == ["Manager"], result == "granted", "{}", w.story());
    }
}

#[test]
fn an_ephemeral_account_that_came_to_be_in_another_organization_fails_and_is_deleted() {
    let mut w = world();
    w.cloud.births_at = org("5f00000000000000000000ff");
    w.grant_ephemeral(30, "Help Desk");
    w.run(60_000);
    assert_eq!(w.result("j1").as_deref(), Some("failed/credential"), "{}", w.story());
    assert_eq!(w.cloud.admins.len(), 2, "only the two who were there before\n{}", w.story());
}

#[test]
fn a_grant_on_an_account_that_comes_to_show_another_organization_is_ended_on_time() {
    let mut w = world();
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Manager", 30);
    w.run(5_000);
    w.cloud.admins.get_mut(&ada).unwrap().org = org("5f00000000000000000000ff");
    w.run(31 * 60_000);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
    assert_eq!(w.ended(&grant).as_deref(), Some("expired"), "{}", w.story());
}
