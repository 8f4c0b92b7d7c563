//! What a read of an account means: confirmed raises, access taken away by somebody else, endings
//! read back, human edits, things that came back.
//!
//! Idempotent: the same read taken in twice changes nothing the second time.

use super::{
    Engine,
    account::{AccountKey, AccountRef},
    action::Warning,
    answer::Evidence,
    codes::{EndReason, ResultCode, Rule, WokenBy},
    desk::{Guards, Sighting},
    grant::{Grant, Phase},
    ids::{AccountId, Email, GrantId, RoleName},
    plan::{self, Ending},
    planted::{self, Planted},
    record::{Answer, GrantGone, Record},
    settings::RoleMode,
    state::JOB_MEMORY_MS,
    time::{BootTime, Timestamp},
};

impl Engine {
    /// A read showed the account.
    pub(super) fn sighted(&mut self, at: &AccountRef, sighting: Sighting) {
        let Some(desk) = self.desks.get_mut(at) else { return };
        if desk.writing || sighting.at < desk.written_at {
            return; // overtaken by a write of ours
        }
        desk.absent_since = None;
        desk.awaits_listing = None;
        let began = sighting.at;
        let recorded = self.state.accounts.get(at).map(|a| &a.email);
        let differs = |found: &&Email| recorded.is_some_and(|email| !email.same_mailbox(found));
        desk.found_email = Some(&sighting.account.email).filter(differs).cloned();
        if desk.seen.as_ref().is_none_or(|old| old.at <= began) {
            let now = Guards::of(&sighting.account);
            let fell = desk.guards.take().is_some_and(|before| before.fell(now));
            if fell {
                self.guards_fell(at);
            }
            let Some(desk) = self.desks.get_mut(at) else { return };
            desk.seen = Some(sighting);
            self.watched(at, began);
            self.digest(at);
        }
        self.dirty.insert(at.clone());
    }

    /// A write of ours carries the role alone, and what else was there is gone: JumpCloud resets what a
    /// write leaves out, or a person was at it in the same moment. Nobody is raised that way.
    fn guards_fell(&mut self, at: &AccountRef) {
        self.warn(Warning::GuardsFell(at.clone()));
        self.fail_raising(at, Rule::NotConfirmed);
    }

    /// Takes in what was read last.
    pub(super) fn digest(&mut self, at: &AccountRef) {
        let Some(seen) = self.desks.get(at).and_then(|d| d.seen.clone()) else { return };
        if !self.state.accounts.contains_key(at) {
            return;
        }
        if self.is_elsewhere(at, &seen.account) {
            // Made in an organization that was not asked for: nobody has access there through us.
            self.fail_raising(at, Rule::Credential);
        }
        if matches!(at.account, AccountKey::Ephemeral(_)) {
            return self.digest_ephemeral(at, &seen.account);
        }
        let roles = &seen.account.roles;
        if roles.is_empty() {
            // No role is a value that nobody has described: it is an account that was not shown whole.
            // It proves nothing, neither that access is there nor that it is gone.
            return match self.blind_target(at) {
                Some(_) => self.note_vain(at, roles),
                None => self.escalate(at),
            };
        }
        if self.is_beside(at, roles) {
            // A raise that came to stand beside other roles is not the one that was asked for: it fails now,
            // while somebody looks, and not at its end.
            self.fail_raising(at, Rule::SeveralRoles);
        } else {
            self.confirm(at, &seen.account.id, roles, None);
        }
        self.end_uncovered(at, roles);
        match self.ending_of(at, roles) {
            Ending::Clean if self.must_be_sure(at, roles) => return self.move_baseline(at, roles),
            Ending::Clean if self.is_proven_later(at, &seen) || self.waits_for_raise(at, roles) => return,
            Ending::Clean => self.all_gone(at, Some(roles), false),
            Ending::Superseded => self.all_gone(at, Some(roles), true),
            Ending::Write(_) | Ending::Escalate => {
                self.note_vain(at, roles);
                return self.reappeared(at, roles);
            }
        }
        self.move_baseline(at, roles);
        self.settle(at, roles);
        self.calm(at);
    }

    /// Single mode, and there are several roles: what we wrote did not replace what was there, or a person
    /// was faster.
    fn is_beside(&self, at: &AccountRef, roles: &[RoleName]) -> bool {
        let mode = self.tenants.get(&at.integration).map(|t| t.settings.role_mode);
        mode == Some(RoleMode::Single) && roles.len() > 1
    }

    fn fail_raising(&mut self, at: &AccountRef, rule: Rule) {
        let raising =
            self.state.grants_of(at).filter(|g| matches!(g.phase, Phase::Applying | Phase::Indeterminate));
        for grant in raising.map(|g| g.terms.grant.clone()).collect::<Vec<_>>() {
            self.fail(&grant, rule, None);
        }
    }

    fn calm(&mut self, at: &AccountRef) {
        let waiting =
            self.state.grants_of(at).any(|g| matches!(g.phase, Phase::Applying | Phase::Indeterminate));
        if let Some(desk) = self.desks.get_mut(at).filter(|_| !waiting) {
            desk.calm();
        }
    }

    /// Raises whose access the read shows are active from now on.
    pub(super) fn confirm(
        &mut self,
        at: &AccountRef,
        id: &AccountId,
        roles: &[RoleName],
        awaiting: Option<bool>,
    ) {
        let Some(tenant) = self.tenants.get(&at.integration) else { return };
        let shown = |g: &&Grant| {
            matches!(g.phase, Phase::Applying | Phase::Indeterminate)
                && tenant.order.any_covers(roles, &g.terms.role)
        };
        let found: Vec<Grant> = self.state.grants_of(at).filter(shown).cloned().collect();
        let attempts = self.state.accounts.get(at).map_or(0, |a| a.attempts);
        for grant in found {
            let mut active = grant.active(id, roles, attempts, awaiting);
            active.held = self.held_as(&grant, Some(id)).map(Box::new);
            self.write(Record::GrantActive(active));
            if let Some(desk) = self.desks.get_mut(at) {
                desk.reraise = false;
            }
        }
    }

    /// Somebody took the access away: that is respected, and never undone. What shows only what was there
    /// before us may be an old state instead, of a replica that lags: it counts once it is shown again.
    pub(super) fn end_uncovered(&mut self, at: &AccountRef, roles: &[RoleName]) {
        let Some(tenant) = self.tenants.get(&at.integration).filter(|t| t.roles.last.is_some()) else {
            return; // before the roles are known, a covering role may look like another one
        };
        let lost = |g: &&Grant| g.phase == Phase::Active && !tenant.order.any_covers(roles, &g.terms.role);
        let lost: Vec<GrantId> =
            self.state.grants_of(at).filter(lost).map(|g| g.terms.grant.clone()).collect();
        if lost.is_empty() {
            if let Some(desk) = self.desks.get_mut(at) {
                desk.missing_since = None;
            }
        } else if self.may_be_old(at, roles) {
            return;
        }
        for grant in lost {
            self.end(&grant, EndReason::RevokedExternally, WokenBy::Operator);
        }
    }

    /// Whether a read without a live grant's access may show an old state, and another one must agree.
    fn may_be_old(&mut self, at: &AccountRef, roles: &[RoleName]) -> bool {
        if !self.is_from_before(at, roles) {
            return false;
        }
        let settle = self.settings.timing.settle;
        let Some(desk) = self.desks.get_mut(at) else { return false };
        let Some(began) = desk.seen.as_ref().map(|seen| seen.at) else { return false };
        let first = *desk.missing_since.get_or_insert(began);
        began.since(first) < settle
    }

    /// Whether these roles may be what was there before us: no person's edit is among them.
    pub(super) fn is_from_before(&self, at: &AccountRef, roles: &[RoleName]) -> bool {
        let (Some(account), Some(tenant)) = (self.state.accounts.get(at), self.tenants.get(&at.integration))
        else {
            return false;
        };
        let mut explained: Vec<RoleName> = account.sent.iter().map(|s| s.role.clone()).collect();
        explained.extend(account.displaced.iter().cloned());
        !plan::is_human_edit(tenant.settings.role_mode, roles, &account.baseline, &explained)
    }

    /// Every ending of this account is read back. `observed` is `None` when the account is gone.
    pub(super) fn all_gone(&mut self, at: &AccountRef, observed: Option<&[RoleName]>, superseded: bool) {
        let revoking = self.state.grants_of(at).filter(|g| g.phase == Phase::Revoking);
        let revoking: Vec<GrantId> = revoking.map(|g| g.terms.grant.clone()).collect();
        if revoking.is_empty() {
            return;
        }
        for grant in revoking {
            self.gone(at, &grant, observed, superseded);
        }
        self.watch(at);
        if let Some(desk) = self.desks.get_mut(at) {
            desk.calm();
            desk.absent_since = None;
        }
    }

    fn gone(&mut self, at: &AccountRef, grant: &GrantId, observed: Option<&[RoleName]>, superseded: bool) {
        let Some(found) = self.state.grants.get(grant) else { return };
        let Some(account) = self.state.accounts.get(at) else { return };
        let standing = matches!(at.account, AccountKey::Standing(_));
        let asked = found.reason.unwrap_or(EndReason::Expired);
        let reason = match observed {
            None if standing => EndReason::TargetGone,
            Some(roles) if standing && (superseded || self.is_left_to_a_person(at, found, roles)) => {
                EndReason::Superseded
            }
            _ => asked,
        };
        let found_email = self.desks.get(at).and_then(|d| d.found_email.clone());
        let jobs = found.revoke_jobs.clone();
        let gone = GrantGone {
            about: found.about(),
            reason,
            woken_by: found.woken_by.unwrap_or(WokenBy::Sweep),
            lateness_ms: found.lateness_ms,
            observed: observed.map(<[RoleName]>::to_vec),
            baseline: account.baseline.clone(),
            wrote: Some(account.wrote.clone()).filter(|w| !w.is_empty()),
            found_email,
            order: found.forgotten.clone().or_else(|| found.order.clone()),
            policy_hash: self.hash_in_force(),
            at: self.now.wall,
        };
        let integration = at.integration.clone();
        self.write(Record::GrantGone(gone));
        for (job, digest) in jobs {
            self.write(Record::JobAnswered(Answer {
                job,
                digest,
                integration: Some(integration.clone()),
                code: ResultCode::Revoked,
                rule: None,
                grant: Some(grant.clone()),
                fault: None,
                observed: observed.map(<[RoleName]>::to_vec),
                would_write: None,
                inventory: None,
                policy_hash: self.hash_in_force(),
                forget_at: Timestamp(self.now.wall.0.saturating_add(JOB_MEMORY_MS * 8)),
            }));
        }
    }

    /// Whether the role is still there because a person put something at least as powerful there: before the
    /// end, or seen only now.
    fn is_left_to_a_person(&self, at: &AccountRef, grant: &Grant, roles: &[RoleName]) -> bool {
        let (Some(account), Some(tenant)) = (self.state.accounts.get(at), self.tenants.get(&at.integration))
        else {
            return false;
        };
        let role = &grant.terms.role;
        let by_live = self.live_roles(at).iter().any(|live| tenant.order.covers(live, role));
        let ours = self.ours(at, account);
        let new = |r: &&RoleName| !account.baseline.contains(r) && !ours.contains(r);
        let carriers = || roles.iter().filter(|r| tenant.order.covers(r, role));
        !by_live && carriers().any(|r| account.edited || new(&r))
    }

    /// Something of ours is there beyond what should be: endings that were read back before are open
    /// again, and the account is driven to lower it. What is to be there, and what a grant that is just ending
    /// still shows, is a sign of neither.
    fn reappeared(&mut self, at: &AccountRef, roles: &[RoleName]) {
        let (Some(account), Some(tenant)) = (self.state.accounts.get(at), self.tenants.get(&at.integration))
        else {
            return;
        };
        let others = |role: &RoleName| {
            let carries = |g: &Grant| g.phase.is_live() || g.phase == Phase::Revoking;
            account.baseline.contains(role)
                || self.state.grants_of(at).any(|g| carries(g) && g.terms.role == *role)
        };
        let strange: Vec<RoleName> = roles.iter().filter(|role| !others(role)).cloned().collect();
        let back = |g: &&Grant| {
            matches!(g.phase, Phase::Settling | Phase::Ended)
                && tenant.order.any_covers(&strange, &g.terms.role)
        };
        for about in self.state.grants_of(at).filter(back).map(Grant::about).collect::<Vec<_>>() {
            let policy_hash = self.hash_in_force();
            self.write(Record::GrantReappeared { about, observed: roles.to_vec(), policy_hash });
        }
    }

    /// A read that neither the baseline nor anything of ours explains is a person's edit; the baseline
    /// follows it; where that person may be the holder of a role of ours, only downwards.
    fn move_baseline(&mut self, at: &AccountRef, roles: &[RoleName]) {
        let roles_known = self.tenants.get(&at.integration).is_some_and(|t| t.roles.last.is_some());
        if !roles_known || self.may_be_forgotten(at) {
            return;
        }
        let (Some(account), Some(tenant)) = (self.state.accounts.get(at), self.tenants.get(&at.integration))
        else {
            return;
        };
        let mode = tenant.settings.role_mode;
        let mut explained = self.ours(at, account);
        explained.extend(self.live_roles(at));
        explained.retain(|_| !planted::is(Planted::BaselineOverwritten));
        if !plan::is_human_edit(mode, roles, &account.baseline, &explained) {
            return;
        }
        let to = plan::edited_baseline(mode, roles, &account.baseline, &explained);
        let from = account.baseline.clone();
        let believed = !self.is_suspicious(at) || self.takes_only(at, &to);
        if from != to && believed {
            self.write(Record::BaselineMoved { at: at.clone(), from, to });
            if let Some(desk) = self.desks.get_mut(at) {
                desk.raised_at = Some(BootTime(0)); // what is shown is newer than any raise
            }
        }
    }

    /// Two complete listings agree that the account is not there.
    pub(super) fn digest_absence(&mut self, at: &AccountRef) {
        let active = self.state.grants_of(at).filter(|g| g.phase == Phase::Active);
        for grant in active.map(|g| g.terms.grant.clone()).collect::<Vec<_>>() {
            self.end(&grant, EndReason::TargetGone, WokenBy::Operator);
        }
        let now = self.now.boot;
        self.watched(at, now);
        self.all_gone(at, None, false);
        self.settle(at, &[]);
        self.calm(at);
    }

    /// Answers a waiting grant job and keeps the roles that were read as evidence.
    pub(super) fn answer_seen(
        &mut self,
        job: &super::job::Job,
        code: ResultCode,
        rule: Option<Rule>,
        roles: &[RoleName],
    ) {
        let evidence = Evidence { observed: Some(roles.to_vec()), ..Evidence::default() };
        self.answer(job, code, rule, evidence);
    }
}
