//! A description as a table of routes. Which route a path means: the one with the most literal parts.
//!
//! Refuses nothing; a path that is nowhere is the caller's to judge.

use std::fmt;

use super::operation::Operation;

/// A description of an API.
#[derive(Debug, Default)]
pub(super) struct Document {
    routes: Vec<Route>,
}

/// A path and what may be done there; nothing, if only the path is described.
#[derive(Debug)]
struct Route {
    path: Template,
    operations: Vec<Operation>,
}

/// A path with parts that stand for values, such as `/api/users/{id}`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template(String);

/// Where a request belongs.
pub(super) enum Lookup<'a> {
    /// To this operation.
    Operation(&'a Operation),
    /// To this path, which has no such method.
    NoMethod(&'a Template),
    /// To no path.
    Nowhere,
}

impl Document {
    /// Adds a path and its operations.
    pub(super) fn add(&mut self, path: &str, operations: Vec<Operation>) {
        self.routes.push(Route { path: Template(path.to_owned()), operations });
    }

    pub(super) fn find(&self, method: &str, path: &str) -> Lookup<'_> {
        let fitting = self.routes.iter().filter_map(|route| Some((route.path.literals_in(path)?, route)));
        let Some((_, route)) = fitting.max_by_key(|(literals, _)| *literals) else { return Lookup::Nowhere };
        let found = route.operations.iter().find(|operation| operation.method == method);
        found.map_or(Lookup::NoMethod(&route.path), Lookup::Operation)
    }
}

impl Template {
    /// How many parts of `path` are literally here, if it fits at all.
    fn literals_in(&self, path: &str) -> Option<usize> {
        let (ours, theirs) = (self.0.split('/'), path.split('/'));
        if ours.clone().count() != theirs.clone().count() {
            return None;
        }
        let mut literals = 0;
        for (own, other) in ours.zip(theirs) {
            if own == other {
                literals += 1;
            } else if !own.starts_with('{') || other.is_empty() {
                return None;
            }
        }
        Some(literals)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
