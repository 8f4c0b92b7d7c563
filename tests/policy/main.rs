//! The policy at work in the engine: what it counts, when it is asked, what it never touches.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod chain;
mod cookbook;
mod counting;
mod gates;
#[path = "../support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use ephemerald::engine::{input::Input, policy::Policy, settings::RoleMode, time::Millis};
use world::{World, open_policy};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

macro_rules! check {
    ($world:expr, $left:expr, $right:expr) => {
        assert_eq!($left, $right, "\n{}", $world.story())
    };
}
pub(crate) use check;

/// A world under this policy.
fn world(policy: Policy) -> World {
    let mut world = World::new(RoleMode::Single);
    world.policy = Some(policy);
    world.start();
    world.run(1_000);
    world
}

/// Two hours of access, then a rest of one.
fn two_hours() -> Policy {
    Policy { max_continuous: Millis(2 * HOUR), cool_down: Millis(HOUR), ..open_policy() }
}

/// Another policy comes into force.
fn enforce(world: &mut World, policy: Policy) {
    world.policy = Some(policy.clone());
    world.input(Input::Policy(Some(Box::new(policy))));
}
