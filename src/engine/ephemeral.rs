//! Ephemeral accounts: made for one grant, deleted at its end.
//!
//! The tagged address is ours by derivation; once the account was seen, only its recorded id counts,
//! even if somebody changed its address. The same address under another id is a stranger.

use super::{
    Engine,
    account::{AccountRef, Effect},
    action::{LowerChange, RoleField},
    codes::Rule,
    drive::Move,
    grant::{Grant, Phase},
    ids::AccountId,
    observed::ObservedAccount,
    record::Record,
};

impl Engine {
    /// A read showed the account (by its recorded id, or by its address before the id was known).
    pub(super) fn digest_ephemeral(&mut self, at: &AccountRef, seen: &ObservedAccount) {
        let known = self.state.accounts.get(at).and_then(|a| a.id.clone());
        match known {
            Some(id) if id != seen.id => return,
            Some(_) => {}
            None => {
                self.write(Record::AccountFound { at: at.clone(), id: seen.id.clone() });
            }
        }
        if let Some(grant) = self.raising(at) {
            // Half-made is not made: it is deleted at once.
            if seen.roles == [grant.terms.role.clone()] && seen.api_key_allowed != Some(true) {
                let awaiting = seen.mfa_enrolled.map(|enrolled| !enrolled);
                self.confirm(at, &seen.id, &seen.roles, awaiting);
            } else {
                let grant = grant.terms.grant.clone();
                self.fail(&grant, Rule::NotConfirmed, None);
            }
        }
        self.end_uncovered(at, &seen.roles);
        let back = |g: &&Grant| matches!(g.phase, Phase::Settling | Phase::Ended);
        for about in self.state.grants_of(at).filter(back).map(Grant::about).collect::<Vec<_>>() {
            let policy_hash = self.hash_in_force();
            self.write(Record::GrantReappeared { about, observed: seen.roles.clone(), policy_hash });
        }
        if !self.has_revoking(at)
            && let Some(desk) = self.desks.get_mut(at)
        {
            desk.calm();
        }
    }

    fn raising(&self, at: &AccountRef) -> Option<Grant> {
        self.state.grants_of(at).find(|g| matches!(g.phase, Phase::Applying | Phase::Indeterminate)).cloned()
    }

    /// The delete that is due: at once when the end has come and the id is known, again whenever a
    /// listing shows the account still there.
    pub(super) fn delete_move(&self, at: &AccountRef, waits: bool) -> Option<Move> {
        if !self.has_revoking(at) {
            return None;
        }
        let desk = self.desks.get(at)?;
        let id = self.id_of(at)?;
        let still_there = desk.seen.as_ref().is_some_and(|s| s.at >= desk.written_at);
        let first = desk.tries == 0 && !desk.readback && desk.absent_since.is_none();
        if !first && !still_there {
            return None;
        }
        if waits {
            return Some(Move::Rest);
        }
        let demotion = self.demotion(at, id.clone());
        Some(demotion.unwrap_or(Move::Lower(Effect::Delete, LowerChange::Delete { id })))
    }

    /// While a delete has failed for long, every other try takes the account's role down to the floor: access
    /// that ends outranks an account that is tidy.
    fn demotion(&self, at: &AccountRef, id: AccountId) -> Option<Move> {
        let (account, tenant) = (self.state.accounts.get(at)?, self.tenants.get(&at.integration)?);
        let seen = self.desks.get(at)?.seen.as_ref()?;
        let long = self.state.grants_of(at).any(|g| g.overdue_ms(self.now) >= self.settings.timing.overdue.0);
        let floor = &tenant.settings.floor_role;
        let above =
            seen.account.roles != [floor.clone()] && tenant.order.any_covers(&seen.account.roles, floor);
        if !long || !above || account.attempts % 2 == 1 {
            return None;
        }
        let roles = vec![floor.clone()];
        let change = LowerChange::SetRoles { id, roles: roles.clone(), field: RoleField::One };
        Some(Move::Lower(Effect::Lower { roles }, change))
    }
}
