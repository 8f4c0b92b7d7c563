//! Jobs as they come in: duplicates, windows, gates, and what can be answered at once.

use super::{
    Engine, Pending,
    account::AccountRef,
    action::Action,
    alarms::Wake,
    answer::Evidence,
    codes::{EndReason, ResultCode, Rule, WokenBy},
    grant::{Phase, Terms},
    ids::{Email, GrantId, IntegrationId, JobId, RoleName},
    input::Refusal,
    job::{Ask, GrantJob, Job, Target},
    orphans,
    policy::{Asked, Facts, Policy, Whose},
    record::{Answer, Record},
    state::JOB_MEMORY_MS,
    tenant::Errand,
    time::{Millis, Timestamp},
    usage,
};

/// Refused deliveries are remembered by digest so that a flood of them does not fill the journal.
const REFUSED_MEMORY: usize = 1024;

/// A gate's verdict: the code to answer with, and the rule behind it.
pub(super) type Gate = Result<(), (ResultCode, Option<Rule>)>;

impl Engine {
    /// A verified job arrived, perhaps not for the first time.
    pub(super) fn receive(&mut self, job: Job) {
        if self.is_repeat(&job) {
            return;
        }
        if let Ask::Revoke(grant) = job.ask.clone() {
            return self.revoke(&job, &grant); // no window and no gate for an ending
        }
        if !self.tenants.contains_key(&job.integration) {
            return self.reject(&job, Rule::UnknownIntegration);
        }
        if job.start_by <= self.now.wall {
            return self.answer(&job, ResultCode::ExpiredBeforeStart, None, Evidence::default());
        }
        if matches!(job.ask, Ask::Grant(..)) && self.is_abroad(&job.integration) {
            return self.reject(&job, Rule::Credential);
        }
        match job.ask.clone() {
            Ask::Extend(ask, request) => self.extend(&job, &ask, &request),
            Ask::Sync => self.begin_sync(job),
            Ask::Revoke(_) => {
                self.answer(&job, ResultCode::UnsupportedJobType, None, Evidence::default());
            }
            Ask::Test => self.begin_test(job),
            // These stand for accounts that no control plane asked for.
            Ask::Grant(grant, _) if grant.grant.as_str().starts_with(orphans::PREFIX) => {
                self.reject(&job, Rule::Malformed);
            }
            Ask::Grant(grant, _) => match self.gate(&job, None) {
                Err((code, rule)) => self.answer(&job, code, rule, Evidence::default()),
                Ok(()) if self.state.grants.contains_key(&grant.grant) => {
                    self.answer(&job, ResultCode::Conflict, Some(Rule::DuplicateGrant), Evidence::default());
                }
                Ok(()) => self.begin_grant(job, &grant),
            },
        }
    }

    /// Everything that gates a raise and can be judged without reading JumpCloud. Asked when a job
    /// comes in and again just before its raise is handed out; `found` is the account's address by then.
    pub(super) fn gate(&self, job: &Job, found: Option<&Email>) -> Gate {
        let Ask::Grant(grant, request) = &job.ask else { return Ok(()) };
        if grant.until.is_some_and(|until| until <= self.now.wall) {
            return Err((ResultCode::ExpiredBeforeStart, None));
        }
        let refuse = |rule| (ResultCode::Rejected, Some(rule));
        let policy = self.open_gate()?;
        let whose = found.map_or_else(|| Whose::of(&grant.target), Whose::Account);
        let wanted = self.now.wall + grant.duration;
        let until = grant.until.map_or(wanted, |until| until.min(wanted));
        let facts = Facts {
            manages_admins: Some(self.is_known_to_manage(&job.integration, &grant.role)),
            live: Some(self.state.live_grants()),
            last_hour: Some(self.accepted_lately()),
            continuous: usage::person(whose).map(|who| self.continuous(&who, until)),
        };
        let (role, duration, from) = (&grant.role, grant.duration, self.now.wall);
        policy.judge(&Asked { role, duration, whose, request, from, until, facts }).map_err(refuse)?;
        if !self.offers(&job.integration, &grant.role) {
            return Err(refuse(Rule::RoleNotGrantable));
        }
        Ok(())
    }

    /// The same for a grant that was accepted and whose raise was certainly not carried out.
    pub(super) fn gate_again(&self, terms: &Terms, found: &Email) -> Gate {
        let whose = terms.requester.as_ref().map_or(Whose::Account(found), Whose::Ephemeral);
        let facts = Facts {
            manages_admins: Some(self.is_known_to_manage(&terms.integration, &terms.role)),
            live: Some(self.state.live_grants().saturating_sub(1)),
            last_hour: Some(self.accepted_lately().saturating_sub(1)),
            continuous: self.counted(&usage::whose(terms)),
        };
        let asked = Asked {
            role: &terms.role,
            duration: terms.ends_at.since(terms.accepted_at),
            whose,
            request: &terms.request,
            from: self.now.wall,
            until: terms.ends_at,
            facts,
        };
        let policy = self.open_gate()?;
        policy.judge(&asked).map_err(|rule| (ResultCode::Rejected, Some(rule)))?;
        if policy.dry_run { Err((ResultCode::DryRun, None)) } else { Ok(()) }
    }

    pub(super) fn is_known_to_manage(&self, integration: &IntegrationId, role: &RoleName) -> bool {
        self.tenants.get(integration).is_some_and(|t| t.order.is_known_to_manage(role))
    }

    /// Whether the credential is known to belong to another organization than the pinned one.
    fn is_abroad(&self, integration: &IntegrationId) -> bool {
        self.tenants.get(integration).is_some_and(|t| t.wrong_org)
    }

    /// Whether the integration offers the role at all.
    pub(super) fn offers(&self, integration: &IntegrationId, role: &RoleName) -> bool {
        self.tenants.get(integration).is_none_or(|t| t.settings.offers(role))
    }

    /// What must hold before anybody is given anything; the policy to judge it by.
    pub(super) fn open_gate(&self) -> Result<&Policy, (ResultCode, Option<Rule>)> {
        if !self.ledger_ok {
            return Err((ResultCode::LedgerUnavailable, None));
        }
        if !self.clock.is_trusted() {
            return Err((ResultCode::ClockUntrusted, None));
        }
        if self.state.frozen.is_some() {
            return Err((ResultCode::Frozen, None));
        }
        self.revoke_only_gate()?;
        self.policy.as_ref().ok_or((ResultCode::Rejected, Some(Rule::NoPolicy)))
    }

    /// A delivery that is not a job of ours is answered once per body, and does not use up its id.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        // The same body as a job that we know: it came again, too late or under another policy. It has,
        // or will have, its one result.
        if let Some(seen) = self.state.jobs.get(&refusal.job).filter(|s| s.digest == refusal.digest) {
            self.out.actions.extend(seen.answer.map(Action::Requeue));
            return;
        }
        if self.pending.get(&refusal.job).is_some_and(|p| p.job.digest == refusal.digest) {
            return;
        }
        if self.refused.len() >= REFUSED_MEMORY {
            self.refused.clear();
        }
        if !self.refused.insert(refusal.digest) {
            return;
        }
        let policy_hash = self.hash_in_force();
        self.write(Record::JobRefused(Answer {
            job: refusal.job,
            digest: refusal.digest,
            integration: None,
            code: refusal.code,
            rule: refusal.rule,
            grant: None,
            fault: None,
            observed: None,
            would_write: None,
            inventory: None,
            policy_hash: refusal.rule.filter(|r| r.is_local_policy()).and(policy_hash),
            forget_at: Timestamp(self.now.wall.0.saturating_add(JOB_MEMORY_MS)),
        }));
    }

    /// The control plane withdrew a job: what is not raised yet is not raised, what may have been is
    /// ended. An active grant is ended by a revoke job, not by a cancellation.
    pub(super) fn cancel(&mut self, job: &JobId) {
        if let Some(pending) = self.pending.get(job).cloned() {
            return self.answer(&pending.job, ResultCode::Cancelled, None, Evidence::default());
        }
        if self.withdraw_extension(job) {
            return;
        }
        let grant = self.state.grants.values().find(|g| g.terms.job == *job && !g.answered);
        if let Some(grant) = grant.map(|g| g.terms.grant.clone()) {
            self.end(&grant, EndReason::Requested, WokenBy::Operator);
        }
    }

    /// A waiting job's time is over.
    pub(super) fn pending_deadline(&mut self, job: &JobId) {
        let Some(pending) = self.pending.get(job).cloned() else { return };
        if self.now.boot < pending.deadline {
            return;
        }
        if let Some(until) = self.more_patience(&pending) {
            self.alarms.set(until, Wake::Job(job.clone()));
            self.pending.entry(job.clone()).and_modify(|p| p.deadline = until);
            return;
        }
        let fault = self.tenants.get(&pending.job.integration).and_then(|t| t.last_fault.clone());
        let evidence = Evidence { fault, ..Evidence::default() };
        if self.is_abroad(&pending.job.integration) {
            self.answer(&pending.job, ResultCode::Rejected, Some(Rule::Credential), evidence);
        } else if pending.handed {
            self.answer(&pending.job, ResultCode::Failed, Some(Rule::NotDelivered), evidence);
        } else if pending.job.start_by <= self.now.wall && !self.has_read_in_vain(&pending) {
            self.answer(&pending.job, ResultCode::ExpiredBeforeStart, None, evidence);
        } else {
            self.answer(&pending.job, ResultCode::Failed, Some(Rule::NotObservable), evidence);
        }
    }

    fn is_repeat(&mut self, job: &Job) -> bool {
        let known = self.state.jobs.get(&job.id).map(|seen| (seen.digest, seen.answer));
        let waiting = || self.pending.get(&job.id).map(|p| (p.job.digest, None));
        let Some((digest, answer)) = known.or_else(waiting) else { return false };
        if digest != job.digest {
            self.write(Record::JobEquivocated { job: job.id.clone(), digest: job.digest });
        } else if let Some(seq) = answer {
            self.out.actions.push(Action::Requeue(seq));
        }
        true
    }

    fn revoke(&mut self, job: &Job, grant: &GrantId) {
        let Some(found) = self.state.grants.get(grant) else {
            let Some(waiting) = self.waiting_for(grant).map(|p| p.job.clone()) else {
                return self.reject(job, Rule::UnknownGrant);
            };
            // The grant has not been decided yet: it never will be.
            self.answer(&waiting, ResultCode::Cancelled, None, Evidence::default());
            return self.answer(job, ResultCode::AlreadyEnded, None, Evidence::default());
        };
        if matches!(found.phase, Phase::Settling | Phase::Ended) {
            return self.answer(job, ResultCode::AlreadyEnded, None, Evidence::default());
        }
        let about = found.about();
        self.keep_evidence(job);
        self.write(Record::RevokeRequested { about, job: job.id.clone(), digest: job.digest });
        self.end(grant, EndReason::Requested, WokenBy::Operator);
    }

    /// The job of a grant that is not decided yet.
    pub(super) fn waiting_for(&self, grant: &GrantId) -> Option<&Pending> {
        let asks = |p: &&Pending| matches!(&p.job.ask, Ask::Grant(g, _) if g.grant == *grant);
        self.pending.values().find(asks)
    }

    fn begin_grant(&mut self, job: Job, grant: &GrantJob) {
        let at = match &grant.target {
            Target::Account(id) => Some(super::account::AccountKey::Standing(id.clone())),
            Target::Ephemeral { .. } | Target::Email(_) => None,
        };
        let integration = job.integration.clone();
        let at = at.map(|account| AccountRef { integration: integration.clone(), account });
        if at.as_ref().is_some_and(|at| self.is_barred(at)) {
            return self.reject(&job, Rule::AccountBarred);
        }
        let id = job.id.clone();
        self.wait_for(job, at.clone(), self.settings.timing.raise_timeout);
        self.want_probes(&integration);
        match at {
            Some(at) => {
                self.desks.entry(at.clone()).or_default().jobs.push(id);
                self.dirty.insert(at);
            }
            None => self.want(&integration, Errand::List),
        }
    }

    fn begin_test(&mut self, job: Job) {
        let integration = job.integration.clone();
        self.wait_for(job, None, self.settings.timing.raise_timeout);
        for errand in [Errand::WhoAmI, Errand::Roles, Errand::Survey] {
            self.want(&integration, errand);
        }
    }

    pub(super) fn wait_for(&mut self, job: Job, at: Option<AccountRef>, patience: Millis) {
        let patience = patience.min(job.start_by.since(self.now.wall));
        let deadline = self.now.boot + patience;
        let id = job.id.clone();
        self.alarms.set(deadline, Wake::Job(id.clone()));
        self.pending.insert(id, Pending { job, received: self.now.boot, deadline, at, handed: false });
    }
}
