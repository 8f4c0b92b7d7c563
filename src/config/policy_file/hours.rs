//! Hours as people write them: `mon-fri 08:00-18:00`, in a named zone.
//!
//! The zone's offsets are read here, once, so that the engine needs no time zone database: the system's
//! (`/usr/share/zoneinfo`), or the one that is built in where there is none. Refuses a zone that neither
//! knows, and a window that is empty.

use jiff::tz::TimeZone;

use crate::engine::{
    policy::hours::{Hours, Window, Zone},
    time::Timestamp,
};

/// The offsets of these years are taken along; before and after, the nearest holds.
const YEARS: [&str; 2] = ["2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"];

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A bad value: key, what was expected, what was found.
pub(super) type Bad = (&'static str, String, String);

/// The hours; `None` where no window is named.
pub(super) fn read(raw: &super::Hours) -> Result<Option<Hours>, Bad> {
    let known = zone(&raw.zone);
    let expected = "a time zone such as \"Europe/Berlin\" or \"UTC\", or an offset such as \"+01:00\"";
    let zone = known.ok_or_else(|| ("hours.zone", expected.to_owned(), raw.zone.clone()))?;
    let window = |text: &String| {
        let expected = "days and times such as \"mon-fri 08:00-18:00\" or \"sat,sun 22:00-02:00\"";
        window(text).ok_or_else(|| ("hours.windows", expected.to_owned(), text.clone()))
    };
    let windows: Vec<Window> = raw.windows.iter().map(window).collect::<Result<_, _>>()?;
    Ok((!windows.is_empty()).then_some(Hours { zone, windows, whole: raw.whole }))
}

/// The window as it is written.
pub(super) fn show(window: &Window) -> String {
    let mut days: Vec<String> = Vec::new();
    let mut first = 0;
    while let Some(length) = window.days.get(first..).map(|rest| rest.iter().take_while(|on| **on).count()) {
        match length {
            0 => {}
            1 | 2 => days.extend(DAYS[first..first + length].iter().map(|day| (*day).to_owned())),
            _ => days.push(format!("{}-{}", DAYS[first], DAYS[first + length - 1])),
        }
        first += length + 1;
    }
    let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    format!("{} {}-{}", days.join(","), time(window.from), time(window.until))
}

fn zone(name: &str) -> Option<Zone> {
    if let Some(seconds) = offset(name) {
        return Some(Zone { name: name.to_owned(), first: seconds, changes: Vec::new() });
    }
    if name == "UTC" {
        return Some(Zone { name: name.to_owned(), first: 0, changes: Vec::new() });
    }
    let found = TimeZone::get(name).ok()?;
    let [from, until]: [jiff::Timestamp; 2] = [YEARS[0].parse().ok()?, YEARS[1].parse().ok()?];
    let first = found.to_offset(from).seconds();
    let change = |t: jiff::tz::TimeZoneTransition<'_>| {
        (Timestamp(t.timestamp().as_millisecond()), t.offset().seconds())
    };
    let changes = found.following(from).take_while(|t| t.timestamp() < until).map(change).collect();
    Some(Zone { name: name.to_owned(), first, changes })
}

/// `+01:00`, `-05:30`, in seconds.
fn offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let minutes = i32::from(time(rest)?);
    (minutes <= 14 * 60).then_some(sign * minutes * 60)
}

fn window(text: &str) -> Option<Window> {
    let (days, times) = text.trim().split_once(' ')?;
    let (from, until) = times.trim().split_once('-')?;
    let (from, until) = (time(from)?, time(until)?);
    if from == until || from == 24 * 60 {
        return None;
    }
    let mut on = [false; 7];
    for part in days.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // "fri-mon" goes over the week's end.
        let length = (last + 7 - first) % 7;
        (0..=length).for_each(|i| on[(first + i) % 7] = true);
    }
    Some(Window { days: on, from, until })
}

fn day(text: &str) -> Option<usize> {
    DAYS.iter().position(|day| text.eq_ignore_ascii_case(day))
}

/// `HH:MM` up to `24:00`, in minutes.
fn time(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= 24 * 60).then_some(all)
}
