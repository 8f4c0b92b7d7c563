//! One run: a faulty phase full of people, faults and crashes, then healing, then the reckoning.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::DefaultHasher},
    hash::Hasher,
};

use ephemerald::engine::{
    account::AccountKey,
    grant::Phase,
    ids::{AccountId, GrantId, JobId, RoleName},
    input::Input,
    job::Job,
    record::{Record, Seq},
    settings::RoleMode,
    time::{Millis, Timestamp},
};

use super::{
    chance::Chance,
    checks, faults,
    world::{START, World},
};

const HOUR: u64 = 3_600_000;

pub(crate) struct Run {
    pub(crate) chance: Chance,
    pub(crate) world: World,
    /// How much goes wrong: 0 nothing, 1 some, 2 a lot.
    pub(crate) wildness: u64,
    pub(crate) healing: bool,
    /// Every job as the control plane keeps it.
    pub(crate) delivered: Vec<Job>,
    pub(crate) grants: Vec<GrantId>,
    /// People with an account of their own, and every role that they ever had without us.
    pub(crate) standing: BTreeMap<AccountId, Vec<RoleName>>,
    pub(crate) touched: BTreeSet<AccountId>,
    pub(crate) given: BTreeMap<GrantId, (AccountKey, RoleName)>,
    pub(crate) ended: BTreeMap<GrantId, u64>,
    pub(crate) seen_ephemeral: u64,
    /// When something went wrong last.
    pub(crate) disturbed: u64,
    /// What clocks that lagged unseen over a reboot may hide from a grant, until the time is told.
    pub(crate) unseen_lags: BTreeMap<GrantId, u64>,
    /// Those of before the time was told, and the last record of when it was.
    told: (BTreeMap<GrantId, u64>, Seq),
    /// Until when the control plane says nothing.
    pub(crate) silent_until: u64,
    pub(crate) gated: bool,
    pub(crate) reads_back_at: u64,
    pub(crate) ledger_back_at: u64,
    pub(crate) crashes: u64,
    noted: usize,
    redeliver_at: u64,
    told_time_at: u64,
}

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mode = chance.of(&[RoleMode::Single, RoleMode::Multiple]);
        let mut world = World::new(mode);
        world.latency = chance.of(&[6, 40, 150, 700]);
        world.disk = chance.of(&[1, 2, 20, 300]);
        world.drift_ppm = chance.of(&[0, 0, 0, 50, -50, 200, -200]);
        // Mostly far apart, for a day of nothing else takes long; the contract's own in some seeds.
        world.settings.timing.sweep = Millis::from_secs(if chance.percent(6) { 30 } else { 900 });
        let observe = Millis::from_secs(if chance.percent(8) { 60 } else { 600 });
        world.settings.integrations[0].observe_interval = observe;
        let wildness = chance.of(&[0, 1, 1, 2, 2]);
        let mut run = Self {
            chance,
            world,
            wildness,
            healing: false,
            delivered: Vec::new(),
            grants: Vec::new(),
            standing: BTreeMap::new(),
            touched: BTreeSet::new(),
            given: BTreeMap::new(),
            ended: BTreeMap::new(),
            seen_ephemeral: 0,
            disturbed: 0,
            unseen_lags: BTreeMap::new(),
            told: (BTreeMap::new(), Seq(0)),
            silent_until: 0,
            gated: false,
            reads_back_at: 0,
            ledger_back_at: 0,
            crashes: 0,
            noted: 0,
            redeliver_at: 0,
            told_time_at: 0,
        };
        run.people();
        run
    }

    pub(crate) fn whole(&mut self) {
        self.world.start();
        self.pass(1_000);
        let deeds = self.chance.between(8, 50);
        let pace = self.chance.of(&[4_000, 20_000, 60_000]);
        let mut done = 0;
        while done < deeds && self.world.witness.violations.is_empty() {
            faults::something_happens(self);
            done += 1;
            let wait = self.chance.between(1, pace);
            self.pass(wait);
        }
        self.heal();
        checks::in_the_end(self);
    }

    fn people(&mut self) {
        for (id, admin) in &self.world.cloud.admins {
            self.standing.insert(id.clone(), admin.roles.clone());
        }
        let people = self.chance.between(1, 5);
        for n in 0..people {
            let role = self.chance.of(&["Read Only", "Read Only", "Help Desk", "Manager", "Billing Only"]);
            let id = self.world.hire(&format!("person{n}@example.com"), &[role]);
            self.standing.insert(id, vec![super::world::role(role)]);
        }
    }

    /// Lets time pass, event by event, each of which may be the process's last.
    pub(crate) fn pass(&mut self, ms: u64) {
        let mut until = self.world.now.boot.0 + ms;
        loop {
            let before = (self.world.now.boot_id, self.world.elapsed);
            self.redeliver();
            faults::choose_fates(self);
            let goes_on = self.world.step(until);
            self.after_step();
            faults::crash_perhaps(self);
            if self.world.now.boot_id != before.0 {
                until = self.world.now.boot.0 + 1;
            }
            if !goes_on || !self.world.witness.violations.is_empty() {
                return;
            }
        }
    }

    pub(crate) fn after_step(&mut self) {
        self.noted = self.noted.min(self.world.all.len());
        checks::take_note(self, self.noted);
        self.noted = self.world.all.len();
        if self.reads_back_at <= self.world.elapsed
            && (self.world.down || self.world.org_unreadable.is_some() || self.world.blind)
        {
            self.world.blind = false;
            self.world.down = false;
            self.world.org_unreadable = None;
            self.disturb();
        }
        if self.world.down
            || self.world.org_unreadable.is_some()
            || self.world.blind
            || self.world.ledger_down
        {
            self.disturb();
        }
        if self.world.ledger_down && self.ledger_back_at <= self.world.elapsed {
            faults::disk_is_back(self);
        }
        checks::always(self);
    }

    pub(crate) fn disturb(&mut self) {
        self.disturbed = self.world.elapsed;
    }

    pub(crate) fn real_wall(&self) -> Timestamp {
        Timestamp(START) + Millis(self.world.elapsed)
    }

    pub(crate) fn hand_out(&mut self, mut job: Job) {
        job.start_by = self.real_wall() + Millis::from_secs(600);
        self.delivered.push(job.clone());
        self.deliver(job);
    }

    /// In the answer to a poll, which says what time it is; while the control plane is silent there is none.
    pub(crate) fn deliver(&mut self, job: Job) {
        if self.world.elapsed < self.silent_until {
            return;
        }
        self.tell_time();
        self.world.input(Input::Job(Box::new(job)));
        self.after_step();
    }

    /// The control plane hands out again what has no durable result.
    fn redeliver(&mut self) {
        let silent = self.world.elapsed < self.silent_until.max(self.redeliver_at);
        if silent || self.world.engine.is_none() {
            return;
        }
        self.redeliver_at = self.world.elapsed + 20_000;
        let answered = self.answered();
        let polls = self.delivered.len() > answered.len() || !self.healing;
        if polls || self.world.elapsed >= self.told_time_at + HOUR {
            self.tell_time();
        }
        for job in self.delivered.clone() {
            if !answered.contains(&job.id) {
                self.deliver(job);
            }
        }
    }

    fn tell_time(&mut self) {
        self.told_time_at = self.world.elapsed;
        self.world.input(Input::ControlTime(self.real_wall()));
        if self.world.engine.is_some() && !self.unseen_lags.is_empty() {
            let written = self.world.all.last().map_or(Seq(0), |entry| entry.seq);
            // The clock may still be off by what clocks may differ.
            let less = |(grant, lag): (&GrantId, &u64)| (grant.clone(), (*lag).min(checks::CLOCKS_DIFFER_MS));
            let lags = self.unseen_lags.iter().map(less).collect();
            self.told = (std::mem::replace(&mut self.unseen_lags, lags), written);
        }
    }

    /// A process that dies before it is on disk takes with it that the time was told.
    pub(crate) fn forget_what_is_not_durable(&mut self) {
        let (lags, written) = std::mem::take(&mut self.told);
        if self.world.durable.last().is_none_or(|entry| entry.seq < written) {
            self.unseen_lags.extend(lags);
        }
    }

    pub(crate) fn answered(&self) -> BTreeSet<JobId> {
        let of = |record: &Record| match record {
            Record::JobAnswered(a) => Some(a.job.clone()),
            Record::GrantExtended(e) => Some(e.job.clone()),
            Record::ExtensionDropped(e) => Some(e.job.clone()),
            Record::GrantActive(a) => Some(a.about.grant_job.clone()),
            Record::GrantEnding(e) if e.rule.is_some() => Some(e.about.grant_job.clone()),
            _ => None,
        };
        self.world.durable.iter().filter_map(|e| of(&e.record)).collect()
    }

    /// No faults, no people, until the longest watch is over: a day, and the hours that a clock was
    /// wrong when it began.
    fn heal(&mut self) {
        self.healing = true;
        self.silent_until = 0;
        self.ledger_back_at = 0;
        self.world.fates.clear();
        self.world.down = false;
        self.world.org_unreadable = None;
        self.world.blind = false;
        self.gated = self.wildness > 0 && self.chance.percent(25);
        self.world.now.wall = self.real_wall();
        self.disturb();
        if self.gated {
            let policy = faults::closed_policy(self);
            self.world.policy.clone_from(&policy);
            self.world.input(Input::Policy(policy.map(Box::new)));
            self.world.witness.saw("gates closed while healing");
        }
        self.tell_time();
        let until = self.world.elapsed + 32 * HOUR;
        while self.world.elapsed < until && self.world.witness.violations.is_empty() {
            if self.is_quiet() {
                self.redeliver(); // its polls go on, whatever there is to say
                self.world.run(HOUR / 2);
                self.after_step();
            } else {
                self.pass(60_000);
                faults::somebody_looks(self);
            }
        }
        self.world.run(1_000);
        self.after_step();
    }

    fn is_quiet(&self) -> bool {
        let Some(engine) = &self.world.engine else { return false };
        engine.state().grants.values().all(|g| g.phase == Phase::Ended)
            && self.answered().len() >= self.delivered.len()
            && self.world.elapsed > self.disturbed + HOUR
    }

    /// The whole trace as one number: equal for equal seeds.
    pub(crate) fn trace_hash(&self) -> u64 {
        hash(&self.world.story())
    }
}

/// A text as one number.
pub(crate) fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}
