//! How the accounts were a while ago, so that reads can lag.
//!
//! Refuses to look back further than 256 changes.

use std::{borrow::Cow, collections::VecDeque};

use super::account::Account;

/// How many changes a lagging read can look back; older ones are always seen.
const PAST: usize = 256;

/// What the latest changes replaced.
#[derive(Clone, Default)]
pub(super) struct Past(VecDeque<Undo>);

#[derive(Clone)]
struct Undo {
    at_ms: i64,
    id: String,
    /// Place and content before the change; none if the account was made by it.
    before: Option<(usize, Account)>,
}

impl Past {
    /// The account `id` is changed now.
    pub(super) fn remember(&mut self, id: &str, before: Option<(usize, Account)>, at_ms: i64) {
        if self.0.len() == PAST {
            self.0.pop_front();
        }
        self.0.push_back(Undo { at_ms, id: id.to_owned(), before });
    }

    /// `accounts` as they were `lag_ms` before `now_ms`.
    pub(super) fn seen_late<'a>(
        &self,
        accounts: &'a [Account],
        now_ms: i64,
        lag_ms: u64,
    ) -> Cow<'a, [Account]> {
        let moment = now_ms.saturating_sub(signed(lag_ms));
        self.before_first(accounts, |at| lag_ms > 0 && at > moment)
    }

    /// `accounts` as they were before a change that is at least `after_ms` and less than
    /// `after_ms + for_ms` old; as they are, if there is none.
    pub(super) fn seen_again<'a>(
        &self,
        accounts: &'a [Account],
        now_ms: i64,
        after_ms: u64,
        for_ms: u64,
    ) -> Cow<'a, [Account]> {
        let latest = now_ms.saturating_sub(signed(after_ms));
        let earliest = latest.saturating_sub(signed(for_ms));
        self.before_first(accounts, |at| after_ms > 0 && at > earliest && at <= latest)
    }

    /// What the changes of the last `lag_ms` replaced, oldest first.
    pub(super) fn replaced(&self, now_ms: i64, lag_ms: u64) -> impl Iterator<Item = &Account> {
        let moment = now_ms.saturating_sub(signed(lag_ms));
        let recent = self.0.iter().filter(move |undo| lag_ms > 0 && undo.at_ms > moment);
        recent.filter_map(|undo| undo.before.as_ref().map(|(_, account)| account))
    }

    fn before_first<'a>(&self, accounts: &'a [Account], fits: impl Fn(i64) -> bool) -> Cow<'a, [Account]> {
        let Some(first) = self.0.iter().position(|undo| fits(undo.at_ms)) else {
            return Cow::Borrowed(accounts);
        };
        let mut accounts = accounts.to_vec();
        for undo in self.0.iter().skip(first).rev() {
            let now_at = accounts.iter().position(|account| account.id == undo.id);
            match (now_at, &undo.before) {
                (Some(at), Some((_, before))) => accounts[at] = before.clone(),
                (Some(at), None) => drop(accounts.remove(at)),
                (None, Some((at, before))) => accounts.insert((*at).min(accounts.len()), before.clone()),
                (None, None) => {}
            }
        }
        Cow::Owned(accounts)
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, role: &str) -> Account {
        Account { roles: vec![role.to_owned()], ..Account::blank(id.to_owned(), "x@example.com", 0) }
    }

    fn shown(accounts: &[Account]) -> Vec<String> {
        accounts.iter().map(|account| format!("{}:{}", account.id, account.roles[0])).collect()
    }

    /// `a` and `b` at first; `a` gets another role at 1000, `b` is deleted at 2000, `c` made at 3000.
    fn story() -> (Past, Vec<Account>) {
        let mut past = Past::default();
        past.remember("a", Some((0, account("a", "old"))), 1000);
        past.remember("b", Some((1, account("b", "only"))), 2000);
        past.remember("c", None, 3000);
        (past, vec![account("a", "new"), account("c", "third")])
    }

    #[test]
    fn a_read_sees_what_was_there_before_the_changes_of_its_lag() {
        let (past, now) = story();
        for (lag, expected) in [
            (0, &["a:new", "c:third"][..]),
            (400, &["a:new", "c:third"]),
            (600, &["a:new"]),
            (1600, &["a:new", "b:only"]),
            (3600, &["a:old", "b:only"]),
        ] {
            assert_eq!(shown(&past.seen_late(&now, 3500, lag)), expected, "{lag}");
        }
    }

    #[test]
    fn what_was_before_a_change_comes_back_once_and_for_a_while_only() {
        let (past, now) = story();
        let seen = |at| shown(&past.seen_again(&now, at, 5000, 500));
        for (at, expected) in [
            (3600, &["a:new", "c:third"][..]),
            (6000, &["a:old", "b:only"]),
            (6499, &["a:old", "b:only"]),
            (6500, &["a:new", "c:third"]),
            (7000, &["a:new", "b:only"]),
        ] {
            assert_eq!(seen(at), expected, "at {at}");
        }
        assert_eq!(shown(&past.seen_again(&now, 3500, 0, 500)), ["a:new", "c:third"], "off");
    }
}
