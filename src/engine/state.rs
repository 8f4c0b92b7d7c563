//! What the engine knows durably: the fold of the journal's records, and nothing else.
//!
//! [`State::apply`] is the only way in. Start-up runs the same `apply` over the stored records of the
//! streams that are still open, so there is no second code path to be wrong in.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    account::{Account, AccountKey, AccountRef, AttemptEnd, Effect, Sent},
    codes::{EndReason, ResultCode, Rule, WokenBy},
    grant::{End, Grant, GrantKind, Phase, Step, Terms},
    grants::Grants,
    ids::{AccountId, Email, GrantId, IntegrationId, JobId, OrgId, RoleName},
    job::{AccessRequest, Digest},
    observed::{Fault, FaultClass},
    order::Frozen,
    record::{Answer, GrantEnding, GrantGone, Record, Seq},
    recovery::Recovery,
    time::{BootId, BootTime, Now, Timestamp},
    usage::Usage,
};

/// The fold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The pinned organizations.
    pub organizations: BTreeMap<IntegrationId, OrgId>,
    /// Grants that are not closed.
    pub grants: Grants,
    /// Accounts that a grant touches or a watch holds.
    pub accounts: BTreeMap<AccountRef, Account>,
    /// Accounts of ours that were made, deleted and forgotten: one that is there again is deleted again.
    pub ended: BTreeSet<AccountRef>,
    /// Accounts with our tag of which nothing is known.
    pub orphans: BTreeMap<(IntegrationId, AccountId), Email>,
    /// Job ids inside their memory window.
    pub jobs: HashMap<JobId, SeenJob>,
    /// An operator's stop for raises.
    pub frozen: Option<Frozen>,
    /// How long and how often people have had access.
    pub usage: BTreeMap<String, Usage>,
    /// The last time that was known to have come, and where it stands.
    pub time_seen: Option<(Seq, Now)>,
    /// Doubts about the ledger itself.
    pub recovery: Recovery,
}

/// A job id that must not have a second effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenJob {
    /// The digest of its signed bytes.
    pub digest: Digest,
    /// The record that holds its final result, once there is one.
    pub answer: Option<Seq>,
    /// When the id may be forgotten: its start-by instant and the allowed skew are over by then.
    pub forget_at: Timestamp,
}

/// What a revocation needs, kept apart and checksummed for the day on which a row cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokePrefix {
    /// The grant.
    pub grant: GrantId,
    /// The job that asked for it.
    pub job: JobId,
    /// Where.
    pub integration: IntegrationId,
    /// Whose.
    pub account: AccountKey,
    /// The role that may only be taken away.
    pub role: RoleName,
    /// When.
    pub ends_at: Timestamp,
}

/// How long after its start-by instant a job id is remembered, in milliseconds: clocks disagree by less, with room.
pub const JOB_MEMORY_MS: i64 = 24 * 60 * 60 * 1000;

impl State {
    /// Takes one record in. `at` is the record's wall time.
    pub fn apply(&mut self, seq: Seq, at: Timestamp, record: &Record) {
        match record {
            Record::OrganizationPinned { integration, org } => {
                self.organizations.entry(integration.clone()).or_insert_with(|| org.clone());
            }
            Record::JobAnswered(answer) => self.answered(seq, answer),
            Record::TimeSeen(boot) => self.time_seen = Some((seq, boot.and(at))),
            Record::AgentStarted { .. }
            | Record::SecretWithheld { .. }
            | Record::JobEvidence { .. }
            | Record::JobRefused(_)
            | Record::JobEquivocated { .. } => {}
            Record::AccountOpened { at, id, email, baseline, plural } => {
                let fresh = Account::new(id.clone(), email.clone(), baseline.clone(), *plural);
                self.accounts.entry(at.clone()).or_insert(fresh);
            }
            Record::AccountFound { at, id } => self.on_account(at, |a| a.id = Some(id.clone())),
            Record::BaselineMoved { at, to, .. } => self.on_account(at, |a| {
                a.baseline.clone_from(to);
                a.edited = true;
            }),
            Record::AttemptStarted { at, attempt } => self.on_account(at, |a| {
                a.attempts = a.attempts.max(attempt.n);
                a.note_sent(&attempt.effect);
                a.open_attempt = Some(attempt.clone());
            }),
            Record::AttemptEnded { at, n, end } => self.on_account(at, |a| end_attempt(a, *n, end)),
            Record::AccountWatched { at, watch } => self.on_account(at, |a| a.watch = Some(*watch)),
            Record::AccountClosed { at } => {
                self.accounts.remove(at);
                if matches!(at.account, AccountKey::Ephemeral(_)) {
                    self.ended.insert(at.clone());
                }
            }
            Record::OrphanFound { integration, id, email, .. } => {
                self.orphans.insert((integration.clone(), id.clone()), email.clone());
            }
            Record::OrphanOver { integration, id } => {
                self.orphans.remove(&(integration.clone(), id.clone()));
            }
            Record::GrantAccepted(terms) => self.accepted(seq, terms),
            Record::RaisesFrozen(_) | Record::RaisesThawed(_) => self.apply_stop(at, record),
            Record::AccessCounted(usage) => {
                self.usage.insert(usage.who.clone(), usage.clone());
            }
            Record::AccessForgotten { who } => drop(self.usage.remove(who)),
            Record::Recovery(fact) => self.recovered(seq, at, fact),
            _ => self.apply_to_grant(seq, at, record),
        }
    }

    /// The grants of an account, in the order of their ids.
    pub fn grants_of<'a>(&'a self, at: &'a AccountRef) -> impl Iterator<Item = &'a Grant> {
        self.grants.of(at)
    }

    /// How many grants carry access now.
    #[must_use]
    pub fn live_grants(&self) -> usize {
        self.grants.values().filter(|g| g.phase.is_live()).count()
    }

    /// Takes in a grant of which only the revocation prefix can be read: it ends at once. Its role may
    /// only be taken away; without a readable baseline what is left is the floor role.
    pub fn adopt_unreadable(&mut self, prefix: &RevokePrefix) {
        if self.grants.contains_key(&prefix.grant) {
            return;
        }
        let at = AccountRef { integration: prefix.integration.clone(), account: prefix.account.clone() };
        let (id, address) = match &prefix.account {
            AccountKey::Standing(id) => (Some(id.clone()), None),
            AccountKey::Ephemeral(address) => (None, Some(address.clone())),
        };
        let known = self.accounts.get(&at).map(|a| a.email.clone());
        let Some(email) = known.or(address).or_else(|| Email::new("unknown@unreadable.invalid").ok()) else {
            return;
        };
        let account =
            self.accounts.entry(at).or_insert_with(|| Account::new(id, email.clone(), Vec::new(), false));
        account.sent.push(Sent { role: prefix.role.clone(), ambiguous: true, raised: true });
        self.grants.insert(Grant::unreadable(prefix, email));
    }

    /// Holds every account that a grant needs: one whose own row cannot be read is rebuilt from the
    /// terms of the grant, so that its ending does not wait for a person.
    pub fn hold_missing_accounts(&mut self) {
        for grant in self.grants.values() {
            let terms = &grant.terms;
            self.accounts.entry(grant.account_ref()).or_insert_with(|| {
                let id = match &terms.account {
                    AccountKey::Standing(id) => Some(id.clone()),
                    AccountKey::Ephemeral(_) => None,
                };
                let mut account = Account::new(id, terms.email.clone(), terms.roles_before.clone(), false);
                account.sent.push(Sent { role: terms.role.clone(), ambiguous: true, raised: true });
                account.displaced.clone_from(&terms.roles_before);
                account
            });
        }
    }

    fn apply_to_grant(&mut self, seq: Seq, at: Timestamp, record: &Record) {
        match record {
            Record::GrantIndeterminate { about } => self.on_grant(&about.grant, |g| g.step(Step::Ambiguous)),
            Record::GrantActive(active) => {
                self.on_grant(&active.about.grant, |g| {
                    g.step(Step::Confirmed);
                    g.answered = true;
                });
                self.settle_job(&active.about.grant_job, seq);
            }
            Record::ExtensionAccepted(ext) => {
                self.expect_answer(&ext.job, ext.digest, at);
                self.on_grant(&ext.about.grant, |g| g.extensions.push((seq, ext.as_ref().clone())));
            }
            Record::GrantExtended(ext) => self.extension_over(seq, &ext.about.grant, &ext.job, ext.end),
            Record::ExtensionDropped(ext) => self.extension_over(seq, &ext.about.grant, &ext.job, ext.end),
            Record::EndAnchored { about, end } => self.on_grant(&about.grant, |g| g.end = *end),
            Record::GrantEnding(ending) => self.ending(seq, ending, at),
            Record::RevokeRequested { about, job, digest } => {
                self.expect_answer(job, *digest, at);
                self.on_grant(&about.grant, |g| g.revoke_jobs.push((job.clone(), *digest)));
            }
            Record::GrantForgotten(given_up) => self.on_grant(&given_up.about.grant, |g| {
                g.reason = Some(EndReason::Abandoned);
                g.forgotten = Some(given_up.order.clone());
            }),
            Record::GrantGone(gone) => self.on_grant(&gone.about.grant, |g| went(g, gone)),
            Record::GrantSettled { about, .. } => self.on_grant(&about.grant, |g| g.step(Step::GoneAgain)),
            Record::GrantReappeared { about, .. } => self.on_grant(&about.grant, |g| {
                g.step(Step::Reappeared);
                g.gone_at = None;
                g.ending_at = Some(at);
            }),
            Record::RevocationOverdue { about, overdue_ms, .. } => {
                self.on_grant(&about.grant, |g| g.overdue_told_ms = Some(*overdue_ms));
            }
            Record::GrantClosed { about } => {
                self.grants.remove(&about.grant);
            }
            _ => {}
        }
    }

    /// A job whose answer is to come. A start may have the answer already.
    fn expect_answer(&mut self, job: &JobId, digest: Digest, at: Timestamp) {
        let forget_at = Timestamp(at.0.saturating_add(JOB_MEMORY_MS * 8));
        self.jobs.entry(job.clone()).or_insert(SeenJob { digest, answer: None, forget_at });
    }

    /// An extension has its answer; `end` is in force from now on.
    fn extension_over(&mut self, seq: Seq, grant: &GrantId, job: &JobId, end: End) {
        self.on_grant(grant, |g| {
            g.extensions.retain(|(_, waiting)| waiting.job != *job);
            g.end = end;
        });
        self.settle_job(job, seq);
    }

    fn accepted(&mut self, seq: Seq, terms: &Terms) {
        let forget_at = Timestamp(terms.ends_at.0.saturating_add(JOB_MEMORY_MS * 8));
        // A start has read what was answered since: the job was forgotten meanwhile, and came again.
        let later = self.jobs.remove(&terms.job).filter(|seen| seen.answer > Some(seq));
        let fresh = SeenJob { digest: terms.digest, answer: None, forget_at };
        self.jobs.insert(terms.job.clone(), later.unwrap_or(fresh));
        self.grants.insert(Grant::accepted(terms.clone(), seq));
    }

    fn answered(&mut self, seq: Seq, answer: &Answer) {
        let seen = SeenJob { digest: answer.digest, answer: Some(seq), forget_at: answer.forget_at };
        self.jobs.insert(answer.job.clone(), seen);
        for grant in self.grants.values_mut() {
            grant.revoke_jobs.retain(|(job, _)| *job != answer.job);
        }
    }

    fn ending(&mut self, seq: Seq, ending: &GrantEnding, at: Timestamp) {
        self.on_grant(&ending.about.grant, |g| {
            g.step(Step::End);
            g.reason = Some(ending.reason);
            g.woken_by = Some(ending.woken_by);
            g.lateness_ms = ending.lateness_ms;
            g.order.clone_from(&ending.order);
            g.ending_at = Some(at);
        });
        // A grant that never became active has its result in this very record.
        if ending.answers().is_some() {
            self.on_grant(&ending.about.grant, |g| g.answered = true);
            self.settle_job(&ending.about.grant_job, seq);
        }
    }

    fn settle_job(&mut self, job: &JobId, seq: Seq) {
        if let Some(seen) = self.jobs.get_mut(job) {
            seen.answer.get_or_insert(seq);
        }
    }

    fn on_grant(&mut self, grant: &GrantId, change: impl FnOnce(&mut Grant)) {
        if let Some(grant) = self.grants.get_mut(grant) {
            change(grant);
        }
    }

    fn on_account(&mut self, at: &AccountRef, change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.accounts.get_mut(at) {
            change(account);
        }
    }
}

impl Grant {
    pub(super) fn accepted(terms: Terms, seq: Seq) -> Self {
        Self {
            end: terms.end(),
            extensions: Vec::new(),
            terms,
            accepted_seq: seq,
            phase: Phase::Applying,
            reason: None,
            woken_by: None,
            lateness_ms: 0,
            answered: false,
            revoke_jobs: Vec::new(),
            gone_at: None,
            ending_at: None,
            overdue_told_ms: None,
            order: None,
            forgotten: None,
        }
    }

    fn unreadable(prefix: &RevokePrefix, email: Email) -> Self {
        let terms = Terms {
            grant: prefix.grant.clone(),
            job: prefix.job.clone(),
            digest: Digest([0; 32]),
            integration: prefix.integration.clone(),
            account: prefix.account.clone(),
            email,
            kind: if matches!(prefix.account, AccountKey::Ephemeral(_)) {
                GrantKind::Ephemeral
            } else {
                GrantKind::Role
            },
            role: prefix.role.clone(),
            accepted_at: prefix.ends_at,
            ends_at: prefix.ends_at,
            start_by: prefix.ends_at,
            boot_id: BootId::default(),
            accepted_boot: BootTime::default(),
            boot_ends: BootTime::default(),
            request: AccessRequest::default(),
            requester: None,
            policy_hash: String::new(),
            roles_before: Vec::new(),
        };
        Self {
            phase: Phase::Revoking,
            reason: Some(EndReason::Expired),
            woken_by: Some(WokenBy::Start),
            answered: true,
            ..Self::accepted(terms, Seq(0))
        }
    }

    fn step(&mut self, step: Step) {
        if let Some(next) = self.phase.after(step) {
            self.phase = next;
        }
    }
}

impl GrantEnding {
    /// The grant job's result, if this ending is one: the grant never became active.
    #[must_use]
    pub fn answers(&self) -> Option<ResultCode> {
        self.rule.map(|_| match (self.reason, self.rule) {
            (_, Some(Rule::Frozen)) => ResultCode::Frozen,
            (EndReason::Failed, _) => ResultCode::Failed,
            _ => ResultCode::Cancelled,
        })
    }
}

fn went(grant: &mut Grant, gone: &GrantGone) {
    grant.step(Step::Gone);
    grant.reason = Some(gone.reason);
    grant.gone_at = Some(gone.at);
    // Answered in the same transaction, in streams of their own that a start does not read.
    grant.revoke_jobs.clear();
}

fn end_attempt(account: &mut Account, n: u32, end: &AttemptEnd) {
    let Some(attempt) = account.open_attempt.take_if(|open| open.n == n) else {
        return;
    };
    if !matches!(end, AttemptEnd::NotDone(_)) {
        account.wrote = attempt.effect.writes();
    }
    let sent = |fault: &Fault| !matches!(fault.class, FaultClass::NotSent | FaultClass::Throttled);
    match (end, attempt.effect.is_raise()) {
        (AttemptEnd::NotDone(fault), is_raise) if is_raise || !sent(fault) => {} // certainly not carried out
        (AttemptEnd::Accepted | AttemptEnd::Ambiguous(_), true) => {
            account.unproven |= matches!(attempt.effect, Effect::Raise { .. });
        }
        (AttemptEnd::NotDone(_), _) => account.lowered(&[]),
        (AttemptEnd::Accepted | AttemptEnd::Ambiguous(_), false) => account.lowered(&attempt.effect.writes()),
    }
    match end {
        AttemptEnd::Accepted => account.last_fault = None,
        AttemptEnd::NotDone(fault) => account.last_fault = Some(fault.clone()),
        AttemptEnd::Ambiguous(fault) => {
            account.note_ambiguous(&attempt.effect);
            account.last_fault = Some(fault.clone());
        }
    }
}
