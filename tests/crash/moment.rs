//! The moments at which the agent is killed: named ones in turn, each at a place that chance picks.

use std::time::Duration;

use super::Dice;

/// When to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Not at all.
    Never,
    /// This long after the start.
    After(Duration),
    /// Before this touch of the ledger's files, counted from the start: while it opens them.
    Opening(u64),
    /// This long after the next write of this sort was handed out.
    Write(Sort, Duration),
    /// This long after the next record of this kind was logged, which is before it is on disk.
    Record(&'static str, Duration),
    /// Before this change of the ledger's files, counted from the next record of this kind.
    Commit(&'static str, u64),
    /// As [`Moment::Commit`], once the shim has its order.
    Struck,
    /// As soon as JumpCloud has carried something out.
    CarriedOut,
    /// As soon as the control plane has handed a job out.
    Delivered,
    /// As soon as the control plane holds another report.
    Reported,
}

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Raise,
    Lower,
    Create,
    Delete,
}

/// The moment of the kill with this number. `opening` is how often a start touches the ledger's files.
pub(crate) fn of(number: u32, opening: u64, dice: &mut Dice) -> Moment {
    let round = number as usize / 16;
    let wait = Duration::from_millis(dice.below(70));
    let soon = Duration::from_millis(dice.below(12));
    let change = 1 + dice.below(6);
    let one_of = |kinds: [&'static str; 4]| kinds[round % kinds.len()];
    match number % 16 {
        1 => Moment::Write(Sort::Raise, wait),
        2 | 15 => Moment::Opening(1 + dice.below(opening)),
        3 => Moment::Write(Sort::Lower, wait),
        4 => Moment::Record("grant_active", soon),
        5 => Moment::Write([Sort::Create, Sort::Delete][round % 2], wait),
        6 => Moment::Commit(
            one_of(["grant_accepted", "attempt_started", "grant_accepted", "job_answered"]),
            change,
        ),
        7 => Moment::Write([Sort::Raise, Sort::Create][round % 2], Duration::ZERO),
        9 => Moment::CarriedOut,
        10 => Moment::Commit(one_of(["grant_ending", "grant_gone", "attempt_ended", "grant_active"]), change),
        11 => Moment::Record(one_of(["grant_gone", "attempt_ended", "grant_settled", "grant_closed"]), soon),
        12 => Moment::Reported,
        13 => {
            Moment::Record(one_of(["grant_ending", "account_watched", "grant_ending", "job_answered"]), soon)
        }
        14 => Moment::Delivered,
        _ => Moment::After(Duration::from_millis(100 + dice.below(900))),
    }
}
