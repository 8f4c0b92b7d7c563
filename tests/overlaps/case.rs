//! A case: an account and what is asked about it, when. Made from one number.

use super::chance::Chance;

/// What the control plane does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    /// Asks for a role, for so long, and at most until an instant.
    Ask { grant: usize, role: usize, length: u64, until: Option<u64> },
    /// Asks for more time.
    Extend { grant: usize, length: u64 },
    /// Ends a grant early.
    Revoke { grant: usize },
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) single: bool,
    pub(crate) baseline: Vec<&'static str>,
    pub(crate) latency: u64,
    pub(crate) disk: u64,
    /// In the order of time, in milliseconds from the start.
    pub(crate) deeds: Vec<(u64, Deed)>,
}

/// Most things happen at one of a few instants, or nearly: so they coincide.
const STRIDE: u64 = 60_000;
const NEARLY: [u64; 10] = [0, 0, 0, 0, 0, 1, 3, 50, 700, 12_000];

impl Case {
    pub(crate) fn new(number: u64) -> Self {
        let mut chance = Chance::new(number);
        let single = chance.percent(50);
        let mut baseline = vec![chance.of(&[
            "Read Only",
            "Read Only",
            "Read Only",
            "Help Desk",
            "Manager",
            "Command Runner",
        ])];
        if !single && chance.percent(40) {
            baseline.push(chance.of(&["Billing Only", "Administrator"]));
        }
        let (latency, disk) = (chance.of(&[6, 40, 150, 700]), chance.of(&[1, 2, 20, 300]));
        let grants = usize::try_from(chance.between(2, 9)).unwrap();
        let mut deeds = Vec::new();
        for grant in 0..grants {
            one_grant(&mut chance, grant, &mut deeds);
        }
        deeds.sort_by_key(|(at, _)| *at);
        Self { single, baseline, latency, disk, deeds }
    }
}

fn instant(chance: &mut Chance, from: u64, to: u64) -> u64 {
    chance.between(from, to) * STRIDE + chance.of(&NEARLY)
}

fn one_grant(chance: &mut Chance, grant: usize, deeds: &mut Vec<(u64, Deed)>) {
    // Roles by number: mostly a chain, so that single mode has overlaps and not refusals only.
    let role = chance.of(&[0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 5, 6]);
    let at = instant(chance, 1, 9);
    let stride = at / STRIDE;
    let (length, until) = if chance.percent(70) {
        let until = instant(chance, stride + 1, stride + 8);
        (3_600_000, Some(until))
    } else {
        (chance.of(&[900, 4_000, 30_000, 60_000, 60_000, 180_000]), None)
    };
    deeds.push((at, Deed::Ask { grant, role, length, until }));
    if chance.percent(25) {
        let at = instant(chance, stride, stride + 6);
        let length = chance.of(&[30_000, 120_000, 300_000, 600_000]);
        deeds.push((at, Deed::Extend { grant, length }));
    }
    if chance.percent(20) {
        deeds.push((instant(chance, stride, stride + 6), Deed::Revoke { grant }));
    }
}
