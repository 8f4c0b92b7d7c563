//! A hierarchical timing wheel (Varghese and Lauck, scheme 7) over milliseconds.
//!
//! ```text
//!   level 0: 64 slots of 1 ms │ level 1: 64 × 64 ms │ level 2: 64 × 4 s │ … level 10: all of u64
//! ```
//!
//! An entry lies on the level of the highest six-bit digit in which its deadline differs from the
//! wheel's time, in the slot of that digit; when time reaches the slot, its entries move down or fire.
//! Slots are arrays, not linked lists: at a million entries the walk of a list is a cache miss each.
//!
//! Refuses to lose, to fire early, or to fire twice, whatever time does: standing still, stepping back
//! (ignored), leaping years. No deadline is too far. One advance does a bounded amount of work.

const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 11;
/// The slot of what is due already.
const DUE: u16 = (LEVELS * SLOTS) as u16;
const FREE: u16 = u16::MAX;

/// The wheel.
#[derive(Debug)]
pub struct Wheel<T: Copy> {
    now: u64,
    occupied: [u64; LEVELS],
    slots: Vec<Vec<Entry>>,
    nodes: Vec<Node<T>>,
    free: Vec<u32>,
    /// The slot whose entries are being moved: it comes before everything else.
    moving: Option<u16>,
    len: usize,
}

/// A handle to an entry. Harmless once the entry has fired or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    node: u32,
    generation: u32,
}

/// An entry whose deadline has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired<T> {
    /// Its deadline.
    pub deadline: u64,
    /// What was inserted.
    pub item: T,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline: u64,
    node: u32,
}

#[derive(Clone, Copy, Debug)]
struct Node<T> {
    item: T,
    generation: u32,
    slot: u16,
    place: u32,
}

impl Default for Timer {
    fn default() -> Self {
        Self { node: u32::MAX, generation: 0 }
    }
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel whose time is `now`.
    #[must_use]
    pub fn new(now: u64) -> Self {
        let slots = (0..=usize::from(DUE)).map(|_| Vec::new()).collect();
        Self { now, occupied: [0; LEVELS], slots, nodes: Vec::new(), free: Vec::new(), moving: None, len: 0 }
    }

    /// Adds an entry; one whose deadline has passed fires at the next advance.
    ///
    /// # Panics
    /// With 2³² − 1 live entries, which is beyond any memory it could run in.
    pub fn insert(&mut self, deadline: u64, item: T) -> Timer {
        let node = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node { item, generation: 0, slot: FREE, place: 0 });
            u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 live entries")
        });
        self.nodes[node as usize].item = item;
        self.place(Entry { deadline, node });
        self.len += 1;
        Timer { node, generation: self.nodes[node as usize].generation }
    }

    /// Takes an entry out; `None` if it has fired or was cancelled before.
    pub fn cancel(&mut self, timer: Timer) -> Option<T> {
        let node = *self.nodes.get(timer.node as usize)?;
        if node.generation != timer.generation || node.slot == FREE {
            return None;
        }
        let slot = &mut self.slots[usize::from(node.slot)];
        slot.swap_remove(node.place as usize);
        if let Some(moved) = slot.get(node.place as usize) {
            self.nodes[moved.node as usize].place = node.place;
        }
        if slot.is_empty() {
            self.vacate(node.slot);
        }
        self.release(timer.node);
        Some(node.item)
    }

    /// A lower bound of the next deadline; never later than the true one.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        if self.moving.is_some() || !self.slots[usize::from(DUE)].is_empty() {
            return Some(self.now);
        }
        self.next_slot().map(|(_, start)| start)
    }

    /// Moves time on to `now` (the past is ignored) and appends what is due, by deadline. Moves about
    /// `budget` entries at most; true means that more is due now: call again.
    pub fn advance(&mut self, now: u64, budget: usize, fired: &mut Vec<Fired<T>>) -> bool {
        let now = now.max(self.now);
        let first = fired.len();
        let mut left = budget.max(1);
        let more = loop {
            let slot = match self.moving {
                Some(slot) => slot,
                None if !self.slots[usize::from(DUE)].is_empty() => DUE,
                None => match self.next_slot() {
                    Some((slot, start)) if start <= now => {
                        self.now = start;
                        slot
                    }
                    _ => {
                        self.now = now;
                        break false;
                    }
                },
            };
            if left == 0 {
                self.moving = (slot != DUE).then_some(slot);
                break true;
            }
            left -= self.drain(slot, now, left, fired);
        };
        fired[first..].sort_by_key(|f| f.deadline);
        more
    }

    /// How many entries wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The wheel's time.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Moves up to `budget` entries out of a slot: due ones fire, others move down.
    fn drain(&mut self, slot: u16, now: u64, budget: usize, fired: &mut Vec<Fired<T>>) -> usize {
        let mut moved = 0;
        while moved < budget {
            let Some(entry) = self.slots[usize::from(slot)].pop() else { break };
            moved += 1;
            if entry.deadline <= now {
                let item = self.nodes[entry.node as usize].item;
                self.release(entry.node);
                fired.push(Fired { deadline: entry.deadline, item });
            } else {
                self.place(entry);
            }
        }
        if self.slots[usize::from(slot)].is_empty() {
            self.vacate(slot);
        } else if slot != DUE {
            self.moving = Some(slot);
        }
        moved
    }

    fn place(&mut self, entry: Entry) {
        let slot = if entry.deadline <= self.now {
            DUE
        } else {
            let level = ((63 - (entry.deadline ^ self.now).leading_zeros()) / BITS) as usize;
            let digit = (entry.deadline >> (level as u32 * BITS)) as usize % SLOTS;
            self.occupied[level] |= 1 << digit;
            (level * SLOTS + digit) as u16
        };
        let list = &mut self.slots[usize::from(slot)];
        let node = &mut self.nodes[entry.node as usize];
        node.slot = slot;
        node.place = u32::try_from(list.len()).expect("a slot holds fewer than 2^32 entries");
        list.push(entry);
    }

    /// The first occupied slot and when it begins. The lowest occupied level is the earliest: its
    /// entries share all higher digits with the wheel's time.
    fn next_slot(&self) -> Option<(u16, u64)> {
        let level = self.occupied.iter().position(|bits| *bits != 0)?;
        let digit = self.occupied[level].trailing_zeros();
        let shift = level as u32 * BITS;
        let above = if shift + BITS >= 64 { 0 } else { self.now >> (shift + BITS) << (shift + BITS) };
        let slot = (level * SLOTS) as u16 + digit as u16;
        Some((slot, above | u64::from(digit) << shift))
    }

    fn vacate(&mut self, slot: u16) {
        if slot != DUE {
            self.occupied[usize::from(slot) / SLOTS] &= !(1 << (usize::from(slot) % SLOTS));
        }
        if self.moving == Some(slot) {
            self.moving = None;
        }
        // A slot that once held a burst gives its memory back.
        if self.slots[usize::from(slot)].capacity() > 1024 {
            self.slots[usize::from(slot)] = Vec::new();
        }
    }

    fn release(&mut self, node: u32) {
        let entry = &mut self.nodes[node as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.slot = FREE;
        self.free.push(node);
        self.len -= 1;
    }
}
