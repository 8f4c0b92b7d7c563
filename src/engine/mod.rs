//! The pure core: no clock, no I/O, no async, no randomness. Time and entropy are arguments.
//!
//! ```text
//!   Input ──▶ Engine::handle(now) ──▶ Step { records, raises, actions }
//!                  │      ▲
//!               apply   fold
//!                  ▼      │
//!                 State (grants, accounts, jobs) = fold of the records
//! ```
//!
//! Raising is edge-triggered and bounded: it happens while a verified job is decided, on a read that
//! came back at most a second ago. Lowering is level-triggered and unbounded: whatever a read shows of ours
//! beyond what should be there is taken away, again and again, until a read shows it gone.
//!
//! Refuses to believe a status code: granted and revoked are reads. Refuses to give up an ending.

pub mod account;
pub mod action;
pub mod active;
mod admission;
mod alarms;
mod answer;
mod beside;
mod budget;
mod clockwatch;
pub mod codes;
mod decide;
mod desk;
mod digest;
mod drive;
mod due;
pub mod ended;
mod endings;
mod ephemeral;
mod extend;
pub mod extension;
pub mod grant;
pub mod grants;
pub mod ids;
pub mod input;
mod intake;
pub mod inventory;
pub mod job;
mod listing;
mod lowering;
pub mod observed;
mod operator;
pub mod order;
mod organization;
pub mod orphans;
mod place;
pub mod plan;
mod planted;
pub mod policy;
mod probe;
pub mod record;
pub mod recovery;
mod returned;
pub mod roles;
pub mod settings;
mod shrunk;
pub mod state;
mod tenant;
pub mod time;
mod timekeeping;
mod unproven;
pub mod usage;
pub mod views;
pub mod wheel;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use account::{AccountRef, Attempt};
use action::{Action, CallId, Entry, Step, Warning};
use alarms::{Alarm, Alarms};
use clockwatch::ClockWatch;
use desk::Desk;
use ids::{GrantId, IntegrationId, JobId};
use input::{Input, Outcome};
use job::{Digest, Job};
use planted::Planted;
use policy::Policy;
use record::{Record, Seq};
use settings::Settings;
use state::State;
use tenant::{Errand, Tenant};
use time::{BootTime, Now};
pub use timekeeping::Reckoning;

/// The engine. One owner, one entry.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    policy: Option<Policy>,
    state: State,
    next_seq: Seq,
    durable: Seq,
    now: Now,
    ledger_ok: bool,
    clock: ClockWatch,
    alarms: Alarms,
    tenants: BTreeMap<IntegrationId, Tenant>,
    desks: BTreeMap<AccountRef, Desk>,
    pending: BTreeMap<JobId, Pending>,
    /// In the order in which they were made: calls that are given up at one instant are given up in it.
    calls: BTreeMap<CallId, Flight>,
    next_call: u64,
    refused: HashSet<Digest>,
    dealings: recovery::Dealings,
    started: BootTime,
    grant_alarms: HashMap<GrantId, Alarm>,
    dirty: BTreeSet<AccountRef>,
    /// Accounts whose lower waits until the acceptance behind it is durable.
    undurable: BTreeSet<AccountRef>,
    /// Grants with an accepted extension that is not in force.
    extending: BTreeSet<GrantId>,
    /// Extensions in force whose record is not durable, oldest first.
    unsettled: Vec<extend::Unsettled>,
    /// When the journal last said what time it is.
    time_floor_at: BootTime,
    /// When it was last said what was given up.
    reminded: BootTime,
    jitter: u64,
    out: Step,
}

/// A job that waits for a read. Not recorded: if we stop now, it is delivered again.
#[derive(Clone, Debug)]
struct Pending {
    job: Job,
    received: BootTime,
    deadline: BootTime,
    /// The account that it is about, once resolved.
    at: Option<AccountRef>,
    /// A sync whose inventory is with the shell.
    handed: bool,
}

/// A call whose outcome has not come back.
#[derive(Clone, Debug)]
struct Flight {
    integration: IntegrationId,
    began: BootTime,
    /// The newest record when it was made: a raise leaves only once that is durable.
    after: Seq,
    purpose: Purpose,
}

/// What a call was for.
#[derive(Clone, Debug)]
enum Purpose {
    Errand(Errand),
    Look(AccountRef),
    Write(AccountRef, Box<Attempt>),
}

/// What the ledger held at the start.
#[derive(Debug, Default)]
pub struct Restored {
    /// The fold of the open streams.
    pub state: State,
    /// The journal's last number.
    pub last: Seq,
    /// The newest record's wall time, if there is any record.
    pub newest: Option<time::Timestamp>,
    /// What speaks against the ledger.
    pub findings: Vec<recovery::Finding>,
    /// What the engine before this one knew of the time, if this process had one.
    pub reckoning: Option<Reckoning>,
}

impl Engine {
    /// An engine over what the ledger held. `seed` is entropy for jitter and call numbers; two engines
    /// of one process must not share one.
    #[must_use]
    pub fn new(settings: Settings, restored: Restored, seed: u64, now: Now) -> (Self, Step) {
        let came = restored.newest.max(restored.reckoning.map(|before| before.came()));
        let (mut clock, dead) = ClockWatch::start(settings.timing.skew, now, &restored.state, came);
        clock.inherit(restored.reckoning.and_then(|before| before.suspect()));
        let tenant = |s: &settings::IntegrationSettings| (s.id.clone(), Tenant::new(s.clone(), now.boot));
        let mut engine = Self {
            tenants: settings.integrations.iter().map(tenant).collect(),
            policy: None,
            next_seq: Seq(restored.last.0 + 1),
            durable: restored.last,
            state: restored.state,
            now,
            ledger_ok: true,
            clock,
            alarms: Alarms::new(now.boot),
            desks: BTreeMap::new(),
            pending: BTreeMap::new(),
            calls: BTreeMap::new(),
            next_call: (seed & 0xffff_ffff) << 24,
            refused: HashSet::new(),
            dealings: recovery::Dealings::default(),
            started: now.boot,
            grant_alarms: HashMap::new(),
            dirty: BTreeSet::new(),
            undurable: BTreeSet::new(),
            extending: BTreeSet::new(),
            unsettled: Vec::new(),
            time_floor_at: now.boot,
            reminded: BootTime(0),
            jitter: seed | 1,
            out: Step::default(),
            settings,
        };
        planted::at_start(&mut engine.state, now);
        engine.start(dead, restored.findings);
        engine.settle_down();
        let step = std::mem::take(&mut engine.out);
        (engine, step)
    }

    /// The one entry: something happened, at `now`.
    pub fn handle(&mut self, now: Now, input: Input) -> Step {
        self.turn_clock(now);
        // What is over by now is over before anything is judged in its light.
        self.fire_due();
        match input {
            Input::Tick => {}
            Input::Job(job) => self.receive(*job),
            Input::Refused(refusal) => self.refuse(refusal),
            Input::Cancelled(job) => self.cancel(&job),
            Input::Operator(deed, order) => self.operator(deed, &order),
            Input::Policy(policy) => self.take_policy(policy.map(|p| *p)),
            Input::Hint(integration) => self.hinted(&integration),
            Input::CredentialChanged(integration) => self.credential_changed(&integration),
            Input::ControlTime(theirs) => self.witness(theirs),
            Input::Durable(upto) => self.durable(upto),
            Input::LedgerDown => self.ledger_down(),
            Input::Inventoried(jobs, counts) => self.inventoried(&jobs, counts),
            Input::LedgerFinding(finding) => self.doubt(finding),
            Input::HeadsAgree => self.heads_agree(),
            Input::Believed(believed) => self.believed(believed),
            Input::Tagged(integration, found) => self.tagged(&integration, found),
            Input::LedgerDeed { deed, by, why } => self.operator_deed(&deed, &by, &why),
            Input::Withheld { outlet, secret } => {
                self.write(Record::SecretWithheld { outlet: outlet.to_owned(), secret });
            }
            Input::Outcome(call, outcome) => self.outcome(call, outcome),
        }
        self.settle_down();
        std::mem::take(&mut self.out)
    }

    /// Another policy: what was decided by the old one and has not left is decided anew.
    fn take_policy(&mut self, policy: Option<Policy>) {
        let hash = |policy: &Option<Policy>| policy.as_ref().map(|p| p.hash.clone());
        let other = hash(&self.policy) != hash(&policy);
        self.policy = policy;
        if other {
            self.take_raises_back();
            self.extend_durable();
        }
    }

    /// What names the policy in force, if one is.
    fn hash_in_force(&self) -> Option<String> {
        self.policy.as_ref().map(|policy| policy.hash.clone())
    }

    /// When to come back at the latest, if nothing happens before.
    #[must_use]
    pub fn next_wake(&self) -> Option<BootTime> {
        self.alarms.next_wake()
    }

    /// Everything that follows from a change, until nothing more follows.
    fn settle_down(&mut self) {
        self.fire_due();
        loop {
            while let Some(at) = self.dirty.pop_first() {
                self.drive(&at);
            }
            self.pump_all();
            if self.dirty.is_empty() {
                return;
            }
        }
    }

    /// Writes a fact: numbered, folded into the state, handed out to be stored.
    fn write(&mut self, record: Record) -> Seq {
        let seq = self.next_seq;
        self.next_seq = Seq(seq.0 + 1);
        self.state.apply(seq, self.now.wall, &record);
        let usage = self.recount(&record);
        if planted::is(Planted::Unwritten) && matches!(record, Record::GrantAccepted(_)) {
            return seq;
        }
        self.out.records.push(Entry { seq, at: self.now.wall, record });
        if let Some(usage) = usage {
            self.write(Record::AccessCounted(usage));
        }
        seq
    }

    fn warn(&mut self, warning: Warning) {
        self.out.actions.push(Action::Warn(warning));
    }

    fn durable(&mut self, upto: Seq) {
        self.durable = self.durable.max(upto);
        self.dirty.append(&mut self.undurable);
        self.extend_durable();
    }

    /// Nothing is raised any more, and raises whose records did not become durable never were: the
    /// shell drops them. Their accounts must not wait for an answer that cannot come.
    fn ledger_down(&mut self) {
        self.ledger_ok = false;
        self.take_raises_back();
        self.take_extensions_back();
    }

    fn call(&mut self, integration: &IntegrationId, purpose: Purpose) -> CallId {
        self.next_call += 1;
        let call = CallId(self.next_call);
        let after = Seq(self.next_seq.0 - 1);
        let flight = Flight { integration: integration.clone(), began: self.now.boot, after, purpose };
        self.calls.insert(call, flight);
        call
    }

    fn outcome(&mut self, call: CallId, outcome: Outcome) {
        let Some(flight) = self.calls.remove(&call) else {
            return; // of an engine before a refold, or given up as lost
        };
        match flight.purpose.clone() {
            Purpose::Errand(errand) => self.errand_done(&flight, errand, outcome),
            Purpose::Look(at) => self.looked(&at, &flight, outcome),
            Purpose::Write(at, attempt) => self.wrote(&at, &attempt, outcome),
        }
    }

    /// A byte of jitter (splitmix64 over the seed).
    fn jitter(&mut self) -> u8 {
        self.jitter = self.jitter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.jitter;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 56) as u8
    }
}
