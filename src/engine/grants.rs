//! The grants that are not closed, by id and by account.
//!
//! Refuses to let the two disagree: what puts a grant in or takes it out is here, and neither its id nor its
//! account ever changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Deref,
};

use super::{account::AccountRef, grant::Grant, ids::GrantId};

/// Grants, in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    all: BTreeMap<GrantId, Grant>,
    by_account: BTreeMap<AccountRef, BTreeSet<GrantId>>,
}

impl Deref for Grants {
    type Target = BTreeMap<GrantId, Grant>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl Grants {
    /// The grants of an account, in the order of their ids.
    pub fn of(&self, at: &AccountRef) -> impl Iterator<Item = &Grant> {
        self.by_account.get(at).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// A grant, to be changed.
    pub fn get_mut(&mut self, id: &GrantId) -> Option<&mut Grant> {
        self.all.get_mut(id)
    }

    /// Every grant, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Grant> {
        self.all.values_mut()
    }

    /// Puts a grant in, in the place of one with the same id.
    pub fn insert(&mut self, grant: Grant) {
        let id = grant.terms.grant.clone();
        self.remove(&id);
        self.by_account.entry(grant.account_ref()).or_default().insert(id.clone());
        self.all.insert(id, grant);
    }

    /// Takes a grant out.
    pub fn remove(&mut self, id: &GrantId) -> Option<Grant> {
        let grant = self.all.remove(id)?;
        let at = grant.account_ref();
        if let Some(ids) = self.by_account.get_mut(&at) {
            ids.remove(id);
            if ids.is_empty() {
                self.by_account.remove(&at);
            }
        }
        Some(grant)
    }
}
