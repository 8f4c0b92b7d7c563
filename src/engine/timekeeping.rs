//! What the clocks' readings mean: to the ends of what is live, and to what a later start must know.
//!
//! Refuses to lengthen anything, whoever says what time it is; and to keep a time that may not have come.

use super::{
    Engine,
    action::Warning,
    clockwatch::Reading,
    codes::{EndReason, WokenBy},
    grant::End,
    ids::GrantId,
    record::Record,
    time::{BootReading, Millis, Now, Timestamp},
};

/// How often the journal says what time it is while access is live: a clock that comes back from a power cut with
/// an earlier time than that is known to be wrong.
const TIME_FLOOR: Millis = Millis(5 * 60_000);
/// By how much an end must come earlier to be set anew on a witness's word, which comes every few seconds.
const SHORTER: Millis = Millis(1_000);

/// What an engine knows of the time, for the one that follows it in the same process: that one's journal need not have
/// taken it.
#[derive(Clone, Copy, Debug)]
pub struct Reckoning {
    came: Timestamp,
    suspect: Option<i64>,
}

impl Reckoning {
    /// The time that has certainly come.
    pub(super) const fn came(&self) -> Timestamp {
        self.came
    }

    /// By how much the wall clock was off, if it was.
    pub(super) const fn suspect(&self) -> Option<i64> {
        self.suspect
    }
}

impl Engine {
    /// What is known of the time at `now`.
    #[must_use]
    pub fn reckoning(&self, now: Now) -> Reckoning {
        let came = self.clock.has_come(self.now) + now.boot.since(self.now.boot);
        // What a witness told is known too, whether or not a disk took it.
        let seen = self.state.time_seen.map_or(came, |(_, seen)| seen.carried_to(now));
        Reckoning { came: came.max(seen), suspect: self.clock.suspect() }
    }

    /// Takes the clocks' reading; sets every end anew when they moved against each other.
    pub(super) fn turn_clock(&mut self, now: Now) {
        let boot = now.boot.max(self.now.boot);
        let before = std::mem::replace(&mut self.now, Now { boot, ..now });
        let came = self.clock.has_come(before) + boot.since(before.boot);
        match self.clock.read(self.now) {
            Reading::Steady => return,
            Reading::Rearm => {}
            Reading::Jumped(jumped_ms) => {
                self.keep_time(came);
                self.warn(Warning::ClockUntrusted { jumped_ms });
            }
        }
        for grant in self.live() {
            self.arm(&grant);
        }
    }

    /// Somebody who is believed says what time it is.
    pub(super) fn witness(&mut self, theirs: Timestamp) {
        // A clock that stood still while the machine was off would lengthen a grant: what is over at the
        // witness's time is over, if the two are apart by more than clocks may be; the rest ends by that time.
        if theirs.since(self.now.wall) > self.settings.timing.skew {
            self.keep_time(theirs);
            let over = self.state.grants.values().filter(|g| g.phase.is_live() && g.end.at <= theirs);
            for grant in over.map(|g| g.terms.grant.clone()).collect::<Vec<_>>() {
                self.end(&grant, EndReason::Expired, WokenBy::Sweep);
            }
            for grant in self.live() {
                self.shorten(&grant, theirs);
            }
        }
        if self.clock.witness(self.now, theirs) {
            self.write_as_of(self.now.wall, self.time_seen());
            self.warn(Warning::ClockTrusted);
            self.restart_watches_of_the_future();
            self.extend_durable();
            self.believe_again();
        } else if self.clock.is_trusted() && self.is_kept_ahead() {
            // The clock that it was kept by ran ahead, and nobody noticed: the next start must believe a right one.
            self.write_as_of(self.now.wall, self.time_seen());
        }
    }

    /// Whether the time that was kept is further ahead than clocks may differ.
    fn is_kept_ahead(&self) -> bool {
        let kept = self.state.time_seen.map(|(_, seen)| seen.carried_to(self.now));
        kept.is_some_and(|kept| kept.since(self.now.wall) > self.settings.timing.skew)
    }

    /// Binds an end that was set on another boot to this boot's clock, in the ledger: from here on a wall clock
    /// that steps back lengthens nothing.
    pub(super) fn anchor(&mut self, grant: &GrantId) {
        let Some(found) = self.state.grants.get(grant) else { return };
        if found.end.boot_id == self.now.boot_id {
            return;
        }
        let (about, end) = (found.about(), found.end.on(self.now));
        self.write(Record::EndAnchored { about, end });
    }

    /// Binds an end to this boot's clock by the time that a witness told.
    fn shorten(&mut self, grant: &GrantId, theirs: Timestamp) {
        let Some(found) = self.state.grants.get(grant) else { return };
        let boot = self.now.boot + found.end.at.since(theirs);
        if found.end.boot_id == self.now.boot_id && found.end.boot.since(boot) < SHORTER {
            return;
        }
        let (about, end) = (found.about(), End { boot_id: self.now.boot_id, boot, ..found.end });
        self.write(Record::EndAnchored { about, end });
        self.arm(grant);
    }

    /// While access is live, the journal says from time to time how late it certainly is.
    pub(super) fn keep_time_floor(&mut self) {
        if self.now.boot.since(self.time_floor_at) >= TIME_FLOOR && self.state.live_grants() > 0 {
            self.time_floor_at = self.now.boot;
            self.keep_time(self.clock.has_come(self.now));
        }
    }

    /// Keeps that this time has come: what a later start must know, whatever records are written meanwhile.
    pub(super) fn keep_time(&mut self, came: Timestamp) {
        if self.state.time_seen.is_none_or(|(_, seen)| seen.wall < came) {
            self.write_as_of(came, self.time_seen());
        }
    }

    fn time_seen(&self) -> Record {
        Record::TimeSeen(BootReading { boot: self.now.boot, boot_id: self.now.boot_id })
    }

    /// Writes a record whose time is not what the wall clock shows.
    fn write_as_of(&mut self, at: Timestamp, record: Record) {
        let wall = std::mem::replace(&mut self.now.wall, at);
        self.write(record);
        self.now.wall = wall;
    }

    fn live(&self) -> Vec<GrantId> {
        let live = self.state.grants.values().filter(|g| g.phase.is_live());
        live.map(|g| g.terms.grant.clone()).collect()
    }
}
