//! The items of a wheel, and the handles to them.
//!
//! It refuses to give a handle twice: a node whose generations are used up is retired (12 bytes lost
//! in four million timers), so an old handle never finds somebody else's entry.

use super::slots;

/// A handle to an entry of a [`Wheel`](super::Wheel). Harmless once the entry has fired or was
/// cancelled; the default one belongs to no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    node: u32,
    generation: u32,
}

#[derive(Debug)]
pub(super) struct Slab<T> {
    nodes: Vec<Node<T>>,
    /// A stack, not a list through the nodes: its next element needs no cache miss.
    free: Vec<u32>,
    len: usize,
}

/// Where an entry lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Outside,
    Slot { slot: u32, index: u32 },
}

#[derive(Clone, Copy, Debug)]
struct Node<T> {
    item: T,
    /// Generation and slot in one word: a third of the node's size at stake.
    tag: u32,
    index: u32,
}

const SLOT_BITS: u32 = 10;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;
const OUTSIDE: u32 = slots::COUNT;
const LAST_GENERATION: u32 = u32::MAX >> SLOT_BITS;

impl Timer {
    pub(super) fn node(self) -> u32 {
        self.node
    }
}

impl Default for Timer {
    fn default() -> Self {
        Self { node: u32::MAX, generation: 0 }
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T: Copy> Slab<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Stores an item that lies nowhere yet.
    pub(super) fn insert(&mut self, item: T) -> Timer {
        self.len += 1;
        if let Some(node) = self.free.pop() {
            let entry = &mut self.nodes[node as usize];
            entry.item = item;
            return Timer { node, generation: entry.tag >> SLOT_BITS };
        }
        let node = u32::try_from(self.nodes.len()).ok().filter(|node| *node != u32::MAX);
        self.nodes.push(Node { item, tag: OUTSIDE, index: 0 });
        Timer { node: node.expect("a wheel holds fewer than 2^32 - 1 entries"), generation: 0 }
    }

    /// Where the handle's entry lies; `None` when it is gone.
    pub(super) fn find(&self, timer: Timer) -> Option<Place> {
        let node = self.nodes.get(timer.node as usize)?;
        if node.tag >> SLOT_BITS != timer.generation {
            return None;
        }
        Some(match node.tag & SLOT_MASK {
            OUTSIDE => Place::Outside,
            slot => Place::Slot { slot, index: node.index },
        })
    }

    /// Records where an entry lies.
    pub(super) fn put(&mut self, node: u32, place: Place) {
        let node = &mut self.nodes[node as usize];
        let (slot, index) = match place {
            Place::Outside => (OUTSIDE, 0),
            Place::Slot { slot, index } => (slot, index),
        };
        node.tag = node.tag & !SLOT_MASK | slot;
        node.index = index;
    }

    /// Takes an item out: its handle finds nothing from now on.
    pub(super) fn release(&mut self, node: u32) -> T {
        let entry = &mut self.nodes[node as usize];
        entry.tag += 1 << SLOT_BITS;
        if entry.tag >> SLOT_BITS < LAST_GENERATION {
            self.free.push(node);
        }
        self.len -= 1;
        entry.item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_retired_before_a_handle_could_be_given_twice() {
        let mut slab = Slab::default();
        let first = slab.insert(0_u32);
        slab.release(first.node);
        for _ in 1..LAST_GENERATION {
            let timer = slab.insert(1);
            assert_eq!(timer.node, first.node);
            slab.release(timer.node);
        }
        let next = slab.insert(2);
        assert_ne!(next.node, first.node);
        assert_eq!(slab.find(first), None);
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn the_default_handle_finds_nothing() {
        let mut slab = Slab::default();
        slab.insert(7_u32);
        assert_eq!(slab.find(Timer::default()), None);
    }
}
