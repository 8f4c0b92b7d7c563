//! What may be taken from records that nobody vouches for, where a ledger has a key that vouches for the others.
//!
//! Somebody who can write to the disk can write any record. Refuses to let one decide what an account gets back, or that
//! an access lasts: a grant of which any record is not authentic ends at once, and an account of which any is not has
//! nothing of its own, so that its ending leaves the floor role at most.

use std::collections::BTreeSet;

use super::{
    account::AccountKey,
    grant::Terms,
    record::{Record, account_stream},
    recovery::Fact,
    state::{RevokePrefix, State},
    time::Timestamp,
};

impl State {
    /// Ends the grants of these streams at `last`, or earlier.
    pub fn end_unproven(&mut self, streams: &BTreeSet<&str>, last: Timestamp) {
        let of_stream = |id: &_| streams.contains(format!("grant/{id}").as_str());
        for grant in self.grants.values_mut().filter(|grant| of_stream(&grant.terms.grant)) {
            grant.end.at = grant.end.at.min(last);
        }
    }

    /// Leaves the accounts of these streams, or all, nothing that could be given back to them.
    pub fn give_nothing_back(&mut self, streams: Option<&BTreeSet<&str>>) {
        let doubtful = |stream: String| streams.is_none_or(|streams| streams.contains(stream.as_str()));
        for (_, account) in self.accounts.iter_mut().filter(|(at, _)| doubtful(account_stream(at))) {
            account.baseline.clear();
            account.displaced.clear();
        }
    }
}

impl Record {
    /// What an ending needs, out of a record that nobody vouches for. Only of an account that was there before us:
    /// what we made is deleted at its end, and nobody's word is enough for that.
    #[must_use]
    pub fn takes_away(&self) -> Option<RevokePrefix> {
        let terms = |terms: &Terms| RevokePrefix {
            grant: terms.grant.clone(),
            job: terms.job.clone(),
            integration: terms.integration.clone(),
            account: terms.account.clone(),
            role: terms.role.clone(),
            ends_at: terms.ends_at,
        };
        let prefix = match self {
            Self::GrantAccepted(accepted) => terms(accepted),
            Self::Recovery(Fact::GrantAdopted(adoption)) => {
                let held = &adoption.held;
                RevokePrefix {
                    grant: held.grant.clone(),
                    job: held.job.clone(),
                    integration: held.integration.clone(),
                    account: held.account.clone(),
                    role: held.role.clone(),
                    ends_at: held.ends_at,
                }
            }
            _ => return None,
        };
        Some(prefix).filter(RevokePrefix::is_of_a_standing_account)
    }
}

impl RevokePrefix {
    /// Whether the account was there before us.
    #[must_use]
    pub const fn is_of_a_standing_account(&self) -> bool {
        matches!(self.account, AccountKey::Standing(_))
    }
}
