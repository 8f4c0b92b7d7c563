//! What a call for one account brought: looks and writes that came back.
//!
//! A write's own answer proves nothing; it only says whether the write may yet be carried out. The
//! read-back follows at once.

use super::{
    Engine, Flight,
    account::{AccountKey, AccountRef, Attempt, AttemptEnd, Effect},
    codes::Rule,
    desk::Sighting,
    grant::Phase,
    ids::AccountId,
    input::Outcome,
    observed::{Fault, FaultClass},
    planted::{self, Planted},
    record::Record,
    tenant::Errand,
    time::Millis,
};

/// Waits between read-backs of a raise that JumpCloud accepted but does not show yet.
const READ_BACK_BASE: Millis = Millis(250);
const READ_BACK_CAP: Millis = Millis(5_000);

impl Engine {
    /// A look at one account came back.
    pub(super) fn looked(&mut self, at: &AccountRef, flight: &Flight, outcome: Outcome) {
        let jitter = self.jitter();
        let (base, cap) = (self.settings.timing.lower_base, self.settings.timing.lower_cap);
        let now = self.now.boot;
        self.dirty.insert(at.clone());
        let Some(desk) = self.desks.get_mut(at) else { return };
        desk.flight = None;
        match outcome {
            Outcome::Get(Ok(account)) => {
                self.note_success(&at.integration);
                self.sighted(at, Sighting::read(flight.began, now, account));
                self.pace_read_back(at, jitter);
            }
            Outcome::Get(Err(fault))
                if fault.class == FaultClass::NotFound && planted::is(Planted::NotFoundIsGone) =>
            {
                self.digest_absence(at);
            }
            Outcome::Get(Err(fault)) if fault.class == FaultClass::NotFound => {
                // Not there, or not our organization, or no such route: only a listing can tell.
                desk.awaits_listing = Some(now);
                desk.back_off(now, base, cap, jitter);
                self.want(&at.integration, Errand::List);
            }
            Outcome::Get(Err(fault)) => {
                desk.back_off(now, base, cap, jitter);
                self.note_fault(&at.integration, &fault);
            }
            _ => desk.back_off(now, base, cap, jitter),
        }
    }

    /// A raise that is accepted but not shown yet is looked at again, ever more patiently.
    pub(super) fn pace_read_back(&mut self, at: &AccountRef, jitter: u8) {
        let waiting =
            self.state.grants_of(at).any(|g| matches!(g.phase, Phase::Applying | Phase::Indeterminate));
        let now = self.now.boot;
        if let Some(desk) = self.desks.get_mut(at).filter(|d| waiting && !d.reraise) {
            desk.back_off(now, READ_BACK_BASE, READ_BACK_CAP, jitter);
        }
    }

    /// A write came back. Its answer proves nothing; the read-back follows at once.
    pub(super) fn wrote(&mut self, at: &AccountRef, attempt: &Attempt, outcome: Outcome) {
        let (end, id) = ended(outcome);
        let jitter = self.jitter();
        let timing = &self.settings.timing;
        let (base, cap) = (timing.lower_base, timing.lower_cap);
        let now = self.now.boot;
        self.write(Record::AttemptEnded { at: at.clone(), n: attempt.n, end: end.clone() });
        if let (Some(id), AccountKey::Ephemeral(_)) = (id, &at.account) {
            self.write(Record::AccountFound { at: at.clone(), id });
        }
        let desk = self.desks.entry(at.clone()).or_default();
        desk.flight = None;
        desk.writing = false;
        desk.written_at = now;
        desk.seen = None;
        desk.absent_since = None;
        desk.readback = true;
        if !attempt.effect.is_raise() {
            // How soon a throttled tenant is asked again is the budget's to say, lowers first.
            let throttled =
                matches!(&end, AttemptEnd::NotDone(fault) if fault.class == FaultClass::Throttled);
            if !throttled {
                desk.back_off(now, base, cap, jitter);
            }
            if is_final(&end) {
                desk.vain += 1; // until the read-back shows its effect
                desk.vain_since.get_or_insert(now);
            } else if says_something(&end) {
                desk.failed += 1;
                desk.failed_since.get_or_insert(now);
            }
        }
        match &end {
            AttemptEnd::Accepted => self.note_success(&at.integration),
            AttemptEnd::NotDone(fault) | AttemptEnd::Ambiguous(fault) => {
                self.note_fault(&at.integration, fault)
            }
        }
        if attempt.effect.is_raise() {
            if let Some(desk) = self.desks.get_mut(at).filter(|_| !matches!(end, AttemptEnd::NotDone(_))) {
                desk.raised_at = Some(now);
            }
            self.raise_ended(at, &attempt.effect, &end);
        }
        self.dirty.insert(at.clone());
    }

    fn raise_ended(&mut self, at: &AccountRef, effect: &Effect, end: &AttemptEnd) {
        match end {
            AttemptEnd::Accepted => {}
            AttemptEnd::Ambiguous(_) if planted::is(Planted::BlindRetry) => {
                if let Some(desk) = self.desks.get_mut(at) {
                    (desk.reraise, desk.readback) = (true, false);
                }
            }
            AttemptEnd::Ambiguous(_) => {
                self.mark_indeterminate(at, effect);
                self.watch(at);
            }
            AttemptEnd::NotDone(fault)
                if matches!(fault.class, FaultClass::Throttled | FaultClass::NotSent) =>
            {
                let jitter = self.jitter();
                let now = self.now.boot;
                if let Some(desk) = self.desks.get_mut(at) {
                    desk.reraise = true;
                    desk.readback = false;
                    desk.back_off(now, READ_BACK_BASE, READ_BACK_CAP, jitter);
                }
            }
            AttemptEnd::NotDone(fault) => {
                let rule = if fault.class == FaultClass::Credential {
                    Rule::Credential
                } else {
                    Rule::RefusedByJumpcloud
                };
                if let Some(grant) = self.applying(at) {
                    self.fail(&grant, rule, Some(fault.clone()));
                }
            }
        }
    }
}

/// Whether JumpCloud has said all that it will say to a write: what it did not do now, it will not.
fn is_final(end: &AttemptEnd) -> bool {
    match end {
        AttemptEnd::Accepted => true,
        AttemptEnd::NotDone(fault) => fault.class == FaultClass::Refused,
        AttemptEnd::Ambiguous(_) => false,
    }
}

/// Whether a write that failed says something of what was written: it reached JumpCloud, in its turn and with a
/// credential that is taken.
fn says_something(end: &AttemptEnd) -> bool {
    use FaultClass::{Credential, NotSent, Throttled, WrongOrganization};
    match end {
        AttemptEnd::Accepted => false,
        AttemptEnd::NotDone(fault) | AttemptEnd::Ambiguous(fault) => {
            !matches!(fault.class, Credential | NotSent | Throttled | WrongOrganization)
        }
    }
}

fn ended(outcome: Outcome) -> (AttemptEnd, Option<AccountId>) {
    let of = |fault: Fault| {
        if fault.may_have_happened() { AttemptEnd::Ambiguous(fault) } else { AttemptEnd::NotDone(fault) }
    };
    match outcome {
        Outcome::Created(Ok(id)) => (AttemptEnd::Accepted, id),
        Outcome::Written(Ok(())) => (AttemptEnd::Accepted, None),
        Outcome::Created(Err(fault)) | Outcome::Written(Err(fault)) => (of(fault), None),
        _ => (AttemptEnd::Ambiguous(Fault::of(FaultClass::Ambiguous)), None),
    }
}
