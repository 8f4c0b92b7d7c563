//! Deciding a waiting grant job on a fresh read of its account: refuse it with a reason, accept it,
//! and raise. The one place where access is given.

use super::{
    Engine, Purpose,
    account::{AccountKey, AccountRef, Effect},
    action::{Raise, RaiseChange, RoleField},
    answer::Evidence,
    budget::Lane,
    codes::{ResultCode, Rule},
    desk::Sighting,
    grant::{GrantKind, Terms},
    ids::{AccountId, Email, GrantId, JobId, RoleName},
    job::{Ask, GrantJob, Job, Target},
    plan,
    planted::{self, Planted},
    record::Record,
    settings::RoleMode,
    tenant::Errand,
    time::{BootTime, Millis},
};

/// How old the listing may be on which an ephemeral account is created.
const CLEAR_LISTING: Millis = Millis(5_000);

/// What to do with a waiting grant job.
pub(super) enum Verdict {
    Wait,
    Answer(ResultCode, Option<Rule>),
    Covered,
    Write(Vec<RoleName>),
}

impl Engine {
    /// Decides the jobs that wait for this account, until one of them writes.
    pub(super) fn decide(&mut self, at: &AccountRef) {
        let jobs = self.desks.get(at).map(|d| d.jobs.clone()).unwrap_or_default();
        for id in jobs {
            if self.desks.get(at).is_none_or(|d| d.flight.is_some()) {
                return;
            }
            let Some(pending) = self.pending.get(&id).cloned() else {
                self.drop_from_desk(at, &id);
                continue;
            };
            let Ask::Grant(grant, _) = &pending.job.ask else { continue };
            match &at.account {
                AccountKey::Ephemeral(address) => self.decide_ephemeral(at, &pending.job, grant, address),
                AccountKey::Standing(_) => self.decide_standing(at, &pending.job, grant),
            }
        }
    }

    fn decide_standing(&mut self, at: &AccountRef, job: &Job, grant: &GrantJob) {
        let Some(seen) = self.desks.get(at).and_then(|d| d.fresh(self.now.boot)).cloned() else { return };
        match self.judge(at, job, grant, &seen) {
            Verdict::Wait => {}
            Verdict::Answer(code, rule) => self.answer_seen(job, code, rule, &seen.account.roles),
            Verdict::Write(roles) if self.is_dry_run() => self.answer_dry(job, &seen.account.roles, roles),
            Verdict::Covered if self.is_dry_run() => self.answer_dry(job, &seen.account.roles, Vec::new()),
            Verdict::Covered => {
                self.accept(at, job, grant, Some(&seen));
                self.confirm_covered(at, &grant.grant, &seen);
            }
            Verdict::Write(roles) => {
                if self.take_or_queue(at, Lane::RaiseWrite) {
                    self.lower_baseline(at, &seen.account.roles);
                    self.accept(at, job, grant, Some(&seen));
                    self.raise_roles(at, &seen, roles);
                }
            }
        }
    }

    /// Everything between a fresh read and a raise.
    fn judge(&mut self, at: &AccountRef, job: &Job, grant: &GrantJob, seen: &Sighting) -> Verdict {
        let refuse = |rule| Verdict::Answer(ResultCode::Rejected, Some(rule));
        if let Some(verdict) = self.judge_tenant(at, job, Some(&seen.account.email)) {
            return verdict;
        }
        let account = &seen.account;
        if let Err(rule) = self.judge_account(at, &account.id, &account.email) {
            return refuse(rule);
        }
        let unexplained =
            self.state.recovery.is_unexplained(&at.integration, Some(&account.id), &account.email);
        if unexplained || self.is_made_here(at, account) || self.is_held_beside(at, account) {
            return refuse(Rule::AccountBarred);
        }
        let Some(tenant) = self.tenants.get(&at.integration) else { return refuse(Rule::UnknownIntegration) };
        let mode = tenant.settings.role_mode;
        let renamed = matches!(&grant.target, Target::Email(asked) if !asked.same_mailbox(&account.email));
        if renamed || self.is_elsewhere(at, account) {
            return refuse(Rule::AccountNotFound);
        }
        if account.suspended {
            return refuse(Rule::AccountSuspended);
        }
        if mode == RoleMode::Single && account.roles.len() > 1 {
            return refuse(Rule::SeveralRoles);
        }
        if account.roles.is_empty() || (mode == RoleMode::Multiple && !account.plural) {
            // Nothing could be restored at the end, or a role beside the one shown could not be seen.
            return refuse(Rule::NotObservable);
        }
        if tenant.order.is_unknown(&grant.role) {
            return refuse(Rule::RoleUnknown);
        }
        if tenant.order.any_covers(&account.roles, &grant.role) {
            return self.judge_covered(at, grant, &account.roles);
        }
        match plan::raise(mode, &tenant.order, &account.roles, &grant.role) {
            Ok(write) if self.compares(at, &grant.role, &account.roles) => Verdict::Write(write),
            _ => Verdict::Answer(ResultCode::Conflict, Some(Rule::RolesIncomparable)),
        }
    }

    /// The gates, once more, and what must be known of the integration.
    fn judge_tenant(&mut self, at: &AccountRef, job: &Job, found: Option<&Email>) -> Option<Verdict> {
        if job.start_by <= self.now.wall {
            return Some(Verdict::Answer(ResultCode::ExpiredBeforeStart, None));
        }
        if let Err((code, rule)) = self.gate(job, found) {
            return Some(Verdict::Answer(code, rule));
        }
        if let Ask::Grant(grant, _) = &job.ask
            && self.state.grants.contains_key(&grant.grant)
        {
            return Some(Verdict::Answer(ResultCode::Conflict, Some(Rule::DuplicateGrant)));
        }
        let tenant = self.tenants.get(&at.integration)?;
        let ready = tenant.whoami.last.is_some() && tenant.roles.last.is_some();
        if ready && self.is_known_organization(at) {
            let crowded = matches!(&job.ask, Ask::Grant(grant, _) if self.admitted_end(at, grant).is_none());
            return crowded.then_some(Verdict::Answer(ResultCode::RateRefused, None));
        }
        self.want_probes(&at.integration);
        Some(Verdict::Wait)
    }

    pub(super) fn judge_account(&self, at: &AccountRef, id: &AccountId, email: &Email) -> Result<(), Rule> {
        if self.is_barred(at) {
            return Err(Rule::AccountBarred);
        }
        let policy = self.policy.as_ref().ok_or(Rule::NoPolicy)?;
        policy.judge_account(email)?;
        let tenant = self.tenants.get(&at.integration).ok_or(Rule::UnknownIntegration)?;
        if tenant.is_own(id, email) {
            return Err(Rule::OwnAccount);
        }
        if tenant.settings.exclude_accounts.iter().any(|e| e.same_mailbox(email)) {
            return Err(Rule::ProtectedAccount);
        }
        Ok(())
    }

    fn decide_ephemeral(&mut self, at: &AccountRef, job: &Job, grant: &GrantJob, address: &Email) {
        if let Some(verdict) = self.judge_tenant(at, job, None).or_else(|| self.judge_new_account(at, grant))
        {
            if let Verdict::Answer(code, rule) = verdict {
                self.answer(job, code, rule, Evidence::default());
            }
            return;
        }
        let clear = self.desks.get(at).and_then(|d| d.absent_since);
        if clear.is_none_or(|began| self.now.boot.since(began) > CLEAR_LISTING) {
            return self.resolve_again(at, &job.id);
        }
        if self.is_dry_run() {
            return self.answer_dry(job, &[], vec![grant.role.clone()]);
        }
        if !self.take_or_queue(at, Lane::RaiseWrite) {
            return;
        }
        self.accept(at, job, grant, None);
        let Target::Ephemeral { firstname, lastname, .. } = &grant.target else { return };
        let change = RaiseChange::Create {
            email: address.clone(),
            role: grant.role.clone(),
            firstname: firstname.clone(),
            lastname: lastname.clone(),
        };
        self.send_raise(at, Effect::Create { role: grant.role.clone() }, change);
    }

    fn judge_new_account(&self, at: &AccountRef, grant: &GrantJob) -> Option<Verdict> {
        let tenant = self.tenants.get(&at.integration)?;
        let refuse = |rule| Some(Verdict::Answer(ResultCode::Rejected, Some(rule)));
        if tenant.order.is_unknown(&grant.role) {
            return refuse(Rule::RoleUnknown);
        }
        if self.state.accounts.contains_key(at) {
            return refuse(Rule::AddressTaken);
        }
        None
    }

    /// The listing that showed the address free is too old: look again before creating.
    fn resolve_again(&mut self, at: &AccountRef, job: &JobId) {
        self.drop_from_desk(at, job);
        let now = self.now.boot;
        if let Some(pending) = self.pending.get_mut(job) {
            pending.at = None;
            pending.received = now;
        }
        self.want(&at.integration, Errand::List);
    }

    /// The durable beginning: from this record on, every lower of the grant is authorised.
    fn accept(&mut self, at: &AccountRef, job: &Job, grant: &GrantJob, seen: Option<&Sighting>) {
        let Ask::Grant(_, request) = &job.ask else { return };
        let account = seen.map(|s| &s.account);
        let address = match &grant.target {
            Target::Ephemeral { address, .. } => Some(address.clone()),
            _ => account.map(|a| a.email.clone()),
        };
        let Some(email) = address else { return };
        if !self.state.accounts.contains_key(at) {
            self.write(Record::AccountOpened {
                at: at.clone(),
                id: account.map(|a| a.id.clone()),
                email: email.clone(),
                baseline: account.map(|a| a.roles.clone()).unwrap_or_default(),
                plural: account.is_some_and(|a| a.plural),
            });
        }
        self.keep_evidence(job);
        // Judged a moment ago; what had no room would end at once.
        let ends_at = self.admitted_end(at, grant).unwrap_or(self.now.wall);
        self.write(Record::GrantAccepted(Box::new(Terms {
            grant: grant.grant.clone(),
            job: job.id.clone(),
            digest: job.digest,
            integration: at.integration.clone(),
            account: at.account.clone(),
            email,
            kind: if account.is_some() { GrantKind::Role } else { GrantKind::Ephemeral },
            role: grant.role.clone(),
            accepted_at: self.now.wall,
            ends_at,
            start_by: job.start_by,
            boot_id: self.now.boot_id,
            accepted_boot: self.now.boot,
            boot_ends: self.now.boot + ends_at.since(self.now.wall),
            request: request.clone(),
            requester: match &grant.target {
                Target::Ephemeral { requester, .. } => Some(requester.clone()),
                _ => None,
            },
            policy_hash: self.hash_in_force().unwrap_or_default(),
            roles_before: account.map(|a| a.roles.clone()).unwrap_or_default(),
        })));
        self.pending.remove(&job.id);
        self.drop_from_desk(at, &job.id);
        self.arm(&grant.grant);
        if let Some(tenant) = self.tenants.get_mut(&at.integration).filter(|t| t.observe_at <= self.now.boot)
        {
            tenant.observe_at = self.now.boot + tenant.settings.observe_interval;
        }
    }

    /// Another grant of ours (or something of ours that is about to go) carries the role already.
    fn confirm_covered(&mut self, at: &AccountRef, grant: &GrantId, seen: &Sighting) {
        let Some(found) = self.state.grants.get(grant) else { return };
        let mut active = found.active(&seen.account.id, &seen.account.roles, 0, None);
        active.held = self.held(grant).map(Box::new);
        self.write(Record::GrantActive(active));
        self.dirty.insert(at.clone());
    }

    fn raise_roles(&mut self, at: &AccountRef, seen: &Sighting, roles: Vec<RoleName>) {
        let had = &seen.account.roles;
        let adds = roles.iter().filter(|r| !had.contains(r)).cloned().collect();
        let displaces = had.iter().filter(|r| !roles.contains(r)).cloned().collect();
        let id = seen.account.id.clone();
        // One role goes into the field for one, which every known client writes.
        let field = if roles.len() > 1 { RoleField::Several } else { RoleField::One };
        let effect = Effect::Raise { roles: roles.clone(), adds, displaces };
        self.send_raise(at, effect, RaiseChange::SetRoles { id, roles, field });
    }

    /// The token is taken: nothing queues behind this any more but the disk.
    fn send_raise(&mut self, at: &AccountRef, effect: Effect, change: RaiseChange) {
        let attempt = self.attempt(at, effect);
        self.write(Record::AttemptStarted { at: at.clone(), attempt: attempt.clone() });
        let call = self.begin(at, Purpose::Write(at.clone(), Box::new(attempt)), true);
        let never = planted::is(Planted::NoSendBy);
        let send_by = if never { BootTime(u64::MAX) } else { self.now.boot + self.settings.timing.send_by };
        if let Some(desk) = self.desks.get_mut(at) {
            desk.reraise = false;
        }
        self.out.raises.push(Raise { call, at: at.clone(), change, send_by });
    }

    /// A raise that was certainly not carried out is made again, on a fresh read, inside its time, and
    /// only if it would be allowed now.
    pub(super) fn raise_again(&mut self, at: &AccountRef, grant: &GrantId) {
        let Some(terms) = self.state.grants.get(grant).map(|g| g.terms.clone()) else { return };
        let Some(seen) = self.desks.get(at).and_then(|d| d.fresh(self.now.boot)).cloned() else { return };
        let Some(tenant) = self.tenants.get(&at.integration) else { return };
        let mode = tenant.settings.role_mode;
        let write = plan::raise(mode, &tenant.order, &seen.account.roles, &terms.role);
        match write {
            Ok(roles) if self.may_raise_again(at, &terms, &seen, mode) => {
                if self.take_or_queue(at, Lane::RaiseWrite) {
                    self.raise_roles(at, &seen, roles);
                }
            }
            _ if self.state.frozen.is_some() => self.fail(grant, Rule::Frozen, None),
            _ => self.fail(grant, Rule::NotSentInTime, None),
        }
    }

    fn may_raise_again(&self, at: &AccountRef, terms: &Terms, seen: &Sighting, mode: RoleMode) -> bool {
        let account = &seen.account;
        let offered = self.tenants.get(&at.integration).is_some_and(|t| t.settings.offers(&terms.role));
        let plain = !account.suspended
            && match mode {
                RoleMode::Single => account.roles.len() == 1,
                RoleMode::Multiple => account.plural,
            };
        self.gate_again(terms, &account.email).is_ok()
            && !self.state.recovery.is_unexplained(&at.integration, Some(&account.id), &account.email)
            && !self.is_held_beside(at, account)
            && self.now.wall < terms.start_by
            && self.is_known_organization(at)
            && plain
            && offered
            && !self.is_elsewhere(at, account)
            && self.judge_account(at, &account.id, &account.email).is_ok()
    }

    fn is_dry_run(&self) -> bool {
        self.policy.as_ref().is_none_or(|p| p.dry_run)
    }

    fn answer_dry(&mut self, job: &Job, observed: &[RoleName], would_write: Vec<RoleName>) {
        let evidence = Evidence {
            observed: Some(observed.to_vec()),
            would_write: Some(would_write),
            ..Evidence::default()
        };
        self.answer(job, ResultCode::DryRun, None, evidence);
    }

    fn drop_from_desk(&mut self, at: &AccountRef, job: &JobId) {
        if let Some(desk) = self.desks.get_mut(at) {
            desk.jobs.retain(|waiting| waiting != job);
        }
    }
}
