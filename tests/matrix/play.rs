//! Plays all stories in one cell: a JumpCloud with its switches, a control plane, the shipped program.
//!
//! Refuses to judge: it waits until nothing more is to come, and hands over what happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use ephemerald::{
    admin::{client, view::GrantView},
    sandbox::{
        control_plane::{JobSpec, ResultView},
        jumpcloud::{Account, Entry, Role},
    },
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{grid::Cell, process::World, stories::Story};

/// Longest that a cell may take until nothing more is to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// An ending that has been refused for so long, and has been said aloud, is left as it is.
const STUCK: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(150);

/// What happened in a cell.
pub(crate) struct Happened {
    pub(crate) roles: Vec<Role>,
    pub(crate) before: Vec<Account>,
    pub(crate) log: Vec<Entry>,
    pub(crate) reports: Vec<ResultView>,
    pub(crate) jobs: Vec<Job>,
    /// The grants that the agent still held at the end.
    pub(crate) held: Vec<GrantView>,
    /// Accounts (by id or address) about which the agent called for a person.
    pub(crate) alarms: BTreeSet<String>,
    /// Whether something that should have come did not.
    pub(crate) unfinished: bool,
    pub(crate) agent_log: String,
}

/// A job that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) story: Story,
    pub(crate) leg: usize,
    pub(crate) revokes: bool,
    pub(crate) id: String,
    /// Unix milliseconds.
    pub(crate) sent_ms: i64,
}

/// Plays the cell; `population` is the seed file of its JumpCloud.
pub(crate) async fn cell(cell: &Cell, population: &Path) -> Happened {
    let mut world = World::enrolled_at(|options| {
        options.switches = cell.switches.clone();
        options.seed_file = Some(population.to_owned());
    })
    .await
    .with_policy(|text| {
        text.replace("[roles]\n", "[roles]\n\"Gardener\" = \"10m\"\n\"help desk\" = \"10m\"\n")
    });
    configure(&world, &cell.role_mode);
    let state = world.cloud.state();
    world.agent.start();
    let deadline = Instant::now() + PATIENCE;
    while client::health(&world.files.socket).await.is_err() && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    let mut play = Play::default();
    while !play.look(&world).await && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    let alarms = alarms(&world.files.log_text());
    Happened {
        roles: state.roles,
        before: state.accounts,
        log: world.cloud.log_since(0),
        reports: play.reports,
        jobs: play.jobs,
        held: play.held,
        alarms,
        unfinished: !play.over,
        agent_log: world.files.log_text(),
    }
}

/// Short times, and an order of roles for tenants that do not serve theirs.
fn configure(world: &World, role_mode: &str) {
    let text = std::fs::read_to_string(&world.files.config).unwrap();
    let order = r#"[["Manager", "Help Desk"], ["Help Desk", "Read Only"]]"#;
    let text = text
        .replace(
            "rate_limit = 100",
            &format!("rate_limit = 100\nrole_mode = \"{role_mode}\"\nrole_order = {order}"),
        )
        .replace("in_flight_window = \"3s\"", "in_flight_window = \"2s\"")
        .replace("watch = [\"2s\", \"3s\"]", "watch = [\"2s\"]");
    std::fs::write(&world.files.config, text).unwrap();
}

#[derive(Default)]
struct Play {
    jobs: Vec<Job>,
    reports: Vec<ResultView>,
    held: Vec<GrantView>,
    revoking: BTreeMap<String, Instant>,
    over: bool,
}

impl Play {
    /// Looks at everything, does what is due; true if nothing more is to come.
    async fn look(&mut self, world: &World) -> bool {
        self.reports = world.operator.results().await.unwrap();
        for story in Story::ALL {
            self.go_on(world, story).await;
        }
        let Ok(held) = client::grants(&world.files.socket).await else { return false };
        self.held = held;
        self.over = self.answered() && self.held.iter().all(|grant| grant.state == "revoking");
        if self.over && !self.held.is_empty() {
            self.over = self.is_stuck(&alarms(&world.files.log_text()));
        }
        self.over
    }

    /// Sends the next job of a story once the one before has its result.
    async fn go_on(&mut self, world: &World, story: Story) {
        let result = |leg: usize| self.result(story, leg, false);
        let legs = story.legs();
        let begun = (0..legs.len()).find(|&leg| result(leg).is_none()).unwrap_or(legs.len());
        if begun < legs.len() && !self.is_sent(story, begun, false) {
            return self.send(world, story, begun, false).await;
        }
        for (leg, said) in legs.iter().enumerate() {
            let granted = result(leg).is_some_and(|report| report["code"] == "granted");
            if said.revoked && granted && !self.is_sent(story, leg, true) {
                return self.send(world, story, leg, true).await;
            }
        }
    }

    async fn send(&mut self, world: &World, story: Story, leg: usize, revokes: bool) {
        let mut claims = if revokes { story.revocation(leg) } else { story.claims(leg) };
        let sent_ms = now_ms();
        // Whole seconds, rounded up: a job from before the ledger is refused, and that is not the subject.
        claims["iat"] = (sent_ms / 1000 + 1).into();
        let id = world.sent(JobSpec { claims, ..JobSpec::default() }).await;
        self.jobs.push(Job { story, leg, revokes, id, sent_ms });
    }

    fn is_sent(&self, story: Story, leg: usize, revokes: bool) -> bool {
        self.jobs.iter().any(|job| (job.story, job.leg, job.revokes) == (story, leg, revokes))
    }

    fn result(&self, story: Story, leg: usize, revokes: bool) -> Option<&Value> {
        let job = self.jobs.iter().find(|job| (job.story, job.leg, job.revokes) == (story, leg, revokes))?;
        results(&self.reports, &job.id).next()
    }

    /// Every leg has its result, and every revocation, unless its grant cannot be ended.
    fn answered(&self) -> bool {
        let held = |story: Story, leg| self.held.iter().any(|grant| grant.grant_id == story.grant(leg));
        let legs =
            Story::ALL.into_iter().flat_map(|story| (0..story.legs().len()).map(move |leg| (story, leg)));
        let mut revocations = self.jobs.iter().filter(|job| job.revokes);
        legs.into_iter().all(|(story, leg)| self.result(story, leg, false).is_some())
            && revocations
                .all(|job| self.result(job.story, job.leg, true).is_some() || held(job.story, job.leg))
    }

    /// Whether each held grant has been ending for long and a person was called.
    fn is_stuck(&mut self, alarms: &BTreeSet<String>) -> bool {
        let now = Instant::now();
        let since = |id: &String| *self.revoking.entry(id.clone()).or_insert(now);
        let since: Vec<Instant> = self.held.iter().map(|grant| &grant.grant_id).map(since).collect();
        let called = |grant: &GrantView| {
            alarms.contains(&grant.account_email)
                || grant.account_id.as_ref().is_some_and(|id| alarms.contains(id))
        };
        since.iter().all(|since| now - *since >= STUCK) && self.held.iter().all(called)
    }
}

/// The results of a job.
pub(crate) fn results<'a>(reports: &'a [ResultView], job: &str) -> impl Iterator<Item = &'a Value> {
    let job = job.to_owned();
    reports
        .iter()
        .map(|view| &view.report)
        .filter(move |r| r["kind"] == "result" && r["job_id"] == job.as_str())
}

/// The accounts that lines of level `error` name.
fn alarms(log: &str) -> BTreeSet<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors = lines.filter(|line| line["level"] == "error");
    let named =
        |line: &Value| Some(line["account"].as_str().or_else(|| line["account.email"].as_str())?.to_owned());
    errors.filter_map(|line| named(&line)).collect()
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
