//! A hierarchical timing wheel (Varghese and Lauck, scheme 7) over milliseconds: what is due, and when
//! to look again.
//!
//! ```text
//!   level 0: 64 slots of 1 ms │ 1: of 64 ms │ 2: of 4 s │ 3: of 4 min │ 4: of 5 h │ 5: of 12 days
//!   outside: before the wheel's time, or beyond the 2.2 years of its levels: a sorted set
//! ```
//!
//! An entry lies on the level of the highest six-bit digit in which its deadline differs from the time
//! that the wheel has worked through, in the slot of that digit. When time reaches a slot, its entries
//! move down a level or fire.
//!
//! It refuses to lose an entry, to fire early, to fire twice, and to take one timer's handle for
//! another's, whatever time does: standing still, stepping back (ignored), leaping years. It refuses
//! to know a clock: time is an argument. It bounds the work of one advance, so a full slot cannot
//! stall the caller.

mod outside;
mod slab;
mod slots;
#[cfg(test)]
mod tests;

use outside::Outside;
pub use slab::Timer;
use slab::{Place, Slab};
use slots::{Entry, Slot, Slots};

/// A slot of up to this many entries fires at once and is sorted, instead of moving down level by
/// level: cheaper while it fits the first-level cache.
const SORTED_AT_ONCE: usize = 256;

/// Entries of type `T`, each with a deadline in milliseconds on a clock that the caller reads.
///
/// Memory: 20 bytes per entry for an item of four bytes. The part that handles point to (12 bytes)
/// keeps the size of its largest population.
#[derive(Debug)]
pub struct Wheel<T: Copy> {
    /// The latest time that the wheel was told.
    now: u64,
    /// The time up to which slots have been worked through: behind `now` only while work is left over.
    at: u64,
    slots: Slots,
    outside: Outside,
    slab: Slab<T>,
}

/// An entry whose deadline has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired<T> {
    /// The deadline it was inserted with, in milliseconds.
    pub deadline: u64,
    /// What was inserted.
    pub item: T,
}

enum Work {
    Outside,
    Slot(Slot),
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel whose time is `now` (milliseconds).
    #[must_use]
    pub fn new(now: u64) -> Self {
        Self { now, at: now, slots: Slots::new(), outside: Outside::default(), slab: Slab::default() }
    }

    /// Adds an entry. A deadline in the past fires at the next advance; none is too far.
    ///
    /// # Panics
    /// With 2³² − 1 live entries, which would take 80 GiB.
    pub fn insert(&mut self, deadline: u64, item: T) -> Timer {
        let timer = self.slab.insert(item);
        self.place(deadline, timer.node());
        timer
    }

    /// Takes an entry out; `None` when it has fired or was cancelled already.
    pub fn cancel(&mut self, timer: Timer) -> Option<T> {
        match self.slab.find(timer)? {
            Place::Outside => self.outside.remove(timer.node()),
            Place::Slot { slot, index } => {
                if let Some(moved) = self.slots.remove(slot, index) {
                    self.slab.put(moved, Place::Slot { slot, index });
                }
            }
        }
        Some(self.slab.release(timer.node()))
    }

    /// A lower bound of the next deadline, never later than the true one; `None` when empty.
    ///
    /// Whoever sleeps until then and advances finds an entry due, or has moved one a level down.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        let slot = self.slots.first(self.at).map(|slot| slot.start);
        let outside = self.outside.first();
        slot.into_iter().chain(outside).min()
    }

    /// Moves time on to `now` (a time in the past is ignored) and appends what is due, earliest deadline
    /// first; entries of one deadline keep the order of insertion unless one of them was cancelled.
    ///
    /// Moves at most `budget` entries (at least one), to `fired` or a level down. True: more work is due
    /// now, call again; what follows is not earlier than what was appended, unless it was inserted since.
    pub fn advance(&mut self, now: u64, budget: usize, fired: &mut Vec<Fired<T>>) -> bool {
        self.now = self.now.max(now);
        let mut left = budget.max(1);
        while let Some(work) = self.next_work() {
            if left == 0 {
                return true;
            }
            left -= match work {
                Work::Outside => self.fire_outside(fired),
                Work::Slot(slot) => self.work_through(slot, left, fired),
            };
        }
        self.at = self.now;
        false
    }

    /// How many entries wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The latest time that the wheel was told, in milliseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    fn place(&mut self, deadline: u64, node: u32) {
        let place = match slots::slot_of(deadline, self.at) {
            Some(slot) => Place::Slot { slot, index: self.slots.push(slot, Entry::new(deadline, node)) },
            None => {
                self.outside.insert(deadline, node);
                Place::Outside
            }
        };
        self.slab.put(node, place);
    }

    fn next_work(&self) -> Option<Work> {
        let slot = self.slots.first(self.at);
        match self.outside.first() {
            Some(deadline)
                if deadline <= self.now && slot.as_ref().is_none_or(|slot| deadline <= slot.start) =>
            {
                Some(Work::Outside)
            }
            _ => slot.filter(|slot| slot.start <= self.now).map(Work::Slot),
        }
    }

    fn fire_outside(&mut self, fired: &mut Vec<Fired<T>>) -> usize {
        let Some((deadline, node)) = self.outside.pop_first() else { return 0 };
        fired.push(Fired { deadline, item: self.slab.release(node) });
        1
    }

    /// Works on up to `left` entries of the earliest slot; returns how many.
    fn work_through(&mut self, slot: Slot, left: usize, fired: &mut Vec<Fired<T>>) -> usize {
        self.at = slot.start;
        let fires = self.fires_at_once(&slot, left);
        let (entries, from) = self.slots.open(slot.number);
        let upto = entries.len().min(from.saturating_add(left));
        let first = fired.len();
        for entry in &entries[from..upto] {
            let deadline = entry.deadline(slot.start);
            if fires {
                fired.push(Fired { deadline, item: self.slab.release(entry.node) });
            } else {
                self.place(deadline, entry.node);
            }
        }
        if slot.last > slot.start {
            fired[first..].sort_by_key(|entry| entry.deadline);
        }
        self.slots.close(slot.number, entries, upto);
        upto - from
    }

    /// Whether a slot's entries may fire from where they lie without overtaking an earlier one.
    fn fires_at_once(&self, slot: &Slot, left: usize) -> bool {
        let one_deadline = slot.last == slot.start;
        one_deadline
            || slot.last <= self.now
                && slot.untouched
                && slot.len <= left.min(SORTED_AT_ONCE)
                && self.outside.first().is_none_or(|deadline| deadline > slot.last)
    }
}
