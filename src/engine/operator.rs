//! The operator's hand: what somebody at the agent itself may do, whatever a control plane thinks.
//!
//! Stopping raises and ending grants need nobody's leave; letting raises go on again and giving up on an
//! ending are for the shell to keep to root. Refuses to let a freeze touch an ending, to send a raise that
//! was not sent when it froze, and to stop trying: a grant that was given up is lowered the moment that this
//! becomes possible.

use super::{
    Engine, Flight, Purpose,
    account::AccountRef,
    action::{CallId, Warning},
    answer::Evidence,
    codes::{EndReason, ResultCode, Rule, WokenBy},
    grant::{Grant, Phase},
    ids::{GrantId, IntegrationId, JobId},
    input::Outcome,
    observed::{Fault, FaultClass},
    order::{Deed, Forgotten, Freeze, Frozen, Order, Selection, Thaw},
    record::{Answer, Record},
    state::{JOB_MEMORY_MS, State},
    time::{BootTime, Millis, Timestamp},
};

/// How often it is said anew that a grant was given up.
const REMIND: Millis = Millis(60 * 60 * 1000);

impl State {
    pub(super) fn apply_stop(&mut self, at: Timestamp, record: &Record) {
        match record {
            Record::RaisesFrozen(freeze) => {
                let since = self.frozen.as_ref().map_or(at, |frozen| frozen.since);
                self.frozen = Some(Frozen { since, freeze: freeze.clone() });
            }
            Record::RaisesThawed(_) => self.frozen = None,
            _ => {}
        }
    }
}

impl Engine {
    /// Does what an operator wants. Who may want it was the shell's to check.
    pub(super) fn operator(&mut self, deed: Deed, order: &Order) {
        match deed {
            Deed::Freeze => self.freeze(order, false),
            Deed::Thaw => {
                if self.state.frozen.is_some() {
                    self.write(Record::RaisesThawed(Thaw { order: order.clone() }));
                }
            }
            Deed::Drain => {
                self.freeze(order, true);
                self.operator_ends(&Selection::default(), order);
            }
            Deed::Revoke(which) => self.operator_ends(&which, order),
            Deed::Forget(grant) => self.forget(&grant, order),
        }
    }

    /// Grants that fit and may carry access.
    #[must_use]
    pub fn selected(&self, which: &Selection) -> Vec<GrantId> {
        let fits = |g: &&Grant| g.may_carry() && which.takes(g);
        self.state.grants.values().filter(fits).map(|g| g.terms.grant.clone()).collect()
    }

    /// How many undecided jobs ask for such a grant.
    #[must_use]
    pub fn waiting(&self, which: &Selection) -> usize {
        self.pending.values().filter(|p| which.asks(&p.job)).count()
    }

    /// Whether a grant can be given up.
    ///
    /// # Errors
    /// Why not.
    pub fn may_forget(&self, grant: &GrantId) -> Result<(), &'static str> {
        match self.state.grants.get(grant) {
            None => Err("no such grant here"),
            Some(found) if found.phase.is_live() => {
                Err("the grant is live: revoke it; it can be given up once that does not succeed")
            }
            Some(found) if found.phase != Phase::Revoking => {
                Err("its access was read back as gone: there is nothing to give up")
            }
            Some(found) if found.forgotten.is_some() => Err("it was given up already"),
            Some(_) => Ok(()),
        }
    }

    /// Whether the outcome of a call is still waited for. A raise of which it is not must not be sent.
    #[must_use]
    pub fn awaits(&self, call: CallId) -> bool {
        self.calls.contains_key(&call)
    }

    /// What operators ordered and is still in force: to be ordered again where the journal lost it.
    #[must_use]
    pub fn orders(&self) -> Vec<(Deed, Order)> {
        let stop = self.state.frozen.iter().map(|frozen| {
            let Freeze { order, draining } = frozen.freeze.clone();
            (if draining { Deed::Drain } else { Deed::Freeze }, order)
        });
        let id = |g: &Grant| g.terms.grant.clone();
        let ended = self.state.grants.values().filter_map(|g| g.order.clone().map(|order| (g, order)));
        let ended = ended.map(|(g, order)| (Deed::Revoke(Selection::of(id(g))), order));
        let given_up = self.state.grants.values().filter_map(|g| g.forgotten.clone().map(|order| (g, order)));
        let given_up = given_up.map(|(g, order)| (Deed::Forget(id(g)), order));
        stop.chain(ended).chain(given_up).collect()
    }

    fn freeze(&mut self, order: &Order, draining: bool) {
        let stands = self.state.frozen.as_ref().is_some_and(|f| f.freeze.draining || !draining);
        if !stands {
            self.write(Record::RaisesFrozen(Freeze { order: order.clone(), draining }));
        }
        self.answer_waiting(&Selection::default(), ResultCode::Frozen);
        self.freeze_extensions();
        self.take_raises_back();
        let unsent = |g: &&Grant| {
            let again = self.desks.get(&g.account_ref()).is_some_and(|desk| desk.reraise);
            g.phase == Phase::Applying && again
        };
        let unsent = self.state.grants.values().filter(unsent);
        for grant in unsent.map(|g| g.terms.grant.clone()).collect::<Vec<_>>() {
            self.fail(&grant, Rule::Frozen, None);
        }
    }

    /// Raises that wait for the disk are not sent any more: the shell releases those only that are awaited.
    pub(super) fn take_raises_back(&mut self) {
        let unsent = |f: &Flight| {
            f.after > self.durable && matches!(&f.purpose, Purpose::Write(_, a) if a.effect.is_raise())
        };
        let unsent = self.calls.iter().filter(|(_, f)| unsent(f));
        for call in unsent.map(|(call, _)| *call).collect::<Vec<_>>() {
            self.outcome(call, Outcome::Written(Err(Fault::of(FaultClass::NotSent))));
        }
    }

    fn answer_waiting(&mut self, which: &Selection, code: ResultCode) {
        let waiting = self.pending.values().filter(|p| which.asks(&p.job));
        for job in waiting.map(|p| p.job.clone()).collect::<Vec<_>>() {
            self.answer(&job, code, None, Evidence::default());
        }
    }

    /// An operator ends grants here, whatever anybody else thinks.
    fn operator_ends(&mut self, which: &Selection, order: &Order) {
        self.answer_waiting(which, ResultCode::Cancelled);
        for grant in self.selected(which) {
            self.end_by_order(&grant, order);
        }
    }

    /// A grant that cannot be ended here is taken out of everybody's hands but ours.
    fn forget(&mut self, grant: &GrantId, order: &Order) {
        if self.may_forget(grant).is_err() {
            return;
        }
        let Some(found) = self.state.grants.get(grant) else { return };
        let (about, jobs, at) = (found.about(), found.revoke_jobs.clone(), found.account_ref());
        let integration = about.integration.clone();
        let (order, policy_hash) = (order.clone(), self.hash_in_force());
        self.write(Record::GrantForgotten(Forgotten { about, order, policy_hash }));
        for (job, digest) in jobs {
            self.write(Record::JobAnswered(self.not_revoked(job, digest, grant, &integration)));
        }
        self.warn(Warning::Forgotten(at));
    }

    fn not_revoked(
        &self,
        job: JobId,
        digest: super::job::Digest,
        grant: &GrantId,
        integration: &IntegrationId,
    ) -> Answer {
        Answer {
            job,
            digest,
            integration: Some(integration.clone()),
            code: ResultCode::Failed,
            rule: Some(Rule::NotConfirmed),
            grant: Some(grant.clone()),
            fault: None,
            observed: None,
            would_write: None,
            inventory: None,
            policy_hash: self.hash_in_force(),
            forget_at: Timestamp(self.now.wall.0.saturating_add(JOB_MEMORY_MS * 8)),
        }
    }

    /// An account with a grant that was given up is not understood: nothing more is given to it.
    pub(super) fn is_barred(&self, at: &AccountRef) -> bool {
        self.state.grants_of(at).any(|g| g.forgotten.is_some())
    }

    /// Says now and then what was given up, for as long as it may be there.
    pub(super) fn remind_of_forgotten(&mut self) {
        let now = self.now.boot;
        if self.reminded != BootTime(0) && now.since(self.reminded) < REMIND {
            return;
        }
        self.reminded = now;
        let given_up = self.state.grants.values().filter(|g| g.forgotten.is_some() && g.may_carry());
        for at in given_up.map(Grant::account_ref).collect::<Vec<_>>() {
            self.warn(Warning::Forgotten(at));
        }
    }

    fn end_by_order(&mut self, grant: &GrantId, order: &Order) {
        self.end_ordered(grant, EndReason::Operator, WokenBy::Operator, order);
    }
}
