//! How long and how often a person has had access: what `max_continuous` and `max_grants_per_hour`
//! are judged by.
//!
//! Counted by person, not by grant: one account over all its grants and extensions, and all ephemeral
//! accounts that are made for one mailbox. The count is a record of its own, so that it outlives its
//! grants and a restart.
//!
//! ```text
//!   grant, extension accepted ─▶ counted up to the promised end
//!   gone, dropped ────────────▶ counted up to what was really had
//!   a rest of cool_down ──────▶ begins anew with the next grant
//! ```
//!
//! Refuses to count a rest before a read has shown the access gone.

use serde::{Deserialize, Serialize};

use super::{
    Engine,
    grant::{Grant, GrantKind, Phase, Terms},
    ids::Email,
    policy::Whose,
    record::Record,
    time::{Millis, Timestamp},
};

/// How long a count is kept after its last access: longer than any `cool_down` may be.
const KEPT_MS: i64 = 31 * 24 * 60 * 60 * 1000;
/// The span of `max_grants_per_hour`.
const HOUR_MS: i64 = 60 * 60 * 1000;

/// What one person has had, up to now and as far as it is promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Whose: an address in lower case, for ephemeral accounts without what follows a plus.
    pub who: String,
    /// Since when there has been no rest.
    pub since: Timestamp,
    /// How long there was access since then, up to `until`.
    pub used: Millis,
    /// Until when access is promised, or was had.
    pub until: Timestamp,
    /// When grants were accepted within the last hour.
    pub lately: Vec<Timestamp>,
}

/// Access that begins now, for the count.
#[derive(Clone, Copy)]
struct More {
    now: Timestamp,
    until: Timestamp,
    cool_down: Millis,
    /// Another grant of the person has access at this instant.
    held: bool,
}

impl Usage {
    /// The count with more access.
    fn with(old: Option<&Self>, who: &str, more: More) -> Self {
        let More { now, until, cool_down, held } = more;
        let rested = |u: &&Self| !held && now.since(u.until) >= cool_down && now >= u.until;
        let Some(old) = old.filter(|u| !rested(u)) else {
            let lately = old.map(|u| u.lately.clone()).unwrap_or_default();
            return Self { who: who.to_owned(), since: now, used: until.since(now), until, lately };
        };
        // While something is held there is no gap, whatever was promised.
        let from = if held { old.until } else { old.until.max(now) };
        let used = Millis(old.used.0.saturating_add(until.since(from).0));
        Self { used, until: old.until.max(until), ..old.clone() }
    }

    /// The count with its end moved to where access really ends.
    fn ending(&self, at: Timestamp) -> Self {
        let used = self.used.0.saturating_add(at.since(self.until).0).saturating_sub(self.until.since(at).0);
        Self { used: Millis(used), until: at, ..self.clone() }
    }
}

impl Engine {
    /// How long the person would have had access without a rest, with access until `until`.
    pub(super) fn continuous(&self, who: &str, until: Timestamp) -> Millis {
        let more = More { until, ..self.more(who, None) };
        Usage::with(self.state.usage.get(who), who, more).used
    }

    /// How long the person has had access without a rest, as counted.
    pub(super) fn counted(&self, who: &str) -> Option<Millis> {
        self.state.usage.get(who).map(|usage| usage.used)
    }

    /// Grants accepted within the last hour.
    pub(super) fn accepted_lately(&self) -> usize {
        let recent = |at: &&Timestamp| self.now.wall.0.saturating_sub(at.0) < HOUR_MS;
        self.state.usage.values().map(|u| u.lately.iter().filter(recent).count()).sum()
    }

    /// The count that follows from a record that was just folded.
    pub(super) fn recount(&self, record: &Record) -> Option<Usage> {
        match record {
            Record::GrantAccepted(terms) => {
                let who = whose(terms);
                let more = More { until: terms.ends_at, ..self.more(&who, Some(terms)) };
                let mut usage = Usage::with(self.state.usage.get(&who), &who, more);
                usage.lately.retain(|at| self.now.wall.0.saturating_sub(at.0) < HOUR_MS);
                usage.lately.push(self.now.wall);
                Some(usage)
            }
            Record::ExtensionAccepted(extension) => {
                let who = whose(&self.state.grants.get(&extension.about.grant)?.terms);
                let more = More { until: extension.end.at, ..self.more(&who, None) };
                Some(Usage::with(self.state.usage.get(&who), &who, more))
            }
            Record::ExtensionDropped(dropped) => {
                self.had(&self.state.grants.get(&dropped.about.grant)?.terms)
            }
            Record::GrantGone(gone) => self.had(&self.state.grants.get(&gone.about.grant)?.terms),
            _ => None,
        }
    }

    /// Counts that no rule can need any more.
    pub(super) fn forget_usage(&mut self) {
        let over = |u: &&Usage| u.until.0.saturating_add(KEPT_MS) < self.now.wall.0;
        let old: Vec<String> = self.state.usage.values().filter(over).map(|u| u.who.clone()).collect();
        for who in old {
            if self.access_of(&who, None).next().is_none() {
                self.write(Record::AccessForgotten { who });
            }
        }
    }

    fn more(&self, who: &str, beside: Option<&Terms>) -> More {
        let now = self.now.wall;
        let cool_down = self.policy.as_ref().map_or(Millis(0), |p| p.cool_down);
        More { now, until: now, cool_down, held: self.access_of(who, beside).next().is_some() }
    }

    /// Something of the person's ended: what is left, and until when.
    fn had(&self, terms: &Terms) -> Option<Usage> {
        let who = whose(terms);
        let promised = |g: &Grant| {
            let waiting = g.extensions.iter().map(|(_, e)| e.end.at);
            waiting.chain([g.end.at]).max().filter(|_| g.phase.is_live())
        };
        let until = self.access_of(&who, None).filter_map(promised).chain([self.now.wall]).max()?;
        Some(self.state.usage.get(&who)?.ending(until))
    }

    /// The person's grants whose access may be there.
    fn access_of<'a>(&'a self, who: &'a str, beside: Option<&'a Terms>) -> impl Iterator<Item = &'a Grant> {
        let there = |g: &&Grant| g.phase.is_live() || g.phase == Phase::Revoking;
        let other = move |g: &&Grant| beside.is_none_or(|terms| terms.grant != g.terms.grant);
        self.state.grants.values().filter(there).filter(other).filter(move |g| whose(&g.terms) == who)
    }
}

/// Under which name the person behind a grant is counted.
pub(super) fn whose(terms: &Terms) -> String {
    match terms.kind {
        GrantKind::Role => person(Whose::Account(&terms.email)),
        GrantKind::Ephemeral => person(Whose::Ephemeral(terms.requester.as_ref().unwrap_or(&terms.email))),
    }
    .unwrap_or_default()
}

/// Under which name a person is counted; `None` while it is not known who it is.
pub(super) fn person(whose: Whose<'_>) -> Option<String> {
    let plain = |email: &Email, local: &str| format!("{}@{}", local.to_ascii_lowercase(), email.domain());
    match whose {
        Whose::Account(email) => Some(plain(email, email.local())),
        // Whatever follows a plus, the mail goes to the same person.
        Whose::Ephemeral(email) => Some(plain(email, email.local().split('+').next().unwrap_or_default())),
        Whose::Unresolved => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ada had an hour, up to 10,000.
    fn hour() -> Usage {
        let (since, until) = (Timestamp(6_400), Timestamp(10_000));
        Usage { who: "ada@example.com".to_owned(), since, used: Millis(3_600), until, lately: Vec::new() }
    }

    fn then(now: i64, held: bool) -> Usage {
        let more = More { now: Timestamp(now), until: Timestamp(now + 100), cool_down: Millis(500), held };
        Usage::with(Some(&hour()), "ada@example.com", more)
    }

    #[test]
    fn a_rest_is_one_from_the_very_end_of_the_cool_down_on_and_none_while_something_is_held() {
        assert_eq!((then(10_499, false).since, then(10_499, false).used), (Timestamp(6_400), Millis(3_700)));
        assert_eq!((then(10_500, false).since, then(10_500, false).used), (Timestamp(10_500), Millis(100)));
        assert_eq!((then(99_000, true).since, then(99_000, true).used), (Timestamp(6_400), Millis(92_700)));
    }

    #[test]
    fn a_rest_without_a_cool_down_begins_when_access_is_over_and_not_while_it_is_promised() {
        let with = |now: i64| {
            let more =
                More { now: Timestamp(now), until: Timestamp(now + 100), cool_down: Millis(0), held: false };
            Usage::with(Some(&hour()), "ada@example.com", more).since
        };
        assert_eq!((with(9_999), with(10_000)), (Timestamp(6_400), Timestamp(10_000)));
    }
}
