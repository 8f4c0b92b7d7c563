//! What a grant's end is called, and what it says was before, was written and was found.

use std::collections::BTreeMap;

use ephemerald::engine::{
    codes::EndReason,
    ids::{AccountId, GrantId, RoleName},
    record::{GrantGone, Record},
    time::Timestamp,
};

use super::{
    play::Played,
    truth,
    world::{START, witness::order},
};

/// A person's edit is known this long after it: the regular look, a second one, and some calls.
const KNOWN: u64 = 100_000;

/// Judges every ending; says what was seen.
pub(crate) fn judge(played: &Played, faults: &mut Vec<String>) -> BTreeMap<&'static str, u64> {
    let mut seen = BTreeMap::new();
    let mut accepted = BTreeMap::new();
    for entry in &played.world.all {
        let at = since_start(entry.at);
        match &entry.record {
            Record::GrantAccepted(terms) => {
                let id = AccountId::new(terms.account.as_str()).unwrap();
                accepted.insert(terms.grant.clone(), (at, id));
            }
            Record::GrantActive(_) => *seen.entry("granted").or_default() += 1,
            Record::GrantReappeared { about, observed, .. } => {
                *seen.entry("reappeared").or_default() += 1;
                let (from, id) = &accepted[&about.grant];
                if !is_disturbed(played, id, *from, at) || !order().any_covers(observed, &about.role) {
                    faults.push(format!("{at}: {} reappeared, and nobody touched it", about.grant));
                }
            }
            Record::GrantGone(gone) => {
                let name = match gone.reason {
                    EndReason::RevokedExternally => "revoked externally",
                    EndReason::Superseded => "superseded",
                    EndReason::TargetGone => "target gone",
                    _ => "ended in time",
                };
                *seen.entry(name).or_default() += 1;
                let wrong = ending(played, &accepted, gone, at);
                faults.extend(wrong.map(|what| format!("{at}: {what}: {gone:?}")));
            }
            _ => {}
        }
    }
    seen
}

fn since_start(at: Timestamp) -> u64 {
    u64::try_from(at.0 - START).unwrap()
}

/// Whether a person, or a write of ours whose answer was lost, changed the account in between.
fn is_disturbed(played: &Played, id: &AccountId, from: u64, until: u64) -> bool {
    let late = |w: &super::world::witness::Writing| {
        w.id == *id
            && w.applied.as_ref().is_some_and(|(at, _)| *at > from && *at <= until && *at > w.sent + 1_000)
    };
    let lagged =
        played.truth.lags.iter().any(|(who, begun, over)| who == id && *begun <= until && *over > from);
    lagged
        || played.truth.is_touched(id, from.saturating_sub(10_000), until)
        || played.world.witness.writings.iter().any(late)
}

fn ending(
    played: &Played,
    accepted: &BTreeMap<GrantId, (u64, AccountId)>,
    gone: &GrantGone,
    at: u64,
) -> Option<&'static str> {
    let (from, id) = &accepted[&gone.about.grant];
    let there = played.existed(id, at);
    let disturbed = is_disturbed(played, id, *from, at);
    let Some(observed) = &gone.observed else {
        let right = gone.reason == EndReason::TargetGone && !there;
        return (!right).then_some("an account that is there is told as gone");
    };
    let carried = order().any_covers(observed, &gone.about.role) && !is_carried(played, accepted, gone, at);
    match gone.reason {
        EndReason::TargetGone if !there => {} // it was seen without the role before it was deleted
        EndReason::TargetGone => return Some("told as gone and read"),
        EndReason::RevokedExternally if !disturbed => return Some("nobody took it away"),
        EndReason::Superseded if !disturbed => return Some("nobody went beyond it"),
        EndReason::Superseded | EndReason::RevokedExternally => {}
        _ if carried => return Some("it is still there, and no word of it"),
        _ => {}
    }
    let known = !is_disturbed(played, id, at.saturating_sub(KNOWN), at);
    let person = &played.truth.people[id];
    let kept = |role: &&RoleName| played.single || role.as_str() != "Read Only"; // it may be our floor
    let own: Vec<RoleName> = person.own.iter().filter(kept).cloned().collect();
    let quiet = known && !person.unsure && !played.truth.is_touched(id, at, u64::MAX);
    let mut baseline: Vec<RoleName> = gone.baseline.iter().filter(kept).cloned().collect();
    baseline.sort();
    if quiet && !truth::is_suspicious(&played.world, id) && baseline != own {
        return Some("what was before is not what people left");
    }
    (known && !is_what_we_wrote(played, id, at, gone.wrote.as_deref()))
        .then_some("something else was written")
}

/// What was written last: what took effect last, or what was sent after that and whose fate nobody knows.
fn is_what_we_wrote(played: &Played, id: &AccountId, at: u64, told: Option<&[RoleName]>) -> bool {
    let (mut last, mut applied): (Vec<&[RoleName]>, bool) = (Vec::new(), false);
    for writing in played.world.witness.writings.iter().filter(|w| w.id == *id && w.sent <= at) {
        if writing.applied.as_ref().is_some_and(|(applied, _)| *applied <= at) {
            last.clear();
            applied = true;
        }
        last.push(&writing.roles);
    }
    told.map_or(!applied, |told| last.contains(&told))
}

/// Whether another grant that goes on carries the role.
fn is_carried(
    played: &Played,
    accepted: &BTreeMap<GrantId, (u64, AccountId)>,
    gone: &GrantGone,
    at: u64,
) -> bool {
    let (_, id) = &accepted[&gone.about.grant];
    let mut live: BTreeMap<&GrantId, &RoleName> = BTreeMap::new();
    for entry in played.world.all.iter().filter(|entry| since_start(entry.at) <= at) {
        match &entry.record {
            Record::GrantAccepted(terms) if terms.account.as_str() == id.as_str() => {
                live.insert(&terms.grant, &terms.role);
            }
            Record::GrantEnding(ending) => drop(live.remove(&ending.about.grant)),
            _ => {}
        }
    }
    live.values().any(|role| order().covers(role, &gone.about.role))
}
