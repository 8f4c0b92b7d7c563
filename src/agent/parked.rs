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
