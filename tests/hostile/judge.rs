//! Holds what the model JumpCloud showed against the policy. It knows what was asked and when, what the
//! policy says, and the history of every account: nothing of the engine's state or answers.
//!
//! Nobody else changes an account in these cases, so all that is not the baseline is the agent's doing.

use std::collections::{BTreeMap, BTreeSet};

use ephemerald::{
    control::wire::{GrantBody, JobBody, Request, Target},
    engine::ids::AccountId,
};

use super::{
    rules::Rules,
    stream::{Delivered, PEOPLE, Stream},
};

/// A raise may leave this long after its job came, and a lost answer takes its time.
const RAISE: i64 = 45_000;
/// How late an ending may be when writes are lost or refused on its way.
const LATE: i64 = 90_000;
const HOUR: i64 = 3_600_000;

/// A time with access beyond the baseline.
#[derive(Clone, Debug)]
struct Access {
    account: AccountId,
    role: String,
    from: i64,
    until: i64,
}

/// The first thing outside the policy, in words.
pub(crate) fn outside(stream: &Stream) -> Option<String> {
    let rules = &stream.rules;
    let names = names(stream);
    let roles = accesses(stream);
    for access in &roles {
        let name = names.get(&access.account).cloned().unwrap_or_default();
        if rules.dry_run {
            return Some(format!("dry run, and {name}: {access:?}"));
        }
        if !is_covered(stream, access, &name) {
            return Some(format!("no job that the policy allows explains {name}: {access:?}"));
        }
    }
    let held = merged(&roles);
    persons(&held, &names, rules).or_else(|| numbers(&held, rules)).or_else(|| hours(&held, rules))
}

/// Addresses by account.
fn names(stream: &Stream) -> BTreeMap<AccountId, String> {
    let mut names: BTreeMap<AccountId, String> = BTreeMap::new();
    for (id, address) in &stream.world.cloud.births {
        names.insert(id.clone(), address.to_string().to_ascii_lowercase());
    }
    names
}

/// Each role beyond the baseline, from when until when.
fn accesses(stream: &Stream) -> Vec<Access> {
    let mut open: BTreeMap<(AccountId, String), i64> = BTreeMap::new();
    let mut found = Vec::new();
    let mut firsts: BTreeMap<AccountId, BTreeSet<String>> = BTreeMap::new();
    for (at, account, state) in stream.history() {
        let now: BTreeSet<String> = state.into_iter().flatten().collect();
        let known = PEOPLE.len() + 2; // the people, and the two owners
        let ours = !firsts.contains_key(&account) && firsts.len() >= known;
        let first = if ours { BTreeSet::new() } else { now.clone() };
        let baseline = firsts.entry(account.clone()).or_insert(first).clone();
        let beyond: BTreeSet<String> = now.difference(&baseline).cloned().collect();
        let over: Vec<_> =
            open.keys().filter(|(a, role)| *a == account && !beyond.contains(role)).cloned().collect();
        for key in over {
            let from = open.remove(&key).unwrap();
            let (account, role) = key;
            found.push(Access { account, role, from, until: at });
        }
        for role in beyond {
            open.entry((account.clone(), role)).or_insert(at);
        }
    }
    found.extend(open.into_iter().map(|((account, role), from)| Access {
        account,
        role,
        from,
        until: i64::MAX,
    }));
    found
}

/// Whether jobs that the policy allows cover the whole of it.
fn is_covered(stream: &Stream, access: &Access, name: &str) -> bool {
    let mut windows: Vec<(i64, i64)> =
        stream.delivered.iter().filter_map(|d| window(stream, d, access, name)).collect();
    windows.sort_unstable();
    let mut reached = access.from;
    for (from, until) in windows {
        if from <= reached {
            reached = reached.max(until);
        }
    }
    reached >= access.until
}

/// From when until when a delivered job may explain this access.
fn window(stream: &Stream, job: &Delivered, access: &Access, name: &str) -> Option<(i64, i64)> {
    let (rules, at) = (&stream.rules, job.at);
    let (grant, length, request) = match &job.claims.job {
        JobBody::Grant(grant) => (grant, grant.duration_s, &grant.request),
        JobBody::Extend(ext) => (grant_of(stream, ext.grant_id.as_str())?, ext.duration_s, &ext.request),
        _ => return None,
    };
    let length = i64::try_from(length.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let longest = rules.roles.iter().find(|(role, _)| *role == grant.role.as_str())?.1.min(rules.longest);
    let allowed = length <= i64::try_from(longest).unwrap()
        && !rules.denied.contains(&grant.role.as_str())
        && grant.role.as_str() == access.role
        && is_for(grant, access, name)
        && may_have(rules, grant, name)
        && is_complete(rules, request)
        && (rules.approver.is_none() || job.approved);
    allowed.then(|| (at, at.saturating_add(RAISE + length + LATE)))
}

fn grant_of<'a>(stream: &'a Stream, id: &str) -> Option<&'a GrantBody> {
    stream.delivered.iter().find_map(|d| match &d.claims.job {
        JobBody::Grant(grant) if grant.grant_id.as_str() == id => Some(grant),
        _ => None,
    })
}

fn is_for(grant: &GrantBody, access: &Access, name: &str) -> bool {
    match &grant.target {
        Target::Email(email) => email.as_str().eq_ignore_ascii_case(name),
        Target::AccountId(id) => *id == access.account,
        Target::Ephemeral(_) => name.contains(&format!("+tag{}@", grant.grant_id)),
    }
}

/// Whether the person may have anything.
fn may_have(rules: &Rules, grant: &GrantBody, name: &str) -> bool {
    let person = match &grant.target {
        Target::Ephemeral(person) => person.requester.as_str().to_ascii_lowercase(),
        _ => name.to_owned(),
    };
    let is = |pattern: &&&str| match pattern.strip_prefix("*@") {
        Some(domain) => person.ends_with(&format!("@{domain}")),
        None => person.eq_ignore_ascii_case(pattern),
    };
    let made = matches!(grant.target, Target::Ephemeral(_));
    !rules.protected.iter().any(|p| p.eq_ignore_ascii_case(&person))
        && !rules.deny.iter().any(|p| is(&p))
        && (rules.allow.is_empty() || rules.allow.iter().any(|p| is(&p)))
        && (!made || (rules.ephemeral && person.ends_with("@example.com")))
        && person != "owner@example.com"
}

fn is_complete(rules: &Rules, request: &Request) -> bool {
    let [number, reason, approvers, other] = rules.needs;
    let has = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.trim().is_empty());
    let clean = |text: &String| text.trim().to_ascii_lowercase();
    let who: BTreeSet<String> = request.approvers.iter().map(clean).filter(|a| !a.is_empty()).collect();
    let requester = request.requester.as_ref().map(clean).unwrap_or_default();
    (!number || has(&request.number))
        && (!reason || has(&request.justification))
        && (!approvers || who.len() >= 2)
        && (!other || (!requester.is_empty() && !who.contains(&requester)))
}

/// Times in which an account had anything, whatever the role.
fn merged(roles: &[Access]) -> Vec<Access> {
    let mut roles = roles.to_vec();
    roles.sort_by_key(|a| (a.account.clone(), a.from));
    let mut held: Vec<Access> = Vec::new();
    for access in roles {
        match held.last_mut().filter(|last| last.account == access.account && access.from <= last.until) {
            Some(last) => last.until = last.until.max(access.until),
            None => held.push(access),
        }
    }
    held
}

/// Nobody has access for longer than `continuous` without a rest, by whatever accounts.
fn persons(held: &[Access], names: &BTreeMap<AccountId, String>, rules: &Rules) -> Option<String> {
    let mut by_person: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    for access in held {
        let name = &names[&access.account];
        let (local, domain) = name.split_once('@').unwrap();
        let person = format!("{}@{domain}", local.split('+').next().unwrap());
        by_person.entry(person).or_default().push((access.from, access.until));
    }
    let (most, rest) = (i64::try_from(rules.continuous).unwrap(), i64::try_from(rules.rest).unwrap());
    for (person, mut times) in by_person {
        times.sort_unstable();
        let (mut sum, mut reached) = (0, i64::MIN);
        for (from, until) in times {
            if reached == i64::MIN || from.saturating_sub(reached) >= rest {
                sum = 0;
            }
            sum += until.saturating_sub(from.max(reached)).max(0);
            reached = reached.max(until);
            if sum > most + LATE {
                return Some(format!("{person} had {sum} ms without a rest of {rest} ms, at most {most}"));
            }
        }
    }
    None
}

/// Not too many at once, not too many an hour.
fn numbers(held: &[Access], rules: &Rules) -> Option<String> {
    for access in held {
        let at = access.from;
        let live = held.iter().filter(|a| a.from <= at && a.until.saturating_sub(LATE) > at).count();
        let lately = held.iter().filter(|a| a.from <= at && a.from > at - HOUR + RAISE).count();
        if live > rules.live {
            return Some(format!("{live} accounts have access at {at}, at most {}", rules.live));
        }
        if lately > rules.hourly {
            return Some(format!("{lately} grants in the hour before {at}, at most {}", rules.hourly));
        }
    }
    None
}

fn hours(held: &[Access], rules: &Rules) -> Option<String> {
    if rules.windows.is_empty() {
        return None;
    }
    for access in held {
        let end = if rules.whole { access.until.saturating_sub(LATE).max(access.from) } else { access.from };
        let mut at = access.from;
        loop {
            // A raise is under way for some seconds at most, and a lost answer for ten more.
            let begun = at == access.from && is_open(rules, at - 12_000);
            if !is_open(rules, at) && !begun {
                return Some(format!("outside the hours at {at}: {access:?}"));
            }
            at += 60_000;
            if at >= end {
                break;
            }
        }
    }
    None
}

fn is_open(rules: &Rules, at: i64) -> bool {
    let shown = jiff::Timestamp::from_millisecond(at).unwrap();
    let seconds = i32::try_from(rules.offset * 60).unwrap();
    let local =
        jiff::tz::TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).unwrap()).to_datetime(shown);
    let minute = u64::try_from(i64::from(local.hour()) * 60 + i64::from(local.minute())).unwrap();
    let day = |weekday: jiff::civil::Weekday| usize::try_from(weekday.to_monday_zero_offset()).unwrap();
    let (today, yesterday) = (day(local.weekday()), day(local.yesterday().unwrap().weekday()));
    rules.windows.iter().any(|(days, from, until)| {
        if from < until {
            days.contains(&today) && minute >= *from && minute < *until
        } else {
            (days.contains(&today) && minute >= *from) || (days.contains(&yesterday) && minute < *until)
        }
    })
}
