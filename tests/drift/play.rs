//! Plays a case and looks, whenever all is at rest, whether people have what they left and we have nothing.

use std::collections::BTreeMap;

use ephemerald::engine::{
    action::{Entry, Warning},
    grant::{Grant, Phase},
    ids::{AccountId, GrantId, RoleName},
    record::Record,
    settings::RoleMode,
};

use super::{
    case::{Act, Case, Deed},
    cases::{Verdict, shrunk},
    outcomes,
    truth::{self, Truth},
    world::{Fate, World, email, role, witness::order},
    writes,
};

const ADDRESSES: [&str; 2] = ["ada@example.com", "bob@example.com"];
/// After so much time without anything new all must be at rest: a late write, a watch that looks again.
const REST: u64 = 230_000;

pub(crate) struct Played {
    pub(crate) world: World,
    pub(crate) truth: Truth,
    pub(crate) single: bool,
    /// Whose account it is now, and its address.
    accounts: [(AccountId, String); 2],
    grants: Vec<GrantId>,
    asked: [u64; 2],
    born: BTreeMap<AccountId, u64>,
    deleted: BTreeMap<AccountId, u64>,
    faults: Vec<String>,
    seen: BTreeMap<&'static str, u64>,
}

pub(crate) fn judge(number: u64) -> Verdict {
    let played = play(&Case::new(number));
    let failure = played.faults.first().map(|_| played.faults.join("\n"));
    Verdict { seen: played.seen, failure }
}

/// The story of the fewest deeds that still fail.
pub(crate) fn tell(number: u64) -> String {
    let case = Case::new(number);
    let fails = |deeds: &[_]| !play(&Case { deeds: deeds.to_vec(), ..case.clone() }).faults.is_empty();
    let least = Case { deeds: shrunk(case.deeds.clone(), fails), ..case };
    let played = play(&least);
    format!("{}\n{least:?}\n{:#?}\n{}", played.world.story(), played.truth, played.faults.join("\n"))
}

fn play(case: &Case) -> Played {
    let mut world = World::new(if case.single { RoleMode::Single } else { RoleMode::Multiple });
    world.latency = case.latency;
    let mut truth = Truth::default();
    let accounts = [0, 1].map(|who| {
        let id = world.hire(ADDRESSES[who], &[case.own[who]]);
        truth.born(&id, &[role(case.own[who])]);
        (id, ADDRESSES[who].to_owned())
    });
    world.start();
    world.run(2_000);
    let mut played = Played {
        world,
        truth,
        single: case.single,
        accounts,
        grants: Vec::new(),
        asked: [0; 2],
        born: BTreeMap::new(),
        deleted: BTreeMap::new(),
        faults: Vec::new(),
        seen: BTreeMap::new(),
    };
    for (wait, deed) in &case.deeds {
        played.rests(*wait);
        played.does(*deed);
    }
    played.world.fates.clear();
    played.pass(900_000);
    played.rests(REST);
    played.ends();
    played
}

impl Played {
    pub(crate) fn existed(&self, id: &AccountId, at: u64) -> bool {
        self.born.get(id).is_none_or(|born| *born <= at) && self.deleted.get(id).is_none_or(|gone| *gone > at)
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// Time passes; reads catch up in the middle of it; whoever waits long enough may look at the result.
    fn pass(&mut self, ms: u64) {
        let until = self.world.elapsed + ms;
        loop {
            let now = self.world.elapsed;
            let next = self.truth.lags.iter().map(|(.., over)| *over).filter(|over| *over > now).min();
            let to = next.unwrap_or(until).min(until);
            self.world.run(to - now);
            let still = |id: &AccountId| self.truth.lags.iter().any(|(who, _, over)| who == id && *over > to);
            self.world.cloud.stale.retain(|id, _| still(id));
            if to == until {
                break;
            }
        }
    }

    /// Nothing new happens for a while. What ended just now has its time.
    fn rests(&mut self, ms: u64) {
        self.pass(ms);
        let just = |entry: &&Entry| entry.at.0 + 30_000 > self.world.now.wall.0;
        let mut newest = self.world.all.iter().rev().take_while(just);
        if ms >= REST && !newest.any(|entry| matches!(entry.record, Record::GrantEnding(_))) {
            self.looks();
        }
    }

    fn does(&mut self, deed: Deed) {
        match deed {
            Deed::Ask { who, role, seconds } => {
                let (id, address) = self.accounts[who].clone();
                self.world.witness.aimed_at.insert(id);
                self.asked[who] = self.world.elapsed;
                self.grants.push(self.world.grant_for(&address, role, seconds * 1_000));
            }
            Deed::Revoke { back } => {
                if let Some(grant) = self.grants.iter().rev().nth(back).cloned() {
                    self.world.revoke(&grant);
                }
            }
            Deed::Console { who, act } => self.console(who, act),
            Deed::AtTheEnd { who, act, after } => {
                let id = self.accounts[who].0.to_string();
                let grants = self.world.witness.state.grants.values();
                let live = grants.filter(|g| g.phase.is_live() && g.terms.account.as_str() == id);
                if let Some(end) = live.map(|g| g.end.boot.0).min() {
                    self.pass(end.saturating_sub(self.world.now.boot.0) + after);
                    self.console(who, act);
                }
            }
            Deed::Fate(fate) => self.fate(fate),
            Deed::Lag { who, ms } => self.lag(who, ms),
        }
    }

    fn fate(&mut self, fate: Fate) {
        if self.world.fates.is_empty() {
            self.world.fates.push(fate);
        }
    }

    fn lag(&mut self, who: usize, ms: u64) {
        let (id, now) = (self.accounts[who].0.clone(), self.world.elapsed);
        let lags = self.world.cloud.stale.contains_key(&id);
        if let Some(admin) = self.world.cloud.admins.get(&id).filter(|_| !lags) {
            self.world.cloud.stale.insert(id.clone(), admin.roles.clone());
            self.truth.lags.push((id, now, now + ms));
        }
    }

    fn console(&mut self, who: usize, act: Act) {
        let (id, now) = (self.accounts[who].0.clone(), self.world.elapsed);
        let Some(admin) = self.world.cloud.admins.get_mut(&id) else {
            return if matches!(act, Act::Recreate) {
                self.recreate(who)
            };
        };
        let held = admin.roles.clone();
        match act {
            Act::Recreate => return,
            Act::Suspend => admin.suspended = !admin.suspended,
            Act::Readdress => {
                self.accounts[who].1 = format!("moved{now}@example.com");
                admin.email = email(&self.accounts[who].1);
            }
            Act::Delete => {
                self.world.cloud.admins.remove(&id);
                self.deleted.insert(id.clone(), now);
                self.truth.touched(&id, now);
            }
            Act::Give(wanted) if self.single => self.edit(&id, vec![role(wanted)]),
            Act::Give(wanted) | Act::Beside(wanted) => {
                let mut to = held;
                to.push(role(wanted));
                self.edit(&id, to);
            }
            Act::Take(_) if held.len() == 1 => self.edit(&id, vec![role("Read Only")]),
            Act::Take(n) => {
                let mut to = held;
                to.remove(n % to.len());
                self.edit(&id, to);
            }
        }
        self.saw("edit");
    }

    fn edit(&mut self, id: &AccountId, mut to: Vec<RoleName>) {
        to.sort();
        to.dedup();
        if self.world.cloud.admins.get(id).is_some_and(|admin| admin.roles == to) {
            return;
        }
        self.truth.edited(&self.world, self.single, id, &to);
        self.world.witness.stirred.insert(id.clone(), self.world.elapsed);
        self.world.cloud.set(self.world.now.boot.0, id, to);
    }

    /// Somebody of that address is back, under another id: a stranger, unless a job names him.
    fn recreate(&mut self, who: usize) {
        let now = self.world.elapsed;
        let id = self.world.hire(&self.accounts[who].1.clone(), &["Read Only"]);
        self.truth.born(&id, &[role("Read Only")]);
        self.born.insert(id.clone(), now);
        if now < self.asked[who] + 60_000 {
            self.world.witness.aimed_at.insert(id.clone());
        }
        self.accounts[who].0 = id;
        self.saw("made again");
    }

    /// All is at rest: no access of ours beyond the live grants, and what people left is there.
    fn looks(&mut self) {
        writes::judge(self);
        for (id, person) in self.truth.people.clone() {
            let Some(admin) = self.world.cloud.admins.get(&id) else { continue };
            let (shown, order, now) = (admin.roles.clone(), order(), self.world.elapsed);
            let grants = |phase: fn(&Grant) -> bool| -> Vec<RoleName> {
                let of = self
                    .world
                    .witness
                    .state
                    .grants
                    .values()
                    .filter(|g| g.terms.account.as_str() == id.as_str());
                of.filter(|g| phase(g)).map(|g| g.terms.role.clone()).collect()
            };
            let live = grants(|g| g.phase.is_live());
            let active = grants(|g| g.phase == Phase::Active);
            let ending = grants(|g| g.phase == Phase::Revoking);
            let mut due: Vec<RoleName> = person.given.iter().chain(&live).cloned().collect();
            due.push(role("Read Only"));
            if !order.all_covered(&due, &shown) && !self.is_escalated(&id) {
                self.faults.push(format!("{now}: {id} shows {shown:?}, nobody gave more than {due:?}"));
            }
            if active.iter().any(|role| !order.any_covers(&shown, role)) {
                self.faults.push(format!("{now}: {id} shows {shown:?}, and {active:?} are told as live"));
            }
            if person.unsure || truth::is_suspicious(&self.world, &id) || !ending.is_empty() {
                continue;
            }
            self.saw("rests that people decided");
            if !self.is_as_left(&person.own.into_iter().collect::<Vec<_>>(), &live, &shown) {
                let own = &self.truth.people[&id].own;
                self.faults
                    .push(format!("{now}: {id} shows {shown:?}, people left {own:?}, live are {live:?}"));
            }
        }
    }

    fn is_as_left(&self, own: &[RoleName], live: &[RoleName], shown: &[RoleName]) -> bool {
        let order = order();
        if self.single {
            let all: Vec<RoleName> = own.iter().chain(live).cloned().collect();
            return order.highest(&all) == shown;
        }
        // The floor may have been written in place of what people took, and stays.
        let floor = role("Read Only");
        let more = |r: &&RoleName| !own.contains(r) && **r != floor;
        let kept = own.iter().all(|role| shown.contains(role));
        // Where nothing is left that may be written, a person is called.
        let nothing = own.is_empty() && live.is_empty();
        nothing || kept && shown.iter().filter(more).all(|role| live.contains(role))
    }

    fn is_escalated(&self, id: &AccountId) -> bool {
        let of = |w: &Warning| matches!(w, Warning::Escalated(at) if at.account.as_str() == id.as_str());
        self.world.warnings.iter().any(of)
    }

    fn ends(&mut self) {
        let judged = writes::judge(self);
        self.faults.extend(judged.faults);
        *self.seen.entry("residual race").or_default() += judged.races;
        *self.seen.entry("edits that a write of ours overtook").or_default() += judged.overtook;
        let mut faults = std::mem::take(&mut self.faults);
        for (what, n) in outcomes::judge(self, &mut faults) {
            *self.seen.entry(what).or_default() += n;
        }
        // That one is judged here against reads, as the design words it.
        let other =
            self.world.witness.violations.iter().filter(|(name, _)| *name != "a_revocation_never_raises");
        faults.extend(other.map(|violation| format!("{violation:?}")));
        let live = self.world.witness.state.grants.values().filter(|g| g.phase.is_live());
        faults.extend(live.map(|g| format!("{} is live long after its end", g.terms.grant)));
        self.faults = faults;
    }
}
