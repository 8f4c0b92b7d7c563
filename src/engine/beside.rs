//! A role beside the roles that an account has already: what is covered, what does not compare, and what an
//! ending may leave.
//!
//! Refuses to let one role stand for two: in single mode everything that an account is to have is one chain.

use super::{
    Engine,
    account::AccountRef,
    codes::{ResultCode, Rule},
    decide::Verdict,
    ids::RoleName,
    job::GrantJob,
    record::Record,
    settings::RoleMode,
};

impl Engine {
    /// The account shows the role's reach already: by itself, or by a grant of ours.
    pub(super) fn judge_covered(&self, at: &AccountRef, grant: &GrantJob, roles: &[RoleName]) -> Verdict {
        let Some(tenant) = self.tenants.get(&at.integration) else { return Verdict::Wait };
        let standing = self.state.accounts.get(at).map_or(roles, |a| a.baseline.as_slice());
        if tenant.order.any_covers(standing, &grant.role) {
            return Verdict::Answer(ResultCode::AlreadyGranted, None);
        }
        if !self.compares(at, &grant.role, roles) {
            // Once the grant that covers both is over, one role would have to stand for two.
            return Verdict::Answer(ResultCode::Conflict, Some(Rule::RolesIncomparable));
        }
        Verdict::Covered
    }

    /// Whether, in single mode, a role compares with each that the account is to have besides it: what stays
    /// when our grants are over, and the other live grants.
    pub(super) fn compares(&self, at: &AccountRef, role: &RoleName, shown: &[RoleName]) -> bool {
        let Some(tenant) = self.tenants.get(&at.integration) else { return false };
        let compares =
            |other: &RoleName| tenant.order.covers(other, role) || tenant.order.covers(role, other);
        let recorded = self.state.accounts.get(at).filter(|_| !self.is_less(at, shown));
        let standing = recorded.map_or(shown, |account| &account.baseline);
        tenant.settings.role_mode == RoleMode::Multiple
            || standing.iter().chain(&self.live_roles(at)).all(compares)
    }

    /// What is there now is all that an ending may leave: a baseline beyond it would keep what a raise gives.
    pub(super) fn lower_baseline(&mut self, at: &AccountRef, shown: &[RoleName]) {
        if let Some(account) = self.state.accounts.get(at).filter(|_| self.is_less(at, shown)) {
            let from = account.baseline.clone();
            self.write(Record::BaselineMoved { at: at.clone(), from, to: shown.to_vec() });
        }
    }

    /// Whether nothing of ours is live and less is there than the baseline says, or the floor role alone:
    /// somebody took it away while his word did not count, or we wrote the floor for want of a better one.
    fn is_less(&self, at: &AccountRef, shown: &[RoleName]) -> bool {
        let Some(account) = self.state.accounts.get(at) else { return false };
        self.takes_only(at, shown)
            && account.baseline.iter().any(|role| !shown.contains(role))
            && self.live_roles(at).is_empty()
    }

    /// Whether these roles give nothing that the baseline has not: they are covered by it, or the floor alone.
    pub(super) fn takes_only(&self, at: &AccountRef, roles: &[RoleName]) -> bool {
        let (Some(account), Some(tenant)) = (self.state.accounts.get(at), self.tenants.get(&at.integration))
        else {
            return false;
        };
        let floor = matches!(roles, [only] if *only == tenant.settings.floor_role);
        !roles.is_empty() && (floor || tenant.order.all_covered(&account.baseline, roles))
    }
}
