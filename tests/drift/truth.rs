//! What people did, kept apart from the engine: what each account would show if there were no agent.

use std::collections::{BTreeMap, BTreeSet};

use ephemerald::engine::{
    ids::{AccountId, RoleName},
    record::Record,
};

use super::world::{World, role};

/// One account, as people left it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Person {
    /// The roles that people gave it and did not take.
    pub(crate) own: BTreeSet<RoleName>,
    /// All that people ever gave it.
    pub(crate) given: BTreeSet<RoleName>,
    /// When people changed what it shows, in milliseconds that have really passed.
    pub(crate) touches: Vec<u64>,
    /// The design leaves it open, or nobody could know, what is a person's here and what is ours.
    pub(crate) unsure: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) people: BTreeMap<AccountId, Person>,
    /// Spans in which reads showed an old state: of whom, from, until.
    pub(crate) lags: Vec<(AccountId, u64, u64)>,
}

impl Truth {
    pub(crate) fn born(&mut self, id: &AccountId, roles: &[RoleName]) {
        let own: BTreeSet<RoleName> = roles.iter().cloned().collect();
        let person = Person { given: own.clone(), own, ..Person::default() };
        self.people.insert(id.clone(), person);
    }

    /// A person changes what an account shows.
    pub(crate) fn edited(&mut self, world: &World, single: bool, id: &AccountId, to: &[RoleName]) {
        let before = world.cloud.admins.get(id).map(|a| a.roles.clone()).unwrap_or_default();
        let ours = ours(world, single, id);
        let Some(person) = self.people.get_mut(id) else { return };
        person.touches.push(world.elapsed);
        let new: Vec<RoleName> = to.iter().filter(|role| !before.contains(role)).cloned().collect();
        // What we sent and somebody else gives cannot be told from ours; nor what he may have given himself.
        person.unsure |= new.iter().any(|role| ours.contains(role) && !person.own.contains(role));
        if single && (to.len() > 1 || before.len() > 1) {
            person.unsure = true;
        }
        if single && !new.is_empty() {
            person.own = to.iter().cloned().collect();
        } else {
            person.own.retain(|role| to.contains(role) || single || !before.contains(role));
            person.own.extend(new.iter().cloned());
        }
        person.given.extend(new);
    }

    pub(crate) fn touched(&mut self, id: &AccountId, at: u64) {
        if let Some(person) = self.people.get_mut(id) {
            person.touches.push(at);
        }
    }

    /// Whether a person changed the account from one instant to another, both included.
    pub(crate) fn is_touched(&self, id: &AccountId, from: u64, until: u64) -> bool {
        let within = |at: &u64| (from..=until).contains(at);
        self.people.get(id).is_some_and(|person| person.touches.iter().any(within))
    }

    /// The instant whose state a read shows that was taken at `at`.
    pub(crate) fn shows(&self, id: &AccountId, at: u64) -> u64 {
        let lag = self.lags.iter().find(|(who, from, until)| who == id && *from <= at && at < *until);
        lag.map_or(at, |(_, from, _)| *from)
    }
}

/// The roles that we ever sent to an account: by raises, in single mode by lowers, too.
fn ours(world: &World, single: bool, id: &AccountId) -> BTreeSet<RoleName> {
    let written = world.witness.writings.iter().filter(|w| single && w.id == *id);
    let mut ours: BTreeSet<RoleName> = written.flat_map(|w| w.roles.clone()).collect();
    ours.extend(granted(world, id));
    ours
}

/// The roles that were ever granted on an account.
pub(crate) fn granted(world: &World, id: &AccountId) -> BTreeSet<RoleName> {
    let of = |record: &Record| match record {
        Record::GrantAccepted(terms) if terms.account.as_str() == id.as_str() => Some(terms.role.clone()),
        _ => None,
    };
    world.all.iter().filter_map(|entry| of(&entry.record)).collect()
}

/// Whether a role of ours there could change administrators: its holder is not believed.
pub(crate) fn is_suspicious(world: &World, id: &AccountId) -> bool {
    granted(world, id).contains(&role("Administrator With Billing"))
}
