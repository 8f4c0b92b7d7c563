//! `kill -9` of the agent under load, at named moments and at any: afterwards JumpCloud and the results are
//! as after a run that nobody disturbed, every job has exactly one result and nothing was raised twice. In the
//! second half JumpCloud has a bad day as well. A table says what the kills fell into; quotas hold it.
//!
//! `EPHEMERALD_CRASH_SEED` plays another seed.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on says where")]

#[path = "crash/autopsy.rs"]
mod autopsy;
#[path = "crash/load.rs"]
mod load;
#[path = "crash/moment.rs"]
mod moment;
#[path = "crash/oracle.rs"]
mod oracle;
#[allow(dead_code, reason = "the tests of clocks use the rest")]
#[path = "preload/mod.rs"]
mod preload;
#[allow(dead_code, reason = "the stories use the rest")]
#[path = "process/mod.rs"]
mod process;
#[path = "crash/victim.rs"]
mod victim;
#[path = "crash/watchers.rs"]
mod watchers;

use std::{sync::Arc, time::Duration};

use autopsy::{Death, Left, Table};
use ephemerald::sandbox::jumpcloud::Rule;
use moment::Moment;
use oracle::Outcome;
use preload::Orders;
use process::World;
use serde_json::{Value, json};
use tokio::time::sleep;
use victim::Victim;

/// For everything to end and settle after the last kill.
const CALM: Duration = Duration::from_secs(60);

#[tokio::test]
async fn killed_at_any_moment_it_leaves_no_access_behind_and_loses_no_result() {
    kill(64).await;
}

/// `cargo test --test crash -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "256 kills, up to eight minutes"]
async fn killed_at_any_moment_at_length() {
    kill(256).await;
}

async fn kill(kills: u32) {
    let seed = std::env::var("EPHEMERALD_CRASH_SEED").map_or(20_261_124, |text| text.parse().unwrap());
    println!("seed {seed}");
    let (quiet, (outcome, table)) = tokio::join!(undisturbed(seed), disturbed(seed, kills));
    println!("{table}\n{outcome:#?}");
    println!("undisturbed: {:?}, {:?}", quiet.asked, quiet.revoked);
    assert_eq!(outcome.accounts, quiet.accounts, "JumpCloud is as after a run that nobody disturbed");
    assert_eq!(
        quiet.asked.keys().collect::<Vec<_>>(),
        ["granted"],
        "undisturbed everybody gets what they ask for"
    );
    // A request ends as if undisturbed, unless its seconds were over before any process lived long enough
    // to read the access back.
    let other = outcome.asked.keys().filter(|code| !["granted", "cancelled"].contains(&code.as_str()));
    assert_eq!(other.collect::<Vec<_>>(), Vec::<&String>::new(), "an end that no kill explains");
    assert!(table.missed().is_empty(), "too few kills fell into {:?}:\n{table}", table.missed());
    let (granted, revoked) = (outcome.asked["granted"], outcome.revoked["revoked"]);
    assert!(granted >= 50 && revoked >= 2, "the load was a load: {granted} granted, {revoked} revoked");
}

/// Kills one agent after the other, then lets the last one come to rest.
async fn disturbed(seed: u64, kills: u32) -> (Outcome, Table) {
    let world = world(seed).await;
    let mut dice = Dice(seed);
    let (stop, load) = load::begin(&world, seed);
    let orders = Arc::new(Orders::new(&world.files.root));
    let opening = touches_of_a_start(&world, &orders).await;
    let mut table = Table::default();
    let mut starts = Left::read(&world.files).starts();
    for number in 0..kills {
        if number == kills / 2 {
            world.cloud.set_faults(bad_day(), seed);
        }
        let moment = moment::of(number, opening, &mut dice);
        let logged = Victim::start(&world, &orders, moment).dies(&world).await;
        let death = Death { moment, struck: orders.fired(), logged, starts };
        starts = table.add(&world, &death).await;
    }
    world.cloud.set_faults(slow(), seed);
    stop.send_replace(true);
    load.await.unwrap();

    let survivor = Victim::start(&world, &orders, Moment::Never);
    let outcome = oracle::calm(&world).await;
    survivor.stops().await;
    let verified = world.agent.command(&["audit", "verify"]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.text);
    oracle::assert_no_raise_twice(&world);
    (outcome, table)
}

/// The same load on a world of its own in which nobody is killed.
async fn undisturbed(seed: u64) -> Outcome {
    let world = world(seed).await;
    let (stop, load) = load::begin(&world, seed);
    let orders = Arc::new(Orders::new(&world.files.root));
    let agent = Victim::start(&world, &orders, Moment::Never);
    while oracle::results(&world).await.len() < 60 {
        sleep(Duration::from_millis(50)).await;
    }
    stop.send_replace(true);
    load.await.unwrap();
    let outcome = oracle::calm(&world).await;
    agent.stops().await;
    oracle::assert_no_raise_twice(&world);
    outcome
}

async fn world(seed: u64) -> World {
    let world = World::enrolled().await.with_policy(|text| {
        text.replace("\"Manager\" = \"10m\"", "\"Manager\" = \"10m\"\n\"Administrator\" = \"10m\"")
    });
    world.cloud.set_faults(slow(), seed);
    world
}

/// How often a start touches the ledger's files until its first record is on disk: the second one, because the
/// first makes them.
async fn touches_of_a_start(world: &World, orders: &Arc<Orders>) -> u64 {
    let mut touches = 0;
    for moment in [Moment::Never, Moment::Opening(u64::MAX >> 1)] {
        let before = Left::read(&world.files).starts();
        let victim = Victim::start(world, orders, moment);
        while Left::read(&world.files).starts() == before {
            sleep(Duration::from_millis(2)).await;
        }
        touches = orders.seen();
        victim.stops().await;
    }
    println!("a start touches the ledger {touches} times");
    touches
}

/// Every request takes a while, so that there is a time between a write and its answer.
fn slow() -> Vec<Rule> {
    vec![rule(&json!({"delay_ms": 50, "fault": {"kind": "latency"}}))]
}

/// Answers get lost, requests too, some are carried out late; the rest is slow.
fn bad_day() -> Vec<Rule> {
    let faults = [
        json!({"kind": "reset_before"}),
        json!({"kind": "reset_after"}),
        json!({"kind": "error_after", "status": 502}),
        json!({"kind": "late", "after_ms": 1500}),
    ];
    let of = |fault: &Value| rule(&json!({"delay_ms": 50, "probability": 0.04, "fault": fault}));
    faults.iter().map(of).chain(slow()).collect()
}

fn rule(json: &Value) -> Rule {
    serde_json::from_value(json.clone()).unwrap()
}

/// Seeded chance (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    /// 0 to `limit` − 1.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
