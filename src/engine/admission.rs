//! How many grants may end at about the same time: no more than can be taken back in time. An ending that has to
//! wait for its turn cannot be hurried afterwards, so the only cure is here, before the access is given.
//!
//! Refuses to lengthen anything: a grant that does not fit ends earlier, or is not given.

use super::{
    Engine,
    account::AccountRef,
    grant::Grant,
    ids::{GrantId, IntegrationId},
    job::GrantJob,
    time::{Millis, Timestamp},
};

/// Access is to be proven gone so long after its end: the contract's bound.
const WINDOW: Millis = Millis(30_000);
/// What an ending takes: a read, a write, a read that proves it.
const REQUESTS: u64 = 3;

/// How many endings an integration has room for in each window, if it is sent so many requests a second. Half of
/// what it could take: the rest is for tries that fail, and for whatever else is due.
fn room(per_second: u32) -> usize {
    let requests = u64::from(per_second) * WINDOW.0 / 1000;
    usize::try_from((requests / REQUESTS / 2).max(1)).unwrap_or(usize::MAX)
}

/// The latest end not after `wanted` and not before `earliest` in whose window fewer than `room` of `ends` lie.
fn fit(ends: &[Timestamp], wanted: Timestamp, earliest: Timestamp, room: usize) -> Option<Timestamp> {
    let length = i64::try_from(WINDOW.0).unwrap_or(i64::MAX);
    let window = |end: Timestamp| end.0.div_euclid(length);
    let mut end = wanted;
    while end >= earliest {
        if ends.iter().filter(|other| window(**other) == window(end)).count() < room {
            return Some(end);
        }
        end = Timestamp(window(end) * length - 1);
    }
    None
}

impl Engine {
    /// When a grant that is accepted now ends: when it asks for, or somewhat earlier, but after at least half of
    /// its time. `None`: too many others end then.
    pub(super) fn admitted_end(&self, at: &AccountRef, grant: &GrantJob) -> Option<Timestamp> {
        let wanted = self.now.wall + grant.duration;
        let wanted = grant.until.map_or(wanted, |until| until.min(wanted));
        let half = Millis(wanted.since(self.now.wall).0 / 2);
        self.has_room(&at.integration, None, wanted, self.now.wall + half)
    }

    /// Whether one more of the integration's grants may end at this instant; `but` is not counted.
    pub(super) fn may_end_at(&self, integration: &IntegrationId, but: &GrantId, end: Timestamp) -> bool {
        self.has_room(integration, Some(but), end, end).is_some()
    }

    fn has_room(
        &self,
        integration: &IntegrationId,
        but: Option<&GrantId>,
        wanted: Timestamp,
        earliest: Timestamp,
    ) -> Option<Timestamp> {
        let rate = self.tenants.get(integration)?.settings.rate_per_second;
        let live = self.state.grants.values().filter(|g| {
            g.phase.is_live() && g.terms.integration == *integration && Some(&g.terms.grant) != but
        });
        // An extension that waits for the disk is as good as in force.
        let latest = |g: &Grant| g.extensions.iter().map(|(_, e)| e.end.at).fold(g.end.at, Timestamp::max);
        let ends: Vec<Timestamp> = live.map(latest).collect();
        fit(&ends, wanted, earliest, room(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_ends_in_the_window_before_or_is_not_given() {
        let at = |s: i64| Timestamp(s * 1000);
        let ends = [at(61), at(62), at(89)];
        assert_eq!(fit(&ends, at(70), at(0), 4), Some(at(70)));
        assert_eq!(fit(&ends, at(70), at(0), 3), Some(Timestamp(59_999)));
        assert_eq!(fit(&ends, at(70), at(60), 3), None);
        assert_eq!(fit(&[at(31), at(61)], at(61), at(0), 1), Some(Timestamp(29_999)));
    }

    #[test]
    fn there_is_room_for_half_of_what_the_rate_allows_and_always_for_one() {
        assert_eq!((room(10), room(100), room(1)), (50, 500, 5));
        assert_eq!(room(0), 1);
    }
}
