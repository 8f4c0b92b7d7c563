//! Read-only views of the engine for the operator: status and grants.

use super::{
    Engine,
    grant::Grant,
    ids::{AccountId, IntegrationId, OrgId},
    observed::Fault,
    time::{BootTime, Timestamp},
};

/// Why nothing is raised in a dry run.
pub const DRY_RUN: &str = "the policy is in dry run";

/// An integration as it stands.
#[derive(Clone, Debug)]
pub struct IntegrationView {
    /// Its name.
    pub id: IntegrationId,
    /// The pinned organization.
    pub org: Option<OrgId>,
    /// The credential's own account, where known.
    pub own_account: Option<AccountId>,
    /// Last success of any call.
    pub answered_at: Option<BootTime>,
    /// The last fault, if the last call failed.
    pub fault: Option<Fault>,
    /// The organization that answers is not the pinned one.
    pub wrong_org: bool,
    /// The credential is not accepted.
    pub credential_refused: bool,
    /// Requests a second at present.
    pub rate: u64,
    /// Nothing but what takes access away is sent, because calls failed in a row.
    pub circuit_open: bool,
}

impl Engine {
    /// Every grant that is not closed.
    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.state.grants.values()
    }

    /// The durable state.
    #[must_use]
    pub fn state(&self) -> &super::state::State {
        &self.state
    }

    /// Every integration.
    pub fn integrations(&self) -> impl Iterator<Item = IntegrationView> {
        self.tenants.values().map(|t| IntegrationView {
            id: t.settings.id.clone(),
            org: self.state.organizations.get(&t.settings.id).cloned(),
            own_account: t.whoami.last.as_ref().and_then(|(_, me)| me.account.clone()),
            answered_at: t.answered_at,
            fault: t.last_fault.clone(),
            wrong_org: t.wrong_org,
            credential_refused: t.credential_refused,
            rate: t.budget.rate(),
            circuit_open: t.budget.is_broken(self.now.boot),
        })
    }

    /// Where a call goes whose outcome has not come back.
    #[must_use]
    pub fn integration_of(&self, call: super::action::CallId) -> Option<IntegrationId> {
        self.calls.get(&call).map(|flight| flight.integration.clone())
    }

    /// Calls whose outcome has not come back.
    #[must_use]
    pub fn calls_in_flight(&self) -> usize {
        self.calls.len()
    }

    /// The newest record.
    #[must_use]
    pub fn newest(&self) -> super::record::Seq {
        super::record::Seq(self.next_seq.0 - 1)
    }

    /// Whether a record is on disk.
    #[must_use]
    pub fn is_durable(&self, record: super::record::Seq) -> bool {
        record <= self.durable
    }

    /// The earliest end of a live grant.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.state.grants.values().filter(|g| g.phase.is_live()).map(|g| g.end.at).min()
    }

    /// Why raises are paused; empty when they are not.
    #[must_use]
    pub fn raises_paused(&self) -> Vec<&'static str> {
        let mut why = Vec::new();
        if !self.ledger_ok {
            why.push("the journal cannot be written");
        }
        if !self.clock.is_trusted() {
            why.push("the clocks disagree");
        }
        if self.state.frozen.is_some() {
            why.push("an operator froze them");
        }
        if self.state.recovery.is_revoke_only() {
            why.push("the ledger is in doubt (revoke-only): see `ephemerald ledger check`");
        }
        match &self.policy {
            None => why.push("there is no readable policy"),
            Some(policy) if policy.dry_run => why.push(DRY_RUN),
            Some(_) => {}
        }
        why
    }

    /// Attempts made on a grant's account.
    #[must_use]
    pub fn attempts_of(&self, grant: &Grant) -> (u32, Option<Fault>) {
        let account = self.state.accounts.get(&grant.account_ref());
        account.map_or((0, None), |a| (a.attempts, a.last_fault.clone()))
    }

    /// Whether the clocks agree with each other, with the journal, and with the control plane's.
    #[must_use]
    pub fn is_clock_trusted(&self) -> bool {
        self.clock.is_trusted()
    }

    /// The policy in force, by its hash.
    #[must_use]
    pub fn policy_hash(&self) -> Option<&str> {
        self.policy.as_ref().map(|p| p.hash.as_str())
    }

    /// Whether a job in hand still waits to be decided: nothing of it has been sent.
    #[must_use]
    pub fn is_waiting(&self, job: &super::ids::JobId) -> bool {
        self.pending.contains_key(job)
    }

    /// Jobs in hand, and where: waiting, or with a grant that has had no result.
    #[must_use]
    pub fn jobs_in_hand(&self) -> Vec<(super::ids::JobId, IntegrationId)> {
        let pending = self.pending.values().map(|p| (p.job.id.clone(), p.job.integration.clone()));
        let of_grants = self.state.grants.values().flat_map(|grant| {
            let own = (!grant.answered).then_some(&grant.terms.job);
            let revokes = grant.revoke_jobs.iter().map(|(job, _)| job);
            let extensions = grant.extensions.iter().map(|(_, extension)| &extension.job);
            let all = own.into_iter().chain(revokes).chain(extensions);
            all.map(|job| (job.clone(), grant.terms.integration.clone()))
        });
        pending.chain(of_grants).collect()
    }
}
