//! Faults that tests plant in the engine, one at a time, to see that something notices each of them.
//!
//! Outside this crate's own tests [`is`] is `false` at compile time: the shipped program has no such switch,
//! and no input, file or environment can plant anything. A rule that must be missed when it is gone gets a
//! variant here, one question at its place, and a row in `tests/planted`.

use super::{state::State, time::Now};

/// A rule that is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    /// Access ends with the first instead of the last grant that carries it.
    NoReferenceCount,
    /// An ending may write what is not there.
    MayRaise,
    /// Whatever organization answers is ours.
    NoPin,
    /// Nothing is looked at any more once an ending has settled.
    NoWatch,
    /// A raise may be sent at any time.
    NoSendBy,
    /// A chain of grants and extensions is as long as it likes.
    NoMaxContinuous,
    /// An acceptance is not journalled: the raise leaves without it.
    Unwritten,
    /// A raise whose answer is lost is sent again, although it may be under way.
    BlindRetry,
    /// A 404 alone means that an account is gone.
    NotFoundIsGone,
    /// After a few attempts nothing is lowered any more.
    GivesUp,
    /// Some wake-ups are lost.
    LostTimer,
    /// What is left of a grant's time begins anew with each process.
    RemainingTime,
    /// An end is due by the wall clock alone.
    WallClockOnly,
    /// What jobs did is known to the process and not to the next one.
    ForgetfulJobs,
    /// What a grant of ours gave is taken for what the account has without us.
    BaselineOverwritten,
}

/// What a fault does to the state that a process begins with.
pub(super) fn at_start(state: &mut State, now: Now) {
    if is(Planted::ForgetfulJobs) {
        state.jobs.clear();
    }
    if is(Planted::RemainingTime) {
        for grant in state.grants.values_mut().filter(|grant| grant.phase.is_live()) {
            let whole = grant.end.at.since(grant.terms.accepted_at);
            grant.end = super::grant::End::after(now, whole);
        }
    }
}

#[cfg(not(test))]
pub(super) const fn is(_: Planted) -> bool {
    false
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Planted>> = const { std::cell::Cell::new(None) };
}

#[cfg(test)]
pub(super) fn is(fault: Planted) -> bool {
    PLANTED.get() == Some(fault)
}

/// What `play` says while the fault is in the engine, on this thread.
#[cfg(test)]
pub(super) fn with<T>(fault: Planted, play: impl FnOnce() -> T) -> T {
    PLANTED.set(Some(fault));
    let said = play();
    PLANTED.set(None);
    said
}

#[cfg(test)]
#[path = "../../tests/planted/mod.rs"]
mod caught;
