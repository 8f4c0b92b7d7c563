//! What really happened to the accounts, from the simulator's own log: the oracle's only witness of
//! access. Refuses the agent's word.

use std::collections::{BTreeMap, BTreeSet};

use ephemerald::sandbox::jumpcloud::{Account, Change, Entry, Event, Role};

use crate::model::Roles;

/// One account over time.
pub(crate) struct Life {
    pub(crate) email: String,
    /// Whether a person deleted it in the console.
    pub(crate) deleted_by_hand: bool,
    /// From when on (Unix milliseconds) it had which roles; `None`: there was no such account. The
    /// first entry is how the cell began.
    pub(crate) spans: Vec<(i64, Option<Roles>)>,
}

/// Every account that ever was, by id.
pub(crate) struct Truth<'a> {
    pub(crate) lives: BTreeMap<String, Life>,
    roles: &'a [Role],
}

impl Life {
    fn new(email: &str, first: Option<Roles>) -> Self {
        Self { email: email.to_owned(), deleted_by_hand: false, spans: vec![(i64::MIN, first)] }
    }

    pub(crate) fn first(&self) -> Option<&Roles> {
        self.spans[0].1.as_ref()
    }

    pub(crate) fn last(&self) -> Option<&Roles> {
        self.spans[self.spans.len() - 1].1.as_ref()
    }

    /// The roles at an instant.
    pub(crate) fn at(&self, ms: i64) -> &[String] {
        let span = self.spans.iter().rev().find(|(from, _)| *from <= ms);
        span.and_then(|(_, roles)| roles.as_deref()).unwrap_or_default()
    }

    /// From, until and roles of each span that touches the time from `from` to `until`.
    pub(crate) fn between(&self, from: i64, until: i64) -> impl Iterator<Item = (i64, i64, &[String])> {
        let ends = self.spans.iter().skip(1).map(|(at, _)| *at).chain([i64::MAX]);
        let spans = self.spans.iter().zip(ends);
        spans
            .map(|((start, roles), end)| (*start, end, roles.as_deref().unwrap_or_default()))
            .filter(move |(start, end, _)| *end > from && *start <= until)
    }

    /// Whether it ever was other than at the beginning.
    pub(crate) fn has_changed(&self) -> bool {
        self.spans.iter().any(|(_, roles)| roles.as_ref() != self.first())
    }
}

impl<'a> Truth<'a> {
    pub(crate) fn of(before: &[Account], log: &[Entry], roles: &'a [Role]) -> Self {
        let mut lives: BTreeMap<String, Life> = before
            .iter()
            .map(|account| (account.id.clone(), Life::new(&account.email, Some(account.roles.clone()))))
            .collect();
        for entry in log {
            let Event::Changed(changed) = &entry.event else { continue };
            let life =
                lives.entry(changed.account.clone()).or_insert_with(|| Life::new(&changed.email, None));
            life.deleted_by_hand |= changed.change == Change::Deleted && changed.actor == "console";
            let now = (changed.change != Change::Deleted).then(|| changed.roles.clone());
            if life.last() != now.as_ref() {
                life.spans.push((entry.at_ms, now));
            }
        }
        Self { lives, roles }
    }

    /// Whether somebody who holds `held` may do everything that `role` allows.
    pub(crate) fn covers(&self, held: &[String], role: &str) -> bool {
        let Some(wanted) = self.scopes(role) else { return false };
        held.iter().filter_map(|name| self.scopes(name)).any(|scopes| scopes.is_superset(&wanted))
    }

    /// The roles in `held` that none of `allowed` covers.
    pub(crate) fn beyond<'h>(&self, held: &'h [String], allowed: &[String]) -> Vec<&'h str> {
        held.iter().map(String::as_str).filter(|role| !self.covers(allowed, role)).collect()
    }

    fn scopes(&self, role: &str) -> Option<BTreeSet<&str>> {
        let found = self.roles.iter().find(|known| known.name.eq_ignore_ascii_case(role))?;
        Some(found.scopes.iter().map(String::as_str).collect())
    }
}
