//! What must be so in the end, by JumpCloud's and the control plane's own word.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ephemerald::{
    admin::client,
    engine::record::Record,
    sandbox::{control_plane::RequestView, jumpcloud::Event},
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{CALM, autopsy::Left, load, process::World};

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Which account holds what.
    pub(crate) accounts: BTreeMap<String, Vec<String>>,
    /// How often each result of a job that asks for access occurs; no job has two.
    pub(crate) asked: BTreeMap<String, usize>,
    /// The same for the jobs that revoke: how they end depends on whether the grant ends first.
    pub(crate) revoked: BTreeMap<String, usize>,
}

/// Waits until every request is over, every job has its result, and the agent holds nothing.
pub(crate) async fn calm(world: &World) -> Outcome {
    let deadline = Instant::now() + CALM;
    loop {
        let requests = world.operator.requests().await.unwrap();
        let open: Vec<_> = requests.iter().filter(|r| !load::is_over(r.state)).collect();
        let results = results(world).await;
        let silent = silent_jobs(&requests, &results, false);
        let held = client::grants(&world.files.socket).await;
        if open.is_empty() && silent.is_empty() && held.as_ref().is_ok_and(Vec::is_empty) {
            return outcome(world, &requests, results);
        }
        assert!(
            Instant::now() < deadline,
            "open: {open:#?}\nwithout a result: {silent:?}\nheld: {held:#?}\n{}",
            world.agent.tail()
        );
        sleep(Duration::from_millis(200)).await;
    }
}

fn outcome(world: &World, requests: &[RequestView], results: BTreeMap<String, Vec<Value>>) -> Outcome {
    let asking: BTreeSet<String> =
        requests.iter().filter_map(|request| Some(request.job_id.clone()?.to_string())).collect();
    let (mut asked, mut revoked) = (BTreeMap::new(), BTreeMap::new());
    for (job, reports) in results {
        assert_eq!(reports.len(), 1, "{job} has one result: {reports:#?}");
        let counts: &mut BTreeMap<_, _> = if asking.contains(&job) { &mut asked } else { &mut revoked };
        *counts.entry(reports[0]["code"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let accounts = world.cloud.state().accounts.into_iter();
    Outcome { accounts: accounts.map(|account| (account.email, account.roles)).collect(), asked, revoked }
}

/// The results of each job; the same report sent again counts once.
pub(crate) async fn results(world: &World) -> BTreeMap<String, Vec<Value>> {
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

/// Jobs without a result: all that were ever handed out, and unless `delivered_only` those that wait for it.
pub(crate) fn silent_jobs(
    requests: &[RequestView],
    results: &BTreeMap<String, Vec<Value>>,
    delivered_only: bool,
) -> BTreeSet<String> {
    let asking = requests.iter().filter_map(|request| Some(request.job_id.clone()?.to_string()));
    let delivered = requests
        .iter()
        .flat_map(|request| &request.history)
        .filter_map(|step| Some(step.note.strip_prefix("job ")?.strip_suffix(" delivered")?.to_owned()));
    asking.filter(|_| !delivered_only).chain(delivered).filter(|job| !results.contains_key(job)).collect()
}

/// JumpCloud gave each account its access at most as often as a grant of it was accepted.
pub(crate) fn assert_no_raise_twice(world: &World) {
    let mut accepted: BTreeMap<String, usize> = BTreeMap::new();
    for (_, record) in Left::read(&world.files).records {
        if let Record::GrantAccepted(terms) = record {
            *accepted.entry(terms.email.to_string()).or_default() += 1;
        }
    }
    let mut raised: BTreeMap<String, usize> = BTreeMap::new();
    let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in world.cloud.log_since(0) {
        let Event::Changed(changed) = entry.event else { continue };
        let baseline = world.cloud.roles_at_start(&changed.account).unwrap_or_default();
        let before = shown.insert(changed.account.clone(), changed.roles.clone());
        if before.unwrap_or_else(|| baseline.clone()) != changed.roles && changed.roles != baseline {
            *raised.entry(changed.email).or_default() += 1;
        }
    }
    for (email, times) in &raised {
        let grants = accepted.get(email).copied().unwrap_or(0);
        assert!(*times <= grants, "{email} was raised {times} times for {grants} grants");
    }
    assert!(!raised.is_empty(), "nothing was raised at all");
}
