//! The timer wheel against a sorted map, over any sequence of insertions, cancellations and times.
//!
//! Refuses an entry that is lost, fires early, twice, after its cancellation or out of order, and a wake-up
//! that comes too late.

use std::collections::BTreeMap;

use ephemerald::engine::wheel::{Timer, Wheel};

/// The input as numbers. When it is used up, every number is zero.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Near a power of two, where slots and levels begin; or any number at all.
    fn span(&mut self) -> u64 {
        let (shape, near) = (self.byte(), u64::from(self.byte()));
        match shape {
            0..=63 => (1_u64 << shape).saturating_add(near),
            64..=127 => (1_u64 << (shape - 64)).saturating_sub(near),
            128..=191 => near,
            _ => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
        }
    }
}

struct Model {
    wheel: Wheel<u32>,
    now: u64,
    waiting: BTreeMap<(u64, u32), Timer>,
    /// Every handle ever given, with its deadline.
    handles: Vec<(u64, Timer)>,
}

/// Plays operations on the wheel.
pub fn wheel(data: &[u8]) {
    let mut script = Script(&data[..data.len().min(4096)]);
    let now = if script.byte() < 192 { 0 } else { script.span() };
    let mut model = Model { wheel: Wheel::new(now), now, waiting: BTreeMap::new(), handles: Vec::new() };
    while !script.0.is_empty() {
        model.play(&mut script);
        model.check();
    }
    model.advance_wholly(model.now.saturating_add(1 << 34), 3);
    model.check();
    model.advance_wholly(u64::MAX, usize::MAX);
    assert!(model.wheel.is_empty() && model.waiting.is_empty(), "something waits beyond all time");
    assert_eq!(model.wheel.next_wake(), None);
}

impl Model {
    fn play(&mut self, script: &mut Script<'_>) {
        match script.byte() % 8 {
            0 | 1 => self.insert(self.now.saturating_add(script.span())),
            2 => self.insert(script.span()),
            3 => {
                let deadline = self.any(script).map_or(0, |item| self.handles[item].0);
                self.insert(deadline);
            }
            4 => {
                if let Some(item) = self.any(script) {
                    self.cancel(item);
                }
            }
            5 => drop(self.advance(self.now.saturating_add(script.span()), usize::from(script.byte() % 8))),
            6 => self.advance_wholly(self.now.saturating_add(script.span()), usize::from(script.byte())),
            _ => {
                let wake = self.wheel.next_wake().unwrap_or(self.now);
                self.advance_wholly(wake, usize::MAX);
            }
        }
    }

    fn any(&self, script: &mut Script<'_>) -> Option<usize> {
        let which = usize::from(script.byte()) << 8 | usize::from(script.byte());
        which.checked_rem(self.handles.len())
    }

    fn insert(&mut self, deadline: u64) {
        let item = u32::try_from(self.handles.len()).expect("an input is short");
        let timer = self.wheel.insert(deadline, item);
        self.handles.push((deadline, timer));
        self.waiting.insert((deadline, item), timer);
    }

    fn cancel(&mut self, which: usize) {
        let (deadline, timer) = self.handles[which];
        let item = u32::try_from(which).expect("an input is short");
        let waited = self.waiting.remove(&(deadline, item)).is_some();
        assert_eq!(self.wheel.cancel(timer), waited.then_some(item), "cancelled otherwise than it waited");
        assert_eq!(self.wheel.cancel(timer), None, "cancelled twice");
    }

    /// One call; returns whether work is left, and the last deadline that fired.
    fn advance(&mut self, now: u64, budget: usize) -> (bool, Option<u64>) {
        self.now = self.now.max(now);
        let mut fired = Vec::new();
        let more = self.wheel.advance(now, budget, &mut fired);
        assert!(fired.len() <= budget.max(1), "more than its budget");
        assert!(fired.is_sorted_by_key(|entry| entry.deadline), "out of order: {fired:?}");
        for entry in &fired {
            assert!(entry.deadline <= self.now, "fired early: {entry:?} at {}", self.now);
            let waited = self.waiting.remove(&(entry.deadline, entry.item));
            assert!(waited.is_some(), "fired twice or after its cancellation: {entry:?}");
        }
        if !more {
            let late = self.waiting.range(..=(self.now, u32::MAX)).next();
            assert_eq!(late.map(|(key, _)| key), None, "due at {} and not fired", self.now);
        }
        (more, fired.last().map(|entry| entry.deadline))
    }

    fn advance_wholly(&mut self, now: u64, budget: usize) {
        let mut latest = 0;
        loop {
            let (more, last) = self.advance(now, budget);
            assert!(last.is_none_or(|last| latest <= last), "an earlier deadline after a later one");
            latest = last.unwrap_or(latest);
            if !more {
                return;
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.wheel.len(), self.waiting.len());
        assert_eq!(self.wheel.now(), self.now);
        let next = self.waiting.keys().next().map(|(deadline, _)| *deadline);
        assert_eq!(self.wheel.next_wake().is_some(), next.is_some());
        assert!(self.wheel.next_wake() <= next, "{:?} is later than {next:?}", self.wheel.next_wake());
    }
}
