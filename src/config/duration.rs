//! Durations as people write them: `15s`, `2h 30m`.
//!
//! Refuses: numbers without a unit, zero, and lengths outside the range that the key takes.

use std::{ops::RangeInclusive, time::Duration};

use crate::engine::time::Millis;

/// One second.
pub(super) const SECOND: Millis = Millis(1000);
/// One day.
pub(super) const DAY: Millis = Millis(24 * 60 * 60 * 1000);

/// Reads a duration within `range`; the error is what was expected.
pub(super) fn parse(text: &str, range: &RangeInclusive<Millis>) -> Result<Millis, String> {
    let parsed = humantime::parse_duration(text).ok();
    parsed
        .and_then(|length| u64::try_from(length.as_millis()).ok())
        .map(Millis)
        .filter(|length| range.contains(length))
        .ok_or_else(|| {
            format!(
                "a duration such as \"15m\" or \"90s\", from {} to {}",
                show(*range.start()),
                show(*range.end())
            )
        })
}

/// Writes a duration the way [`parse`] reads it.
pub(super) fn show(length: Millis) -> String {
    humantime::format_duration(Duration::from_millis(length.0)).to_string()
}
