//! The wheel and its rivals behind one face.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use ephemerald::engine::wheel::{Fired, Timer, Wheel};

/// Work that the engine's loop allows one advance.
const BUDGET: usize = 4096;

/// What the rivals have in common: timers by number.
pub(crate) trait Timers {
    /// What the caller keeps to cancel.
    type Handle: Copy + Default;
    fn insert(&mut self, deadline: u64, item: u32) -> Self::Handle;
    fn cancel(&mut self, handle: Self::Handle) -> bool;
    fn next_wake(&self) -> Option<u64>;
    /// True: more is due.
    fn advance(&mut self, now: u64, fired: &mut Vec<Fired<u32>>) -> bool;
}

impl Timers for Wheel<u32> {
    type Handle = Timer;

    fn insert(&mut self, deadline: u64, item: u32) -> Timer {
        Self::insert(self, deadline, item)
    }

    fn cancel(&mut self, handle: Timer) -> bool {
        Self::cancel(self, handle).is_some()
    }

    fn next_wake(&self) -> Option<u64> {
        Self::next_wake(self)
    }

    fn advance(&mut self, now: u64, fired: &mut Vec<Fired<u32>>) -> bool {
        Self::advance(self, now, BUDGET, fired)
    }
}

#[derive(Default)]
pub(crate) struct Tree(BTreeMap<(u64, u32), ()>);

impl Timers for Tree {
    type Handle = (u64, u32);

    fn insert(&mut self, deadline: u64, item: u32) -> (u64, u32) {
        self.0.insert((deadline, item), ());
        (deadline, item)
    }

    fn cancel(&mut self, handle: (u64, u32)) -> bool {
        self.0.remove(&handle).is_some()
    }

    fn next_wake(&self) -> Option<u64> {
        self.0.first_key_value().map(|((deadline, _), ())| *deadline)
    }

    fn advance(&mut self, now: u64, fired: &mut Vec<Fired<u32>>) -> bool {
        for _ in 0..BUDGET {
            match self.0.first_entry() {
                Some(entry) if entry.key().0 <= now => {
                    let ((deadline, item), ()) = entry.remove_entry();
                    fired.push(Fired { deadline, item });
                }
                _ => return false,
            }
        }
        true
    }
}

/// A cancelled entry stays in the heap until its turn comes.
#[derive(Default)]
pub(crate) struct Heap {
    heap: BinaryHeap<Reverse<(u64, u32, u32)>>,
    generations: Vec<u32>,
}

impl Timers for Heap {
    type Handle = (u32, u32);

    fn insert(&mut self, deadline: u64, item: u32) -> (u32, u32) {
        if self.generations.len() <= item as usize {
            self.generations.resize(item as usize + 1, 0);
        }
        let generation = self.generations[item as usize];
        self.heap.push(Reverse((deadline, item, generation)));
        (item, generation)
    }

    fn cancel(&mut self, (item, generation): (u32, u32)) -> bool {
        let current = &mut self.generations[item as usize];
        let waits = *current == generation;
        *current += u32::from(waits);
        waits
    }

    fn next_wake(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((deadline, ..))| *deadline)
    }

    fn advance(&mut self, now: u64, fired: &mut Vec<Fired<u32>>) -> bool {
        for _ in 0..BUDGET {
            if self.heap.peek().is_none_or(|Reverse((deadline, ..))| *deadline > now) {
                return false;
            }
            let Some(Reverse((deadline, item, generation))) = self.heap.pop() else { return false };
            if self.cancel((item, generation)) {
                fired.push(Fired { deadline, item });
            }
        }
        true
    }
}
