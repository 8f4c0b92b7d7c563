//! One case: a policy, a few people, and a control plane that asks for everything, at the worst instants.

use std::collections::BTreeMap;

use ephemerald::{
    config::policy_file,
    control::wire::{JobBody, JobClaims},
    engine::{
        grant::Phase,
        ids::{AccountId, JobId},
        input::Input,
        policy::Policy,
        settings::RoleMode,
        time::Millis,
    },
};
use serde_json::{Value, json};

use super::{
    chance::Chance,
    rules::{ROLES, Rules},
    signer::Signer,
    world::{Fate, World},
};

pub(crate) const PEOPLE: [&str; 4] =
    ["ada@example.com", "bob@example.com", "cleo@example.com", "dan@other.example"];
const MAILBOXES: [&str; 6] = [
    "ada@example.com",
    "ada+two@example.com",
    "Ada+three@Example.com",
    "bob@example.com",
    "eve@evil.example",
    "cleo@example.com",
];

/// A job as it was delivered.
pub(crate) struct Delivered {
    pub(crate) claims: JobClaims,
    /// When, on the world's wall clock.
    pub(crate) at: i64,
    /// The approver looked at exactly this job and signed it.
    pub(crate) approved: bool,
}

pub(crate) struct Stream {
    pub(crate) world: World,
    pub(crate) rules: Rules,
    pub(crate) delivered: Vec<Delivered>,
    chance: Chance,
    signer: Signer,
    sent: Vec<(String, JobId)>,
    approvals: Vec<String>,
    grants: Vec<String>,
    counted: BTreeMap<String, u64>,
    jobs: u64,
}

impl Stream {
    pub(crate) fn new(seed: u64) -> Self {
        Self::under(seed, |_| {})
    }

    /// As [`Stream::new`], with an engine that goes by another policy than the file's.
    pub(crate) fn under(seed: u64, other: impl FnOnce(&mut Policy)) -> Self {
        let (mut chance, signer) = (Chance::new(seed), Signer::new());
        let rules = Rules::random(&mut chance, &signer.approver());
        let mut world = World::new(chance.of(&[RoleMode::Single, RoleMode::Multiple]));
        world.settings.timing.sweep = Millis::from_secs(900);
        world.settings.integrations[0].observe_interval = Millis::from_secs(900);
        world.settings.timing.watch = vec![Millis::from_secs(130), Millis::from_secs(900)];
        let mut policy = policy_file::parse(&rules.file(), "a case").unwrap();
        other(&mut policy);
        world.policy = Some(policy);
        for person in PEOPLE {
            world.hire(person, &["Read Only"]);
        }
        world.start();
        let (counted, jobs) = (BTreeMap::new(), 0);
        let (delivered, sent, approvals, grants) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { world, rules, delivered, chance, signer, sent, approvals, grants, counted, jobs }
    }

    pub(crate) fn play(&mut self) {
        self.world.run(2_000);
        for _ in 0..self.chance.between(20, 50) {
            match self.chance.between(0, 100) {
                0..=44 => self.grant(),
                45..=62 => self.extend(),
                63..=67 => self.revoke(),
                68..=69 => self.cancel(),
                70..=74 => self.repeat(),
                75..=77 => self.restart(),
                78..=81 => {
                    let fate =
                        self.chance.of(&[Fate::AnswerLost, Fate::Dropped, Fate::Throttled, Fate::Refused]);
                    self.world.fates.push(fate);
                }
                82..=89 => self.wait(),
                _ => self.wait_for_the_end(),
            }
            let pause = self.chance.of(&[0, 0, 200, 1_500, 5_000]);
            self.world.run(pause);
        }
        self.world.fates.clear();
        // Everything that was given is over by then, whatever was asked.
        self.world.run(self.rules.longest + 3_600_000);
    }

    /// What was asked, answered and done in this case, counted.
    pub(crate) fn seen(&self) -> BTreeMap<String, u64> {
        let mut seen = self.counted.clone();
        let answers = self.world.answers.values().flatten();
        for (code, rule) in answers {
            let what = rule.map_or_else(|| code.to_string(), |rule| format!("{code}/{rule}"));
            *seen.entry(what).or_default() += 1;
        }
        *seen.entry("raised".to_owned()).or_default() += self.world.cloud.raises_applied;
        let made = self.world.cloud.history.iter().filter(|(_, _, roles)| roles.is_none()).count();
        *seen.entry("ephemeral".to_owned()).or_default() += u64::try_from(made).unwrap();
        seen
    }

    pub(crate) fn story(&self) -> String {
        format!("{}\n{}", self.rules.file(), self.world.story())
    }

    fn saw(&mut self, what: &str) {
        *self.counted.entry(what.to_owned()).or_default() += 1;
    }

    fn claims(&mut self, job: Value) -> JobClaims {
        self.jobs += 1;
        let now = self.world.now.wall.0.div_euclid(1_000);
        let start_by = now + self.chance.of(&[30, 300, 86_400]);
        serde_json::from_value(json!({
            "v": 1, "iss": "https://cp.example.com", "aud": "agent-1", "job_id": format!("j{}", self.jobs),
            "iat": now, "start_by": start_by, "integration": "jc", "job": job,
        }))
        .unwrap()
    }

    fn request(&mut self) -> Value {
        let mut request = json!({
            "number": "AR-1", "requester": "visitor@example.com", "justification": "because",
            "approvers": ["boss@example.com", "chief@example.com"],
        });
        if self.chance.percent(20) {
            match self.chance.between(0, 5) {
                0 => request["number"] = json!(" "),
                1 => drop(request.as_object_mut().unwrap().remove("justification")),
                2 => request["approvers"] = json!(["Boss@example.com", " boss@EXAMPLE.com", ""]),
                3 => request["approvers"] = json!(["Visitor@example.com", "boss@example.com"]),
                _ => request = json!({}),
            }
        }
        request
    }

    fn length(&mut self, role: &str) -> u64 {
        let named = self.rules.roles.iter().find(|(named, _)| *named == role);
        let limit = self.rules.longest.min(named.map_or(60_000, |(_, longest)| *longest)) / 1_000;
        let mut lengths = vec![1, 60, limit / 2, limit + 1, self.rules.continuous / 1_000];
        lengths.extend([limit; 12]);
        if self.chance.percent(3) { u64::MAX } else { self.chance.of(&lengths).max(1) }
    }

    fn grant(&mut self) {
        let named: Vec<&str> = self.rules.roles.iter().map(|(role, _)| *role).collect();
        let role = if named.is_empty() || self.chance.percent(25) {
            self.chance.of(&ROLES)
        } else {
            self.chance.of(&named)
        };
        let target = match self.chance.between(0, 10) {
            0..=2 => json!({"ephemeral": {"requester": self.chance.of(&MAILBOXES)}}),
            3..=4 => {
                let person = self.chance.of(&PEOPLE);
                json!({"account_id": self.world.cloud.by_email(person).unwrap().as_str()})
            }
            5 => json!({"email": self.chance.of(&["owner@example.com", "second@example.com"])}),
            _ => json!({"email": self.chance.of(&PEOPLE)}),
        };
        let grant = format!("g{}", self.jobs + 1);
        let (length, request) = (self.length(role), self.request());
        let mut job = json!({"type": "grant", "grant_id": grant, "target": target, "role": role,
            "duration_s": length, "request": request});
        if self.chance.percent(8) {
            let now = self.world.now.wall.0.div_euclid(1_000);
            job["until"] = json!(now + self.chance.of(&[-5, 30, 1_000, 1_000_000]));
        }
        self.grants.push(grant);
        let claims = self.claims(job);
        self.send(claims);
    }

    fn extend(&mut self) {
        let active = self.world.witness.state.grants.values().filter(|g| g.phase == Phase::Active);
        let live: Vec<String> = active.map(|g| g.terms.grant.to_string()).collect();
        let recent: Vec<String> = self.grants.iter().rev().take(6).cloned().collect();
        if recent.is_empty() {
            return;
        }
        let some = live.is_empty() || self.chance.percent(10);
        let grant = self.chance.of(if some { &recent } else { &live });
        let role = self.role_of(&grant);
        let (length, request) = (self.length(&role), self.request());
        let job = json!({"type": "extend", "grant_id": grant, "duration_s": length, "request": request});
        let claims = self.claims(job);
        self.send(claims);
    }

    fn role_of(&self, grant: &str) -> String {
        let role = self.delivered.iter().find_map(|d| match &d.claims.job {
            JobBody::Grant(body) if body.grant_id.as_str() == grant => Some(body.role.to_string()),
            _ => None,
        });
        role.unwrap_or_default()
    }

    fn revoke(&mut self) {
        let Some(grant) = self.grants.last().cloned() else { return };
        let claims = self.claims(json!({"type": "revoke", "grant_id": grant}));
        self.send(claims);
    }

    /// Signs and delivers, with an approval of this job, of another one, or none.
    fn send(&mut self, mut claims: JobClaims) {
        let mut approved = false;
        let approval = match self.chance.between(0, 10) {
            _ if self.rules.approver.is_none() => None,
            0..=7 => {
                approved = true;
                Some(self.signer.approve(&claims, self.world.now.wall))
            }
            8 if !self.approvals.is_empty() => Some(self.chance.of(&self.approvals)),
            _ => None,
        };
        if let Some(approval) = approval {
            self.approvals.push(approval.clone());
            match &mut claims.job {
                JobBody::Grant(grant) => grant.request.approvals.push(approval),
                JobBody::Extend(extend) => extend.request.approvals.push(approval),
                _ => {}
            }
        }
        if approved && self.chance.percent(10) {
            // What was approved is not what is asked.
            approved = !other_length(&mut claims.job);
        }
        let jws = self.signer.sign(&claims);
        self.sent.push((jws.clone(), claims.job_id.clone()));
        let at = self.world.now.wall.0;
        self.delivered.push(Delivered { claims, at, approved });
        self.deliver(&jws);
    }

    fn deliver(&mut self, jws: &str) {
        let (approver, now) = (self.rules.approver.as_ref(), self.world.now.wall);
        if let Some(job) = self.signer.receive(jws, approver, now) {
            self.world.input(Input::Job(Box::new(job)));
        }
    }

    /// A job that has its answer is delivered again: it must have no second effect.
    fn repeat(&mut self) {
        let answered = |id: &JobId| self.world.answers.contains_key(id);
        let known: Vec<String> =
            self.sent.iter().filter(|(_, id)| answered(id)).map(|(jws, _)| jws.clone()).collect();
        if known.is_empty() {
            return;
        }
        self.saw("repeat");
        let jws = self.chance.of(&known);
        self.deliver(&jws);
    }

    fn cancel(&mut self) {
        if let Some((_, job)) = self.sent.last().cloned() {
            self.world.input(Input::Cancelled(job));
        }
    }

    fn restart(&mut self) {
        // Long enough for what is answered to be on the disk.
        self.world.run(1_000);
        self.saw("restart");
        self.world.crash();
        self.world.start();
        self.world.run(2_000);
    }

    fn wait(&mut self) {
        let (rest, longest) = (self.rules.rest, self.rules.longest);
        let spans = [60_000, longest / 2, longest, rest.saturating_sub(1_500), rest + 5_000, 3_600_000];
        let span = self.chance.of(&spans);
        self.world.run(span);
    }

    /// Up to the instant at which something ends, or just before: the place for a chain.
    fn wait_for_the_end(&mut self) {
        let now = self.world.now;
        let ends = self.world.witness.state.grants.values().filter(|g| g.phase.is_live());
        let next = ends.map(|g| g.end.wakes_at(now).0.saturating_sub(now.boot.0)).min();
        let early = self.chance.of(&[0, 1, 500, 3_000]);
        self.world.run(next.unwrap_or(0).saturating_sub(early));
    }

    /// Every state that an account went through: (wall clock, account, roles).
    pub(crate) fn history(&self) -> Vec<(i64, AccountId, Option<Vec<String>>)> {
        let shift = self.world.now.wall.0 - i64::try_from(self.world.now.boot.0).unwrap();
        let roles = |roles: &Vec<_>| roles.iter().map(ToString::to_string).collect();
        let states = self.world.cloud.history.iter();
        states
            .map(|(at, id, now)| (i64::try_from(*at).unwrap() + shift, id.clone(), now.as_ref().map(roles)))
            .collect()
    }
}

/// Another duration than before; false if the job has none.
fn other_length(job: &mut JobBody) -> bool {
    match job {
        JobBody::Grant(grant) => grant.duration_s ^= 1 << 10,
        JobBody::Extend(extend) => extend.duration_s ^= 1 << 10,
        _ => return false,
    }
    true
}
