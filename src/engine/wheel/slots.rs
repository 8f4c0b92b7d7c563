//! The six levels of 64 slots, and which of them are occupied.
//!
//! Slots are arrays, not linked lists: at millions of entries each step along a list is a cache miss.
//! An entry keeps the low half of its deadline only; the slot's own time supplies the rest. It refuses
//! deadlines that this does not determine: those before the wheel's time and beyond its levels.

use std::mem;

const BITS: u32 = 6;
const SLOTS: u32 = 1 << BITS;
const DIGIT: u64 = 0x3F;
const LEVELS: u32 = 6;
/// How many slots there are, on all levels.
pub(super) const COUNT: u32 = LEVELS * SLOTS;
const LOW: u64 = 0xFFFF_FFFF;
/// A slot that once held a burst gives its memory back.
const KEPT_CAPACITY: usize = 256;

#[derive(Debug)]
pub(super) struct Slots {
    /// One bit per slot that holds entries, one word per level.
    occupied: [u64; LEVELS as usize],
    entries: Vec<Vec<Entry>>,
    /// The slot that is being worked through, and how far. Its bit stays set until it is done.
    open: Option<(u32, usize)>,
}

/// A deadline's low half, and where its item is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    low: u32,
    pub(super) node: u32,
}

/// The slot whose turn is next.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) number: u32,
    /// The first millisecond that it covers.
    pub(super) start: u64,
    /// The last millisecond that it covers.
    pub(super) last: u64,
    /// How many entries it holds, if untouched.
    pub(super) len: usize,
    /// Whether none of its entries has been worked on.
    pub(super) untouched: bool,
}

impl Entry {
    pub(super) fn new(deadline: u64, node: u32) -> Self {
        Self { low: (deadline & LOW) as u32, node }
    }

    /// The whole deadline, given any time that its slot covers. (No slot is wider than 2³⁰ ms.)
    pub(super) fn deadline(self, slot_time: u64) -> u64 {
        slot_time & !LOW | u64::from(self.low)
    }
}

/// The slot for a deadline when the wheel has worked up to `at`; `None` outside of the levels.
pub(super) fn slot_of(deadline: u64, at: u64) -> Option<u32> {
    let differing = deadline ^ at;
    if deadline < at || differing >> (BITS * LEVELS) != 0 {
        return None;
    }
    let level = (differing | 1).ilog2() / BITS;
    let digit = deadline >> (level * BITS) & DIGIT;
    Some(level * SLOTS + digit as u32)
}

impl Slots {
    pub(super) fn new() -> Self {
        let entries = (0..COUNT).map(|_| Vec::new()).collect();
        Self { occupied: [0; LEVELS as usize], entries, open: None }
    }

    /// Adds an entry and says at which index.
    pub(super) fn push(&mut self, slot: u32, entry: Entry) -> u32 {
        let entries = &mut self.entries[slot as usize];
        let index = u32::try_from(entries.len()).expect("there are fewer than 2^32 entries");
        entries.push(entry);
        self.occupied[(slot / SLOTS) as usize] |= 1 << (slot % SLOTS);
        index
    }

    /// Removes the entry at `index` and returns the node of the one that took its place, if any.
    pub(super) fn remove(&mut self, slot: u32, index: u32) -> Option<u32> {
        let entries = &mut self.entries[slot as usize];
        entries.swap_remove(index as usize);
        let moved = entries.get(index as usize).map(|entry| entry.node);
        let done = self.open.filter(|(open, _)| *open == slot).map_or(0, |(_, done)| done);
        if entries.len() == done {
            let entries = mem::take(entries);
            self.close(slot, entries, done);
        }
        moved
    }

    /// The slot whose turn is next when the wheel has worked up to `at`.
    ///
    /// The lowest occupied level has it: its entries share all higher digits with `at`.
    pub(super) fn first(&self, at: u64) -> Option<Slot> {
        let (number, untouched) = match self.open {
            Some((slot, _)) => (slot, false),
            None => (self.lowest()?, true),
        };
        let shift = number / SLOTS * BITS;
        let above = at >> (shift + BITS) << (shift + BITS);
        let start = above | u64::from(number % SLOTS) << shift;
        let last = start | ((1 << shift) - 1);
        Some(Slot { number, start, last, len: self.entries[number as usize].len(), untouched })
    }

    fn lowest(&self) -> Option<u32> {
        let (level, bits) = (0..LEVELS).zip(self.occupied).find(|(_, bits)| *bits != 0)?;
        Some(level * SLOTS + bits.trailing_zeros())
    }

    /// Lends a slot's entries out, with the index of the first one still to be worked on.
    pub(super) fn open(&mut self, slot: u32) -> (Vec<Entry>, usize) {
        let done = self.open.map_or(0, |(_, done)| done);
        (mem::take(&mut self.entries[slot as usize]), done)
    }

    /// Takes a slot's entries back after those before `done` were worked on.
    pub(super) fn close(&mut self, slot: u32, mut entries: Vec<Entry>, done: usize) {
        if done < entries.len() {
            self.open = Some((slot, done));
        } else {
            self.open = self.open.filter(|(open, _)| *open != slot);
            self.occupied[(slot / SLOTS) as usize] &= !(1 << (slot % SLOTS));
            entries.clear();
            entries.shrink_to(KEPT_CAPACITY);
        }
        self.entries[slot as usize] = entries;
    }
}
