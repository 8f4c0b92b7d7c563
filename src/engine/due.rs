//! What time brings: starts, wake-ups, the sweep. Every way into an ending passes [`Engine::end`].

use super::{
    Engine, Flight, Purpose,
    account::{AttemptEnd, Effect},
    action::Warning,
    alarms::Wake,
    codes::{EndReason, Rule, WokenBy},
    grant::{Grant, Phase},
    ids::{AccountId, GrantId, RoleName},
    input::Outcome,
    observed::{Fault, FaultClass},
    order::Order,
    record::{About, GrantActive, GrantEnding, Record},
    recovery::Finding,
    tenant::Errand,
    time::{Millis, Timestamp},
};

/// A call that has not come back after this long is taken for lost; the client's own time-outs end
/// every call well before.
const LOST: Millis = Millis(90_000);
/// The same for a listing, whose pages are paced: ten thousand accounts at one request a second.
const LOST_LISTING: Millis = Millis(10 * 60_000);

/// The overdue age, in milliseconds, at which a revocation is reported after `told`: soon and often, then
/// hourly for a day, then daily, for ever.
fn next_rung(first: u64, told: Option<u64>) -> u64 {
    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let Some(told) = told else { return first };
    match told {
        ..DAY => {
            let hour = (told / HOUR + 1) * HOUR;
            [5 * MINUTE, 15 * MINUTE].into_iter().find(|rung| *rung > told).unwrap_or(hour)
        }
        _ => (told / DAY + 1).saturating_mul(DAY),
    }
}

/// What lies behind an ending beside its reason.
#[derive(Default)]
struct Cause {
    rule: Option<Rule>,
    fault: Option<Fault>,
    order: Option<Order>,
}

impl Engine {
    /// The first look after a start: nothing of a previous process is believed to be still running.
    pub(super) fn start(&mut self, clock_was_dead: bool, findings: Vec<Finding>) {
        self.write(Record::AgentStarted { clock_was_dead });
        if !self.clock.is_trusted() {
            let behind = self.clock.skew_ms();
            self.keep_time(Timestamp(self.now.wall.0.saturating_sub(behind)));
            self.warn(Warning::ClockUntrusted { jumped_ms: behind });
        }
        for at in self.state.accounts.keys().cloned().collect::<Vec<_>>() {
            self.close_open_attempt(&at);
            self.desks.entry(at.clone()).or_default();
            self.dirty.insert(at);
        }
        let live = self.state.grants.values().filter(|g| g.phase.is_live());
        let live: Vec<(GrantId, bool)> =
            live.map(|g| (g.terms.grant.clone(), clock_was_dead || g.end.is_due(self.now))).collect();
        for (grant, due) in live {
            if due {
                self.end(&grant, EndReason::Expired, WokenBy::Start);
            } else {
                self.anchor(&grant);
                self.arm(&grant);
            }
        }
        self.start_extensions();
        if !clock_was_dead {
            self.restart_watches_of_the_future();
        }
        let strangers = self.state.accounts.keys().filter(|at| !self.tenants.contains_key(&at.integration));
        for at in strangers.cloned().collect::<Vec<_>>() {
            self.warn(Warning::Unconfigured(at));
        }
        for integration in self.tenants.keys().cloned().collect::<Vec<_>>() {
            self.probe_all(&integration);
        }
        self.start_recovery(findings);
        self.alarms.set(self.now.boot + self.settings.timing.sweep, Wake::Sweep);
    }

    /// Sets the wake-up of a grant's end.
    pub(super) fn arm(&mut self, grant: &GrantId) {
        let Some(found) = self.state.grants.get(grant) else { return };
        let at = found.end.wakes_at(self.now);
        let alarm = self.alarms.set(at, Wake::Grant(grant.clone()));
        if let Some(old) = self.grant_alarms.insert(grant.clone(), alarm) {
            self.alarms.clear(old);
        }
    }

    pub(super) fn fire_due(&mut self) {
        let mut woken = Vec::new();
        // If more is due than one turn's budget, `next_wake` says so and the shell comes right back.
        self.alarms.due(self.now.boot, &mut woken);
        // A sweep finds what no timer has noticed: after a sleep, every other timer's word comes first.
        woken.sort_by_key(|who| *who == Wake::Sweep);
        for who in woken {
            match who {
                Wake::Grant(grant) => self.grant_woken(&grant),
                Wake::Account(at) => {
                    self.dirty.insert(at);
                }
                Wake::Integration(integration) => self.integration_woken(&integration),
                Wake::Job(job) => self.pending_deadline(&job),
                Wake::Sweep => self.sweep(),
            }
        }
    }

    /// Ends a grant: the one place. What was being tried for it no longer delays anything.
    pub(super) fn end(&mut self, grant: &GrantId, reason: EndReason, woken_by: WokenBy) {
        self.end_because(grant, reason, woken_by, Cause::default());
    }

    /// Ends a grant that never became active: its job's result is in the same record.
    pub(super) fn fail(&mut self, grant: &GrantId, rule: Rule, fault: Option<Fault>) {
        let cause = Cause { rule: Some(rule), fault, order: None };
        self.end_because(grant, EndReason::Failed, WokenBy::Operator, cause);
    }

    /// Ends a grant on somebody's word, which is kept with it.
    pub(super) fn end_ordered(&mut self, grant: &GrantId, reason: EndReason, by: WokenBy, order: &Order) {
        self.end_because(grant, reason, by, Cause { order: Some(order.clone()), ..Cause::default() });
    }

    fn end_because(&mut self, grant: &GrantId, reason: EndReason, woken_by: WokenBy, cause: Cause) {
        let Some(found) = self.state.grants.get(grant).filter(|g| g.phase.is_live()) else { return };
        let lateness_ms = if reason == EndReason::Expired { found.end.overdue_ms(self.now) } else { 0 };
        let never_active = found.phase != Phase::Active;
        let Cause { rule, fault, order } = cause;
        let rule = rule.or(if never_active { Some(Rule::EndedBeforeActive) } else { None });
        let at = found.account_ref();
        let about = found.about();
        self.drop_extensions(grant);
        let policy_hash = self.hash_in_force();
        let ending = GrantEnding { about, reason, woken_by, lateness_ms, rule, fault, policy_hash, order };
        self.write(Record::GrantEnding(ending));
        if let Some(alarm) = self.grant_alarms.remove(grant) {
            self.alarms.clear(alarm);
        }
        let desk = self.desks.entry(at.clone()).or_default();
        desk.calm();
        desk.reraise = false;
        if matches!(reason, EndReason::Expired | EndReason::Requested | EndReason::Operator) {
            // An ending is computed from a read that began after it: the race with a person stays short.
            desk.seen = None;
        }
        self.dirty.insert(at);
    }

    fn grant_woken(&mut self, grant: &GrantId) {
        let Some(found) = self.state.grants.get(grant).filter(|g| g.phase.is_live()) else { return };
        if found.end.is_due(self.now) {
            self.end(grant, EndReason::Expired, WokenBy::Wheel);
        } else {
            self.arm(grant);
        }
    }

    /// Finds what a timer missed. Everything it finds beyond a slack of two seconds is a bug, is ended
    /// all the same, and is said aloud.
    fn sweep(&mut self) {
        let missed =
            |g: &&Grant| g.phase.is_live() && g.end.is_due(self.now) && g.end.overdue_ms(self.now) > 2_000;
        let missed: Vec<_> = self
            .state
            .grants
            .values()
            .filter(missed)
            .map(|g| (g.terms.grant.clone(), g.account_ref()))
            .collect();
        for (grant, at) in missed {
            self.warn(Warning::WheelMiss(at));
            self.end(&grant, EndReason::Expired, WokenBy::Sweep);
        }
        self.give_up_lost_calls();
        self.report_overdue();
        self.remind_of_forgotten();
        self.remind_if_due();
        self.keep_time_floor();
        if self.clock.is_trusted() {
            // A clock that jumped years ahead must not make a job new again, nor one that was dead when the job
            // came make it forgotten before its answer.
            let wall = self.now.wall;
            self.state.jobs.retain(|_, seen| seen.answer.is_none() || seen.forget_at > wall);
            self.forget_usage();
        }
        let busy = self.state.accounts.keys().cloned();
        self.dirty.extend(busy);
        self.alarms.set(self.now.boot + self.settings.timing.sweep, Wake::Sweep);
    }

    fn give_up_lost_calls(&mut self) {
        let patience = |f: &Flight| match f.purpose {
            Purpose::Errand(Errand::List | Errand::Survey) => LOST_LISTING,
            _ => LOST,
        };
        let lost = self.calls.iter().filter(|(_, f)| self.now.boot.since(f.began) > patience(f));
        for call in lost.map(|(call, _)| *call).collect::<Vec<_>>() {
            self.outcome(call, Outcome::Lost);
        }
    }

    fn report_overdue(&mut self) {
        let first = self.settings.timing.overdue.0;
        let mut found = Vec::new();
        for grant in self.state.grants.values().filter(|g| g.phase == Phase::Revoking) {
            let age = grant.overdue_ms(self.now);
            if age >= next_rung(first, grant.overdue_told_ms) {
                found.push((grant.about(), grant.account_ref(), age));
            }
        }
        for (about, at, overdue_ms) in found {
            let account = self.state.accounts.get(&at);
            let attempts = account.map_or(0, |a| a.attempts);
            let fault = account.and_then(|a| a.last_fault.clone());
            let fault =
                fault.or_else(|| self.tenants.get(&at.integration).and_then(|t| t.last_fault.clone()));
            let policy_hash = self.hash_in_force();
            self.write(Record::RevocationOverdue { about, overdue_ms, attempts, fault, policy_hash });
        }
    }

    /// An attempt whose end nobody recorded may have been carried out, or may yet be.
    fn close_open_attempt(&mut self, at: &super::account::AccountRef) {
        let Some(open) = self.state.accounts.get(at).and_then(|a| a.open_attempt.clone()) else { return };
        let end = AttemptEnd::Ambiguous(Fault::of(FaultClass::Ambiguous));
        self.write(Record::AttemptEnded { at: at.clone(), n: open.n, end });
        self.mark_indeterminate(at, &open.effect);
        self.watch(at);
    }

    pub(super) fn mark_indeterminate(&mut self, at: &super::account::AccountRef, effect: &Effect) {
        if !effect.is_raise() {
            return;
        }
        let applying = self.state.grants_of(at).filter(|g| g.phase == Phase::Applying);
        for about in applying.map(Grant::about).collect::<Vec<_>>() {
            self.write(Record::GrantIndeterminate { about });
        }
    }
}

impl Grant {
    /// The grant, in full, for its records.
    #[must_use]
    pub fn about(&self) -> About {
        About {
            grant: self.terms.grant.clone(),
            grant_job: self.terms.job.clone(),
            integration: self.terms.integration.clone(),
            email: self.terms.email.clone(),
            role: self.terms.role.clone(),
        }
    }

    /// The record of its read-back.
    #[must_use]
    pub fn active(
        &self,
        account: &AccountId,
        after: &[RoleName],
        attempts: u32,
        awaiting: Option<bool>,
    ) -> GrantActive {
        GrantActive {
            about: self.about(),
            account: account.clone(),
            before: self.terms.roles_before.clone(),
            after: after.to_vec(),
            attempts,
            ends_at: self.end.at,
            policy_hash: self.terms.policy_hash.clone(),
            awaiting_activation: awaiting,
            held: None,
        }
    }

    /// The account it touches.
    #[must_use]
    pub fn account_ref(&self) -> super::account::AccountRef {
        super::account::AccountRef {
            integration: self.terms.integration.clone(),
            account: self.terms.account.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overdue_revocation_is_reported_ever_more_seldom_and_never_for_the_last_time() {
        let mut told = None;
        let ages: Vec<u64> = (0..40)
            .map(|_| {
                told = Some(next_rung(60_000, told));
                told.unwrap_or_default() / 60_000
            })
            .collect();
        assert_eq!(ages[..6], [1, 5, 15, 60, 120, 180]);
        assert_eq!(ages[25..30], [23 * 60, 24 * 60, 2 * 24 * 60, 3 * 24 * 60, 4 * 24 * 60]);
        assert_eq!(
            next_rung(60_000, Some(1_000 * 86_400_000 + 5)),
            1_001 * 86_400_000,
            "and no flood after days off"
        );
    }
}
