//! Endings of standing accounts, and the watch that follows each of them.

use super::{
    Engine,
    account::{Account, AccountRef, Watch},
    grant::{Grant, Phase},
    ids::RoleName,
    plan::{self, Ending, View},
    planted::{self, Planted},
    record::Record,
    time::{BootTime, Millis},
};

impl Engine {
    /// What has to be written to an account that shows `observed`.
    pub(super) fn ending_of(&self, at: &AccountRef, observed: &[RoleName]) -> Ending {
        let (Some(account), Some(tenant)) = (self.state.accounts.get(at), self.tenants.get(&at.integration))
        else {
            return Ending::Clean;
        };
        let live = self.live_roles(at);
        let ours = self.ours(at, account);
        plan::ending(&View {
            mode: tenant.settings.role_mode,
            order: &tenant.order,
            observed,
            baseline: &account.baseline,
            live: &live,
            ours: &ours,
            displaced: &account.displaced,
            suspicious: self.is_suspicious(at),
            floor: &tenant.settings.floor_role,
        })
    }

    /// Roles of the grants that go on.
    pub(super) fn live_roles(&self, at: &AccountRef) -> Vec<RoleName> {
        let over = |role: &RoleName| {
            planted::is(Planted::NoReferenceCount)
                && self.state.grants_of(at).any(|g| !g.phase.is_live() && g.terms.role == *role)
        };
        // What a lost ledger did not take was never promised, and nothing may be written for it.
        let kept = |g: &Grant| self.ledger_ok || g.accepted_seq <= self.durable;
        let live = self.state.grants_of(at).filter(|g| g.phase.is_live() && kept(g) && !over(&g.terms.role));
        let mut roles: Vec<RoleName> = live.map(|g| g.terms.role.clone()).collect();
        roles.sort();
        roles.dedup();
        roles
    }

    /// Roles that are ours to take away, or whose presence is explained by us. Everything we ever sent
    /// counts while a grant is ending and until the in-flight window after an ending is over; an
    /// ambiguous attempt's roles count as long as the account is held.
    pub(super) fn ours(&self, at: &AccountRef, account: &Account) -> Vec<RoleName> {
        let mode = self
            .tenants
            .get(&at.integration)
            .map_or(super::settings::RoleMode::Single, |t| t.settings.role_mode);
        let window = self.settings.timing.in_flight_window;
        // The look at the window's end still counts, although its answer comes a little after it.
        let window = Millis(window.0.saturating_add(self.settings.timing.settle.0));
        let recent = account.watch.is_some_and(|w| self.watch_age(&w) <= window);
        let all = recent || self.has_revoking(at);
        let mut ours = account.ours(mode, all);
        // A lower may have carried a live grant's role, and its record is best effort: once that grant
        // is over, its role is ours whether or not an attempt of ours is known to have sent it.
        let late = |role: &RoleName| account.sent.iter().any(|s| s.ambiguous && s.role == *role);
        let over = self.state.grants_of(at).filter(|g| !g.phase.is_live());
        ours.extend(over.map(|g| g.terms.role.clone()).filter(|role| all || late(role)));
        ours
    }

    /// Whether a role of ours here could change administrators: then its holder is not believed.
    pub(super) fn is_suspicious(&self, at: &AccountRef) -> bool {
        let Some(tenant) = self.tenants.get(&at.integration) else { return true };
        let here = |g: &Grant| g.phase.is_live() || g.phase == Phase::Revoking;
        self.state.grants_of(at).any(|g| here(g) && tenant.order.manages_administrators(&g.terms.role))
    }

    /// Starts the watch anew.
    pub(super) fn watch(&mut self, at: &AccountRef) {
        let watch = Watch { since: self.now.wall, boot_id: self.now.boot_id, boot: self.now.boot };
        self.write(Record::AccountWatched { at: at.clone(), watch });
        if let Some(desk) = self.desks.get_mut(at) {
            desk.watched_to = Millis(0);
        }
    }

    /// A watch that began on another boot's clock, further ahead than the threshold of this one, would
    /// last until then: it starts anew.
    pub(super) fn restart_watches_of_the_future(&mut self) {
        let (now, skew) = (self.now, self.settings.timing.skew);
        let ahead = |w: &Watch| w.boot_id != now.boot_id && w.since.since(now.wall) > skew;
        let found = self.state.accounts.iter().filter(|(_, a)| a.watch.as_ref().is_some_and(ahead));
        for at in found.map(|(at, _)| at.clone()).collect::<Vec<_>>() {
            self.watch(&at);
            self.dirty.insert(at);
        }
    }

    /// Ages of the watch at which the account is looked at.
    fn watch_looks(&self) -> impl Iterator<Item = Millis> + '_ {
        let watch = self.settings.timing.watch.iter().copied().filter(|_| !planted::is(Planted::NoWatch));
        std::iter::once(self.settings.timing.settle).chain(watch)
    }

    /// The age at which the watch is over.
    pub(super) fn watch_end(&self) -> Millis {
        self.watch_looks().max().unwrap_or(self.settings.timing.settle)
    }

    /// How long a watch has lasted. One that began on another boot has all its looks but the last made anew from
    /// the start of this process, whatever the wall clock says: it may be wrong in either direction, and what was
    /// sent before the machine went down may still be on its way.
    fn watch_age(&self, watch: &Watch) -> Millis {
        let age = watch.age(self.now);
        if watch.boot_id == self.now.boot_id {
            return age;
        }
        let here = self.now.boot.since(self.started);
        let last = self.watch_end();
        let anew = self.watch_looks().filter(|look| *look < last).max().unwrap_or(last);
        if here < anew { here } else { here.max(age) }
    }

    pub(super) fn watch_look_due(&self, at: &AccountRef) -> bool {
        self.next_watch_age(at).is_some_and(|(watch, age)| self.watch_age(&watch) >= age)
    }

    pub(super) fn next_watch_look(&self, at: &AccountRef) -> Option<BootTime> {
        let (watch, age) = self.next_watch_age(at)?;
        Some(self.now.boot + Millis(age.0.saturating_sub(self.watch_age(&watch).0)))
    }

    fn next_watch_age(&self, at: &AccountRef) -> Option<(Watch, Millis)> {
        let watch = self.state.accounts.get(at)?.watch?;
        let seen_to = self.desks.get(at)?.watched_to;
        let next = self.watch_looks().find(|age| *age > seen_to)?;
        Some((watch, next))
    }

    /// A look was made: it counts for every age of the watch up to now.
    pub(super) fn watched(&mut self, at: &AccountRef, began: BootTime) {
        let Some(watch) = self.state.accounts.get(at).and_then(|a| a.watch) else { return };
        let age = Millis(self.watch_age(&watch).0.saturating_sub(self.now.boot.since(began).0));
        if let Some(desk) = self.desks.get_mut(at) {
            desk.watched_to = desk.watched_to.max(age);
        }
    }

    /// Settles what stayed gone, closes what was watched to the end. `clean`: the look showed nothing
    /// of ours beyond the live grants.
    pub(super) fn settle(&mut self, at: &AccountRef, observed: &[RoleName]) {
        let Some(watch) = self.state.accounts.get(at).and_then(|a| a.watch) else { return };
        let seen_to = self.desks.get(at).map_or(Millis(0), |d| d.watched_to);
        if seen_to >= self.settings.timing.settle {
            let settling = self.state.grants_of(at).filter(|g| g.phase == Phase::Settling);
            for about in settling.map(Grant::about).collect::<Vec<_>>() {
                let policy_hash = self.hash_in_force();
                self.write(Record::GrantSettled { about, observed: observed.to_vec(), policy_hash });
            }
        }
        if seen_to < self.watch_end() || self.watch_age(&watch) < self.watch_end() {
            return;
        }
        let ended = self.state.grants_of(at).filter(|g| g.phase == Phase::Ended);
        for about in ended.map(Grant::about).collect::<Vec<_>>() {
            self.write(Record::GrantClosed { about });
        }
        if self.state.grants_of(at).next().is_none() {
            self.write(Record::AccountClosed { at: at.clone() });
        }
    }
}
