//! What people and the control plane do, and what tests ask.

use ephemerald::engine::{
    ids::{AccountId, GrantId, JobId, RoleName},
    input::Input,
    job::{AccessRequest, Ask, Digest, ExtendJob, GrantJob, Job, Target},
    record::Record,
    time::Millis,
};

use super::{START, World, email, jc, role};

impl World {
    pub(crate) fn grant(&mut self, address: &str, wanted: &str, minutes: u64) -> GrantId {
        self.grant_to(Target::Email(email(address)), wanted, minutes)
    }

    pub(crate) fn grant_ephemeral(&mut self, minutes: u64, wanted: &str) -> GrantId {
        let n = self.jobs + 1;
        let target = Target::Ephemeral {
            address: email(&format!("ada+tag{n}@example.com")),
            requester: email("ada@example.com"),
            firstname: None,
            lastname: None,
        };
        self.grant_to(target, wanted, minutes)
    }

    pub(crate) fn grant_to(&mut self, target: Target, wanted: &str, minutes: u64) -> GrantId {
        let (job, grant) = self.grant_job(target, wanted, minutes);
        self.input(Input::Job(Box::new(job)));
        grant
    }

    pub(crate) fn grant_job(&mut self, target: Target, wanted: &str, minutes: u64) -> (Job, GrantId) {
        self.grant_job_for(target, wanted, minutes * 60_000)
    }

    /// As [`World::grant`], for so many milliseconds.
    pub(crate) fn grant_for(&mut self, address: &str, wanted: &str, ms: u64) -> GrantId {
        let (job, grant) = self.grant_job_for(Target::Email(email(address)), wanted, ms);
        self.input(Input::Job(Box::new(job)));
        grant
    }

    fn grant_job_for(&mut self, target: Target, wanted: &str, ms: u64) -> (Job, GrantId) {
        let job = self.next_job();
        let grant = GrantId::new(&format!("g{}", self.jobs)).unwrap();
        let duration = Millis(ms);
        let ask = GrantJob { grant: grant.clone(), target, role: role(wanted), duration, until: None };
        let request = AccessRequest { number: Some("REQ-1".to_owned()), ..AccessRequest::default() };
        (Job { ask: Ask::Grant(Box::new(ask), request), ..job }, grant)
    }

    pub(crate) fn revoke(&mut self, grant: &GrantId) -> JobId {
        let job = Job { ask: Ask::Revoke(grant.clone()), ..self.next_job() };
        let id = job.id.clone();
        self.input(Input::Job(Box::new(job)));
        id
    }

    /// Asks for the inventory; the job's id.
    pub(crate) fn sync(&mut self) -> String {
        let job = Job { ask: Ask::Sync, ..self.next_job() };
        let id = job.id.to_string();
        self.input(Input::Job(Box::new(job)));
        id
    }

    /// Asks for so many milliseconds from now; the job's id.
    pub(crate) fn extend(&mut self, grant: &GrantId, ms: u64) -> String {
        let job = self.extend_job(grant, ms);
        let id = job.id.to_string();
        self.input(Input::Job(Box::new(job)));
        id
    }

    pub(crate) fn extend_job(&mut self, grant: &GrantId, ms: u64) -> Job {
        let ask = ExtendJob { grant: grant.clone(), duration: Millis(ms) };
        let request = AccessRequest { number: Some("REQ-2".to_owned()), ..AccessRequest::default() };
        Job { ask: Ask::Extend(ask, request), ..self.next_job() }
    }

    pub(crate) fn next_job(&mut self) -> Job {
        self.jobs += 1;
        let mut digest = [0u8; 32];
        digest[..8].copy_from_slice(&self.jobs.to_be_bytes());
        Job {
            id: JobId::new(&format!("j{}", self.jobs)).unwrap(),
            digest: Digest(digest),
            integration: jc(),
            start_by: self.now.wall + Millis::from_secs(600),
            ask: Ask::Test,
            jws: "header.payload.signature".to_owned(),
        }
    }

    pub(crate) fn human_sets(&mut self, id: &AccountId, roles: &[&str]) {
        let roles: Vec<RoleName> = roles.iter().map(|r| role(r)).collect();
        self.cloud.set(self.now.boot.0, id, roles);
    }

    pub(crate) fn roles_of(&self, id: &AccountId) -> Vec<String> {
        self.cloud
            .admins
            .get(id)
            .map(|a| a.roles.iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    }

    pub(crate) fn result(&self, job: &str) -> Option<String> {
        let (code, rule) = self.answers.get(job)?.last()?;
        Some(rule.map_or_else(|| code.to_string(), |rule| format!("{code}/{rule}")))
    }

    pub(crate) fn records(&self, kind: &str) -> Vec<&Record> {
        self.all.iter().map(|e| &e.record).filter(|r| r.kind() == kind).collect()
    }

    pub(crate) fn ended(&self, grant: &GrantId) -> Option<String> {
        self.all.iter().rev().find_map(|e| match &e.record {
            Record::GrantGone(gone) if gone.about.grant == *grant => Some(gone.reason.to_string()),
            _ => None,
        })
    }

    pub(crate) fn story(&self) -> String {
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
