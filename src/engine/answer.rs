//! The one final result of a job.

use super::{
    Engine,
    codes::{ResultCode, Rule},
    ids::{GrantId, RoleName},
    inventory::Counts,
    job::{Ask, ExtendJob, Job},
    observed::Fault,
    record::{Answer, Record},
    state::JOB_MEMORY_MS,
    time::Timestamp,
};

/// What a result may carry beside its code.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) grant: Option<GrantId>,
    pub(super) fault: Option<Fault>,
    pub(super) observed: Option<Vec<RoleName>>,
    pub(super) would_write: Option<Vec<RoleName>>,
    pub(super) inventory: Option<Counts>,
}

impl Engine {
    /// Answers a job that has no grant of its own (refused, revoke, test) and stops waiting for it.
    pub(super) fn answer(&mut self, job: &Job, code: ResultCode, rule: Option<Rule>, evidence: Evidence) {
        if let Some(pending) = self.pending.remove(&job.id)
            && let Some(desk) = pending.at.and_then(|at| self.desks.get_mut(&at))
        {
            desk.jobs.retain(|waiting| *waiting != job.id);
        }
        let named = match &job.ask {
            Ask::Grant(grant, _) => Some(grant.grant.clone()),
            Ask::Revoke(grant) | Ask::Extend(ExtendJob { grant, .. }, _) => Some(grant.clone()),
            Ask::Sync | Ask::Test => None,
        };
        self.keep_evidence(job);
        self.write(Record::JobAnswered(Answer {
            job: job.id.clone(),
            digest: job.digest,
            integration: Some(job.integration.clone()),
            code,
            rule,
            grant: evidence.grant.or(named),
            fault: evidence.fault,
            observed: evidence.observed,
            would_write: evidence.would_write,
            inventory: evidence.inventory,
            policy_hash: self.hash_in_force(),
            forget_at: Timestamp(job.start_by.0.saturating_add(JOB_MEMORY_MS)),
        }));
    }

    /// Keeps the signed job beside what it led to.
    pub(super) fn keep_evidence(&mut self, job: &Job) {
        let (job, digest, jws) = (job.id.clone(), job.digest, job.jws.clone());
        self.write(Record::JobEvidence { job, digest, jws });
    }

    /// Refuses a job by a rule.
    pub(super) fn reject(&mut self, job: &Job, rule: Rule) {
        self.answer(job, ResultCode::Rejected, Some(rule), Evidence::default());
    }
}
