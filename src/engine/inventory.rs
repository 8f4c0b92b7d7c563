//! The inventory: what a sync job reads, and what the shell needs to hand it over.
//!
//! Refuses to hand over anything that was read before the job came. The reads are shared by all syncs
//! that wait, go in the last lane, and stand in nobody's way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Engine, Pending,
    account::{AccountKey, AccountRef},
    action::Action,
    answer::Evidence,
    codes::{ResultCode, Rule},
    grant::Phase,
    ids::{AccountId, GrantId, IntegrationId, JobId, RoleName},
    job::{Ask, Job},
    observed::{FaultClass, Listing, ObservedAccount},
    tenant::Errand,
    time::{BootTime, Millis, Timestamp},
};

/// How long a sync that has begun may take: a hundred thousand accounts at a few requests a second.
const SYNC_PATIENCE: Millis = Millis::from_secs(3_600);

/// One reading of a tenant, to be handed to the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// The jobs that wait for it.
    pub jobs: Vec<JobId>,
    /// Of which integration.
    pub integration: IntegrationId,
    /// When the listing began.
    pub taken_at: Timestamp,
    /// Whether the listing was complete.
    pub complete: bool,
    /// Every role, and whether it may be granted here.
    pub roles: Vec<(RoleName, bool)>,
    /// Every administrator.
    pub accounts: Vec<ObservedAccount>,
    /// What a grant of ours carries, and which.
    pub jit: BTreeMap<(AccountId, RoleName), GrantId>,
    /// To be handed over by then.
    pub until: BootTime,
}

/// What was handed over: the evidence of a sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Roles.
    pub roles: u32,
    /// Administrators.
    pub accounts: u32,
    /// Account × role.
    pub permissions: u32,
    /// Pages that were sent with their items.
    pub pages_sent: u32,
    /// Pages that the control plane had already.
    pub pages_unchanged: u32,
    /// Whether the listing was complete.
    pub complete: bool,
}

impl Engine {
    pub(super) fn begin_sync(&mut self, job: Job) {
        let integration = job.integration.clone();
        let patience = job.start_by.since(self.now.wall);
        self.wait_for(job, None, patience);
        for errand in [Errand::WhoAmI, Errand::Roles, Errand::Survey] {
            self.want(&integration, errand);
        }
    }

    /// A sync whose reading has begun is given time, whatever its start-by instant says.
    pub(super) fn more_patience(&self, pending: &Pending) -> Option<BootTime> {
        let until = pending.received + SYNC_PATIENCE;
        let begun = pending.handed || self.reading_since(&pending.job.integration, pending.received);
        (pending.job.ask == Ask::Sync && begun && self.now.boot < until).then_some(until)
    }

    /// Whether a sync had all the time that one may have once it has begun: it did begin.
    pub(super) fn has_read_in_vain(&self, pending: &Pending) -> bool {
        pending.job.ask == Ask::Sync && self.now.boot >= pending.received + SYNC_PATIENCE
    }

    fn reading_since(&self, integration: &IntegrationId, received: BootTime) -> bool {
        self.tenants.get(integration).is_some_and(|tenant| {
            let flights = [tenant.survey.flight, tenant.listing.flight];
            let under_way = flights.iter().flatten().any(|(_, began)| *began >= received);
            under_way || tenant.kept.as_ref().is_some_and(|(began, _)| *began >= received)
        })
    }

    /// Keeps a listing that a sync waits for until the other reads are there.
    pub(super) fn keep_listing(&mut self, integration: &IntegrationId, began: BootTime, listing: Listing) {
        let waits = self.syncs_of(integration).iter().any(|p| p.received <= began);
        if let Some(tenant) = self.tenants.get_mut(integration).filter(|_| waits) {
            tenant.kept = Some((began, listing));
        }
    }

    /// Hands over what all waiting syncs need once it was read, or says why it cannot be.
    pub(super) fn syncs_done(&mut self, integration: &IntegrationId) {
        let waiting = self.syncs_of(integration);
        let Some(tenant) = self.tenants.get_mut(integration) else { return };
        if waiting.is_empty() {
            tenant.kept = None;
            return;
        }
        let fault = tenant.last_fault.clone();
        if tenant.wrong_org || fault.as_ref().is_some_and(|f| f.class == FaultClass::Credential) {
            for pending in waiting {
                let evidence = Evidence { fault: fault.clone(), ..Evidence::default() };
                self.answer(&pending.job, ResultCode::Failed, Some(Rule::Credential), evidence);
            }
            return;
        }
        let read = |p: &&Pending| {
            let since = p.received;
            let listed = tenant.kept.as_ref().is_some_and(|(began, _)| *began >= since);
            listed && tenant.whoami.is_since(since) && tenant.roles.is_since(since)
        };
        let ready: Vec<JobId> = waiting.iter().filter(read).map(|p| p.job.id.clone()).collect();
        if ready.is_empty() {
            return;
        }
        let kept = if ready.len() == waiting.len() { tenant.kept.take() } else { tenant.kept.clone() };
        if let Some((began, listing)) = kept {
            self.hand_over(integration, ready, began, listing);
        }
    }

    fn hand_over(
        &mut self,
        integration: &IntegrationId,
        jobs: Vec<JobId>,
        began: BootTime,
        listing: Listing,
    ) {
        let mut until = self.now.boot + SYNC_PATIENCE;
        for job in &jobs {
            if let Some(pending) = self.pending.get_mut(job) {
                pending.handed = true;
                until = until.min(pending.received + SYNC_PATIENCE);
            }
        }
        let ago = i64::try_from(self.now.boot.since(began).0).unwrap_or(0);
        let inventory = Inventory {
            jobs,
            integration: integration.clone(),
            taken_at: Timestamp(self.now.wall.0.saturating_sub(ago)),
            complete: listing.complete,
            roles: self.roles_of(integration, &listing),
            jit: self.jit_of(integration, &listing),
            accounts: listing.accounts,
            until,
        };
        self.out.actions.push(Action::Inventory(Box::new(inventory)));
    }

    /// The tenant's own list; where it serves none, what its administrators have.
    fn roles_of(&self, integration: &IntegrationId, listing: &Listing) -> Vec<(RoleName, bool)> {
        let known = self.tenants.get(integration).and_then(|t| t.order.names());
        let mut roles =
            known.unwrap_or_else(|| listing.accounts.iter().flat_map(|a| a.roles.iter().cloned()).collect());
        roles.sort();
        roles.dedup();
        let policy = self.policy.as_ref();
        let allowed = |role: &RoleName| policy.is_some_and(|p| p.longest(role).is_some());
        let grantable = |role: &RoleName| allowed(role) && self.offers(integration, role);
        roles.into_iter().map(|role| (role.clone(), grantable(&role))).collect()
    }

    /// Roles that are there because of a grant of ours, live or ending, and not by themselves.
    fn jit_of(
        &self,
        integration: &IntegrationId,
        listing: &Listing,
    ) -> BTreeMap<(AccountId, RoleName), GrantId> {
        let mut jit = BTreeMap::new();
        let shown: BTreeMap<&AccountId, &[RoleName]> =
            listing.accounts.iter().map(|a| (&a.id, a.roles.as_slice())).collect();
        let here = |g: &&super::grant::Grant| {
            g.terms.integration == *integration && (g.phase.is_live() || g.phase == Phase::Revoking)
        };
        for grant in self.state.grants.values().filter(here) {
            let at = grant.account_ref();
            let (Some(id), role) = (self.id_of(&at), &grant.terms.role) else { continue };
            let there = shown.get(&id).is_some_and(|roles| roles.contains(role));
            if there && !self.is_standing(&at, role) {
                jit.entry((id, role.clone())).or_insert_with(|| grant.terms.grant.clone());
            }
        }
        jit
    }

    fn is_standing(&self, at: &AccountRef, role: &RoleName) -> bool {
        let standing = matches!(at.account, AccountKey::Standing(_));
        standing && self.state.accounts.get(at).is_some_and(|a| a.baseline.contains(role))
    }

    /// The shell has handed an inventory over, or could not.
    pub(super) fn inventoried(&mut self, jobs: &[JobId], counts: Option<Counts>) {
        for job in jobs {
            let Some(pending) = self.pending.get(job).filter(|p| p.handed).cloned() else { continue };
            let evidence = Evidence { inventory: counts, ..Evidence::default() };
            match counts {
                Some(_) => self.answer(&pending.job, ResultCode::Synced, None, evidence),
                None => self.answer(&pending.job, ResultCode::Failed, Some(Rule::NotDelivered), evidence),
            }
        }
    }

    /// Syncs of an integration that have not been handed over.
    fn syncs_of(&self, integration: &IntegrationId) -> Vec<Pending> {
        let here = |p: &&Pending| p.job.ask == Ask::Sync && p.job.integration == *integration && !p.handed;
        self.pending.values().filter(here).cloned().collect()
    }
}
