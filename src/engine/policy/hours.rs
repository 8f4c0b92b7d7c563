//! Hours: on which days of the week, between which times of which zone, access may be had.
//!
//! Pure: a zone is the list of its offsets, handed in. Refuses to shorten a grant so that it fits.

use crate::engine::time::Timestamp;

const MINUTE_MS: i64 = 60_000;
const DAY: i64 = 24 * 60;
/// 1970 began on a Thursday; weeks here begin on Monday.
const FIRST_DAY: i64 = 3;
/// Whatever is open for so many minutes is open always: windows come again each week, and one week of
/// the two has no change of the offset.
const TWO_WEEKS: i64 = 14 * DAY;

/// When access may be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Whose clocks.
    pub zone: Zone,
    /// At least one.
    pub windows: Vec<Window>,
    /// The whole grant must lie in the windows; else its beginning only.
    pub whole: bool,
}

/// The offsets of a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// As the policy names it.
    pub name: String,
    /// Seconds east of UTC, before the first change.
    pub first: i32,
    /// From when on which offset holds, ascending.
    pub changes: Vec<(Timestamp, i32)>,
}

/// A time of the day on some days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Monday first.
    pub days: [bool; 7],
    /// Minutes after midnight at which it opens.
    pub from: u16,
    /// Minutes after midnight at which it closes, at most 24:00; not after `from`: on the next day.
    pub until: u16,
}

impl Hours {
    /// Whether access from `from` until `until` is within the hours.
    #[must_use]
    pub fn allow(&self, from: Timestamp, until: Timestamp) -> bool {
        if !self.open_at(from) {
            return false;
        }
        if !self.whole {
            return true;
        }
        // Windows and offsets change at whole minutes only.
        let first = from.0.div_euclid(MINUTE_MS);
        let minutes =
            (first + 1..=first + TWO_WEEKS).map(|minute| Timestamp(minute.saturating_mul(MINUTE_MS)));
        minutes.take_while(|at| *at < until).all(|at| self.open_at(at))
    }

    fn open_at(&self, at: Timestamp) -> bool {
        let local = at.0.div_euclid(MINUTE_MS) + i64::from(self.zone.offset(at)).div_euclid(60);
        let (day, minute) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        self.windows.iter().any(|w| w.holds(day, minute))
    }
}

impl Zone {
    fn offset(&self, at: Timestamp) -> i32 {
        let after = self.changes.partition_point(|(from, _)| *from <= at);
        after.checked_sub(1).and_then(|i| self.changes.get(i)).map_or(self.first, |(_, offset)| *offset)
    }
}

impl Window {
    /// `day` since 1970, `minute` of that day.
    fn holds(&self, day: i64, minute: i64) -> bool {
        let on = |day: i64| usize::try_from((day + FIRST_DAY).rem_euclid(7)).is_ok_and(|d| self.days[d]);
        let (from, until) = (i64::from(self.from), i64::from(self.until));
        if from < until {
            return on(day) && (from..until).contains(&minute);
        }
        (on(day) && minute >= from) || (on(day - 1) && minute < until)
    }
}
