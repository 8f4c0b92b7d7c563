//! Which organization answers, and what else is known here of an account in it.
//!
//! Refuses to let one account be held twice: by two integrations of one organization, or by a grant beside the one
//! that it was made for.

use super::{
    Engine,
    account::{AccountKey, AccountRef},
    ids::{AccountId, IntegrationId, OrgId},
    observed::ObservedAccount,
    probe::WHOAMI_AGE,
    time::BootTime,
};

impl Engine {
    /// The account says that it belongs to another organization than the pinned one: a credential of
    /// several was shown it all the same. Asked of raises only.
    pub(super) fn is_elsewhere(&self, at: &AccountRef, account: &ObservedAccount) -> bool {
        let pinned = self.state.organizations.get(&at.integration);
        account.org.as_ref().zip(pinned).is_some_and(|(shown, pinned)| shown != pinned)
    }

    /// The pinned organization answered last, not long ago, and takes the credential.
    pub(super) fn is_known_organization(&self, at: &AccountRef) -> bool {
        let pinned = self.state.organizations.get(&at.integration);
        self.tenants.get(&at.integration).is_some_and(|tenant| {
            let recent = |seen: BootTime| self.now.boot.since(seen) <= WHOAMI_AGE;
            let same = tenant.org_seen.as_ref().is_some_and(|(org, at)| Some(org) == pinned && recent(*at));
            same && !tenant.wrong_org && !tenant.credential_refused
        })
    }

    /// An account that was made for one grant gets no second one, under whatever name it is asked for: it is
    /// deleted at that one's end, and what another grant remembers of it would outlive it.
    pub(super) fn is_made_here(&self, at: &AccountRef, account: &ObservedAccount) -> bool {
        let known = |key: &AccountKey, id: Option<&AccountId>| {
            matches!(key, AccountKey::Ephemeral(address) if address.same_mailbox(&account.email))
                || matches!(key, AccountKey::Ephemeral(_)) && id == Some(&account.id)
        };
        let state = &self.state;
        let mut beside = self.one_organization(&at.integration);
        beside.any(|here| {
            let mut accounts = state.accounts.iter().filter(|(at, _)| at.integration == *here);
            let mut ended = state.ended.iter().filter(|at| at.integration == *here);
            accounts.any(|(at, held)| known(&at.account, held.id.as_ref()))
                || ended.any(|at| known(&at.account, None))
                || state.orphans.contains_key(&(here.clone(), account.id.clone()))
        })
    }

    /// Another integration with the same organization holds the account: each would take the other's role for
    /// what the account has without us.
    pub(super) fn is_held_beside(&self, at: &AccountRef, account: &ObservedAccount) -> bool {
        let mut beside = self.one_organization(&at.integration).filter(|other| **other != at.integration);
        let held = |other: &IntegrationId| {
            let mut here = self.state.accounts.iter().filter(|(at, _)| at.integration == *other);
            here.any(|(_, held)| held.id.as_ref() == Some(&account.id))
        };
        beside.any(held)
    }

    /// The integrations that are pinned to the same organization as this one, itself included.
    pub(super) fn one_organization<'a>(
        &'a self,
        integration: &'a IntegrationId,
    ) -> impl Iterator<Item = &'a IntegrationId> {
        let pinned = self.state.organizations.get(integration);
        let same = move |found: &OrgId| Some(found) == pinned;
        let others = self.state.organizations.iter().filter(move |(_, org)| same(org)).map(|(name, _)| name);
        others.filter(move |name| *name != integration).chain([integration])
    }
}
