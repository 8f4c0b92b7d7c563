//! Requests by kind, from the simulated JumpCloud's log.

use std::collections::BTreeMap;

use ephemerald::sandbox::jumpcloud::{Entry, Event, Received};

/// How many requests of each kind.
pub(crate) type Calls = BTreeMap<&'static str, usize>;

/// In the order in which they are shown.
pub(crate) const KINDS: [&str; 10] = [
    "whose key",
    "organization",
    "roles",
    "listing",
    "one account",
    "write",
    "create",
    "delete",
    "reachable",
    "other",
];

fn kind(request: &Received) -> &'static str {
    let path = request.path.split('?').next().unwrap_or_default();
    match (request.method.as_str(), path) {
        ("GET", "/api/users/getSelf") => "whose key",
        ("GET", "/api/organizations") => "organization",
        ("GET", "/api/v2/roles") => "roles",
        ("GET", "/api/users") => "listing",
        ("GET", path) if path.starts_with("/api/users/") => "one account",
        ("PUT", _) => "write",
        ("POST", "/api/users") => "create",
        ("DELETE", _) => "delete",
        ("HEAD", "/") => "reachable",
        _ => "other",
    }
}

/// All requests of these entries.
pub(crate) fn count<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Calls {
    let mut calls = Calls::new();
    for entry in entries {
        if let Event::Request(request) = &entry.event {
            *calls.entry(kind(request)).or_default() += 1;
        }
    }
    calls
}

/// `all` without `part`, which must be part of it.
pub(crate) fn without(all: &Calls, part: &Calls) -> Calls {
    let mut left = all.clone();
    for (kind, count) in part {
        let of_kind = left.get_mut(kind).expect("the part is in the whole");
        *of_kind = of_kind.checked_sub(*count).expect("the part is no larger than the whole");
    }
    left.retain(|_, count| *count > 0);
    left
}
