//! Accounts that carry our tag and that no grant explains: left by a process that died without its ledger, by an
//! older ledger, or made by a sibling with the same key.
//!
//! What our own ledger says is over is deleted. What it does not know is told, and deleted only if the policy
//! says so. Refuses to touch anything without a tag of our key, and to conclude anything from a listing that
//! is not complete or not the pinned organization's.

use std::collections::BTreeSet;

use super::{
    Engine,
    account::{AccountKey, AccountRef},
    codes::{EndReason, WokenBy},
    grant::{GrantKind, Terms},
    ids::{AccountId, GrantId, IntegrationId, JobId},
    job::{AccessRequest, Digest},
    observed::{Listing, ObservedAccount},
    record::Record,
    time::Millis,
};

/// How often somebody looks for orphans where nobody else asks for a listing and the policy allows ephemeral
/// accounts.
pub(super) const EVERY: Millis = Millis::from_secs(600);

/// How the ids of grants begin that stand for an orphan: no control plane knows them.
pub const PREFIX: &str = "orphan-";

impl Engine {
    /// Whether a listing is wanted from time to time although no access of ours is there.
    pub(super) fn looks_for_orphans(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.ephemeral.is_some())
            || !self.state.orphans.is_empty()
    }

    /// What a proving listing says about accounts with our tag.
    pub(super) fn sweep_orphans(&mut self, integration: &IntegrationId, listing: &Listing) {
        if let Some(tenant) = self.tenants.get_mut(integration) {
            tenant.orphans_at = self.now.boot + EVERY;
        }
        if !self.ledger_ok {
            return;
        }
        let held = self.held_ids(integration);
        for account in listing.accounts.iter().filter(|a| listing.tagged.contains(&a.id)) {
            let key = AccountKey::Ephemeral(account.email.clone());
            let at = AccountRef { integration: integration.clone(), account: key };
            if !held.contains(&account.id) && !self.state.accounts.contains_key(&at) {
                self.found_orphan(at, account);
            }
        }
        let listed: BTreeSet<&AccountId> = listing.accounts.iter().map(|account| &account.id).collect();
        let here = self.state.orphans.keys().filter(|(at, id)| at == integration && !listed.contains(id));
        for (integration, id) in here.cloned().collect::<Vec<_>>() {
            self.write(Record::OrphanOver { integration, id });
        }
    }

    /// By whichever integration of the same organization.
    fn held_ids(&self, integration: &IntegrationId) -> BTreeSet<AccountId> {
        let beside: BTreeSet<_> = self.one_organization(integration).collect();
        let here = self.state.accounts.iter().filter(|(at, _)| beside.contains(&at.integration));
        here.filter_map(|(_, account)| account.id.clone()).collect()
    }

    fn found_orphan(&mut self, at: AccountRef, account: &ObservedAccount) {
        let by_policy = self
            .policy
            .as_ref()
            .filter(|policy| !policy.dry_run)
            .and_then(|policy| policy.ephemeral.as_ref())
            .is_some_and(|ephemeral| ephemeral.delete_unknown);
        let key = (at.integration.clone(), account.id.clone());
        let told = self.state.orphans.contains_key(&key);
        if self.state.ended.contains(&at) || by_policy {
            if told {
                self.write(Record::OrphanOver { integration: key.0, id: key.1 });
            }
            self.adopt(&at, account);
        } else if !told {
            self.write(Record::OrphanFound {
                integration: key.0,
                id: key.1,
                email: account.email.clone(),
                roles: account.roles.clone(),
            });
        }
    }

    /// Takes an orphan in as a grant whose time is over: from here on it is ended like any other.
    fn adopt(&mut self, at: &AccountRef, account: &ObservedAccount) {
        let name = format!("{PREFIX}{}", account.id);
        let (Ok(grant), Ok(job)) = (GrantId::new(&name), JobId::new(&name)) else { return };
        let Some(tenant) = self.tenants.get(&at.integration) else { return };
        if self.state.grants.contains_key(&grant) {
            return;
        }
        let role = account.roles.first().unwrap_or(&tenant.settings.floor_role).clone();
        let now = self.now;
        self.write(Record::AccountOpened {
            at: at.clone(),
            id: Some(account.id.clone()),
            email: account.email.clone(),
            baseline: Vec::new(),
            plural: account.plural,
        });
        self.write(Record::GrantAccepted(Box::new(Terms {
            grant: grant.clone(),
            job,
            digest: Digest([0; 32]),
            integration: at.integration.clone(),
            account: at.account.clone(),
            email: account.email.clone(),
            kind: GrantKind::Ephemeral,
            role,
            accepted_at: now.wall,
            ends_at: now.wall,
            start_by: now.wall,
            boot_id: now.boot_id,
            accepted_boot: now.boot,
            boot_ends: now.boot,
            request: AccessRequest::default(),
            requester: None,
            policy_hash: self.hash_in_force().unwrap_or_default(),
            roles_before: Vec::new(),
        })));
        self.end(&grant, EndReason::Expired, WokenBy::Sweep);
    }
}
