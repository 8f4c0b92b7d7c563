//! What speaks against a ledger that was just opened, in the engine's words.
//!
//! Refuses to judge: whether a finding is new, and what follows from it, is the engine's to say.

use super::{BadLink, Loaded, Opened, Seq, Unproven, keyed};
use crate::engine::recovery::{Cause, Finding};

/// Kept between the numbers of a forgotten life and those of this one: what was told after the last head
/// that anybody remembers.
pub const GAP: u64 = 1_000_000;
/// Numbers beyond this would not survive every JSON parser; a control plane that tells one is not believed
/// about it.
const LARGEST: u64 = 1 << 52;
/// Bad rows that are named one by one.
const NAMED: usize = 100;

/// Everything that was found at the opening. `unreadable` rows fit the chain and hold no record.
#[must_use]
pub fn findings(opened: &Opened, loaded: &Loaded, unreadable: &[Seq]) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(opened.replaces.as_ref().map(|lost| lost_ledger(lost, opened)));
    found.extend(opened.restored_at.map(restored));
    found.extend(behind(opened));
    let of_tail = opened.quarantined.iter().map(|bad| (format!("row:{}", bad.seq.0), bad.problem.clone()));
    // A ledger that nobody vouches for as a whole is one finding, not one for each of its rows.
    let whole = opened.unproven.iter().any(|found| found.mark.starts_with("unkeyed:"));
    let of_keys = opened.unproven.iter().map(|found| (found.mark.clone(), found.problem.clone()));
    let of_streams = loaded.quarantined.iter().filter(|bad| !(whole && bad.unproven.is_some())).map(|bad| {
        if let Some(row) = &bad.unproven {
            let found = keyed::not_authentic(row.seq, &row.hash);
            return (found.mark, format!("{}: {}", bad.stream, found.problem));
        }
        let place = bad.seq.map_or_else(|| format!("stream:{}", bad.stream), |seq| format!("row:{}", seq.0));
        (place, format!("{}: {}", bad.stream, bad.problem))
    });
    let of_records = unreadable
        .iter()
        .map(|seq| (format!("row:{}", seq.0), format!("row {} holds no record of this version", seq.0)));
    let mut bad: Vec<(String, String)> = of_tail.chain(of_keys).chain(of_streams).chain(of_records).collect();
    bad.sort();
    bad.dedup_by(|a, b| a.0 == b.0);
    let damaged = bad.into_iter().take(NAMED).map(|(mark, detail)| Finding {
        cause: Cause::Damaged,
        mark,
        detail,
        base: 0,
    });
    found.extend(damaged);
    found
}

/// A ledger of another id than the agent knows stands in its place.
#[must_use]
pub fn lost_ledger(lost: &str, opened: &Opened) -> Finding {
    let known = opened.acknowledged.as_ref().filter(|noted| noted.ledger_id != opened.ledger_id);
    // Without any memory of the old numbers: a number that grows with time is beyond them.
    let by_time = u64::try_from(opened.created_at / 1_000).unwrap_or(0);
    let base = known.map_or(by_time, |noted| beyond(noted.told).max(by_time));
    Finding {
        cause: Cause::Lost,
        mark: format!("lost:{lost}"),
        detail: format!("ledger {lost} should be here; ledger {} is in its place", opened.ledger_id),
        base,
    }
}

/// A control plane that knows a later record, or another one in the same place.
#[must_use]
pub fn rolled_back(theirs: u64, hash: &str, ours: u64) -> Finding {
    Finding {
        cause: Cause::RolledBack,
        mark: format!("head:{theirs}:{hash}"),
        detail: format!(
            "the control plane knows record {theirs} of this agent, which is not here; the journal ends at {ours}"
        ),
        base: if theirs.max(ours) < LARGEST { beyond(theirs.max(ours)) } else { 0 },
    }
}

/// A row of the whole chain that does not fit.
#[must_use]
pub fn broken(bad: &BadLink) -> Finding {
    Finding {
        cause: Cause::Damaged,
        mark: format!("row:{}", bad.seq.0),
        detail: bad.problem.clone(),
        base: 0,
    }
}

/// A row that the state key does not vouch for.
#[must_use]
pub fn unproven(row: &Unproven) -> Finding {
    Finding { cause: Cause::Damaged, mark: row.mark.clone(), detail: row.problem.clone(), base: 0 }
}

/// Another process of this agent goes on elsewhere. `epoch` is this one's.
#[must_use]
pub fn copied(epoch: u64) -> Finding {
    Finding {
        cause: Cause::Copied,
        mark: format!("replaced:{epoch}"),
        detail: "the control plane knows a later process of this agent: a copy of it runs".to_owned(),
        base: 0,
    }
}

fn restored(at: i64) -> Finding {
    Finding {
        cause: Cause::Restored,
        mark: format!("restored:{at}"),
        detail: "it was put back from a backup".to_owned(),
        base: 0,
    }
}

fn behind(opened: &Opened) -> Option<Finding> {
    let noted = opened.acknowledged.as_ref().filter(|_| opened.is_behind)?;
    Some(Finding {
        cause: Cause::RolledBack,
        mark: format!("head:{}:{}", noted.told, noted.hash),
        detail: format!(
            "record {} was acknowledged and is not here; the journal ends at {}",
            noted.seq, opened.head.seq.0
        ),
        base: beyond(noted.told),
    })
}

const fn beyond(told: u64) -> u64 {
    if told < LARGEST { told + GAP } else { 0 }
}
