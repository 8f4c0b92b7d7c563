//! The wheel against a sorted map, under every behaviour of time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Fired, Timer, Wheel};

const WINDOW: u64 = 1 << 36;

/// What the wheel promises, in the plainest form.
struct Model {
    wheel: Wheel<u32>,
    now: u64,
    waiting: BTreeMap<(u64, u32), Timer>,
    /// Every handle ever given, by item, with its deadline.
    handles: Vec<(u64, Timer)>,
}

#[derive(Clone, Debug)]
enum Op {
    Insert(When),
    InsertAgain(prop::sample::Index),
    Cancel(prop::sample::Index),
    Reinsert(prop::sample::Index, When),
    /// Until nothing is left to do.
    Advance(When, usize),
    /// One call, which may leave work over.
    AdvanceOnce(When, usize),
}

#[derive(Clone, Debug)]
enum When {
    Before(u64),
    After(u64),
    At(u64),
    NextWake,
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        4 => (0..200_u64).prop_map(When::After),
        4 => (0..36_u32, 0..3_u64).prop_map(|(bits, near)| When::After((1 << bits) + near)),
        2 => (0..40_u64 * 86_400_000).prop_map(When::After),
        1 => (0..5_000_u64).prop_map(When::Before),
        1 => any::<u64>().prop_map(When::Before),
        1 => any::<u64>().prop_map(When::At),
        1 => (0..4_u64).prop_map(|windows| When::At(windows * WINDOW)),
        1 => Just(When::At(u64::MAX)),
        2 => Just(When::NextWake),
    ]
}

/// Mostly steps that leave something to happen later; seldom a leap over everything.
fn step() -> impl Strategy<Value = When> {
    prop_oneof![
        2 => Just(When::After(0)),
        6 => (0..30_u32).prop_map(|bits| When::After(1 << bits)),
        4 => Just(When::NextWake),
        2 => (0..u64::MAX).prop_map(When::Before),
        1 => (30..38_u32).prop_map(|bits| When::After(1 << bits)),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let budget = || prop_oneof![Just(1_usize), 0..6_usize, Just(usize::MAX)];
    prop_oneof![
        8 => when().prop_map(Op::Insert),
        2 => any::<prop::sample::Index>().prop_map(Op::InsertAgain),
        3 => any::<prop::sample::Index>().prop_map(Op::Cancel),
        2 => (any::<prop::sample::Index>(), when()).prop_map(|(which, when)| Op::Reinsert(which, when)),
        3 => (step(), budget()).prop_map(|(when, budget)| Op::Advance(when, budget)),
        3 => (step(), budget()).prop_map(|(when, budget)| Op::AdvanceOnce(when, budget)),
    ]
}

fn start() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), any::<u64>(), Just(WINDOW - 3), Just(u64::MAX - 100), 0..100_000_000_u64]
}

impl Model {
    fn new(now: u64) -> Self {
        Self { wheel: Wheel::new(now), now, waiting: BTreeMap::new(), handles: Vec::new() }
    }

    fn time(&self, when: &When) -> u64 {
        match *when {
            When::Before(by) => self.now.saturating_sub(by),
            When::After(by) => self.now.saturating_add(by),
            When::At(time) => time,
            When::NextWake => self.wheel.next_wake().unwrap_or(self.now),
        }
    }

    fn insert(&mut self, deadline: u64) {
        let item = u32::try_from(self.handles.len()).unwrap();
        let timer = self.wheel.insert(deadline, item);
        self.handles.push((deadline, timer));
        self.waiting.insert((deadline, item), timer);
    }

    /// Cancels any handle ever given: the answer must be exact, whatever became of its node.
    fn cancel(&mut self, which: &prop::sample::Index) {
        if self.handles.is_empty() {
            return;
        }
        let item = which.index(self.handles.len());
        let (deadline, timer) = self.handles[item];
        let item = u32::try_from(item).unwrap();
        let waited = self.waiting.remove(&(deadline, item)).is_some();
        assert_eq!(self.wheel.cancel(timer), waited.then_some(item));
        assert_eq!(self.wheel.cancel(timer), None);
    }

    fn advance_once(&mut self, now: u64, budget: usize) -> (bool, Vec<Fired<u32>>) {
        self.now = self.now.max(now);
        let mut fired = Vec::new();
        let more = self.wheel.advance(now, budget, &mut fired);
        assert!(fired.len() <= budget.max(1));
        for entry in &fired {
            assert!(entry.deadline <= self.now, "fired early: {entry:?} at {}", self.now);
            let key = (entry.deadline, entry.item);
            assert!(self.waiting.remove(&key).is_some(), "fired twice or after its cancel: {entry:?}");
        }
        if !more {
            let late = self.waiting.range(..=(self.now, u32::MAX)).next();
            assert_eq!(late, None, "due at {} and not fired", self.now);
        }
        (more, fired)
    }

    fn advance(&mut self, now: u64, budget: usize) -> Vec<Fired<u32>> {
        let mut all = Vec::new();
        loop {
            let (more, fired) = self.advance_once(now, budget);
            all.extend(fired);
            if !more {
                break;
            }
        }
        assert!(all.is_sorted_by_key(|fired| fired.deadline), "out of order: {all:?}");
        all
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Insert(when) => self.insert(self.time(when)),
            Op::InsertAgain(which) => {
                let deadline = if self.handles.is_empty() { 0 } else { which.get(&self.handles).0 };
                self.insert(deadline);
            }
            Op::Cancel(which) => self.cancel(which),
            Op::Reinsert(which, when) => {
                self.cancel(which);
                self.insert(self.time(when));
            }
            Op::Advance(when, budget) => drop(self.advance(self.time(when), *budget)),
            Op::AdvanceOnce(when, budget) => drop(self.advance_once(self.time(when), *budget)),
        }
    }

    fn check(&self) {
        assert_eq!(self.wheel.len(), self.waiting.len());
        assert_eq!(self.wheel.is_empty(), self.waiting.is_empty());
        assert_eq!(self.wheel.now(), self.now);
        let next = self.waiting.keys().next().map(|(deadline, _)| *deadline);
        assert_eq!(self.wheel.next_wake().is_some(), next.is_some());
        assert!(self.wheel.next_wake() <= next, "{:?} is later than {next:?}", self.wheel.next_wake());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_wheel_agrees_with_a_sorted_map(start in start(), ops in prop::collection::vec(op(), 1..80)) {
        let mut model = Model::new(start);
        for op in &ops {
            model.apply(op);
            model.check();
        }
        let end = model.wheel.now().saturating_add(1 << 34);
        model.advance(end, 3);
        model.check();
        model.advance(u64::MAX, usize::MAX);
        prop_assert!(model.wheel.is_empty());
        prop_assert_eq!(model.wheel.next_wake(), None);
    }

    #[test]
    fn any_partition_of_the_same_time_fires_the_same(
        start in start(),
        deadlines in prop::collection::vec(when(), 1..60),
        steps in prop::collection::vec((step(), 0..5_usize), 0..40),
        end in 0..38_u32,
    ) {
        let (mut leap, mut walk) = (Model::new(start), Model::new(start));
        for when in &deadlines {
            let deadline = leap.time(when);
            leap.insert(deadline);
            walk.insert(deadline);
        }
        let end = start.saturating_add(1 << end);
        let at_once = leap.advance(end, usize::MAX);
        let mut step_by_step = Vec::new();
        for (step, budget) in &steps {
            let now = walk.time(step).min(end);
            step_by_step.extend(walk.advance(now, *budget));
        }
        step_by_step.extend(walk.advance(end, usize::MAX));
        prop_assert_eq!(at_once, step_by_step);
    }

    #[test]
    fn sleeping_until_next_wake_meets_every_deadline_on_time(
        start in start(),
        deadlines in prop::collection::vec(when(), 1..40),
    ) {
        let mut model = Model::new(start);
        for when in &deadlines {
            let deadline = model.time(when);
            model.insert(deadline);
        }
        let mut wakes = 0;
        while let Some(wake) = model.wheel.next_wake() {
            let now = wake.max(model.now);
            for fired in model.advance(now, usize::MAX) {
                prop_assert!(fired.deadline == now || fired.deadline < start);
            }
            wakes += 1;
        }
        prop_assert!(wakes <= 6 * deadlines.len(), "{wakes} wakes");
    }
}

#[test]
fn equal_deadlines_fire_in_the_order_of_insertion() {
    for (deadline, budget) in [(50, usize::MAX), (5_000_000, 3), (40 * 86_400_000, 1), (3 * WINDOW, 2)] {
        let mut wheel = Wheel::new(0);
        for item in 0..1_000_u32 {
            wheel.insert(deadline, item);
        }
        let mut fired = Vec::new();
        assert!(!wheel.advance(deadline - 1, usize::MAX, &mut fired));
        assert_eq!(fired, []);
        while wheel.advance(deadline, budget, &mut fired) {}
        let items: Vec<u32> = fired.iter().map(|fired| fired.item).collect();
        assert_eq!(items, (0..1_000).collect::<Vec<_>>(), "deadline {deadline}");
    }
}

#[test]
fn time_that_steps_back_between_two_calls_does_not_delay_what_was_due() {
    let mut wheel = Wheel::new(0);
    for item in 0..10_u32 {
        wheel.insert(1_000, item);
    }
    let mut fired = Vec::new();
    assert!(wheel.advance(5_000, 4, &mut fired));
    assert!(!wheel.advance(3, 1_000, &mut fired));
    assert_eq!(fired.len(), 10);
    assert_eq!(wheel.now(), 5_000);
}

#[test]
fn a_timer_inserted_late_while_work_is_left_over_fires_too() {
    let mut wheel = Wheel::new(0);
    for item in 0..10_u32 {
        wheel.insert(100_000 + u64::from(item), item);
    }
    let mut fired = Vec::new();
    assert!(wheel.advance(200_000, 3, &mut fired));
    wheel.insert(1, 10);
    wheel.insert(100_004, 11);
    wheel.insert(150_000, 12);
    while wheel.advance(200_000, 1, &mut fired) {}
    assert_eq!(fired.len(), 13);
    assert!(wheel.is_empty());
}

#[test]
fn equal_deadlines_beyond_every_slot_fire_in_the_order_of_insertion_whatever_was_cancelled_before() {
    let mut wheel = Wheel::new(0);
    let far = 4 * WINDOW;
    let first = wheel.insert(far, 1);
    wheel.insert(far, 2);
    wheel.cancel(first);
    wheel.insert(far, 3); // in the place that the first has left
    let mut fired = Vec::new();
    while wheel.advance(far, 100, &mut fired) {}
    assert_eq!(fired.iter().map(|f| f.item).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_far_timer_keeps_its_turn_among_near_ones() {
    let mut wheel = Wheel::new(WINDOW - 1_000);
    wheel.insert(WINDOW + 1_000_010, 2_u32);
    let mut fired = Vec::new();
    assert!(!wheel.advance(WINDOW, 1, &mut fired));
    wheel.insert(WINDOW + 1_000_020, 3);
    wheel.insert(WINDOW + 1_000_005, 1);
    assert!(!wheel.advance(WINDOW + 2_000_000, usize::MAX, &mut fired));
    assert_eq!(fired.iter().map(|fired| fired.item).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn cancelling_the_rest_of_a_half_done_slot_leaves_nothing_to_wake_for() {
    let mut wheel = Wheel::new(0);
    let timers: Vec<Timer> = (0..10).map(|item| wheel.insert(50, item)).collect();
    let mut fired = Vec::new();
    assert!(wheel.advance(50, 4, &mut fired));
    for timer in timers {
        wheel.cancel(timer);
    }
    assert!(wheel.is_empty());
    assert_eq!(wheel.next_wake(), None);
    assert!(!wheel.advance(50, 4, &mut fired));
    assert_eq!(fired.len(), 4);
}

#[test]
fn one_advance_does_no_more_than_its_budget() {
    let mut wheel = Wheel::new(0);
    for item in 0..10_000_u32 {
        wheel.insert(1 << 35, item);
    }
    let mut calls = 1;
    let mut fired = Vec::new();
    while wheel.advance(1 << 35, 100, &mut fired) {
        calls += 1;
        assert!(fired.len() <= calls * 100);
    }
    assert_eq!(fired.len(), 10_000);
    assert!(calls >= 200, "10,000 entries moved down and fired in {calls} calls of 100");
}

#[test]
fn two_million_timers_all_fire_once_and_in_order() {
    const MANY: u32 = 2_000_000;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut wheel = Wheel::new(0);
    let timers: Vec<(u64, Timer)> = (0..MANY)
        .map(|item| {
            let deadline = next() % (30 * 86_400_000);
            (deadline, wheel.insert(deadline, item))
        })
        .collect();
    let mut expected = Vec::new();
    for (item, (deadline, timer)) in (0..MANY).zip(&timers) {
        if item % 3 == 0 {
            assert_eq!(wheel.cancel(*timer), Some(item));
        } else {
            expected.push((*deadline, item));
        }
    }
    assert_eq!(wheel.len(), expected.len());
    expected.sort_unstable();
    let (mut now, mut fired) = (0, Vec::new());
    while !wheel.is_empty() {
        now += next() % (1 << (next() % 32));
        while wheel.advance(now, 4_096, &mut fired) {}
    }
    assert!(fired.is_sorted_by_key(|entry| entry.deadline));
    let mut seen: Vec<(u64, u32)> = fired.iter().map(|entry| (entry.deadline, entry.item)).collect();
    seen.sort_unstable();
    assert!(seen == expected, "{} fired, {} expected", seen.len(), expected.len());
    assert!(timers.iter().all(|(_, timer)| wheel.cancel(*timer).is_none()));
}
