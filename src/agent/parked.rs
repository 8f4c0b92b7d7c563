//! Jobs that cannot be put into the engine's words yet: the address of an ephemeral account is bound to
//! the organization, and the integration has not said which one it is. They wait here, for a while and
//! not beyond their start-by instant, and delay nobody else's.

use crate::{
    control::{verify::VerifiedJob, wire::JobBody, wire::Target},
    engine::{
        Engine,
        codes::{ResultCode, Rule},
        ids::{IntegrationId, JobId},
        input::Refusal,
        time::{BootTime, Millis, Now},
    },
};

/// How long a job waits for its integration to answer; as long as the engine waits for a read.
const PATIENCE: Millis = Millis::from_secs(30);

/// The waiting jobs, oldest first.
#[derive(Debug, Default)]
pub(super) struct Parked {
    jobs: Vec<(BootTime, Box<VerifiedJob>)>,
}

impl Parked {
    /// Whether a job has to wait: its address is bound to an organization that is not known yet.
    pub(super) fn must_wait(job: &VerifiedJob, engine: &Engine) -> bool {
        let ephemeral =
            matches!(&job.claims.job, JobBody::Grant(body) if matches!(body.target, Target::Ephemeral(_)));
        let unknown = |i: &IntegrationId| engine.integrations().any(|v| v.id == *i && v.org.is_none());
        ephemeral && unknown(&job.claims.integration)
    }

    /// Takes a job in; one that waits already is not taken twice.
    pub(super) fn put(&mut self, job: Box<VerifiedJob>, now: Now) {
        if !self.jobs.iter().any(|(_, waiting)| waiting.digest == job.digest) {
            self.jobs.push((now.boot, job));
        }
    }

    /// The jobs whose waiting is over, because the organization is known or because it never was.
    pub(super) fn over(&mut self, engine: &Engine, now: Now) -> Vec<Result<Box<VerifiedJob>, Refusal>> {
        let (mut over, mut waiting) = (Vec::new(), Vec::new());
        for (since, job) in std::mem::take(&mut self.jobs) {
            let expired = job.claims.start_by.saturating_mul(1000) <= now.wall.0;
            if !Self::must_wait(&job, engine) {
                over.push(Ok(job));
            } else if expired {
                over.push(Err(refusal(&job, ResultCode::ExpiredBeforeStart, None)));
            } else if now.boot.since(since) >= PATIENCE {
                over.push(Err(refusal(&job, ResultCode::Rejected, Some(Rule::NotObservable))));
            } else {
                waiting.push((since, job));
            }
        }
        self.jobs = waiting;
        over
    }

    /// Takes a withdrawn job out.
    pub(super) fn cancel(&mut self, job: &JobId) -> Option<Refusal> {
        let at = self.jobs.iter().position(|(_, waiting)| waiting.claims.job_id == *job)?;
        Some(refusal(&self.jobs.remove(at).1, ResultCode::Cancelled, None))
    }

    /// Ids and integrations of the waiting jobs.
    pub(super) fn ids(&self) -> impl Iterator<Item = (JobId, IntegrationId)> {
        self.jobs.iter().map(|(_, job)| (job.claims.job_id.clone(), job.claims.integration.clone()))
    }
}

fn refusal(job: &VerifiedJob, code: ResultCode, rule: Option<Rule>) -> Refusal {
    Refusal { job: job.claims.job_id.clone(), digest: job.digest, code, rule }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::{
        Restored,
        action::{Action, Look},
        input::{Input, Outcome},
        job::Digest,
        observed::WhoAmI,
        settings::{IntegrationSettings, RoleMode, Settings, Timing},
        time::Timestamp,
    };

    fn now(seconds: u64) -> Now {
        let wall = Timestamp(1_790_000_000_000) + Millis::from_secs(seconds);
        Now { wall, boot: BootTime(1_000_000) + Millis::from_secs(seconds), ..Now::default() }
    }

    fn engine() -> (Engine, Vec<Action>) {
        let integration = IntegrationSettings {
            id: IntegrationId::new("jc").unwrap(),
            role_mode: RoleMode::Single,
            role_order: vec![],
            floor_role: crate::engine::ids::RoleName::new("Read Only").unwrap(),
            exclude_accounts: vec![],
            offered_roles: None,
            email_template: None,
            observe_interval: Millis::from_secs(60),
            rate_per_second: 10,
        };
        let settings = Settings { integrations: vec![integration], timing: Timing::default() };
        let (engine, step) = Engine::new(settings, Restored::default(), 1, now(0));
        (engine, step.actions)
    }

    fn job(target: &serde_json::Value) -> Box<VerifiedJob> {
        let claims = json!({
            "v": 1, "iss": "https://cp.example.com", "aud": "agent-1", "job_id": "job-1", "iat": 1_790_000_000,
            "start_by": 1_790_000_100, "integration": "jc",
            "job": {"type": "grant", "grant_id": "g", "target": target, "role": "Help Desk", "duration_s": 60, "request": {}},
        });
        let claims = serde_json::from_value(claims).unwrap();
        Box::new(VerifiedJob { claims, jws: String::new(), digest: Digest([1; 32]) })
    }

    fn ephemeral() -> Box<VerifiedJob> {
        job(&json!({"ephemeral": {"requester": "ada@example.com"}}))
    }

    #[test]
    fn only_a_job_whose_address_cannot_be_made_yet_waits() {
        let (mut engine, actions) = engine();
        assert!(Parked::must_wait(&ephemeral(), &engine));
        assert!(!Parked::must_wait(&job(&json!({"email": "ada@example.com"})), &engine));
        let who = actions.iter().find_map(|action| match action {
            Action::Read(read) if read.what == Look::WhoAmI => Some(read.call),
            _ => None,
        });
        let org = crate::engine::ids::OrgId::new("5f0000000000000000000001").ok();
        let me = WhoAmI { account: None, email: None, role: None, org };
        engine.handle(now(1), Input::Outcome(who.unwrap(), Outcome::WhoAmI(Ok(me))));
        assert!(!Parked::must_wait(&ephemeral(), &engine));
    }

    #[test]
    fn waiting_ends_with_patience_or_with_the_start_by_instant_and_answers_once() {
        let (engine, _) = engine();
        let refusal = |arrived, looked| {
            let mut parked = Parked::default();
            parked.put(ephemeral(), now(arrived));
            parked.put(ephemeral(), now(arrived));
            assert_eq!(parked.ids().count(), 1, "it is one job");
            let over = parked.over(&engine, now(looked));
            assert_eq!(parked.ids().count() + over.len(), 1);
            over.into_iter().next().map(|o| o.map(|_| ()).map_err(|r| (r.code, r.rule)))
        };
        assert_eq!(refusal(0, 29), None);
        assert_eq!(refusal(0, 30), Some(Err((ResultCode::Rejected, Some(Rule::NotObservable)))));
        assert_eq!(refusal(90, 100), Some(Err((ResultCode::ExpiredBeforeStart, None))));
    }

    #[test]
    fn a_withdrawn_job_waits_no_longer() {
        let mut parked = Parked::default();
        parked.put(ephemeral(), now(0));
        assert!(parked.cancel(&JobId::new("other").unwrap()).is_none());
        let refusal = parked.cancel(&JobId::new("job-1").unwrap()).unwrap();
        assert_eq!((refusal.code, parked.ids().count()), (ResultCode::Cancelled, 0));
    }
}
