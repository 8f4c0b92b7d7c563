//! `plan::ending` against a small model written apart from it: roles as bits, their reach as a table.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use ephemerald::engine::{
    ids::RoleName,
    plan::{self, Ending, View},
    roles::RoleOrder,
    settings::RoleMode,
};
use proptest::prelude::*;

const NAMES: [&str; 7] = [
    "Administrator With Billing",
    "Administrator",
    "Manager",
    "Help Desk",
    "Command Runner",
    "Billing Only",
    "Read Only",
];
/// Which roles (as bits, in the order of `NAMES`) each role reaches, itself included.
const REACH: [u8; 7] = [0b111_1111, 0b101_1110, 0b100_1100, 0b100_1000, 0b001_0000, 0b010_0000, 0b100_0000];
const FLOOR: u8 = 0b100_0000;

#[derive(Clone, Debug)]
struct Case {
    multiple: bool,
    observed: u8,
    baseline: u8,
    live: u8,
    ours: u8,
    displaced: u8,
    suspicious: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    Clean,
    Superseded,
    Write(u8),
    Escalate,
}

fn bits(set: u8) -> impl Iterator<Item = usize> {
    (0..7).filter(move |n| set >> n & 1 == 1)
}

fn reach(set: u8) -> u8 {
    bits(set).fold(0, |all, n| all | REACH[n])
}

/// The roles of `set` that no other role of it reaches.
fn tops(set: u8) -> u8 {
    bits(set).filter(|n| reach(set & !(1 << n)) >> n & 1 == 0).fold(0, |all, n| all | 1 << n)
}

fn expected(case: &Case) -> Expected {
    let seen = case.observed;
    if seen == FLOOR {
        return Expected::Clean;
    }
    let should = case.baseline | case.live;
    let mut several = case.multiple;
    let target = if case.multiple {
        let excess = seen & !should & if case.suspicious { 0x7f } else { case.ours };
        if excess == 0 {
            return Expected::Clean;
        }
        let rest = seen & !excess;
        rest | case.live & reach(seen) & !reach(rest)
    } else {
        let beyond = seen & !reach(should);
        if beyond == 0 {
            return Expected::Clean;
        }
        // Of several roles each is judged by itself: a single one is all that there is.
        let excess = beyond & if case.suspicious { 0x7f } else { case.ours };
        if excess == 0 {
            return Expected::Superseded;
        }
        let rest = seen & !excess;
        let people = rest & !reach(should) != 0;
        if seen.count_ones() > 1 && rest != 0 && (people || tops(should).count_ones() != 1) {
            several = true;
            rest | case.live & reach(seen) & !reach(rest)
        } else {
            tops(should)
        }
    };
    let mayhap = reach(seen) | case.displaced & should;
    let fits = target != 0 && (several || target.count_ones() == 1);
    if fits && target & !mayhap == 0 {
        Expected::Write(target)
    } else if reach(seen) & FLOOR != 0 && seen & FLOOR == 0 {
        Expected::Write(FLOOR)
    } else {
        Expected::Escalate
    }
}

fn names(set: u8) -> Vec<RoleName> {
    bits(set).map(|n| world::role(NAMES[n])).collect()
}

fn ending(case: &Case, order: &RoleOrder) -> Ending {
    let mode = if case.multiple { RoleMode::Multiple } else { RoleMode::Single };
    plan::ending(&View {
        mode,
        order,
        observed: &names(case.observed),
        baseline: &names(case.baseline),
        live: &names(case.live),
        ours: &names(case.ours),
        displaced: &names(case.displaced),
        suspicious: case.suspicious,
        floor: &world::role("Read Only"),
    })
}

fn found(ending: &Ending) -> Expected {
    let bit = |r: &RoleName| 1 << NAMES.iter().position(|n| *n == r.to_string()).unwrap();
    match ending {
        Ending::Clean => Expected::Clean,
        Ending::Superseded => Expected::Superseded,
        Ending::Escalate => Expected::Escalate,
        Ending::Write(roles) => Expected::Write(roles.iter().fold(0, |all, r| all | bit(r))),
    }
}

fn order() -> RoleOrder {
    RoleOrder::new(&[], Some(&world::roles()))
}

fn case() -> impl Strategy<Value = Case> {
    let set = || 0u8..128;
    (any::<bool>(), set(), set(), set(), set(), set(), any::<bool>()).prop_map(
        |(multiple, observed, baseline, live, ours, displaced, suspicious)| {
            let (mut observed, mut baseline) = (observed, baseline);
            if !multiple {
                // Mostly what single mode is about: one role here, one role before.
                let one = |set: u8| if set & 3 == 0 { set } else { 1 << (set % 7) };
                (observed, baseline) = (one(observed), one(baseline));
            }
            Case { multiple, observed, baseline, live, ours, displaced, suspicious }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_ending_is_what_the_model_says(case in case()) {
        prop_assert_eq!(found(&ending(&case, &order())), expected(&case));
    }

    #[test]
    fn a_revocation_never_raises(case in case()) {
        if let Expected::Write(written) = found(&ending(&case, &order())) {
            let given_back = case.displaced & (case.baseline | case.live);
            prop_assert_eq!(written & !reach(case.observed) & !given_back, 0);
            prop_assert!(written != 0);
        }
    }

    #[test]
    fn an_ending_that_was_carried_out_leaves_nothing_to_do(case in case()) {
        if let Expected::Write(written) = found(&ending(&case, &order())) {
            let after = Case { observed: written, ..case };
            let then = found(&ending(&after, &order()));
            prop_assert!(matches!(then, Expected::Clean | Expected::Superseded), "{:?}", then);
        }
    }

    #[test]
    fn what_is_ours_and_beyond_does_not_stay_beside_what_a_person_gave(case in case()) {
        let seen = case.observed;
        let beyond = seen & case.ours & !reach(case.baseline | case.live);
        if seen != FLOOR && beyond != 0 {
            let then = found(&ending(&case, &order()));
            prop_assert!(!matches!(then, Expected::Clean | Expected::Superseded), "{:?}", then);
        }
    }
}
