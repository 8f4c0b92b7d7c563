//! A world for the engine: a model JumpCloud, a ledger that can crash, clocks that can lie, and calls
//! whose answers come late or never. Everything is decided by the seed and the script.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod calls;
mod cloud;
mod mishaps;
mod script;
pub(crate) mod witness;

use std::collections::{BTreeMap, BTreeSet};

use ephemerald::engine::{
    Engine, Reckoning, Restored,
    action::{Action, CallId, Entry, Raise, RoleField, Step, Warning},
    codes::{ResultCode, Rule},
    ids::{AccountId, Email, IntegrationId, JobId, RoleName},
    input::{Input, Outcome},
    inventory::{Counts, Inventory},
    observed::FaultClass,
    policy::Policy,
    record::{Record, Seq},
    recovery::Finding,
    settings::{IntegrationSettings, RoleMode, Settings, Timing},
    state::State,
    time::{BootId, BootTime, Millis, Now, Timestamp},
};

#[allow(unused_imports, reason = "each test file uses its own part of the world")]
pub(crate) use cloud::{Admin, Fate, JumpCloud, Neighbour, Writing, open_policy, roles};
use witness::Witness;

pub(crate) const START: i64 = 1_790_000_000_000;
/// Milliseconds by which clocks may differ.
const CLOCKS_DIFFER: i64 = 60_000;
pub(crate) const ORG: &str = "5f0000000000000000000001";
pub(crate) const OTHER_ORG: &str = "5f0000000000000000000002";

pub(crate) fn role(name: &str) -> RoleName {
    RoleName::new(name).unwrap()
}

pub(crate) fn email(text: &str) -> Email {
    Email::new(text).unwrap()
}

pub(crate) fn jc() -> IntegrationId {
    IntegrationId::new("jc").unwrap()
}

enum Event {
    Durable(Seq, Vec<Raise>, Vec<Entry>),
    Answer(CallId, Outcome),
    Inventoried(Vec<JobId>, Option<Counts>),
    /// A write takes effect; `true`: after its call was given up.
    Apply(Write, bool),
}

#[derive(Clone, Debug)]
enum Write {
    Set(AccountId, Vec<RoleName>, RoleField),
    Create(Email, RoleName),
    Delete(AccountId),
}

impl Write {
    fn carries(&self, role: &RoleName) -> bool {
        matches!(self, Self::Set(_, roles, _) if roles.contains(role))
    }
}

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) engine: Option<Engine>,
    pub(crate) settings: Settings,
    pub(crate) policy: Option<Policy>,
    pub(crate) durable: Vec<Entry>,
    pub(crate) answers: BTreeMap<JobId, Vec<(ResultCode, Option<Rule>)>>,
    pub(crate) all: Vec<Entry>,
    pub(crate) warnings: Vec<Warning>,
    /// Records whose result was told again.
    pub(crate) requeued: Vec<Seq>,
    pub(crate) cloud: JumpCloud,
    pub(crate) fates: Vec<Fate>,
    pub(crate) default_fate: Fate,
    /// Reads fail while set; the organization cannot be read, and why, while `org_unreadable`.
    pub(crate) down: bool,
    pub(crate) org_unreadable: Option<FaultClass>,
    /// Answers do not say which organization they are of.
    pub(crate) nameless: bool,
    /// The key is another organization's.
    pub(crate) abroad: bool,
    /// Whose the key is.
    pub(crate) owner: &'static str,
    /// The journal takes no records.
    pub(crate) ledger_down: bool,
    /// What becomes of calls to every other integration than `jc`.
    pub(crate) neighbour: Neighbour,
    /// Milliseconds that a listing takes beyond the latency, and how many requests it says it took.
    pub(crate) listing_takes: (u64, u32),
    /// Whether a listing shows all there is.
    pub(crate) listing_complete: bool,
    /// Whether a request of a listing was refused because there were too many, and taken later.
    pub(crate) listing_throttled: bool,
    /// Listings do not say which organization they are of.
    pub(crate) listings_nameless: bool,
    /// Whether the answer to a creation tells the new account's id.
    pub(crate) tells_ids: bool,
    /// How many accounts a listing shows at most.
    pub(crate) listing_shows: usize,
    /// Whether the tenant serves its roles.
    pub(crate) serves_roles: bool,
    /// Inventories that were handed over, and whether the control plane takes them.
    pub(crate) inventories: Vec<Inventory>,
    pub(crate) takes_inventories: bool,
    /// Whether nobody ever hears what became of them.
    pub(crate) loses_inventories: bool,
    /// Every account by id answers 404, there or not.
    pub(crate) blind: bool,
    /// By how many millionths the wall clock is fast.
    pub(crate) drift_ppm: i64,
    drifted: i64,
    pub(crate) latency: u64,
    pub(crate) disk: u64,
    /// Milliseconds that have really passed, whatever any clock says.
    pub(crate) elapsed: u64,
    /// The records whose time had not come yet when they were written: the wall clock was ahead by more than clocks may
    /// differ.
    pub(crate) ahead: BTreeSet<Seq>,
    pub(crate) witness: Witness,
    /// What speaks against the ledger at the next start.
    pub(crate) findings: Vec<Finding>,
    /// Listings of this tenant that have not come back.
    listings: Vec<CallId>,
    /// What the next engine of this process is told of the time.
    reckoning: Option<Reckoning>,
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    boots: u64,
    jobs: u64,
}

fn settings(mode: RoleMode) -> Settings {
    Settings {
        integrations: vec![IntegrationSettings {
            id: jc(),
            role_mode: mode,
            role_order: Vec::new(),
            floor_role: role("Read Only"),
            exclude_accounts: Vec::new(),
            offered_roles: None,
            email_template: None,
            observe_interval: Millis::from_secs(60),
            rate_per_second: 50,
        }],
        timing: Timing::default(),
    }
}

impl World {
    pub(crate) fn new(mode: RoleMode) -> Self {
        let mut world = Self {
            now: Now { wall: Timestamp(START), boot: BootTime(1_000_000), boot_id: BootId(1) },
            engine: None,
            settings: settings(mode),
            policy: Some(open_policy()),
            durable: Vec::new(),
            answers: BTreeMap::new(),
            all: Vec::new(),
            warnings: Vec::new(),
            requeued: Vec::new(),
            cloud: JumpCloud::default(),
            fates: Vec::new(),
            default_fate: Fate::Fine,
            down: false,
            org_unreadable: None,
            nameless: false,
            abroad: false,
            owner: "owner@example.com",
            ledger_down: false,
            neighbour: Neighbour::Silent,
            listing_takes: (0, 1),
            listing_complete: true,
            listing_throttled: false,
            listings_nameless: false,
            tells_ids: false,
            listing_shows: usize::MAX,
            serves_roles: true,
            inventories: Vec::new(),
            takes_inventories: true,
            loses_inventories: false,
            blind: false,
            drift_ppm: 0,
            drifted: 0,
            latency: 40,
            disk: 2,
            elapsed: 0,
            ahead: BTreeSet::new(),
            listings: Vec::new(),
            reckoning: None,
            witness: Witness::default(),
            findings: Vec::new(),
            events: BTreeMap::new(),
            next_event: 0,
            boots: 1,
            jobs: 0,
        };
        world.hire("owner@example.com", &["Administrator With Billing"]);
        world.hire("second@example.com", &["Administrator With Billing"]);
        world
    }

    pub(crate) fn hire(&mut self, address: &str, roles: &[&str]) -> AccountId {
        let roles = roles.iter().map(|r| role(r)).collect();
        self.cloud.add(self.now.boot.0, email(address), roles)
    }

    pub(crate) fn start(&mut self) {
        self.start_with_seed(7);
    }

    pub(crate) fn start_with_seed(&mut self, seed: u64) {
        // As the ledger does it: job memory first, then the open streams without the answers, which
        // have streams of their own.
        let mut whole = State::default();
        for entry in &self.durable {
            whole.apply(entry.seq, entry.at, &entry.record);
        }
        let mut state = State { jobs: whole.jobs, ..State::default() };
        for entry in self.durable.iter().filter(|entry| !entry.record.stream().starts_with("job/")) {
            state.apply(entry.seq, entry.at, &entry.record);
        }
        state.hold_missing_accounts();
        let restored = Restored {
            state,
            last: self.durable.last().map_or(Seq(0), |e| e.seq),
            newest: self.durable.last().map(|e| e.at),
            findings: std::mem::take(&mut self.findings),
            reckoning: self.reckoning.take(),
        };
        self.start_on(restored, seed);
    }

    /// Starts on what a ledger gave.
    pub(crate) fn start_on(&mut self, restored: Restored, seed: u64) {
        let (engine, step) =
            Engine::new(self.settings.clone(), restored, seed.wrapping_add(self.boots << 8), self.now);
        self.engine = Some(engine);
        self.take(step);
        let policy = self.policy.clone();
        self.input(Input::Policy(policy.map(Box::new)));
    }

    fn apply_write(&mut self, at: u64, write: &Write, late: bool) {
        self.witness.applied(self.elapsed, write, late, &self.cloud);
        self.cloud.apply(at, write);
    }

    pub(crate) fn input(&mut self, input: Input) {
        let now = self.now;
        if let Some(engine) = self.engine.as_mut() {
            let step = engine.handle(now, input);
            self.take(step);
        }
    }

    /// Lets time pass, in the order of events and wake-ups.
    pub(crate) fn run(&mut self, ms: u64) {
        let until = self.now.boot.0 + ms;
        while self.step(until) {}
    }

    /// The next event or wake-up up to `until`; false once there is none and it is `until`.
    pub(crate) fn step(&mut self, until: u64) -> bool {
        let wake =
            self.engine.as_ref().and_then(Engine::next_wake).map_or(u64::MAX, |w| w.0.max(self.now.boot.0));
        let event = self.events.first_key_value().map_or(u64::MAX, |(k, _)| k.0);
        let next = wake.min(event);
        if next > until {
            self.pass(until);
            return false;
        }
        self.pass(next);
        if event <= wake {
            let (_, event) = self.events.pop_first().unwrap();
            self.happen(event);
        } else {
            self.input(Input::Tick);
        }
        true
    }

    /// Whether records were handed out that are not on disk.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.events.values().any(|e| matches!(e, Event::Durable(..)))
    }

    fn pass(&mut self, to: u64) {
        let ms = to.saturating_sub(self.now.boot.0);
        self.elapsed += ms;
        self.now.boot = BootTime(to.max(self.now.boot.0));
        self.drifted += i64::try_from(ms).unwrap() * self.drift_ppm;
        let drift = self.drifted / 1_000_000;
        self.drifted %= 1_000_000;
        self.now.wall = Timestamp(self.now.wall.0 + drift) + Millis(ms);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Durable(upto, raises, entries) => {
                self.durable.extend(entries);
                self.input(Input::Durable(upto));
                let awaited = |raise: &Raise| self.engine.as_ref().is_some_and(|e| e.awaits(raise.call));
                let raises: Vec<Raise> = raises.into_iter().filter(awaited).collect();
                for raise in raises {
                    self.witness.raise(self.elapsed, &raise, &self.durable, &self.cloud);
                    self.send_raise(raise);
                }
            }
            Event::Answer(call, outcome) => {
                self.heard(call, &outcome);
                self.input(Input::Outcome(call, outcome));
            }
            Event::Inventoried(jobs, counts) => self.input(Input::Inventoried(jobs, counts)),
            Event::Apply(write, late) => self.apply_write(self.now.boot.0, &write, late),
        }
    }

    fn take(&mut self, step: Step) {
        self.all.extend(step.records.iter().cloned());
        self.witness.fold(&step.records, self.elapsed);
        for entry in &step.records {
            if entry.at > Timestamp(START + CLOCKS_DIFFER) + Millis(self.elapsed) {
                self.ahead.insert(entry.seq);
            } else {
                self.ahead.remove(&entry.seq);
            }
            self.note(entry);
            self.witness.extended(entry, &self.durable, self.elapsed);
        }
        if self.ledger_down {
            // Neither is stored or sent; the engine goes on from memory.
        } else if !step.records.is_empty() {
            let upto = step.records.last().unwrap().seq;
            self.after(self.disk, Event::Durable(upto, step.raises, step.records));
        } else {
            assert!(step.raises.is_empty(), "a raise without its record");
        }
        for action in step.actions {
            match action {
                Action::Read(read) if read.integration == jc() => self.read(read.call, &read.what),
                Action::Read(read) => self.ask_neighbour(read.call, &read.what),
                Action::Inventory(inventory) => self.deliver(*inventory),
                Action::Lower(lower) => {
                    if let Some(engine) = &self.engine {
                        self.witness.lower(self.elapsed, &lower, engine.state(), &self.cloud);
                    }
                    self.send_lower(&lower);
                }
                Action::Warn(warning) => self.warnings.push(warning),
                Action::Requeue(seq) => self.requeued.push(seq),
            }
        }
    }

    fn note(&mut self, entry: &Entry) {
        let answer = match &entry.record {
            Record::JobAnswered(a) | Record::JobRefused(a) => Some((a.job.clone(), a.code, a.rule)),
            Record::GrantActive(a) => Some((a.about.grant_job.clone(), ResultCode::Granted, None)),
            Record::GrantExtended(e) => Some((e.job.clone(), ResultCode::Extended, None)),
            Record::ExtensionDropped(e) => Some((e.job.clone(), e.code, e.rule)),
            Record::GrantEnding(e) => e.answers().map(|code| (e.about.grant_job.clone(), code, e.rule)),
            _ => None,
        };
        if let Some((job, code, rule)) = answer {
            self.answers.entry(job).or_default().push((code, rule));
        }
    }

    fn after(&mut self, ms: u64, event: Event) {
        self.next_event += 1;
        self.events.insert((self.now.boot.0 + ms, self.next_event), event);
    }
}
