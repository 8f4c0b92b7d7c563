//! A ledger that cannot be believed: revoke-only mode, and what is recovered from outside.
//!
//! ```text
//!   finding ─▶ doubted: nothing is raised, endings go on ─ claims decided, acknowledged ─▶ accounts barred
//!                │                                                                            │ explained
//!                └─ the control plane is asked: proven claims are adopted, others wait        ▼ one by one
//! ```
//!
//! Refuses to believe a claim that our own key does not authenticate, to adopt for anything but a
//! revocation, and to take what an account shows after a loss for what it should have.

mod deeds;
mod facts;
mod work;

use std::collections::{BTreeMap, BTreeSet};

pub use deeds::{Cannot, Deed};
pub use facts::{Adoption, Cause, Claim, ClaimEnd, Fact, Finding, Heard, Held, Problem, Proof, Source};
pub(super) use work::Dealings;
pub use work::{Believed, Told};

use super::{
    account::{Account, AccountKey, AccountRef, Sent},
    grant::{Grant, Phase, Terms},
    ids::{AccountId, Email, GrantId, IntegrationId},
    job::{AccessRequest, Digest},
    record::Seq,
    state::State,
    time::{BootId, BootTime, Timestamp},
};

/// What is durably known of doubts in the ledger and of what was recovered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The doubt in force: while there is one, nothing is raised.
    pub doubt: Option<Doubt>,
    /// Findings that have been recorded, by their marks: each is doubted once.
    pub marks: BTreeSet<String>,
    /// Claims that wait for an operator.
    pub claims: BTreeMap<GrantId, Claim>,
    /// Claims that an operator has decided; they are not opened again.
    pub decided: BTreeSet<GrantId>,
    /// Grants that were adopted and not closed: they can be ended, and nothing else.
    pub adopted: BTreeSet<GrantId>,
    /// Whether the control plane has said what it believes since the last doubt.
    pub heard: bool,
    /// What is added to the journal's numbers where they are told outside: numbers told in a life that
    /// this ledger does not remember are never used again.
    pub base: u64,
    /// Whether grants of a life that was forgotten have been adopted.
    pub earlier_life: bool,
    /// Jobs issued before this instant belong to a life that may be forgotten.
    pub jobs_from: Option<Timestamp>,
    /// After an acknowledged doubt: accounts are barred from new grants until they are explained.
    pub bar: Option<Bar>,
}

/// Why the ledger is not believed, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Since when.
    pub since: Timestamp,
    /// Why; each cause with what was found first.
    pub causes: BTreeMap<Cause, String>,
}

/// Which accounts have been explained since a doubt was acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// Integrations in which an operator vouches for all that is shown.
    pub whole: BTreeSet<IntegrationId>,
    /// Single accounts, by address in lower case or by id.
    pub accounts: BTreeSet<(IntegrationId, String)>,
}

impl Recovery {
    /// Whether nothing may be raised.
    #[must_use]
    pub const fn is_revoke_only(&self) -> bool {
        self.doubt.is_some()
    }

    /// Whether what the account shows must not be taken for what it should have.
    #[must_use]
    pub fn is_unexplained(&self, integration: &IntegrationId, id: Option<&AccountId>, email: &Email) -> bool {
        let Some(bar) = &self.bar else { return self.is_revoke_only() };
        let named = |name: String| bar.accounts.contains(&(integration.clone(), name));
        let explained = bar.whole.contains(integration)
            || named(email.as_str().to_ascii_lowercase())
            || id.is_some_and(|id| named(id.as_str().to_owned()));
        self.is_revoke_only() || !explained
    }

    /// A journal number as it is told outside.
    #[must_use]
    pub const fn told(&self, seq: u64) -> u64 {
        seq.saturating_add(self.base)
    }

    fn doubted(&mut self, at: Timestamp, finding: &Finding) {
        self.marks.insert(finding.mark.clone());
        self.base = self.base.max(finding.base);
        self.heard = false;
        let doubt = self.doubt.get_or_insert_with(|| Doubt { since: at, causes: BTreeMap::new() });
        doubt.causes.entry(finding.cause).or_insert_with(|| finding.detail.clone());
    }

    /// Takes in what concerns the ledger itself; `at` is the record's wall time.
    fn apply(&mut self, at: Timestamp, fact: &Fact) {
        match fact {
            Fact::LedgerDoubted(finding) => self.doubted(at, finding),
            Fact::LedgerCompared => {
                self.doubt = None;
                self.jobs_from = self.jobs_from.max(Some(at));
            }
            Fact::RecoveryHeard(heard) => {
                self.heard |= heard.complete;
                self.earlier_life |= heard.adopted > 0;
            }
            Fact::ClaimOpened(claim) => drop(self.claims.insert(claim.grant.clone(), (**claim).clone())),
            Fact::ClaimClosed { grant, .. } => {
                self.claims.remove(grant);
                self.decided.insert(grant.clone());
            }
            Fact::GrantAdopted(adoption) => drop(self.adopted.insert(adoption.held.grant.clone())),
            Fact::LedgerAcknowledged { .. } => {
                let invented = |doubt: &Doubt| doubt.causes.keys().all(|cause| *cause == Cause::Claimed);
                // Claims that were all dismissed say nothing about any account.
                if self.earlier_life || !self.doubt.take().is_some_and(|doubt| invented(&doubt)) {
                    self.bar = Some(Bar::default());
                }
                self.doubt = None;
                self.jobs_from = self.jobs_from.max(Some(at));
            }
            Fact::AccountExplained { integration, account, .. } => {
                let Some(bar) = &mut self.bar else { return };
                match account {
                    Some(name) => drop(bar.accounts.insert((integration.clone(), name.to_ascii_lowercase()))),
                    None => drop(bar.whole.insert(integration.clone())),
                }
            }
        }
    }
}

impl State {
    /// Takes a fact of the recovery in.
    pub(super) fn recovered(&mut self, seq: Seq, at: Timestamp, fact: &Fact) {
        self.recovery.apply(at, fact);
        let Fact::GrantAdopted(adoption) = fact else { return };
        let (held, terms) = (&adoption.held, adoption.held.terms());
        let account = self.accounts.entry(held.at()).or_insert_with(|| held.account());
        // What was there before us may be given back: it is part of what our key authenticates.
        let lost = held.baseline.iter().filter(|role| !account.displaced.contains(role));
        account.displaced.extend(lost.cloned().collect::<Vec<_>>());
        if account.sent.iter().all(|sent| sent.role != held.role) {
            account.sent.push(Sent { role: held.role.clone(), ambiguous: true, raised: true });
        }
        let grant = Grant { phase: Phase::Active, answered: true, ..Grant::accepted(terms, seq) };
        if !self.grants.contains_key(&held.grant) {
            self.grants.insert(grant);
        }
    }
}

impl Held {
    /// The account it is about.
    #[must_use]
    pub fn at(&self) -> AccountRef {
        AccountRef { integration: self.integration.clone(), account: self.account.clone() }
    }

    /// The account as it is held for the grant's ending.
    fn account(&self) -> Account {
        Account::new(Some(self.id.clone()), self.email.clone(), self.baseline.clone(), self.plural)
    }

    /// The terms that its ending needs. Of its beginning nothing is known; the wall clock alone ends it.
    fn terms(&self) -> Terms {
        Terms {
            grant: self.grant.clone(),
            job: self.job.clone(),
            digest: Digest([0; 32]),
            integration: self.integration.clone(),
            account: self.account.clone(),
            email: self.email.clone(),
            kind: match self.account {
                AccountKey::Standing(_) => super::grant::GrantKind::Role,
                AccountKey::Ephemeral(_) => super::grant::GrantKind::Ephemeral,
            },
            role: self.role.clone(),
            accepted_at: Timestamp(0),
            ends_at: self.ends_at,
            start_by: self.ends_at,
            boot_id: BootId::default(),
            accepted_boot: BootTime::default(),
            boot_ends: BootTime::default(),
            request: AccessRequest::default(),
            requester: None,
            policy_hash: String::new(),
            roles_before: self.baseline.clone(),
        }
    }
}
