//! A case: what the control plane, people and JumpCloud do, one after the other. Made from one number.

use super::{chance::Chance, world::Fate};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Deed {
    Ask {
        who: usize,
        role: &'static str,
        seconds: u64,
    },
    /// Ends one of the newest grants early.
    Revoke {
        back: usize,
    },
    /// Somebody is at an account in the console.
    Console {
        who: usize,
        act: Act,
    },
    /// The same, so many milliseconds after the end of a live grant there.
    AtTheEnd {
        who: usize,
        act: Act,
        after: u64,
    },
    /// What becomes of the next write.
    Fate(Fate),
    /// For so many milliseconds reads show what is there now.
    Lag {
        who: usize,
        ms: u64,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Gives a role: instead of what is there in single mode, beside it in multiple mode.
    Give(&'static str),
    /// Takes a role away, or leaves the least one.
    Take(usize),
    /// Gives a role beside what is there, whatever the mode.
    Beside(&'static str),
    Delete,
    /// Makes the account again: the same address, another id.
    Recreate,
    Readdress,
    Suspend,
}

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) single: bool,
    pub(crate) own: [&'static str; 2],
    pub(crate) latency: u64,
    /// Each after so many milliseconds.
    pub(crate) deeds: Vec<(u64, Deed)>,
}

const GRANTED: [&str; 9] = [
    "Administrator",
    "Administrator",
    "Manager",
    "Manager",
    "Manager",
    "Help Desk",
    "Help Desk",
    "Command Runner",
    "Administrator With Billing",
];
const GIVEN: [&str; 6] =
    ["Read Only", "Help Desk", "Manager", "Administrator", "Command Runner", "Billing Only"];

impl Case {
    pub(crate) fn new(number: u64) -> Self {
        let mut chance = Chance::new(number);
        let single = chance.percent(50);
        let own =
            [0; 2].map(|_| chance.of(&["Read Only", "Read Only", "Help Desk", "Manager", "Billing Only"]));
        let latency = chance.of(&[6, 40, 150, 700]);
        let troubled = chance.percent(60);
        let count = chance.between(3, 14);
        let deeds = (0..count).map(|_| (wait(&mut chance), deed(&mut chance, troubled, latency))).collect();
        Self { single, own, latency, deeds }
    }
}

fn wait(chance: &mut Chance) -> u64 {
    let long = chance.of(&[5, 60, 300, 900, 3_000, 20_000, 20_000, 70_000, 70_000, 500_000, 500_000]);
    chance.between(long / 2, long + 1)
}

fn deed(chance: &mut Chance, troubled: bool, latency: u64) -> Deed {
    let who = usize::from(chance.percent(30));
    match chance.between(0, 100) {
        0..=37 => {
            let seconds = chance.of(&[20, 45, 60, 120, 300, 900, 900]);
            Deed::Ask { who, role: chance.of(&GRANTED), seconds }
        }
        38..=45 => Deed::Revoke { back: usize::try_from(chance.between(0, 3)).unwrap() },
        46..=53 if troubled => Deed::Fate(fate(chance)),
        54..=57 if troubled => Deed::Lag { who, ms: chance.between(500, 10_000) },
        58..=69 => Deed::AtTheEnd { who, act: act(chance), after: chance.between(0, 3 * latency) },
        _ => Deed::Console { who, act: act(chance) },
    }
}

fn fate(chance: &mut Chance) -> Fate {
    let late = Fate::Late(chance.between(11_000, 100_000));
    chance.of(&[Fate::AnswerLost, Fate::Dropped, late, late, Fate::Throttled, Fate::Unreachable])
}

fn act(chance: &mut Chance) -> Act {
    match chance.between(0, 20) {
        0..=7 => Act::Give(chance.of(&GIVEN)),
        8..=13 => Act::Take(usize::try_from(chance.between(0, 3)).unwrap()),
        14 => Act::Beside(chance.of(&GIVEN)),
        15 => Act::Delete,
        16..=17 => Act::Recreate,
        18 => Act::Readdress,
        _ => Act::Suspend,
    }
}
