//! What is written to take access away, and in which field, when nobody knows what a write does.
//!
//! Refuses to take an accepted write for an effect: what was answered and changed nothing is written in
//! another way next, a person is told, and at last the floor role is written.

use super::{
    Engine,
    account::{AccountKey, AccountRef, Effect},
    action::{LowerChange, RoleField, Warning},
    desk::Sighting,
    drive::Move,
    grant::{Grant, Phase},
    ids::RoleName,
    plan::{self, Ending},
    settings::RoleMode,
    time::BootTime,
};

/// Lowers answered without effect after which a person is called: each of the three fields was tried, and
/// one of them again, because one write may be swallowed and one read may lag.
const VAIN: u32 = 4;

impl Engine {
    /// The lower that is needed, if a fresh read shows one (or, for an ephemeral account, if its end
    /// has come and its id is known).
    pub(super) fn lowering_move(
        &mut self,
        at: &AccountRef,
        fresh: Option<&Sighting>,
        waits: bool,
    ) -> Option<Move> {
        if matches!(at.account, AccountKey::Ephemeral(_)) {
            return self.delete_move(at, waits);
        }
        let seen = fresh?;
        match self.ending_to_write(at, &seen.account.roles)? {
            Ending::Clean | Ending::Superseded => None,
            Ending::Escalate => {
                self.escalate(at);
                Some(Move::Rest)
            }
            Ending::Write(_) if waits => Some(Move::Rest),
            Ending::Write(_) if !self.may_trust_id(at, seen) => {
                self.escalate(at);
                Some(Move::Rest)
            }
            Ending::Write(roles) => {
                let roles = self.or_floor(at, seen, roles);
                let id = seen.account.id.clone();
                let field = self.field_of(at, seen, &roles);
                let change = LowerChange::SetRoles { id, roles: roles.clone(), field };
                Some(Move::Lower(Effect::Lower { roles }, change))
            }
        }
    }

    /// The ending for what a read shows, with what is written to be sure; `None` where nothing is shown and
    /// nothing can be written upon that.
    fn ending_to_write(&self, at: &AccountRef, shown: &[RoleName]) -> Option<Ending> {
        if shown.is_empty() {
            return self.blind_target(at).map(Ending::Write);
        }
        Some(match self.ending_of(at, shown) {
            Ending::Clean if self.must_be_sure(at, shown) => Ending::Write(shown.to_vec()),
            ending => ending,
        })
    }

    /// What an ending may write where a read shows no role at all: only what raises of ours displaced and the
    /// account is to have again. In multiple mode nothing is displaced.
    pub(super) fn blind_target(&self, at: &AccountRef) -> Option<Vec<RoleName>> {
        let account = self.state.accounts.get(at).filter(|_| self.has_revoking(at))?;
        let tenant = self.tenants.get(&at.integration)?;
        let mode = tenant.settings.role_mode;
        let target = plan::desired(mode, &tenant.order, &account.baseline, &self.live_roles(at));
        let one =
            mode == RoleMode::Single && matches!(&target[..], [role] if account.displaced.contains(role));
        one.then_some(target)
    }

    /// The floor role instead of what has been written in vain for long, if it is no more than what is
    /// there: access that ends outranks a standing role beside it, which a person can give back. What only
    /// failed for long may go through next, so that every other try is still for it.
    fn or_floor(&mut self, at: &AccountRef, seen: &Sighting, roles: Vec<RoleName>) -> Vec<RoleName> {
        let (Some(tenant), Some(desk)) = (self.tenants.get(&at.integration), self.desks.get_mut(at)) else {
            return roles;
        };
        let floor = &tenant.settings.floor_role;
        let patience = self.settings.timing.overdue;
        let long = |since: Option<BootTime>| since.is_some_and(|at| self.now.boot.since(at) >= patience);
        let in_vain = long(desk.vain_since) && desk.vain >= VAIN;
        let fails = long(desk.failed_since) && desk.failed >= VAIN && desk.failed % 2 == 0;
        if (in_vain || fails) && tenant.order.any_covers(&seen.account.roles, floor) {
            let floor = vec![floor.clone()];
            // A person has to give back what is lost that way.
            if floor != roles && !std::mem::replace(&mut desk.floored, true) {
                self.warn(Warning::FloorInstead(at.clone()));
            }
            return floor;
        }
        roles
    }

    /// In which field a lower is written: one role goes into the field for one unless several are there,
    /// and a write that was answered and changed nothing is made in another field next.
    fn field_of(&self, at: &AccountRef, seen: &Sighting, roles: &[RoleName]) -> RoleField {
        use RoleField::{Both, One, Several};
        let vain = self.desks.get(at).map_or(0, |d| d.vain) as usize;
        match (roles.len(), seen.account.roles.len()) {
            (2.., _) => Several,
            (_, 2..) => [Several, One, Both][vain % 3],
            _ => [One, Several, Both][vain % 3],
        }
    }

    /// Lowers in every field were answered and changed nothing: a person must know.
    pub(super) fn note_vain(&mut self, at: &AccountRef, observed: &[RoleName]) {
        let to_write = matches!(self.ending_to_write(at, observed), Some(Ending::Write(_)));
        if to_write && self.desks.get(at).is_some_and(|d| d.vain >= VAIN) {
            self.stand_still(at);
        }
    }

    /// A read that shows a role gone that a raise gave, or a lower carried, and that we did not take away yet: a person did,
    /// or it was never there, or an old state is shown, or not all of it. What is shown is written once, so that it is
    /// what is there.
    pub(super) fn must_be_sure(&self, at: &AccountRef, observed: &[RoleName]) -> bool {
        let Some(tenant) = self.tenants.get(&at.integration) else { return false };
        let Some(account) = self.state.accounts.get(at) else { return false };
        let given = |role: &RoleName| account.unproven || tenant.order.any_covers(&account.carried, role);
        let ending = self.state.grants_of(at).filter(|g| g.phase == Phase::Revoking);
        ending.map(|g| &g.terms.role).any(|role| given(role) && !tenant.order.any_covers(observed, role))
    }

    /// When a read proves that access is gone: one that begins earlier may show what was there before the
    /// raise. A process that has just begun does not know when that was, only that it was not long ago.
    pub(super) fn proves_from(&self, at: &AccountRef) -> BootTime {
        let timing = &self.settings.timing;
        let lately = timing.raise_timeout.0.saturating_add(timing.settle.0);
        let young = |g: &Grant| g.terms.age(self.now).0 < lately;
        let unknown = || self.state.grants_of(at).any(young).then_some(self.started);
        let raised = self.desks.get(at).and_then(|desk| desk.raised_at).or_else(unknown);
        raised.map_or(BootTime(0), |raised| raised + timing.settle)
    }

    /// Whether an ending that a read shows as done needs a later read as its proof.
    pub(super) fn is_proven_later(&self, at: &AccountRef, seen: &Sighting) -> bool {
        let proves = self.proves_from(at);
        seen.at < proves && self.has_revoking(at) && self.is_from_before(at, &seen.account.roles)
    }

    /// Whether the role of an ending is still shown and only a raise that may never come about justifies
    /// it. Whether that role goes or belongs to the higher one is known once the raise is: it is not gone yet.
    pub(super) fn waits_for_raise(&self, at: &AccountRef, shown: &[RoleName]) -> bool {
        let (Some(account), Some(tenant)) = (self.state.accounts.get(at), self.tenants.get(&at.integration))
        else {
            return false;
        };
        let of = |phase: Phase| self.state.grants_of(at).filter(move |g| g.phase == phase);
        let roles = |phase: Phase| of(phase).map(|g| &g.terms.role);
        let covers = |by: &RoleName, role: &RoleName| tenant.order.covers(by, role);
        let kept = |role: &RoleName| roles(Phase::Active).chain(&account.baseline).any(|by| covers(by, role));
        let hoped = |role: &RoleName| {
            roles(Phase::Applying).chain(roles(Phase::Indeterminate)).any(|by| covers(by, role))
        };
        roles(Phase::Revoking).any(|role| tenant.order.any_covers(shown, role) && !kept(role) && hoped(role))
    }

    /// Whether nothing is to be done for the endings of an account but wait until a read proves them.
    pub(super) fn waits_for_proof(&self, at: &AccountRef) -> bool {
        let (Some(desk), AccountKey::Standing(_)) = (self.desks.get(at), &at.account) else { return false };
        let Some(seen) = desk.seen.as_ref().filter(|seen| seen.at >= desk.written_at) else { return false };
        let ending = self.ending_to_write(at, &seen.account.roles);
        self.is_proven_later(at, seen)
            && self.now.boot < self.proves_from(at)
            && matches!(ending, Some(Ending::Clean))
    }

    /// Where the organization cannot be read, a recorded id is believed only while its address is the
    /// recorded one.
    fn may_trust_id(&self, at: &AccountRef, seen: &Sighting) -> bool {
        let read = self.tenants.get(&at.integration).is_some_and(|t| t.org_seen.is_some());
        read || self.state.accounts.get(at).is_some_and(|a| a.email.same_mailbox(&seen.account.email))
    }
}
