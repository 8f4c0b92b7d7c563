//! `kill -9` of the agent at seeded moments under load: afterwards JumpCloud is as it was before, and
//! every job has exactly one result. In the second half JumpCloud has a bad day as well.
//!
//! `EPHEMERALD_CRASH_SEED` plays another seed.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "crash/autopsy.rs"]
mod autopsy;
#[path = "crash/load.rs"]
mod load;
#[allow(dead_code, reason = "the stories use the rest")]
#[path = "process/mod.rs"]
mod process;
#[path = "crash/victim.rs"]
mod victim;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use autopsy::Table;
use ephemerald::{
    admin::client,
    sandbox::{
        control_plane::RequestView,
        jumpcloud::{Rule, State},
    },
};
use process::World;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use victim::{Moment, Sort, Victim};

const KILLS: u32 = 60;
/// For everything to end and settle after the last kill.
const CALM: Duration = Duration::from_secs(60);

#[tokio::test]
async fn killed_at_any_moment_it_leaves_no_access_behind_and_loses_no_result() {
    let seed = std::env::var("EPHEMERALD_CRASH_SEED").map_or(20_261_124, |text| text.parse().unwrap());
    println!("seed {seed}");
    let world = World::enrolled().await.with_policy(|text| {
        text.replace("\"Manager\" = \"10m\"", "\"Manager\" = \"10m\"\n\"Administrator\" = \"10m\"")
    });
    world.cloud.set_faults(slow(), seed);
    let before = roles(&world.cloud.state());
    let mut dice = Dice(seed);
    let stop = Arc::new(watch::Sender::new(false));
    let load = tokio::spawn(load::run(world.operator.clone(), Arc::clone(&stop), Dice(seed ^ 0xa5a5)));

    let mut table = Table::default();
    for number in 0..KILLS {
        if number == KILLS / 2 {
            world.cloud.set_faults(bad_day(), seed);
        }
        let cloud_seq = world.cloud.log_since(0).last().map_or(0, |entry| entry.seq);
        let logged = Victim::start(&world.files, Some(moment(number, &mut dice))).dies().await;
        table.add(&world.files, &world.cloud, logged, cloud_seq);
    }
    println!("{table}");
    world.cloud.set_faults(slow(), seed);
    stop.send_replace(true);
    load.await.unwrap();

    let survivor = Victim::start(&world.files, None);
    calm(&world).await;
    survivor.stops().await;
    assert_eq!(roles(&world.cloud.state()), before, "JumpCloud is as it was before");
    let counts = assert_one_result_each(&world).await;
    println!("results of all jobs: {counts:?}");
    let verified = world.agent.command(&["audit", "verify"]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.text);

    assert!(counts["granted"] >= 50 && counts["revoked"] >= 5, "the load was a load: {counts:?}");
    for (what, count) in [
        ("a raise", table.in_raise),
        ("a lower", table.in_lower),
        ("a creation", table.in_create),
        ("a deletion", table.in_delete),
        ("a commit", table.in_commit),
    ] {
        assert!(count >= 1, "no kill fell into {what}:\n{table}");
    }
}

/// Half of the kills at any time, the other half aimed at writes.
fn moment(number: u32, dice: &mut Dice) -> Moment {
    let wait = Duration::from_millis(dice.below(70));
    match number % 8 {
        1 => Moment::Write(Sort::Raise, wait),
        3 => Moment::Write(Sort::Lower, wait),
        5 => Moment::Write([Sort::Create, Sort::Delete][number as usize / 8 % 2], wait),
        // At once: the record of the write is on its way to the disk.
        7 => Moment::Write([Sort::Raise, Sort::Create][number as usize / 8 % 2], Duration::ZERO),
        _ => Moment::After(Duration::from_millis(100 + dice.below(1400))),
    }
}

/// Waits until every request is over, every job has its result, and the agent holds nothing.
async fn calm(world: &World) {
    let deadline = Instant::now() + CALM;
    loop {
        let requests = world.operator.requests().await.unwrap();
        let open: Vec<_> = requests.iter().filter(|r| !load::is_over(r.state)).collect();
        let silent = silent_jobs(&requests, &results(world).await);
        let held = client::grants(&world.files.socket).await;
        if open.is_empty() && silent.is_empty() && held.as_ref().is_ok_and(Vec::is_empty) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "open: {open:#?}\nwithout a result: {silent:?}\nheld: {held:#?}\n{}",
            world.agent.tail()
        );
        sleep(Duration::from_millis(200)).await;
    }
}

/// How often each result occurs; no job has two.
async fn assert_one_result_each(world: &World) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (job, reports) in results(world).await {
        assert_eq!(reports.len(), 1, "{job} has one result: {reports:#?}");
        *counts.entry(reports[0]["code"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// The results of each job; the same report sent again counts once.
async fn results(world: &World) -> BTreeMap<String, Vec<Value>> {
    let mut results: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for view in world.operator.results().await.unwrap() {
        assert_eq!((view.conflicting, &view.malformed), (0, &None), "{}", view.report);
        if view.report["kind"] == "result" {
            let job = view.report["job_id"].as_str().unwrap().to_owned();
            results.entry(job).or_default().push(view.report);
        }
    }
    results
}

/// Jobs that ask for access, and all that were ever delivered, without a result.
fn silent_jobs(requests: &[RequestView], results: &BTreeMap<String, Vec<Value>>) -> BTreeSet<String> {
    let asking = requests.iter().filter_map(|request| Some(request.job_id.clone()?.to_string()));
    let delivered = requests
        .iter()
        .flat_map(|request| &request.history)
        .filter_map(|step| Some(step.note.strip_prefix("job ")?.strip_suffix(" delivered")?.to_owned()));
    asking.chain(delivered).filter(|job| !results.contains_key(job)).collect()
}

fn roles(state: &State) -> BTreeMap<String, Vec<String>> {
    state.accounts.iter().map(|account| (account.email.clone(), account.roles.clone())).collect()
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
