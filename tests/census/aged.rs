//! What a pause of minutes adds, counted in the engine's own world, where time costs nothing.

use ephemerald::engine::settings::RoleMode;

use crate::{counting::Calls, table::Row, world::World};

const MINUTE: u64 = 60_000;

/// Reads of a grant after this long a pause, and how many of them were reads of who we are and of roles.
fn reads_after(minutes: u64) -> usize {
    let mut world = World::new(RoleMode::Single);
    world.start();
    world.run(1_000);
    world.hire("ada@example.com", &["Read Only"]);
    world.run(minutes * MINUTE);
    let before = world.cloud.reads;
    world.grant("ada@example.com", "Manager", 30);
    world.run(1_000);
    assert_eq!(world.result("j1").as_deref(), Some("granted"), "{}", world.story());
    usize::try_from(world.cloud.reads - before).unwrap()
}

/// More reads than a grant at once takes.
fn extra(minutes: u64) -> usize {
    reads_after(minutes) - reads_after(0)
}

pub(crate) fn rows() -> Vec<Row> {
    assert_eq!((extra(4), extra(6), extra(11)), (0, 1, 2), "reads that a pause adds to a grant");
    vec![
        Row::of(
            "added to a grant, if the last look was more than 5 minutes ago",
            Calls::from([("whose key", 1)]),
        )
        .because("a key that was exchanged meanwhile must not raise anything"),
        Row::of(
            "added to a grant, if the last look was more than 10 minutes ago",
            Calls::from([("roles", 1)]),
        )
        .because("a role that was changed meanwhile must be compared as it is"),
    ]
}

#[test]
fn an_hour_without_a_grant_asks_for_nothing_or_for_orphans_and_an_hour_with_one_for_sixty_listings() {
    for (ephemeral, looks) in [(false, 0), (true, 6)] {
        let mut world = World::new(RoleMode::Single);
        if !ephemeral {
            world.policy.as_mut().unwrap().ephemeral = None;
        }
        world.start();
        world.hire("ada@example.com", &["Read Only"]);
        world.run(MINUTE);
        let before = world.cloud.reads;
        world.run(60 * MINUTE);
        assert_eq!(world.cloud.reads - before, looks);
        world.grant("ada@example.com", "Manager", 180);
        world.run(10 * MINUTE);
        let before = world.cloud.reads;
        world.run(60 * MINUTE);
        assert_eq!(world.cloud.reads - before, 60);
    }
}
