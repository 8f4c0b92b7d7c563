//! What an operator does at the agent, in a world whose time is the test's.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

mod forget;
mod freeze;
mod reminders;
mod revoke;

use ephemerald::engine::{
    ids::Remark,
    input::Input,
    order::{Deed, Order, Peer},
    settings::RoleMode,
};
use world::World;

const MINUTE: u64 = 60_000;

fn order() -> Order {
    let by = Peer { uid: 1000, gid: 1000, pid: Some(4711) };
    Order { by, remark: Some(Remark::new("incident 4711").unwrap()) }
}

fn world() -> World {
    let mut world = World::new(RoleMode::Single);
    world.start();
    world.run(1_000);
    world
}

impl World {
    fn orders(&mut self, deed: Deed) {
        self.input(Input::Operator(deed, order()));
    }
}
