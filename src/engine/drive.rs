//! One account, one step at a time: what has to be done next, and handing it out.
//!
//! At most one call of ours is in flight for an account. A lower goes before everything else; a raise
//! is decided only on a read that came back at most a second ago.

use super::{
    Engine, Purpose,
    account::{AccountKey, AccountRef, Attempt, Effect},
    action::{Action, CallId, Look, Lower, LowerChange, Read, Warning},
    alarms::Wake,
    budget::Lane,
    codes::Rule,
    desk::Guards,
    grant::{Grant, Phase},
    ids::GrantId,
    planted::{self, Planted},
    record::Record,
    tenant::Errand,
    time::{BootTime, Millis},
};

/// What an account needs next.
pub(super) enum Move {
    Rest,
    Look(Lane),
    Lower(Effect, LowerChange),
    Decide,
    Raise(GrantId),
}

impl Engine {
    /// Does the next thing for an account, if there is one and it is time.
    pub(super) fn drive(&mut self, at: &AccountRef) {
        self.expire_raises(at);
        let Some(desk) = self.desks.get(at) else { return };
        if desk.flight.is_none() {
            if desk.fresh(self.now.boot).is_some() {
                self.digest(at);
            }
            match self.next_move(at) {
                Move::Rest => {}
                Move::Look(lane) => self.look(at, lane),
                Move::Lower(effect, change) => self.lower(at, effect, change),
                Move::Decide => self.decide(at),
                Move::Raise(grant) => self.raise_again(at, &grant),
            }
        }
        self.rest(at);
    }

    fn next_move(&mut self, at: &AccountRef) -> Move {
        let now = self.now.boot;
        if self.tenants.get(&at.integration).is_none_or(|t| t.wrong_org) {
            return Move::Rest;
        }
        let Some(desk) = self.desks.get(at) else { return Move::Rest };
        let waits = desk.not_before > now && !desk.readback;
        let fresh = desk.fresh(now).cloned();
        if (self.has_revoking(at) || self.state.accounts.contains_key(at))
            && let Some(next) = self.lowering_move(at, fresh.as_ref(), waits)
        {
            return next;
        }
        let Some(desk) = self.desks.get(at) else { return Move::Rest };
        let ephemeral = matches!(at.account, AccountKey::Ephemeral(_));
        // While a live grant's access seems to be gone and no second look agrees, nothing is decided: what
        // is shown may be old, and a raise that is built on it would take the live access away.
        let second = desk.missing_since.map(|since| since + self.settings.timing.settle);
        let unsure = second.is_some_and(|second| desk.seen_before(second));
        let missing = unsure && second.is_some_and(|second| second <= now);
        let decides = !desk.jobs.is_empty() && !unsure;
        // One raise at a time: what the next job may have depends on what this one did.
        if decides
            && self.applying(at).is_none()
            && (fresh.is_some() || (ephemeral && desk.absent_since.is_some()))
        {
            return Move::Decide;
        }
        if let Some(grant) = self.applying(at).filter(|_| desk.reraise && fresh.is_some() && !waits) {
            return Move::Raise(grant);
        }
        let shown = fresh.as_ref().map_or(&[][..], |seen| &seen.account.roles);
        let lane = if self.has_revoking(at) && !self.waits_for_proof(at) && !self.waits_for_raise(at, shown) {
            Lane::Lower
        } else if self.state.grants_of(at).any(|g| matches!(g.phase, Phase::Applying | Phase::Indeterminate))
        {
            Lane::Verify
        } else if decides {
            Lane::Raise
        } else if self.watch_look_due(at) || missing {
            Lane::Observe
        } else {
            return Move::Rest;
        };
        // A read that is fresh and yet too old to prove an ending is none to rest on, once another one can.
        let proves = self.proves_from(at);
        let too_old =
            |seen: &super::desk::Sighting| self.has_revoking(at) && seen.at < proves && proves <= now;
        let suffices = fresh.is_some_and(|seen| !too_old(&seen));
        if waits || suffices && !self.watch_look_due(at) && !missing && lane != Lane::Verify {
            return Move::Rest;
        }
        Move::Look(lane)
    }

    pub(super) fn escalate(&mut self, at: &AccountRef) {
        let jitter = self.jitter();
        let (base, cap) = (self.settings.timing.lower_base, self.settings.timing.lower_cap);
        let now = self.now.boot;
        let Some(desk) = self.desks.get_mut(at) else { return };
        if desk.not_before <= now {
            desk.back_off(now, base, cap, jitter);
        }
        self.stand_still(at);
    }

    /// Says once that a standstill needs a person.
    pub(super) fn stand_still(&mut self, at: &AccountRef) {
        // Before the roles are known, hardly any compare: that is no standstill yet.
        let known = self.tenants.get(&at.integration).is_some_and(|t| t.roles.last.is_some());
        let Some(desk) = self.desks.get_mut(at) else { return };
        if known && !std::mem::replace(&mut desk.escalated, true) {
            self.warn(Warning::Escalated(at.clone()));
        }
    }

    fn look(&mut self, at: &AccountRef, lane: Lane) {
        let ephemeral = matches!(at.account, AccountKey::Ephemeral(_));
        let id = self.id_of(at);
        let by_list =
            self.desks.get(at).is_some_and(|d| d.awaits_listing.is_some() || d.absent_since.is_some());
        let settled = ephemeral && !self.state.grants_of(at).any(|g| g.phase.is_live());
        match id {
            Some(id) if !by_list && !settled => {
                if !self.take_or_queue(at, lane) {
                    return;
                }
                let call = self.begin(at, Purpose::Look(at.clone()), false);
                let integration = at.integration.clone();
                self.out.actions.push(Action::Read(Read {
                    call,
                    integration,
                    org: None,
                    what: Look::Get(id),
                }));
            }
            _ => {
                self.want(&at.integration, Errand::List);
                let now = self.now.boot;
                if let Some(desk) = self.desks.get_mut(at) {
                    desk.awaits_listing.get_or_insert(now);
                    desk.readback = false;
                }
            }
        }
    }

    fn lower(&mut self, at: &AccountRef, effect: Effect, change: LowerChange) {
        let tried = self.state.accounts.get(at).map_or(0, |account| account.attempts);
        if tried > 6 && planted::is(Planted::GivesUp) {
            return;
        }
        let accepted = self.state.grants_of(at).map(|g| g.accepted_seq).min();
        let Some(accepted) = accepted else { return };
        if accepted > self.durable || self.gives_undurable(at, &effect) {
            self.undurable.insert(at.clone());
            return;
        }
        if !self.take_or_queue(at, Lane::LowerWrite) {
            return;
        }
        let attempt = self.attempt(at, effect);
        let call = self.begin(at, Purpose::Write(at.clone(), Box::new(attempt.clone())), true);
        if let Some(lower) = Lower::new(call, at.clone(), change, (accepted, self.durable)) {
            self.write(Record::AttemptStarted { at: at.clone(), attempt });
            self.out.actions.push(Action::Lower(lower));
        }
    }

    /// Whether a lower carries the role of a live grant of which the disk does not know yet: what is written for
    /// it would belong to nobody after a crash.
    fn gives_undurable(&self, at: &AccountRef, effect: &Effect) -> bool {
        let written = effect.writes();
        let carried = |g: &Grant| g.phase.is_live() && written.contains(&g.terms.role);
        self.ledger_ok && self.state.grants_of(at).any(|g| carried(g) && g.accepted_seq > self.durable)
    }

    pub(super) fn attempt(&self, at: &AccountRef, effect: Effect) -> Attempt {
        let n = self.state.accounts.get(at).map_or(0, |a| a.attempts) + 1;
        Attempt { n, effect, at: self.now.wall }
    }

    /// Marks a call for the account as under way.
    pub(super) fn begin(&mut self, at: &AccountRef, purpose: Purpose, writing: bool) -> CallId {
        let call = self.call(&at.integration, purpose);
        let desk = self.desks.entry(at.clone()).or_default();
        desk.flight = Some(call);
        desk.writing = writing;
        if writing {
            desk.guards = desk.seen.as_ref().map(|seen| Guards::of(&seen.account));
        }
        desk.readback = false;
        call
    }

    /// A token for `lane`, or a place in the queue for one.
    pub(super) fn take_or_queue(&mut self, at: &AccountRef, lane: Lane) -> bool {
        let now = self.now.boot;
        let mut place = self.place(at, lane);
        let Some(tenant) = self.tenants.get_mut(&at.integration) else { return false };
        let desk = self.desks.entry(at.clone()).or_default();
        if let Some(before) = desk.queued.take() {
            place.since = place.since.min(before.since);
            tenant.queue.remove(&before);
        }
        let first = tenant.queue.first().is_none_or(|ahead| place < *ahead);
        if first && tenant.budget.take(lane, now) {
            return true;
        }
        tenant.queue.insert(place.clone());
        desk.queued = Some(place);
        false
    }

    /// Raises that were not confirmed in time fail; what they may have done is taken away.
    fn expire_raises(&mut self, at: &AccountRef) {
        let timeout = self.settings.timing.raise_timeout;
        let Some(desk) = self.desks.get(at) else { return };
        // After a start, one look comes first: what a previous process raised may be there and well.
        let looked = desk.seen.is_some() || self.now.boot.since(self.started) >= timeout;
        if desk.writing || !looked {
            return;
        }
        let late = |g: &&Grant| {
            matches!(g.phase, Phase::Applying | Phase::Indeterminate) && g.terms.age(self.now) >= timeout
        };
        let late: Vec<GrantId> =
            self.state.grants_of(at).filter(late).map(|g| g.terms.grant.clone()).collect();
        let fault = self.state.accounts.get(at).and_then(|a| a.last_fault.clone());
        for grant in late {
            let rule = if self.desks.get(at).is_some_and(|d| d.reraise) {
                Rule::NotSentInTime
            } else {
                Rule::NotConfirmed
            };
            self.fail(&grant, rule, fault.clone());
        }
    }

    /// Sets the wake-up for whatever this account waits for; forgets desks with nothing to do.
    fn rest(&mut self, at: &AccountRef) {
        let next = self.next_look(at);
        let Some(desk) = self.desks.get_mut(at) else { return };
        let old = desk.alarm.take();
        if next.is_none()
            && !self.state.accounts.contains_key(at)
            && desk.jobs.is_empty()
            && desk.flight.is_none()
        {
            self.desks.remove(at);
        } else {
            desk.alarm = match (old, next) {
                (Some(old), Some(next)) if old.at == next => return desk.alarm = Some(old),
                (_, next) => next.map(|next| self.alarms.set(next, Wake::Account(at.clone()))),
            };
        }
        if let Some(old) = old {
            self.alarms.clear(old);
        }
    }

    fn next_look(&self, at: &AccountRef) -> Option<BootTime> {
        let desk = self.desks.get(at)?;
        let now = self.now.boot;
        let mut next: Vec<BootTime> = Vec::new();
        if desk.not_before > now {
            next.push(desk.not_before);
        }
        let timeout = self.settings.timing.raise_timeout;
        for grant in
            self.state.grants_of(at).filter(|g| matches!(g.phase, Phase::Applying | Phase::Indeterminate))
        {
            let left = Millis(timeout.0.saturating_sub(grant.terms.age(self.now).0));
            next.push((now + left).max(now + Millis(1)));
        }
        next.extend(self.next_watch_look(at));
        next.extend(self.waits_for_proof(at).then(|| self.proves_from(at)));
        next.extend(desk.missing_since.map(|since| since + self.settings.timing.settle));
        next.into_iter().filter(|t| *t > now).min()
    }

    pub(super) fn applying(&self, at: &AccountRef) -> Option<GrantId> {
        self.state.grants_of(at).find(|g| g.phase == Phase::Applying).map(|g| g.terms.grant.clone())
    }

    pub(super) fn has_revoking(&self, at: &AccountRef) -> bool {
        self.state.grants_of(at).any(|g| g.phase == Phase::Revoking)
    }
}
