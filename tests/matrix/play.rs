//! The stories of one cell as they go on: which job is due, what has come, and when nothing more will.
//!
//! Refuses to judge: it hands over what happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ephemerald::{
    admin::view::GrantView,
    sandbox::{
        control_plane::{InventoryView, ResultView},
        jumpcloud::{Account, Console, Entry, Event, Role},
    },
};
use serde_json::Value;
use tokio::time::Instant;

use crate::stories::{Kind, Story};

/// An ending that has been refused for so long, and has been said aloud, is left as it is.
const STUCK: Duration = Duration::from_secs(8);
/// A sync that has no result when everything else has been over for so long waits for what cannot be read.
const UNREAD: Duration = Duration::from_secs(8);
/// As long may a proof take that nothing is left.
const UNPROVEN: Duration = Duration::from_secs(25);

/// What happened in a cell.
pub(crate) struct Happened {
    pub(crate) roles: Vec<Role>,
    pub(crate) before: Vec<Account>,
    pub(crate) after: Vec<Account>,
    pub(crate) log: Vec<Entry>,
    pub(crate) reports: Vec<ResultView>,
    pub(crate) jobs: Vec<Job>,
    /// The inventory that the control plane got.
    pub(crate) inventory: Option<InventoryView>,
    /// The grants that the agent still held at the end.
    pub(crate) held: Vec<GrantView>,
    /// Accounts (by id or address) about which the agent called for a person.
    pub(crate) alarms: BTreeSet<String>,
    /// What the agent sent that the description of JumpCloud's API does not know.
    pub(crate) undescribed: Vec<String>,
    /// Whether something that should have come did not.
    pub(crate) unfinished: bool,
    pub(crate) agent_log: String,
}

/// A job, sent or to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) integration: String,
    pub(crate) story: Story,
    pub(crate) leg: usize,
    pub(crate) kind: Kind,
    /// Empty before it is sent.
    pub(crate) id: String,
    /// Unix milliseconds.
    pub(crate) sent_ms: i64,
}

/// One cell while it is played.
pub(crate) struct Play {
    integration: String,
    cloud: Console,
    roles: Vec<Role>,
    before: Vec<Account>,
    jobs: Vec<Job>,
    held: Vec<GrantView>,
    /// Since when a grant is seen to be held although everything is answered.
    revoking: BTreeMap<String, Instant>,
    /// Since when everything is over but the sync.
    unread_since: Option<Instant>,
    over: bool,
}

impl Job {
    /// What the control plane signs.
    pub(crate) fn claims(&self) -> Value {
        let grant = self.grant();
        let mut claims = self.story.claims(self.leg, self.kind, &grant);
        claims["integration"] = self.integration.as_str().into();
        claims
    }

    /// The id of the grant that it is about.
    pub(crate) fn grant(&self) -> String {
        format!("{}-{}-{}", self.integration, self.story.name(), self.leg)
    }

    pub(crate) fn is(&self, story: Story, leg: usize, kind: Kind) -> bool {
        (self.story, self.leg, self.kind) == (story, leg, kind)
    }
}

impl Play {
    pub(crate) fn new(integration: String, cloud: Console) -> Self {
        let state = cloud.state();
        Self {
            integration,
            cloud,
            roles: state.roles,
            before: state.accounts,
            jobs: Vec::new(),
            held: Vec::new(),
            revoking: BTreeMap::new(),
            unread_since: None,
            over: false,
        }
    }

    /// A person in the console does what the stories want: deletes an account that has a grant.
    pub(crate) fn meddle(&self, reports: &[ResultView]) {
        let granted =
            self.result(reports, Story::Gone, 0, Kind::Grant).is_some_and(|r| r["code"] == "granted");
        if granted {
            // Refused once it is gone.
            let _ = self.cloud.delete(&Story::Gone.email());
        }
    }

    /// The jobs to be sent now.
    pub(crate) fn due(&self, reports: &[ResultView]) -> Vec<Job> {
        Story::ALL.into_iter().filter_map(|story| self.next(story, reports)).collect()
    }

    /// A job has been sent.
    pub(crate) fn sent(&mut self, job: Job, id: String) {
        self.jobs.push(Job { id, ..job });
    }

    /// The next job of a story: the one before it has its result.
    fn next(&self, story: Story, reports: &[ResultView]) -> Option<Job> {
        let job = |leg, kind| Job {
            integration: self.integration.clone(),
            story,
            leg,
            kind,
            id: String::new(),
            sent_ms: jiff::Timestamp::now().as_millisecond(),
        };
        let is_sent = |leg, kind| self.jobs.iter().any(|job| job.is(story, leg, kind));
        for (leg, said) in story.legs().iter().enumerate() {
            let Some(result) = self.result(reports, story, leg, Kind::Grant) else {
                return (!is_sent(leg, Kind::Grant)).then(|| job(leg, Kind::Grant));
            };
            let then = said.then.filter(|&then| result["code"] == "granted" && !is_sent(leg, then));
            if let Some(then) = then {
                return Some(job(leg, then));
            }
        }
        None
    }

    fn result<'r>(
        &self,
        reports: &'r [ResultView],
        story: Story,
        leg: usize,
        kind: Kind,
    ) -> Option<&'r Value> {
        let job = self.jobs.iter().find(|job| job.is(story, leg, kind))?;
        results(reports, &job.id).next()
    }

    /// Takes in what can be seen; true if nothing more is to come.
    pub(crate) fn see(&mut self, reports: &[ResultView], held: &[GrantView], log: &str) -> bool {
        self.held = held.iter().filter(|grant| grant.integration == self.integration).cloned().collect();
        // One that is told as gone settles and closes only when the account's other ending is through, too.
        let ending =
            self.held.iter().all(|grant| matches!(grant.state.as_str(), "revoking" | "settling" | "ended"));
        let over = self.is_answered(reports) && ending && (self.held.is_empty() || self.is_stuck(log));
        self.over = over && (self.is_synced(reports) || self.is_unread());
        self.over
    }

    fn is_synced(&self, reports: &[ResultView]) -> bool {
        self.result(reports, Story::Sync, 0, Kind::Grant).is_some()
    }

    fn is_unread(&mut self) -> bool {
        self.unread_since.get_or_insert_with(Instant::now).elapsed() >= UNREAD
    }

    /// Every leg has its result, and every revocation, unless its grant cannot be ended.
    fn is_answered(&self, reports: &[ResultView]) -> bool {
        let legs =
            Story::ALL.into_iter().flat_map(|story| (0..story.legs().len()).map(move |leg| (story, leg)));
        let held = |job: &Job| self.held.iter().any(|grant| grant.grant_id == job.grant());
        let answered = |job: &Job| {
            let waits = job.story == Story::Sync || (job.kind == Kind::Revoke && held(job));
            waits || results(reports, &job.id).next().is_some()
        };
        let granted = |(story, leg)| self.result(reports, story, leg, Kind::Grant).is_some();
        legs.into_iter().filter(|(story, _)| *story != Story::Sync).all(granted)
            && self.next_is_none(reports)
            && self.jobs.iter().all(answered)
    }

    fn next_is_none(&self, reports: &[ResultView]) -> bool {
        Story::ALL.into_iter().all(|story| self.next(story, reports).is_none())
    }

    /// Whether each held grant has been ending for long, and either a person was called or nothing of it
    /// is there, which the agent cannot prove.
    fn is_stuck(&mut self, log: &str) -> bool {
        let now = Instant::now();
        let since = |grant: &GrantView| now - *self.revoking.entry(grant.grant_id.clone()).or_insert(now);
        let waited: Vec<Duration> = self.held.iter().map(since).collect();
        if waited.iter().any(|waited| *waited < STUCK) {
            return false;
        }
        let alarms = alarms(log, &self.integration);
        let cloud = self.cloud.log_since(0);
        let mut held = self.held.iter().zip(waited);
        held.all(|(grant, waited)| {
            // The one says that no way is left; the other only that it takes long.
            let hopeless = grant.account_id.as_ref().is_some_and(|id| alarms.contains(id));
            let overdue = alarms.contains(&grant.account_email);
            hopeless
                || (overdue && !is_heard(&cloud, grant))
                || (waited >= UNPROVEN && self.is_as_before(&grant.account_email))
        })
    }

    fn is_as_before(&self, email: &str) -> bool {
        let roles = |accounts: &[Account]| {
            let found = accounts.iter().find(|account| account.email == email);
            found.map(|account| account.roles.clone())
        };
        let now = roles(&self.cloud.state().accounts);
        now.is_none() || now == roles(&self.before)
    }

    /// What happened, once it is over.
    pub(crate) fn over(self, reports: &[ResultView], inventories: &[InventoryView], log: &str) -> Happened {
        let grants: BTreeSet<String> = self.jobs.iter().map(Job::grant).collect();
        let is_ours = |view: &&ResultView| {
            let report = &view.report;
            report["grant_id"].as_str().is_some_and(|grant| grants.contains(grant))
                || self.jobs.iter().any(|job| report["job_id"] == job.id.as_str())
        };
        Happened {
            after: self.cloud.state().accounts,
            log: self.cloud.log_since(0),
            reports: reports.iter().filter(is_ours).cloned().collect(),
            undescribed: undescribed(&self.cloud),
            alarms: alarms(log, &self.integration),
            agent_log: lines_of(log, &self.integration).collect::<Vec<_>>().join("\n"),
            inventory: inventories.iter().find(|one| one.integration.as_str() == self.integration).cloned(),
            roles: self.roles,
            before: self.before,
            jobs: self.jobs,
            held: self.held,
            unfinished: !self.over,
        }
    }
}

/// Whether one of the last two writes to the account of a grant was taken, or only came too often: the
/// agent then has ways left that take their time.
fn is_heard(cloud: &[Entry], grant: &GrantView) -> bool {
    let Some(id) = &grant.account_id else { return false };
    let writes = cloud.iter().rev().filter_map(|entry| match &entry.event {
        Event::Request(request) if request.method != "GET" && request.path.contains(id) => Some(request),
        _ => None,
    });
    writes.take(2).any(|write| {
        write.status.is_some_and(|status| status < 300) || write.fault.as_deref() == Some("rate_limit")
    })
}

fn undescribed(cloud: &Console) -> Vec<String> {
    let violations = cloud.violations();
    let by_agent = violations.iter().filter(|found| serde_json::to_value(found.by).unwrap() == "agent");
    by_agent.map(ToString::to_string).collect()
}

/// The results of a job.
pub(crate) fn results<'a>(reports: &'a [ResultView], job: &str) -> impl Iterator<Item = &'a Value> {
    let job = job.to_owned();
    let reports = reports.iter().map(|view| &view.report);
    reports.filter(move |report| report["kind"] == "result" && report["job_id"] == job.as_str())
}

/// The accounts of an integration that lines of level `error` name.
fn alarms(log: &str, integration: &str) -> BTreeSet<String> {
    let lines = lines_of(log, integration).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors = lines.filter(|line| line["level"] == "error");
    let named = |line: &Value| {
        let name = line["account"].as_str().or_else(|| line["account.email"].as_str())?;
        Some(name.to_owned())
    };
    errors.filter_map(|line| named(&line)).collect()
}

/// The lines of the agent's log that name an integration or a grant of it.
fn lines_of<'l>(log: &'l str, integration: &str) -> impl Iterator<Item = &'l str> {
    let names = [format!("\"{integration}\""), format!("\"{integration}-")];
    log.lines().filter(move |line| names.iter().any(|name| line.contains(name)))
}
