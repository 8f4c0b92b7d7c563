//! Whose turn it is when requests are let out one by one.
//!
//! First by lane; among what is to end, first what was due first, and of two the one whose role reaches further;
//! among everything else, who waits longest.

use super::{Engine, account::AccountRef, budget::Lane, grant::Phase, time::BootTime};

/// A place in the queue for a request. The smallest comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// What for.
    pub lane: Lane,
    /// Since when it is due, or waits.
    pub since: BootTime,
    /// How far the role to be taken away reaches, from the top.
    below: usize,
    /// Whose.
    pub at: AccountRef,
}

impl Engine {
    /// A place of an account that begins to wait now.
    pub(super) fn place(&self, at: &AccountRef, lane: Lane) -> Place {
        let now = self.now.boot;
        let place = |since, below| Place { lane, since, below, at: at.clone() };
        if !matches!(lane, Lane::LowerWrite | Lane::Lower) {
            return place(now, 0);
        }
        let ending = self.state.grants_of(at).filter(|grant| grant.phase == Phase::Revoking);
        let order = self.tenants.get(&at.integration).map(|tenant| &tenant.order);
        let reach = |grant: &super::grant::Grant| order.map_or(0, |order| order.reach(&grant.terms.role));
        let (mut overdue, mut reaches) = (0, 0);
        for grant in ending {
            overdue = overdue.max(grant.overdue_ms(self.now));
            reaches = reaches.max(reach(grant));
        }
        place(BootTime(now.0.saturating_sub(overdue)), usize::MAX - reaches)
    }
}
