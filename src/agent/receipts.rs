//! Receipts of grants: made from journal records when they are reported, judged when they come back.
//!
//! Refuses to take a claim for proven that says anything else than its receipt.

use std::sync::Arc;

use super::turn::Turn;
use crate::{
    control::wire::Believed,
    engine::{
        action::CallId,
        ids::{AccountId, Email, IntegrationId, RoleName},
        input::Outcome,
        recovery::{Claim, Held, Problem, Source, Told},
    },
    secrets::TagKey,
};

/// Accounts whose address carries a tag of our key.
pub(super) type Tagged = Vec<(AccountId, Email, Vec<RoleName>)>;

impl Turn {
    /// The tagged accounts of a listing, while it matters which there are.
    pub(super) fn tagged(&self, call: CallId, outcome: &Outcome) -> Option<(IntegrationId, Tagged)> {
        let (Outcome::List(Ok(listing)), Some(key)) = (outcome, &self.parts.tag_key) else { return None };
        if !self.engine.state().recovery.is_revoke_only() {
            return None;
        }
        let integration = self.engine.integration_of(call)?;
        let pinned = self.engine.state().organizations.get(&integration);
        let org = listing.org.as_ref().or(pinned)?;
        let ours = listing.accounts.iter().filter(|account| key.verify(org, &account.email));
        let found = ours.map(|a| (a.id.clone(), a.email.clone(), a.roles.clone())).collect();
        Some((integration, found))
    }
}

/// The receipt of a grant, if there is a key.
pub(super) fn seal(key: Option<&Arc<TagKey>>, held: &Held) -> Option<String> {
    let content = serde_json::to_vec(held).expect("names, lists and numbers serialise");
    key.map(|key| key.seal(&content))
}

/// What a claim of the control plane is worth.
pub(super) fn judge(key: Option<&Arc<TagKey>>, claim: &Believed) -> Told {
    let Some(receipt) = &claim.receipt else {
        return Told::Claimed(Box::new(open(claim, Problem::NoReceipt)));
    };
    let content = key.and_then(|key| key.unseal(receipt));
    let held: Option<Held> = content.and_then(|content| serde_json::from_slice(&content).ok());
    match held {
        Some(held) if same(&held, claim) => Told::Proven(Box::new(held)),
        _ => Told::Claimed(Box::new(open(claim, Problem::BadReceipt))),
    }
}

fn same(held: &Held, claim: &Believed) -> bool {
    held.grant == claim.grant_id
        && held.integration == claim.integration
        && held.role == claim.role
        && claim.account.id.as_ref().is_none_or(|id| *id == held.id)
}

fn open(claim: &Believed, problem: Problem) -> Claim {
    Claim {
        grant: claim.grant_id.clone(),
        integration: claim.integration.clone(),
        account: claim.account.id.clone(),
        email: claim.account.email.clone(),
        role: Some(claim.role.clone()),
        ends_at: Some(claim.ends_at.0),
        source: Source::ControlPlane,
        problem,
    }
}
