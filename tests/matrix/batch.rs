//! Several cells at once: one shipped agent with an integration for each, one control plane, and a
//! JumpCloud of its own for every cell.
//!
//! That is cheaper than an agent a cell, and shows besides that one kind of tenant does not disturb
//! another. Refuses to judge.

use std::{fs, path::Path, time::Duration};

use ephemerald::{
    admin::client,
    sandbox::{
        control_plane::{JobSpec, Operator, OperatorError, Sent},
        jumpcloud::{self, Rule},
    },
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    grid::Cell,
    play::{Happened, Job, Play},
    process::{Agent, Files, Part, start_cloud, start_control},
};

/// Longest that a batch may take until nothing more is to come.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks at the control plane and the agent.
const LOOK: Duration = Duration::from_millis(500);

/// The parts that run.
pub(crate) struct Batch {
    pub(crate) operator: Operator,
    pub(crate) agent: Agent,
    pub(crate) files: Files,
    _parts: Vec<Part>,
    _dir: tempfile::TempDir,
}

/// Plays the cells; `population` is the seed file of each JumpCloud.
pub(crate) async fn play(cells: &[Cell], population: &Path) -> Vec<Happened> {
    let (mut batch, clouds) = Batch::enrolled(cells, population).await;
    let mut plays: Vec<Play> =
        clouds.into_iter().enumerate().map(|(at, cloud)| Play::new(integration(at), cloud)).collect();
    batch.agent.start();
    let deadline = Instant::now() + PATIENCE;
    while client::health(&batch.files.socket).await.is_err() && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    while !batch.look(&mut plays).await && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    batch.agent.kill().await;
    let log = batch.files.log_text();
    let reports = batch.operator.results().await.unwrap();
    let inventories = batch.operator.inventory().await.unwrap();
    plays.into_iter().map(|play| play.over(&reports, &inventories, &log)).collect()
}

fn integration(at: usize) -> String {
    format!("i{at:02}")
}

impl Batch {
    async fn enrolled(cells: &[Cell], population: &Path) -> (Self, Vec<jumpcloud::Console>) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let (control, part) = start_control(([127, 0, 0, 1], 0).into(), root.join("control-plane")).await;
        let files = Files::write(root, control.ca_file.as_ref().unwrap());
        let (mut parts, mut clouds) = (vec![part], Vec::new());
        let mut integrations = String::new();
        for (at, cell) in cells.iter().enumerate() {
            let people = root.join(format!("people-{at}.json"));
            fs::write(&people, elsewhere(population, at)).unwrap();
            let (cloud, part) = start_cloud(root, "jumpcloud-tls", |options, _| {
                options.switches = cell.switches.clone();
                options.seed_file = Some(people);
                options.faults = slow(cell.latency_ms);
                options.service_account = cell.credential == "service_account";
            })
            .await;
            let connection = root.join(format!("{}.json", integration(at)));
            cloud.write_connection(&connection).unwrap();
            complete(&connection, cell, &cloud.console.state().organization);
            integrations += &section(&integration(at), &connection, &cell.role_mode);
            parts.push(part);
            clouds.push(cloud.console);
        }
        configure(&files, &integrations);
        let operator = Operator::of_data_dir(&root.join("control-plane")).unwrap();
        let batch = Self { operator, agent: Agent::of(&files), files, _parts: parts, _dir: dir };
        let token = batch.operator.token().await.unwrap();
        batch.agent.enroll(&token).await;
        (batch, clouds)
    }

    /// Looks at everything, does what is due; true if nothing more is to come.
    async fn look(&self, plays: &mut [Play]) -> bool {
        // A busy server may drop a connection that waits; the next look is soon.
        let Ok(reports) = self.operator.results().await else { return false };
        for play in plays.iter_mut() {
            play.meddle(&reports);
            for job in play.due(&reports) {
                let Ok(sent) = self.send(&job).await else { return false };
                play.sent(job, sent.job_id.to_string());
            }
        }
        let Ok(held) = client::grants(&self.files.socket).await else { return false };
        let log = self.files.log_text();
        // Collected first, because each of them is to take notice.
        let over: Vec<bool> = plays.iter_mut().map(|play| play.see(&reports, &held, &log)).collect();
        over.into_iter().all(|over| over)
    }

    async fn send(&self, job: &Job) -> Result<Sent, OperatorError> {
        self.operator.send(&JobSpec { claims: job.claims(), ..JobSpec::default() }).await
    }
}

/// Every request takes that long.
fn slow(ms: u64) -> Vec<Rule> {
    let rule = json!({"delay_ms": ms, "fault": {"kind": "latency"}});
    if ms == 0 { Vec::new() } else { vec![serde_json::from_value(rule).unwrap()] }
}

/// Adds what the cell wants to a connection, and small pages, so that every listing has several.
/// The same people in an organization of their own: the agent holds an account of one organization once.
fn elsewhere(population: &Path, at: usize) -> String {
    let mut json: Value = serde_json::from_str(&fs::read_to_string(population).unwrap()).unwrap();
    json["organization"] = format!("5f00c0de0000000000{at:06x}").into();
    json.to_string()
}

fn complete(connection: &Path, cell: &Cell, organization: &str) {
    let mut json: Value = serde_json::from_slice(&fs::read(connection).unwrap()).unwrap();
    json["options"] = json!({"page_size": 8, "insights": cell.insights});
    if cell.credential == "key_and_org_id" {
        json["org_id"] = organization.into();
    }
    fs::write(connection, json.to_string()).unwrap();
}

/// An integration, with an order of roles for tenants that do not serve theirs.
fn section(name: &str, connection: &Path, role_mode: &str) -> String {
    format!(
        "[[integration]]\nname = \"{name}\"\nconnection_file = \"{}\"\nobserve_interval = \"3s\"\n\
        rate_limit = 30\nrole_mode = \"{role_mode}\"\n\
        role_order = [[\"Manager\", \"Help Desk\"], [\"Help Desk\", \"Read Only\"]]\n\n",
        connection.display()
    )
}

/// The usual files, with these integrations, short times, and a policy that lets every story pass.
fn configure(files: &Files, integrations: &str) {
    let text = fs::read_to_string(&files.config).unwrap();
    let (head, rest) = text.split_once("[[integration]]").unwrap();
    let (_, timing) = rest.split_once("[timing]").unwrap();
    let timing = timing
        .replace("raise_timeout = \"10s\"", "raise_timeout = \"30s\"")
        .replace("settle = \"1s\"", "settle = \"4s\"")
        .replace("in_flight_window = \"3s\"", "in_flight_window = \"2s\"")
        .replace("watch = [\"2s\", \"3s\"]", "watch = [\"6s\"]");
    fs::write(&files.config, format!("{head}{integrations}[timing]{timing}")).unwrap();
    let policy = fs::read_to_string(&files.policy).unwrap();
    let policy = policy
        .replace("max_live_grants = 50", "max_live_grants = 500")
        .replace("[roles]\n", "[roles]\n\"Gardener\" = \"10m\"\n\"help desk\" = \"10m\"\n");
    fs::write(&files.policy, policy).unwrap();
}
