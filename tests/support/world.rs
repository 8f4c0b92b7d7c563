//! A world for the engine: a model JumpCloud, a ledger that can crash, clocks that can lie, and calls
//! whose answers come late or never. Everything is decided by the seed and the script.

use std::collections::BTreeMap;

use ephemerald::engine::{
    Engine, Restored,
    action::{Action, Entry, Look, Lower, LowerChange, Raise, RaiseChange, Step, Warning},
    ids::{AccountId, Email, GrantId, IntegrationId, JobId, OrgId, RoleName},
    input::{Input, Outcome},
    job::{AccessRequest, Ask, Digest, GrantJob, Job, Target},
    observed::{DiscoveredRole, Fault, FaultClass, Listing, ObservedAccount, WhoAmI},
    policy::{EphemeralPolicy, Policy, Requirements},
    record::{Record, Seq},
    settings::{IntegrationSettings, RoleMode, Settings, Timing},
    state::State,
    time::{BootId, BootTime, Millis, Now, Timestamp},
};

pub const START: i64 = 1_790_000_000_000;
pub const ORG: &str = "5f0000000000000000000001";

pub fn role(name: &str) -> RoleName {
    RoleName::new(name).unwrap()
}

pub fn email(text: &str) -> Email {
    Email::new(text).unwrap()
}

pub fn jc() -> IntegrationId {
    IntegrationId::new("jc").unwrap()
}

/// What the model JumpCloud does with the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Carried out, answered.
    Fine,
    /// Carried out, the answer is lost.
    AnswerLost,
    /// Not carried out, the answer is lost.
    Dropped,
    /// The answer is lost; carried out this much later.
    Late(u64),
    /// Answered 2xx, nothing happens.
    Lie,
    /// 429.
    Throttled,
    /// 400.
    Refused,
    /// Never sent.
    Unreachable,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    pub email: Email,
    pub roles: Vec<RoleName>,
    pub suspended: bool,
    pub tagged: bool,
}

/// The model JumpCloud.
#[derive(Clone, Debug, Default)]
pub struct JumpCloud {
    pub admins: BTreeMap<AccountId, Admin>,
    pub made: u64,
    /// Every state an account went through: (boot time, roles; `None`: gone).
    pub history: Vec<(u64, AccountId, Option<Vec<RoleName>>)>,
    pub raises_applied: u64,
    pub writes: u64,
    pub reads: u64,
}

enum Event {
    Durable(Seq, Vec<Raise>, Vec<Entry>),
    Answer(ephemerald::engine::action::CallId, Outcome),
    Apply(Write),
}

#[derive(Clone, Debug)]
enum Write {
    Set(AccountId, Vec<RoleName>, bool),
    Create(Email, RoleName),
    Delete(AccountId),
}

pub struct World {
    pub now: Now,
    pub engine: Option<Engine>,
    pub settings: Settings,
    pub policy: Option<Policy>,
    pub durable: Vec<Entry>,
    pub answers: BTreeMap<
        JobId,
        Vec<(ephemerald::engine::codes::ResultCode, Option<ephemerald::engine::codes::Rule>)>,
    >,
    pub all: Vec<Entry>,
    pub warnings: Vec<Warning>,
    pub cloud: JumpCloud,
    pub fates: Vec<Fate>,
    pub default_fate: Fate,
    /// Reads fail while set; the organization cannot be read while `org_unreadable`.
    pub down: bool,
    pub org_unreadable: bool,
    pub latency: u64,
    pub disk: u64,
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    boots: u64,
    jobs: u64,
}

impl World {
    pub fn new(mode: RoleMode) -> Self {
        let settings = Settings {
            integrations: vec![IntegrationSettings {
                id: jc(),
                role_mode: mode,
                role_order: Vec::new(),
                floor_role: role("Read Only"),
                exclude_accounts: Vec::new(),
                observe_interval: Millis::from_secs(60),
                rate_per_second: 50,
            }],
            timing: Timing::default(),
        };
        let mut world = Self {
            now: Now { wall: Timestamp(START), boot: BootTime(1_000_000), boot_id: BootId(1) },
            engine: None,
            settings,
            policy: Some(open_policy()),
            durable: Vec::new(),
            answers: BTreeMap::new(),
            all: Vec::new(),
            warnings: Vec::new(),
            cloud: JumpCloud::default(),
            fates: Vec::new(),
            default_fate: Fate::Fine,
            down: false,
            org_unreadable: false,
            latency: 40,
            disk: 2,
            events: BTreeMap::new(),
            next_event: 0,
            boots: 1,
            jobs: 0,
        };
        world.hire("owner@example.com", &["Administrator With Billing"]);
        world.hire("second@example.com", &["Administrator With Billing"]);
        world
    }

    pub fn hire(&mut self, address: &str, roles: &[&str]) -> AccountId {
        let roles = roles.iter().map(|r| role(r)).collect();
        self.cloud.add(self.now.boot.0, email(address), roles)
    }

    pub fn start(&mut self) {
        self.start_with_seed(7);
    }

    pub fn start_with_seed(&mut self, seed: u64) {
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
        let restored = Restored {
            state,
            last: self.durable.last().map_or(Seq(0), |e| e.seq),
            newest: self.durable.iter().map(|e| e.at).max(),
        };
        let (engine, step) =
            Engine::new(self.settings.clone(), restored, seed.wrapping_add(self.boots << 8), self.now);
        self.engine = Some(engine);
        self.take(step);
        let policy = self.policy.clone();
        self.input(Input::Policy(policy.map(Box::new)));
    }

    /// The process dies: what is not on disk is gone, calls that were sent go on.
    pub fn crash(&mut self) {
        self.engine = None;
        self.events.retain(|_, event| matches!(event, Event::Apply(_)));
        self.boots += 1;
        let last = self.durable.last().map_or(Seq(0), |e| e.seq);
        self.all.retain(|e| e.seq <= last);
    }

    /// The machine is off for a while.
    pub fn reboot_after(&mut self, ms: u64) {
        self.crash();
        self.apply_events_for(ms);
        self.now.boot_id = BootId(self.boots);
        self.now.boot = BootTime(5_000);
    }

    fn apply_events_for(&mut self, ms: u64) {
        let until = self.now.boot.0 + ms;
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            if let Event::Apply(write) = event {
                self.cloud.apply(at, &write);
            }
        }
        self.events.clear();
        self.now.wall = self.now.wall + Millis(ms);
    }

    pub fn input(&mut self, input: Input) {
        let now = self.now;
        if let Some(engine) = self.engine.as_mut() {
            let step = engine.handle(now, input);
            self.take(step);
        }
    }

    /// Lets time pass, in the order of events and wake-ups.
    pub fn run(&mut self, ms: u64) {
        let until = self.now.boot.0 + ms;
        loop {
            let wake = self
                .engine
                .as_ref()
                .and_then(Engine::next_wake)
                .map_or(u64::MAX, |w| w.0.max(self.now.boot.0));
            let event = self.events.first_key_value().map_or(u64::MAX, |(k, _)| k.0);
            let next = wake.min(event);
            if next > until {
                self.pass(until);
                return;
            }
            self.pass(next);
            if event <= wake {
                let (_, event) = self.events.pop_first().unwrap();
                self.happen(event);
            } else {
                self.input(Input::Tick);
            }
        }
    }

    fn pass(&mut self, to: u64) {
        let ms = to.saturating_sub(self.now.boot.0);
        self.now.boot = BootTime(to.max(self.now.boot.0));
        self.now.wall = self.now.wall + Millis(ms);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Durable(upto, raises, entries) => {
                self.durable.extend(entries);
                self.input(Input::Durable(upto));
                for raise in raises {
                    self.send_raise(raise);
                }
            }
            Event::Answer(call, outcome) => self.input(Input::Outcome(call, outcome)),
            Event::Apply(write) => self.cloud.apply(self.now.boot.0, &write),
        }
    }

    fn take(&mut self, step: Step) {
        self.all.extend(step.records.iter().cloned());
        for entry in &step.records {
            assert_survives_storage(entry);
            self.note(entry);
        }
        if !step.records.is_empty() {
            let upto = step.records.last().unwrap().seq;
            self.after(self.disk, Event::Durable(upto, step.raises, step.records));
        } else {
            assert!(step.raises.is_empty(), "a raise without its record");
        }
        for action in step.actions {
            match action {
                Action::Read(read) => self.read(read.call, &read.what),
                Action::Lower(lower) => self.send_lower(&lower),
                Action::Warn(warning) => self.warnings.push(warning),
                Action::Requeue(_) => {}
            }
        }
    }

    fn note(&mut self, entry: &Entry) {
        let answer = match &entry.record {
            Record::JobAnswered(a) | Record::JobRefused(a) => Some((a.job.clone(), a.code, a.rule)),
            Record::GrantActive(a) => {
                Some((a.about.grant_job.clone(), ephemerald::engine::codes::ResultCode::Granted, None))
            }
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

    fn read(&mut self, call: ephemerald::engine::action::CallId, what: &Look) {
        self.cloud.reads += 1;
        let outcome = self.look(what);
        self.after(self.latency, Event::Answer(call, outcome));
    }

    fn look(&self, what: &Look) -> Outcome {
        let org = OrgId::new(ORG).ok().filter(|_| !self.org_unreadable);
        let lost = || Fault::of(FaultClass::Ambiguous);
        let forbidden = || Fault { class: FaultClass::Forbidden, status: Some(403), retry_after_ms: None };
        match what {
            Look::WhoAmI if self.down => Outcome::WhoAmI(Err(lost())),
            Look::WhoAmI if self.org_unreadable => Outcome::WhoAmI(Err(forbidden())),
            Look::WhoAmI => {
                let owner = self.cloud.by_email("owner@example.com");
                Outcome::WhoAmI(Ok(WhoAmI {
                    account: owner,
                    email: Some(email("owner@example.com")),
                    role: None,
                    org,
                }))
            }
            Look::Roles if self.down => Outcome::Roles(Err(lost())),
            Look::Roles => Outcome::Roles(Ok(roles())),
            Look::List if self.down => Outcome::List(Err(lost())),
            Look::List if self.org_unreadable => Outcome::List(Err(forbidden())),
            Look::List => {
                let accounts = self.cloud.admins.keys().map(|id| self.cloud.show(id).unwrap()).collect();
                Outcome::List(Ok(Listing { accounts, complete: true, org }))
            }
            Look::Get(_) if self.down => Outcome::Get(Err(lost())),
            Look::Get(id) => Outcome::Get(self.cloud.show(id).ok_or(Fault {
                class: FaultClass::NotFound,
                status: Some(404),
                retry_after_ms: None,
            })),
        }
    }

    fn send_raise(&mut self, raise: Raise) {
        let created = matches!(raise.change, RaiseChange::Create { .. });
        if self.now.boot > raise.send_by {
            let late = Err(Fault::of(FaultClass::NotSent));
            return self.input(Input::Outcome(raise.call, Outcome::Written(late)));
        }
        self.cloud.raises_applied += 1;
        let write = match raise.change {
            RaiseChange::SetRoles { id, roles, plural } => Write::Set(id, roles, plural),
            RaiseChange::Create { email, role, .. } => Write::Create(email, role),
        };
        self.send(raise.call, write, created);
    }

    fn send_lower(&mut self, lower: &Lower) {
        let write = match lower.change() {
            LowerChange::SetRoles { id, roles, plural } => Write::Set(id.clone(), roles.clone(), *plural),
            LowerChange::Delete { id } => Write::Delete(id.clone()),
        };
        self.send(lower.call(), write, false);
    }

    fn send(&mut self, call: ephemerald::engine::action::CallId, write: Write, create: bool) {
        self.cloud.writes += 1;
        let fate = if self.down {
            Fate::Unreachable
        } else if self.fates.is_empty() {
            self.default_fate
        } else {
            self.fates.remove(0)
        };
        let of = |class, status| Fault { class, status, retry_after_ms: None };
        let answer = |result: Result<(), Fault>| {
            if create { Outcome::Created(result.map(|()| None)) } else { Outcome::Written(result) }
        };
        let half = self.latency / 2;
        let timeout = 10_000;
        let ambiguous = || Err(of(FaultClass::Ambiguous, None));
        let (apply, back, result) = match fate {
            Fate::Fine if matches!(&write, Write::Delete(id) if !self.cloud.admins.contains_key(id)) => {
                (None, self.latency, Err(of(FaultClass::NotFound, Some(404))))
            }
            Fate::Fine => (Some(half), self.latency, Ok(())),
            Fate::AnswerLost => (Some(half), timeout, ambiguous()),
            Fate::Dropped => (None, timeout, ambiguous()),
            Fate::Late(ms) => (Some(ms), timeout, ambiguous()),
            Fate::Lie => (None, self.latency, Ok(())),
            Fate::Throttled => (None, self.latency, Err(of(FaultClass::Throttled, Some(429)))),
            Fate::Refused => (None, self.latency, Err(of(FaultClass::Refused, Some(400)))),
            Fate::Unreachable => (None, self.latency, Err(of(FaultClass::NotSent, None))),
        };
        if let Some(ms) = apply {
            self.after(ms, Event::Apply(write));
        }
        self.after(back, Event::Answer(call, answer(result)));
    }

    // --- what people and the control plane do ---

    pub fn grant(&mut self, address: &str, wanted: &str, minutes: u64) -> GrantId {
        self.grant_to(Target::Email(email(address)), wanted, minutes)
    }

    pub fn grant_ephemeral(&mut self, minutes: u64, wanted: &str) -> GrantId {
        let n = self.jobs + 1;
        let target = Target::Ephemeral {
            address: email(&format!("ada+tag{n}@example.com")),
            requester: email("ada@example.com"),
            firstname: None,
            lastname: None,
        };
        self.grant_to(target, wanted, minutes)
    }

    pub fn grant_to(&mut self, target: Target, wanted: &str, minutes: u64) -> GrantId {
        let (job, grant) = self.grant_job(target, wanted, minutes);
        self.input(Input::Job(Box::new(job)));
        grant
    }

    pub fn grant_job(&mut self, target: Target, wanted: &str, minutes: u64) -> (Job, GrantId) {
        let job = self.next_job();
        let grant = GrantId::new(&format!("g{}", self.jobs)).unwrap();
        let duration = Millis::from_secs(minutes * 60);
        let ask = GrantJob { grant: grant.clone(), target, role: role(wanted), duration, until: None };
        let request = AccessRequest { number: Some("REQ-1".to_owned()), ..AccessRequest::default() };
        (Job { ask: Ask::Grant(Box::new(ask), request), ..job }, grant)
    }

    pub fn revoke(&mut self, grant: &GrantId) -> JobId {
        let job = Job { ask: Ask::Revoke(grant.clone()), ..self.next_job() };
        let id = job.id.clone();
        self.input(Input::Job(Box::new(job)));
        id
    }

    pub fn next_job(&mut self) -> Job {
        self.jobs += 1;
        let mut digest = [0u8; 32];
        digest[..8].copy_from_slice(&self.jobs.to_be_bytes());
        Job {
            id: JobId::new(&format!("j{}", self.jobs)).unwrap(),
            digest: Digest(digest),
            integration: jc(),
            start_by: self.now.wall + Millis::from_secs(600),
            ask: Ask::Test,
        }
    }

    pub fn human_sets(&mut self, id: &AccountId, roles: &[&str]) {
        let roles: Vec<RoleName> = roles.iter().map(|r| role(r)).collect();
        self.cloud.set(self.now.boot.0, id, roles);
    }

    // --- what tests ask ---

    pub fn roles_of(&self, id: &AccountId) -> Vec<String> {
        self.cloud
            .admins
            .get(id)
            .map(|a| a.roles.iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    }

    pub fn result(&self, job: &str) -> Option<String> {
        let (code, rule) = self.answers.get(job)?.last()?;
        Some(rule.map_or_else(|| code.to_string(), |rule| format!("{code}/{rule}")))
    }

    pub fn records(&self, kind: &str) -> Vec<&Record> {
        self.all.iter().map(|e| &e.record).filter(|r| r.kind() == kind).collect()
    }

    pub fn ended(&self, grant: &GrantId) -> Option<String> {
        let gone = self.all.iter().rev().find_map(|e| match &e.record {
            Record::GrantGone(gone) if gone.about.grant == *grant => Some(gone.reason.to_string()),
            _ => None,
        });
        gone
    }

    pub fn story(&self) -> String {
        let mut story = String::new();
        for entry in &self.all {
            story +=
                &format!("{:>8} {}\n", entry.at.0 - START, serde_json::to_string(&entry.record).unwrap());
        }
        for (at, id, roles) in &self.cloud.history {
            story += &format!("cloud {at:>8} {id} {roles:?}\n");
        }
        story
    }
}

impl JumpCloud {
    pub fn add(&mut self, at: u64, address: Email, roles: Vec<RoleName>) -> AccountId {
        self.made += 1;
        let id = AccountId::new(&format!("{:024x}", 0xa000 + self.made)).unwrap();
        let tagged = address.as_str().contains("+tag");
        self.history.push((at, id.clone(), Some(roles.clone())));
        self.admins.insert(id.clone(), Admin { email: address, roles, suspended: false, tagged });
        id
    }

    pub fn set(&mut self, at: u64, id: &AccountId, mut roles: Vec<RoleName>) {
        roles.sort();
        if let Some(admin) = self.admins.get_mut(id) {
            admin.roles.clone_from(&roles);
            self.history.push((at, id.clone(), Some(roles)));
        }
    }

    pub fn by_email(&self, address: &str) -> Option<AccountId> {
        let same = |a: &Admin| a.email.as_str().eq_ignore_ascii_case(address);
        self.admins.iter().find(|(_, a)| same(a)).map(|(id, _)| id.clone())
    }

    fn apply(&mut self, at: u64, write: &Write) {
        match write {
            Write::Set(id, roles, _) => self.set(at, id, roles.clone()),
            Write::Create(address, with) if self.by_email(address.as_str()).is_none() => {
                self.add(at, address.clone(), vec![with.clone()]);
            }
            Write::Create(..) => {}
            Write::Delete(id) => {
                self.admins.remove(id);
                self.history.push((at, id.clone(), None));
            }
        }
    }

    fn show(&self, id: &AccountId) -> Option<ObservedAccount> {
        let admin = self.admins.get(id)?;
        Some(ObservedAccount {
            id: id.clone(),
            email: admin.email.clone(),
            suspended: admin.suspended,
            roles: admin.roles.clone(),
            plural: false,
            mfa_required: Some(true),
            mfa_enrolled: Some(false),
            api_key_allowed: Some(false),
        })
    }
}

/// Built-in roles with scopes that nest as the help pages suggest; two that do not compare.
pub fn roles() -> Vec<DiscoveredRole> {
    let list: [(&str, &[&str]); 7] = [
        ("Administrator With Billing", &["read", "users", "devices", "all", "admins", "billing", "commands"]),
        ("Administrator", &["read", "users", "devices", "all", "commands"]),
        ("Manager", &["read", "users", "devices"]),
        ("Help Desk", &["read", "users"]),
        ("Command Runner", &["commands"]),
        ("Billing Only", &["billing"]),
        ("Read Only", &["read"]),
    ];
    let scopes = |s: &[&str]| Some(s.iter().map(|s| (*s).to_owned()).collect());
    list.iter().map(|(name, s)| DiscoveredRole { name: role(name), scopes: scopes(s) }).collect()
}

pub fn open_policy() -> Policy {
    let day = Millis::from_secs(86_400);
    Policy {
        hash: "0".repeat(64),
        dry_run: false,
        roles: roles().into_iter().map(|r| (r.name, day)).collect(),
        max_duration: day,
        accounts_allow: Vec::new(),
        accounts_deny: Vec::new(),
        protected_accounts: Vec::new(),
        ephemeral: Some(EphemeralPolicy {
            template: "{requester}+{tag}@{domain}".to_owned(),
            domains: vec!["example.com".to_owned()],
        }),
        require: Requirements::default(),
        max_live_grants: 1000,
    }
}

/// What a restart would read is what was written.
fn assert_survives_storage(entry: &Entry) {
    let stored = serde_json::to_vec(&entry.record).unwrap();
    let read: Record = serde_json::from_slice(&stored)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stored)));
    assert_eq!(read, entry.record);
}
