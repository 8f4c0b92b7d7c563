//! What an operator may do about a doubted ledger. Pure: from the state and his words to records, or to the
//! reason why not. Used with the daemon running and without it.
//!
//! Refuses to end the doubt while a claim is open, and to vouch for an account while nobody has looked.

use serde::{Deserialize, Serialize};

use super::{Adoption, Claim, ClaimEnd, Fact, Held, Proof, Source};
use crate::engine::{
    account::AccountKey,
    ids::{GrantId, IntegrationId, JobId, RoleName},
    record::Record,
    state::State,
    time::Timestamp,
};

/// What an operator wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Believe the ledger as it is.
    Acknowledge {
        /// Although the control plane has not said what it believes to be live.
        unheard: bool,
    },
    /// A claim is nothing of ours.
    Dismiss(GrantId),
    /// A claim is to be taken away.
    Revoke(GrantId),
    /// An account shows what it should have; `None`: all of the integration.
    Explain(IntegrationId, Option<String>),
}

/// Why a deed is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cannot {
    /// The ledger is believed.
    NotDoubted,
    /// So many claims are open.
    ClaimsOpen(usize),
    /// The control plane has not been heard.
    Unheard,
    /// There is no such claim.
    NoClaim(GrantId),
    /// The claim does not say whose access it is.
    Nameless(GrantId),
    /// No account is barred.
    NothingBarred,
}

impl std::fmt::Display for Cannot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotDoubted => f.write_str("the ledger is not in doubt: there is nothing to acknowledge"),
            Self::ClaimsOpen(n) => write!(
                f,
                "{n} claims are open: decide each with `ephemerald ledger claim GRANT --dismiss` or `--revoke` first (`ephemerald ledger claims` lists them)"
            ),
            Self::Unheard => f.write_str(
                "the control plane has not said yet what it believes to be live: let the agent run in contact with it first, or say --unheard if there is none to ask"
            ),
            Self::NoClaim(grant) => write!(f, "no claim of the name {grant} is open: `ephemerald ledger claims` lists them"),
            Self::Nameless(grant) => write!(
                f,
                "the claim {grant} names no account by its id, or no role: look for it in the JumpCloud console, then dismiss it"
            ),
            Self::NothingBarred => f.write_str("no account is barred: accounts are explained after a doubt was acknowledged"),
        }
    }
}

impl std::error::Error for Cannot {}

impl State {
    /// The records of an operator's deed. `by` and `why` are kept as they are; `now` ends what is revoked.
    ///
    /// # Errors
    /// [`Cannot`].
    pub fn deed(&self, deed: &Deed, by: &str, why: &str, now: Timestamp) -> Result<Vec<Record>, Cannot> {
        let (by, why) = (by.to_owned(), why.to_owned());
        let recovery = &self.recovery;
        match deed {
            Deed::Acknowledge { .. } if !recovery.is_revoke_only() => Err(Cannot::NotDoubted),
            Deed::Acknowledge { .. } if !recovery.claims.is_empty() => {
                Err(Cannot::ClaimsOpen(recovery.claims.len()))
            }
            Deed::Acknowledge { unheard: false } if !recovery.heard => Err(Cannot::Unheard),
            Deed::Acknowledge { .. } => Ok(vec![Record::Recovery(Fact::LedgerAcknowledged { by, why })]),
            Deed::Dismiss(grant) => {
                self.claim(grant)?;
                Ok(vec![closed(grant, ClaimEnd::Dismissed, by, why)])
            }
            Deed::Revoke(grant) => {
                let held = vouched(self.claim(grant)?, now).ok_or_else(|| Cannot::Nameless(grant.clone()))?;
                let mut records = self.adopt(held, Proof::Operator);
                records.push(closed(grant, ClaimEnd::Revoked, by, why));
                Ok(records)
            }
            Deed::Explain(..) if recovery.bar.is_none() || recovery.is_revoke_only() => {
                Err(Cannot::NothingBarred)
            }
            Deed::Explain(integration, account) => {
                let (integration, account) = (integration.clone(), account.clone());
                Ok(vec![Record::Recovery(Fact::AccountExplained { integration, account, by, why })])
            }
        }
    }

    fn claim(&self, grant: &GrantId) -> Result<&Claim, Cannot> {
        self.recovery.claims.get(grant).ok_or_else(|| Cannot::NoClaim(grant.clone()))
    }

    /// The records that take a grant over.
    pub(super) fn adopt(&self, held: Held, proof: Proof) -> Vec<Record> {
        let at = held.at();
        let mut records = Vec::new();
        if !self.accounts.contains_key(&at) {
            records.push(Record::AccountOpened {
                at,
                id: Some(held.id.clone()),
                email: held.email.clone(),
                baseline: held.baseline.clone(),
                plural: held.plural,
            });
        }
        records.push(Record::Recovery(Fact::GrantAdopted(Box::new(Adoption { held, proof }))));
        records
    }
}

fn closed(grant: &GrantId, how: ClaimEnd, by: String, why: String) -> Record {
    Record::Recovery(Fact::ClaimClosed { grant: grant.clone(), how, by, why })
}

/// What an operator vouches for: it ends now, and nothing is known of what was there before it.
fn vouched(claim: &Claim, now: Timestamp) -> Option<Held> {
    let (id, email) = (claim.account.clone()?, claim.email.clone()?);
    let (account, role) = match claim.source {
        Source::ControlPlane => (AccountKey::Standing(id.clone()), claim.role.clone()?),
        // The account goes as a whole, whatever its role.
        Source::Tag => (
            AccountKey::Ephemeral(email.clone()),
            claim.role.clone().or_else(|| RoleName::new("unknown").ok())?,
        ),
    };
    Some(Held {
        grant: claim.grant.clone(),
        job: JobId::new("recovered").ok()?,
        integration: claim.integration.clone(),
        org: None,
        account,
        id,
        email,
        role,
        baseline: Vec::new(),
        plural: false,
        ends_at: now,
    })
}
