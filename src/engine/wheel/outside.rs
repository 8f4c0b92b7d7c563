//! The few entries that no level covers: overdue when inserted, or more than two years away.
//!
//! They stay here until they fire, in exact order. It refuses nothing; it is only slower than a slot.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Outside {
    /// Deadline, then order of arrival, then node.
    order: BTreeSet<(u64, u64, u32)>,
    /// The key of each node.
    keys: BTreeMap<u32, (u64, u64)>,
    arrivals: u64,
}

impl Outside {
    pub(super) fn insert(&mut self, deadline: u64, node: u32) {
        self.arrivals += 1;
        self.order.insert((deadline, self.arrivals, node));
        self.keys.insert(node, (deadline, self.arrivals));
    }

    pub(super) fn remove(&mut self, node: u32) {
        if let Some((deadline, arrival)) = self.keys.remove(&node) {
            self.order.remove(&(deadline, arrival, node));
        }
    }

    /// The earliest deadline.
    pub(super) fn first(&self) -> Option<u64> {
        self.order.first().map(|(deadline, ..)| *deadline)
    }

    pub(super) fn pop_first(&mut self) -> Option<(u64, u32)> {
        let (deadline, _, node) = self.order.pop_first()?;
        self.keys.remove(&node);
        Some((deadline, node))
    }
}
