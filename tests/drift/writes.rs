//! Each write held against the read that it was based on, and against what was there when it took effect.

use ephemerald::engine::{
    ids::{AccountId, RoleName},
    record::Record,
};

use super::{
    play::Played,
    world::{
        START,
        witness::{Writing, order},
    },
};

/// How old, at most, a read is when a write is based on it.
const READ_AGE: u64 = 1_000;

/// What the writes of a case were.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Breaches of `a_revocation_never_raises`, as the design words it.
    pub(crate) faults: Vec<String>,
    /// Lowers that raised what was there when they took effect: T5.
    pub(crate) races: u64,
    /// Writes that took effect after a person's edit that the read behind them could not show.
    pub(crate) overtook: u64,
}

/// Judges every write; whom a write of ours overtook is told to be unsure.
pub(crate) fn judge(played: &mut Played) -> Judged {
    let mut judged = Judged::default();
    for n in 0..played.world.witness.writings.len() {
        one(played, n, &mut judged);
    }
    counted_over_an_edit(played);
    judged
}

/// A person may give the very role of a grant after the read on which it is decided. Where that grant is
/// counted and nothing written, too, nobody can tell his from ours.
fn counted_over_an_edit(played: &mut Played) {
    for entry in &played.world.all {
        let Record::GrantAccepted(terms) = &entry.record else { continue };
        let at = u64::try_from(entry.at.0 - START).unwrap();
        let id = AccountId::new(terms.account.as_str()).unwrap();
        let readings = played.world.witness.readings.iter().filter(|r| r.id == id && r.came <= at);
        let Some(base) = readings.max_by_key(|r| r.came) else { continue };
        let overtaken = played.truth.is_touched(&id, played.truth.shows(&id, base.taken), at);
        if let Some(person) = played.truth.people.get_mut(&id).filter(|_| overtaken) {
            person.unsure |= person.given.contains(&terms.role);
        }
    }
}

fn one(played: &mut Played, n: usize, judged: &mut Judged) {
    let writing = played.world.witness.writings[n].clone();
    let (sent, id) = (writing.sent, &writing.id);
    let reading = played.world.witness.readings.iter().filter(|r| r.id == *id && r.came <= sent);
    let Some(base) = reading.max_by_key(|r| r.came).filter(|r| r.came + READ_AGE >= sent).cloned() else {
        return judged.faults.push(format!("{sent}: {writing:?} is based on no read of the last second"));
    };
    let displaced = displaced(played, n);
    let back = |role: &RoleName| displaced.contains(role) && writing.kept.contains(role);
    let order = order();
    let above = |have: &[RoleName]| {
        let higher = |role: &&RoleName| !order.any_covers(have, role) && !back(role);
        writing.lowers.then(|| writing.roles.iter().find(higher)).flatten().cloned()
    };
    if let Some(role) = above(&base.roles) {
        judged.faults.push(format!("{sent}: {writing:?} writes {role}, and {base:?} shows less"));
    }
    let Some((applied, before)) = &writing.applied else { return };
    let shown = played.truth.shows(id, base.taken);
    let touched = played.truth.is_touched(id, shown, *applied);
    if touched {
        judged.overtook += 1;
        played.truth.people.get_mut(id).unwrap().unsure = true;
    }
    if let Some(role) = above(before) {
        judged.races += 1;
        let ours = |w: &Writing| {
            w.id == *id && w.applied.as_ref().is_some_and(|(at, _)| at > &shown && at < applied)
        };
        if !touched && !played.world.witness.writings.iter().any(ours) {
            let what = format!("{applied}: {writing:?} gave {role} over {before:?}, and nobody came between");
            judged.faults.push(what);
        }
    }
}

/// What raises of ours took away to make room, up to the `n`th write.
fn displaced(played: &Played, n: usize) -> Vec<RoleName> {
    let witness = &played.world.witness;
    let writing = &witness.writings[n];
    let raises = witness.writings[..n].iter().filter(|w| w.id == writing.id && !w.lowers);
    raises
        .flat_map(|raise| {
            let reads = witness.readings.iter().filter(|r| r.id == raise.id && r.came <= raise.sent);
            let had = reads.max_by_key(|r| r.came).map(|r| r.roles.clone()).unwrap_or_default();
            had.into_iter().filter(|role| !raise.roles.contains(role)).collect::<Vec<_>>()
        })
        .collect()
}
