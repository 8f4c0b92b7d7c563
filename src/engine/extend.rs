//! Moving the end of a grant. More time is more access: it passes the gates of a raise and the ledger.
//!
//! ```text
//!   accepted ─ durable, and the end in force not reached ─▶ extended: the new end is in force
//!      └─ the end, a revocation, a withdrawal, a lost ledger ─▶ dropped: the old end stays
//! ```
//!
//! Refuses to believe an extension before its record is durable, to bring one into force that the policy would not
//! allow any more, and to shorten anything.

use super::{
    Engine,
    answer::Evidence,
    codes::{ResultCode, Rule},
    extension::{Extension, ExtensionDropped, GrantExtended},
    grant::{End, Grant, Phase},
    ids::{GrantId, JobId},
    intake::Gate,
    job::{AccessRequest, Digest, ExtendJob, Job},
    policy::{Asked, Facts, Whose},
    record::{Record, Seq},
    recovery::Held,
    time::{Millis, Timestamp},
    usage,
};

/// An extension in force whose record is not durable: a lost ledger takes it back.
#[derive(Clone, Debug)]
pub(super) struct Unsettled {
    seq: Seq,
    grant: GrantId,
    job: JobId,
    digest: Digest,
    /// The end that was in force before.
    from: End,
}

/// Why an extension does not come into force.
type Why = (ResultCode, Option<Rule>);

impl Engine {
    /// An extension is accepted or refused at once: nothing has to be read for it.
    pub(super) fn extend(&mut self, job: &Job, ask: &ExtendJob, request: &AccessRequest) {
        if let Err((code, rule)) = self.judge_extension(job, ask, request) {
            return self.answer(job, code, rule, Evidence::default());
        }
        let Some(about) = self.state.grants.get(&ask.grant).map(Grant::about) else { return };
        self.keep_evidence(job);
        let extension = Extension {
            about,
            job: job.id.clone(),
            digest: job.digest,
            end: End::after(self.now, ask.duration),
            request: request.clone(),
            policy_hash: self.hash_in_force().unwrap_or_default(),
        };
        self.write(Record::ExtensionAccepted(Box::new(extension)));
        self.extending.insert(ask.grant.clone());
    }

    fn judge_extension(&self, job: &Job, ask: &ExtendJob, request: &AccessRequest) -> Gate {
        let refuse = |rule| (ResultCode::Rejected, Some(rule));
        let here = |g: &&Grant| g.terms.integration == job.integration;
        let Some(grant) = self.state.grants.get(&ask.grant).filter(here) else {
            let undecided = self.waiting_for(&ask.grant).is_some();
            return Err(refuse(if undecided { Rule::GrantNotActive } else { Rule::UnknownGrant }));
        };
        match grant.phase {
            Phase::Active if grant.end.is_due(self.now) => return Err((ResultCode::TooLate, None)),
            Phase::Active => {}
            Phase::Applying | Phase::Indeterminate => return Err(refuse(Rule::GrantNotActive)),
            Phase::Revoking | Phase::Settling | Phase::Ended => return Err((ResultCode::TooLate, None)),
        }
        self.open_gate()?;
        if !self.may_end_at(&job.integration, &ask.grant, self.now.wall + ask.duration) {
            return Err((ResultCode::RateRefused, None));
        }
        if self.state.recovery.adopted.contains(&ask.grant) {
            return Err(refuse(Rule::RevokeOnly));
        }
        let until = self.now.wall + ask.duration;
        let continuous = self.continuous(&usage::whose(&grant.terms), until);
        let dry_run = self.judge_more_time(grant, until, request, continuous)?;
        let latest = grant.extensions.last().map_or(&grant.end, |(_, waiting)| &waiting.end);
        if !End::after(self.now, ask.duration).is_later_than(latest) {
            return Err(refuse(Rule::NotLonger));
        }
        if dry_run { Err((ResultCode::DryRun, None)) } else { Ok(()) }
    }

    /// What is asked of the policy and of the integration, at acceptance and again before more time comes into
    /// force; whether the policy in force only says what it would do.
    fn judge_more_time(
        &self,
        grant: &Grant,
        until: Timestamp,
        request: &AccessRequest,
        continuous: Millis,
    ) -> Result<bool, Why> {
        let refuse = |rule| (ResultCode::Rejected, Some(rule));
        let policy = self.open_gate()?;
        let at = grant.account_ref();
        policy.judge(&self.asked_of_extension(grant, until, request, continuous)).map_err(refuse)?;
        if !self.offers(&at.integration, &grant.terms.role) {
            return Err(refuse(Rule::RoleNotGrantable));
        }
        match (&grant.terms.requester, self.id_of(&at)) {
            (Some(_), _) => {}
            (None, Some(id)) => self.judge_account(&at, &id, &grant.terms.email).map_err(refuse)?,
            (None, None) => return Err(refuse(Rule::NotObservable)),
        }
        if self.tenants.get(&at.integration).is_none_or(|t| t.wrong_org || t.credential_refused) {
            return Err(refuse(Rule::Credential)); // an access whose end could not be carried out
        }
        Ok(policy.dry_run)
    }

    /// Another policy may be in force than the one that the extension was accepted under: by a reload, or after a
    /// start.
    fn judge_again(&self, grant: &Grant, extension: &Extension) -> Gate {
        if self.open_gate()?.hash == extension.policy_hash {
            return Ok(());
        }
        let counted = self.counted(&usage::whose(&grant.terms)).unwrap_or_default();
        let dry_run = self.judge_more_time(grant, extension.end.at, &extension.request, counted)?;
        if dry_run { Err((ResultCode::DryRun, None)) } else { Ok(()) }
    }

    /// More time is judged as a grant is; it is no further grant, so the numbers of grants do not count.
    fn asked_of_extension<'a>(
        &self,
        grant: &'a Grant,
        until: Timestamp,
        request: &'a AccessRequest,
        continuous: Millis,
    ) -> Asked<'a> {
        let terms = &grant.terms;
        Asked {
            role: &terms.role,
            duration: until.since(self.now.wall),
            whose: terms.requester.as_ref().map_or(Whose::Account(&terms.email), Whose::Ephemeral),
            request,
            from: self.now.wall,
            until,
            facts: Facts {
                manages_admins: Some(self.is_known_to_manage(&terms.integration, &terms.role)),
                live: None,
                last_hour: None,
                continuous: Some(continuous),
            },
        }
    }

    /// Brings into force what is durable by now, unless the end in force has come or it is not allowed any more.
    pub(super) fn extend_durable(&mut self) {
        self.unsettled.retain(|u| u.seq > self.durable);
        if !self.ledger_ok {
            return;
        }
        for grant in self.extending.clone() {
            let Some(found) = self.state.grants.get(&grant) else { continue };
            let ready = |(seq, _): &&(Seq, Extension)| *seq <= self.durable && found.phase == Phase::Active;
            let ready: Vec<Extension> =
                found.extensions.iter().filter(ready).map(|(_, waiting)| waiting.clone()).collect();
            for extension in ready {
                self.extend_or_drop(&grant, extension);
            }
            if self.state.grants.get(&grant).is_none_or(|g| g.extensions.is_empty()) {
                self.extending.remove(&grant);
            }
        }
    }

    fn extend_or_drop(&mut self, grant: &GrantId, extension: Extension) {
        let Some(found) = self.state.grants.get(grant) else { return };
        match self.judge_again(found, &extension) {
            Ok(()) => self.extend_now(grant, extension),
            // Nobody has read the policy yet, or knows the time: that may change before the end in force.
            Err((ResultCode::ClockUntrusted, _) | (_, Some(Rule::NoPolicy))) => {}
            Err(why) => {
                let end = found.end;
                self.drop_extension(grant, extension.job, extension.digest, why, end);
            }
        }
    }

    fn extend_now(&mut self, grant: &GrantId, extension: Extension) {
        let Some(found) = self.state.grants.get(grant).filter(|g| !g.end.is_due(self.now)) else { return };
        let (from, before) = (found.end, found.terms.roles_before.clone());
        let account = self.id_of(&found.account_ref());
        let Extension { about, job, digest, end, policy_hash, .. } = extension;
        let unsettled = (grant.clone(), job.clone());
        let held = self.held(grant).map(|held| Box::new(Held { ends_at: end.at, ..held }));
        let record =
            GrantExtended { about, job, digest, account, before, from: from.at, held, end, policy_hash };
        let seq = self.write(Record::GrantExtended(Box::new(record)));
        let (grant, job) = unsettled;
        self.anchor(&grant);
        self.arm(&grant);
        self.unsettled.push(Unsettled { seq, grant, job, digest, from });
    }

    /// After a start: what is durable comes into force, if its time has not passed meanwhile.
    pub(super) fn start_extensions(&mut self) {
        let extended = self.state.grants.values().filter(|g| !g.extensions.is_empty());
        self.extending = extended.map(|g| g.terms.grant.clone()).collect();
        self.extend_durable();
        for grant in self.extending.clone() {
            if self.state.grants.get(&grant).is_some_and(|g| !g.phase.is_live()) {
                self.drop_extensions(&grant);
            }
        }
    }

    /// The grant ends: what was to extend it is too late.
    pub(super) fn drop_extensions(&mut self, grant: &GrantId) {
        self.extending.remove(grant);
        let Some(found) = self.state.grants.get(grant) else { return };
        let (end, waiting) = (found.end, found.extensions.clone());
        for (_, extension) in waiting {
            self.drop_extension(grant, extension.job, extension.digest, (ResultCode::TooLate, None), end);
        }
    }

    /// An operator froze raises: what is not in force yet does not come into force.
    pub(super) fn freeze_extensions(&mut self) {
        for grant in std::mem::take(&mut self.extending) {
            let Some(found) = self.state.grants.get(&grant) else { continue };
            let (end, waiting) = (found.end, found.extensions.clone());
            for (_, extension) in waiting {
                self.drop_extension(&grant, extension.job, extension.digest, (ResultCode::Frozen, None), end);
            }
        }
    }

    /// The control plane withdrew an extension that is not in force; true if there was one.
    pub(super) fn withdraw_extension(&mut self, job: &JobId) -> bool {
        let asked = |g: &&Grant| g.extensions.iter().any(|(_, waiting)| waiting.job == *job);
        let Some(grant) = self.state.grants.values().find(asked) else { return false };
        let (grant, end) = (grant.terms.grant.clone(), grant.end);
        let digest = self.state.jobs.get(job).map_or(Digest([0; 32]), |seen| seen.digest);
        self.drop_extension(&grant, job.clone(), digest, (ResultCode::Cancelled, None), end);
        true
    }

    /// The ledger is lost: the end of which nobody can doubt that it is durable counts again. Whether
    /// the extension became durable is seen once the ledger is read anew.
    pub(super) fn take_extensions_back(&mut self) {
        for undone in std::mem::take(&mut self.unsettled).into_iter().rev() {
            let Unsettled { grant, job, digest, from, .. } = undone;
            if self.state.grants.get(&grant).is_some_and(|g| g.phase.is_live()) {
                self.drop_extension(&grant, job, digest, (ResultCode::TooLate, None), from);
                self.arm(&grant);
            }
        }
        for grant in std::mem::take(&mut self.extending) {
            self.drop_extensions(&grant);
        }
    }

    fn drop_extension(&mut self, grant: &GrantId, job: JobId, digest: Digest, why: Why, end: End) {
        let Some(about) = self.state.grants.get(grant).map(Grant::about) else { return };
        let ((code, rule), policy_hash) = (why, self.hash_in_force());
        let dropped = ExtensionDropped { about, job, digest, code, rule, policy_hash, end };
        self.write(Record::ExtensionDropped(dropped));
    }
}
