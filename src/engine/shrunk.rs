//! A complete listing that shows far fewer people than the one before: JumpCloud may have lost part of it.
//!
//! Refuses to take it for a proof that somebody is gone, until it has been so for a while: then they are.

use std::collections::BTreeSet;

use super::{
    Engine,
    action::Warning,
    ids::{AccountId, IntegrationId},
    observed::Listing,
    time::{BootTime, Millis},
};

/// An organization of fewer people may well lose half of them in a minute.
const FEW: usize = 8;
/// For how long less than half must be shown before it is believed.
const BELIEVED: Millis = Millis(10 * 60_000);

/// What the last listing showed that was believed.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// Everybody but the accounts with our tag, which come and go.
    people: BTreeSet<AccountId>,
    /// When the first of the listings began that show less than half of them.
    fewer_since: Option<BootTime>,
}

impl Shown {
    /// Takes a complete listing in; true if it looks cut off.
    fn is_cut(&mut self, began: BootTime, listing: &Listing) -> bool {
        let shown: BTreeSet<AccountId> = listing.accounts.iter().map(|account| account.id.clone()).collect();
        let still = self.people.iter().filter(|id| shown.contains(*id)).count();
        let fewer = self.people.len() >= FEW && still * 2 < self.people.len();
        if fewer && began.since(*self.fewer_since.get_or_insert(began)) < BELIEVED {
            return true;
        }
        self.people = shown.into_iter().filter(|id| !listing.tagged.contains(id)).collect();
        self.fewer_since = None;
        false
    }
}

impl Engine {
    /// Whether a listing that is complete by its own word shows so few people that it proves nothing.
    pub(super) fn looks_cut(
        &mut self,
        integration: &IntegrationId,
        began: BootTime,
        listing: &Listing,
    ) -> bool {
        let Some(tenant) = self.tenants.get_mut(integration) else { return true };
        let cut = tenant.shown.is_cut(began, listing);
        if cut {
            self.warn(Warning::ListingCut(integration.clone()));
        }
        cut
    }
}
