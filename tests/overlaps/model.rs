//! What JumpCloud must show of one account that nobody but the agent touches, written from the design's
//! words (sections 3, 3.1 and 3.2) and without a look at the engine: roles are bits, their reach a table.
//!
//! Single mode: the highest of the baseline and the live grants. Multiple mode: a grant adds its role, an
//! ending takes it away unless the baseline or another live grant holds it, and what that leaves uncovered
//! of the live grants is put back.

use std::collections::BTreeSet;

/// A set of roles: bit `n` is the role `NAMES[n]`.
pub(crate) type Roles = u8;

pub(crate) const NAMES: [&str; 7] = [
    "Administrator With Billing",
    "Administrator",
    "Manager",
    "Help Desk",
    "Command Runner",
    "Billing Only",
    "Read Only",
];
/// Which roles each role reaches, itself included, as the scopes of the model tenant nest.
const REACH: [Roles; 7] =
    [0b111_1111, 0b101_1110, 0b100_1100, 0b100_1000, 0b001_0000, 0b010_0000, 0b100_0000];

pub(crate) fn each(set: Roles) -> impl Iterator<Item = usize> {
    (0..NAMES.len()).filter(move |role| set >> role & 1 == 1)
}

pub(crate) fn names(set: Roles) -> Vec<&'static str> {
    each(set).map(|role| NAMES[role]).collect()
}

pub(crate) fn set<S: AsRef<str>>(names: &[S]) -> Roles {
    let bit = |name: &S| 1 << NAMES.iter().position(|known| *known == name.as_ref()).unwrap();
    names.iter().fold(0, |all, name| all | bit(name))
}

/// Whether one of `set` gives all that `role` gives.
pub(crate) fn covers(set: Roles, role: usize) -> bool {
    each(set).any(|held| REACH[held] >> role & 1 == 1)
}

fn compare(a: usize, b: usize) -> bool {
    covers(1 << a, b) || covers(1 << b, a)
}

/// The roles of `set` that no other one of it covers.
fn tops(set: Roles) -> Roles {
    each(set).filter(|role| !covers(set & !(1 << role), *role)).fold(0, |all, role| all | 1 << role)
}

/// What must be answered to somebody who asks for a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Granted,
    AlreadyGranted,
    /// A live grant and the baseline both carry the role: the design's words fit both answers.
    Either,
    Conflict,
}

#[derive(Clone, Copy, Debug)]
struct Live {
    grant: usize,
    role: usize,
    end: u64,
}

/// One account.
pub(crate) struct Model {
    single: bool,
    baseline: Roles,
    live: Vec<Live>,
    shown: Roles,
    /// Since when what is shown: each instant at which the set of live grants changed.
    pub(crate) changes: Vec<(u64, Roles)>,
}

impl Model {
    pub(crate) fn new(single: bool, baseline: Roles) -> Self {
        Self { single, baseline, live: Vec::new(), shown: baseline, changes: vec![(0, baseline)] }
    }

    /// Time goes on: a grant is over at the very instant of its end.
    pub(crate) fn pass(&mut self, to: u64) {
        while let Some(next) = self.live.iter().map(|live| live.end).min().filter(|end| *end <= to) {
            let over: Vec<Live> = self.live.iter().filter(|live| live.end == next).copied().collect();
            self.live.retain(|live| live.end != next);
            self.taken(next, &over);
        }
    }

    pub(crate) fn decides(&self, role: usize) -> Decision {
        let live = self.carried();
        if self.single && each(self.baseline | live).any(|other| !compare(other, role)) {
            return Decision::Conflict;
        }
        match (covers(live, role), covers(self.baseline, role)) {
            (true, true) => Decision::Either,
            (false, true) => Decision::AlreadyGranted,
            (_, false) => Decision::Granted,
        }
    }

    /// A grant comes to life.
    pub(crate) fn starts(&mut self, at: u64, grant: usize, role: usize, end: u64) {
        self.live.push(Live { grant, role, end });
        if !covers(self.shown, role) {
            self.shown |= 1 << role;
        }
        self.changed(at);
    }

    pub(crate) fn end_of(&self, grant: usize) -> Option<u64> {
        self.live.iter().find(|live| live.grant == grant).map(|live| live.end)
    }

    /// Whether one of the live grants, but for `known`, ends at this very instant.
    pub(crate) fn ends_at(&self, at: u64, known: &BTreeSet<usize>) -> bool {
        self.live.iter().any(|live| live.end == at && !known.contains(&live.grant))
    }

    pub(crate) fn extends(&mut self, at: u64, grant: usize, end: u64) {
        self.live.iter_mut().filter(|live| live.grant == grant).for_each(|live| live.end = end);
        self.changed(at);
    }

    /// A grant is ended before its time.
    pub(crate) fn revokes(&mut self, at: u64, grant: usize) {
        if let Some(n) = self.live.iter().position(|live| live.grant == grant) {
            let over = self.live.remove(n);
            self.taken(at, &[over]);
        }
    }

    fn carried(&self) -> Roles {
        self.live.iter().fold(0, |all, live| all | 1 << live.role)
    }

    fn taken(&mut self, at: u64, over: &[Live]) {
        let carried = self.carried();
        let kept = self.baseline | carried;
        over.iter().for_each(|gone| self.shown &= !(1 << gone.role) | kept);
        let uncovered = each(carried).filter(|role| !covers(self.shown, *role));
        self.shown |= uncovered.fold(0, |all, role| all | 1 << role);
        self.changed(at);
    }

    fn changed(&mut self, at: u64) {
        if self.single {
            self.shown = tops(self.baseline | self.carried());
        }
        self.changes.push((at, self.shown));
    }
}

#[test]
fn the_model_tells_t1_and_t15() {
    let (read_only, help_desk, administrator) = (6, 3, 1);
    let mut model = Model::new(true, 1 << read_only);
    model.starts(0, 0, administrator, 100);
    assert_eq!(model.decides(help_desk), Decision::Granted);
    model.starts(1, 1, help_desk, 120);
    model.pass(100);
    assert_eq!(names(model.shown), ["Help Desk"]);
    model.pass(120);
    assert_eq!(names(model.shown), ["Read Only"]);
}
