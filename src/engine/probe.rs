//! Reads of an integration itself: whose credential, which roles, the shared listing; and letting
//! requests out in the order of their lanes.

use super::{
    Engine, Flight, Purpose,
    action::{Action, Look, Read, Warning},
    alarms::Wake,
    budget::Lane,
    grant::Phase,
    ids::{IntegrationId, OrgId},
    input::Outcome,
    job::Ask,
    observed::{DiscoveredRole, Fault, FaultClass, ReadOutcome, WhoAmI},
    orphans,
    place::Place,
    planted::{self, Planted},
    record::Record,
    roles::RoleOrder,
    tenant::{Errand, Tenant},
    time::{BootTime, Millis},
};

/// How old a probe may be before a raise asks for a new one.
pub(super) const WHOAMI_AGE: Millis = Millis(5 * 60_000);
const ROLES_AGE: Millis = Millis(10 * 60_000);
/// How often a wrong organization is asked again who it is.
const WRONG_ORG_RETRY: Millis = Millis(15_000);
/// Hints ask for a listing at most this often, however many there are.
const HINT_GAP: Millis = Millis(5_000);
/// What a 429 without a hint means.
const THROTTLED_FOR: Millis = Millis(1_000);

const ERRANDS: [Errand; 4] = [Errand::WhoAmI, Errand::Roles, Errand::List, Errand::Survey];

impl Engine {
    pub(super) fn probe_all(&mut self, integration: &IntegrationId) {
        for errand in [Errand::WhoAmI, Errand::Roles, Errand::List] {
            self.want(integration, errand);
        }
    }

    /// Asks for what a raise needs to know and what is missing or old.
    pub(super) fn want_probes(&mut self, integration: &IntegrationId) {
        let Some(tenant) = self.tenants.get(integration) else { return };
        let old =
            |last: Option<BootTime>, age: Millis| last.is_none_or(|began| self.now.boot.since(began) > age);
        let whoami = old(tenant.whoami.last.as_ref().map(|l| l.0), WHOAMI_AGE)
            || old(tenant.org_seen.as_ref().map(|(_, seen)| *seen), WHOAMI_AGE);
        let roles = old(tenant.roles.last.as_ref().map(|l| l.0), ROLES_AGE);
        if whoami {
            self.want(integration, Errand::WhoAmI);
        }
        if roles {
            self.want(integration, Errand::Roles);
        }
    }

    /// Asks for a read that begins from now on.
    pub(super) fn want(&mut self, integration: &IntegrationId, errand: Errand) {
        if let Some(tenant) = self.tenants.get_mut(integration) {
            *tenant.waiting(errand).0 = true;
        }
    }

    pub(super) fn integration_woken(&mut self, integration: &IntegrationId) {
        let held = self.state.accounts.keys().any(|at| at.integration == *integration);
        let looks = self.looks_for_orphans();
        let Some(tenant) = self.tenants.get_mut(integration) else { return };
        tenant.alarm = None;
        if looks && tenant.orphans_at <= self.now.boot {
            tenant.orphans_at = self.now.boot + orphans::EVERY;
            tenant.survey.wanted = true;
        }
        if tenant.observe_at <= self.now.boot {
            tenant.observe_at = self.now.boot + tenant.settings.observe_interval;
            tenant.survey.wanted |= held;
        }
    }

    /// A hint moves the next regular look nearer, never further away, and is no observation itself.
    pub(super) fn hinted(&mut self, integration: &IntegrationId) {
        let now = self.now.boot;
        let Some(tenant) = self.tenants.get_mut(integration) else { return };
        if tenant.hinted_at.is_some_and(|at| at > now) {
            return; // one is due soon already
        }
        let at = tenant.hinted_at.map_or(now, |last| now.max(last + HINT_GAP));
        tenant.hinted_at = Some(at);
        tenant.observe_at = tenant.observe_at.min(at);
    }

    /// Whose the old key was says nothing about the new one: raises wait for its answer, endings for nothing.
    pub(super) fn credential_changed(&mut self, integration: &IntegrationId) {
        let now = self.now.boot;
        if let Some(tenant) = self.tenants.get_mut(integration) {
            tenant.whoami.last = None;
            tenant.org_seen = None;
            tenant.budget.worked();
            for not_before in [
                &mut tenant.whoami.not_before,
                &mut tenant.roles.not_before,
                &mut tenant.listing.not_before,
                &mut tenant.survey.not_before,
            ] {
                *not_before = now;
            }
        }
        self.probe_all(integration);
        self.look_everywhere(integration);
    }

    pub(super) fn pump_all(&mut self) {
        for integration in self.tenants.keys().cloned().collect::<Vec<_>>() {
            self.pump(&integration);
        }
    }

    /// Lets out what the budget allows, most urgent first, and sets the wake-up for the rest.
    fn pump(&mut self, integration: &IntegrationId) {
        loop {
            let errand = self.next_errand(integration);
            let Some(tenant) = self.tenants.get_mut(integration) else { return };
            let queued = tenant.queue.first().cloned();
            match (errand, queued) {
                (Some((lane, errand)), queued) if queued.as_ref().is_none_or(|q| lane <= q.lane) => {
                    if !tenant.budget.take(lane, self.now.boot) {
                        break;
                    }
                    self.send_errand(integration, errand);
                }
                (_, Some(first)) => {
                    if tenant.budget.ready_at(first.lane, self.now.boot) > self.now.boot {
                        break;
                    }
                    tenant.queue.remove(&first);
                    self.drive(&first.at);
                    let still = |place: &Place| self.tenants[integration].queue.contains(place);
                    if let Some(desk) = self.desks.get_mut(&first.at) {
                        desk.queued = desk.queued.take().filter(still);
                    }
                }
                _ => break,
            }
        }
        self.set_integration_alarm(integration);
    }

    fn next_errand(&mut self, integration: &IntegrationId) -> Option<(Lane, Errand)> {
        let now = self.now.boot;
        let listing = self.listing_lane(integration);
        let tenant = self.tenants.get_mut(integration)?;
        let ready = |errand: &Errand, tenant: &mut Tenant| {
            let (wanted, flying, not_before) = tenant.waiting(*errand);
            *wanted && !flying && not_before <= now
        };
        let lane = |errand| lane_of(errand, listing);
        let all = ERRANDS.into_iter().filter(|e| ready(e, tenant)).map(|e| (lane(e), e));
        all.min_by_key(|(lane, _)| *lane)
    }

    /// A listing is as urgent as whoever waits for it.
    fn listing_lane(&self, integration: &IntegrationId) -> Lane {
        let ending =
            |g: &super::grant::Grant| g.terms.integration == *integration && g.phase == Phase::Revoking;
        if self.state.grants.values().any(ending) {
            return Lane::Lower;
        }
        let grant = |p: &super::Pending| matches!(p.job.ask, Ask::Grant(..));
        let waiting = self.pending.values().any(|p| grant(p) && p.job.integration == *integration);
        if waiting { Lane::Raise } else { Lane::Observe }
    }

    fn send_errand(&mut self, integration: &IntegrationId, errand: Errand) {
        let call = self.call(integration, Purpose::Errand(errand));
        let began = self.now.boot;
        let what = match errand {
            Errand::WhoAmI => Look::WhoAmI,
            Errand::Roles => Look::Roles,
            Errand::List | Errand::Survey => Look::List,
        };
        if let Some(tenant) = self.tenants.get_mut(integration) {
            *tenant.waiting(errand).0 = false;
            match errand {
                Errand::WhoAmI => tenant.whoami.flight = Some((call, began)),
                Errand::Roles => tenant.roles.flight = Some((call, began)),
                Errand::List => {
                    tenant.listing.flight = Some((call, began));
                    tenant.survey.wanted = false; // this one serves everybody
                }
                Errand::Survey => tenant.survey.flight = Some((call, began)),
            }
        }
        let org = self.state.organizations.get(integration).cloned();
        self.out.actions.push(Action::Read(Read { call, integration: integration.clone(), org, what }));
    }

    fn set_integration_alarm(&mut self, integration: &IntegrationId) {
        let now = self.now.boot;
        let held = self.state.accounts.keys().any(|at| at.integration == *integration);
        let looks = self.looks_for_orphans();
        let listing = self.listing_lane(integration);
        let Some(tenant) = self.tenants.get_mut(integration) else { return };
        let mut at: Vec<BootTime> = Vec::new();
        if let Some(first) = tenant.queue.first() {
            at.push(tenant.budget.ready_at(first.lane, now));
        }
        for errand in ERRANDS {
            let lane = lane_of(errand, listing);
            let ready = tenant.budget.ready_at(lane, now);
            let (wanted, flying, not_before) = tenant.waiting(errand);
            if *wanted && !flying {
                at.push(not_before.max(ready));
            }
        }
        if held {
            at.push(tenant.observe_at);
        }
        if looks {
            at.push(tenant.orphans_at);
        }
        let next = at.into_iter().min();
        if tenant.alarm.map(|a| a.at) == next {
            return;
        }
        let old = tenant.alarm.take();
        tenant.alarm = next.map(|next| self.alarms.set(next, Wake::Integration(integration.clone())));
        if let Some(old) = old {
            self.alarms.clear(old);
        }
    }

    /// An integration's own read came back.
    pub(super) fn errand_done(&mut self, flight: &Flight, errand: Errand, outcome: Outcome) {
        let integration = flight.integration.clone();
        if let Some(tenant) = self.tenants.get_mut(&integration) {
            match errand {
                Errand::WhoAmI => tenant.whoami.flight = None,
                Errand::Roles => tenant.roles.flight = None,
                Errand::List => tenant.listing.flight = None,
                Errand::Survey => tenant.survey.flight = None,
            }
        }
        match outcome {
            Outcome::WhoAmI(Ok(me)) => self.learnt_whoami(flight, me),
            Outcome::Roles(roles) => self.learnt_roles(flight, roles),
            Outcome::List(Ok(listing)) => self.listed(flight, errand, listing),
            Outcome::WhoAmI(Err(fault)) | Outcome::List(Err(fault)) => {
                self.errand_failed(&integration, errand, fault)
            }
            _ => self.errand_failed(&integration, errand, Fault::of(FaultClass::Ambiguous)),
        }
        self.tests_done(&integration);
        self.syncs_done(&integration);
        self.reconsider(&integration);
    }

    /// Remembers a fault of a call: slows down, raises the alarm for the credential.
    pub(super) fn note_fault(&mut self, integration: &IntegrationId, fault: &Fault) {
        let now = self.now.boot;
        let Some(tenant) = self.tenants.get_mut(integration) else { return };
        match fault.class {
            FaultClass::Throttled => {
                tenant.budget.throttled(fault.retry_after_ms.map_or(THROTTLED_FOR, Millis), now);
            }
            FaultClass::Ambiguous | FaultClass::NotSent => tenant.budget.failed(now),
            _ => {}
        }
        let credential = fault.class == FaultClass::Credential;
        let news = credential && !tenant.credential_refused;
        tenant.credential_refused |= credential;
        tenant.last_fault = Some(fault.clone());
        if news {
            self.warn(Warning::CredentialRefused(integration.clone()));
        }
    }

    /// A call went well.
    pub(super) fn note_success(&mut self, integration: &IntegrationId) {
        let now = self.now.boot;
        if let Some(tenant) = self.tenants.get_mut(integration) {
            tenant.answered_at = Some(now);
            tenant.budget.worked();
            tenant.last_fault = None;
            tenant.credential_refused = false;
        }
    }

    /// Which organization answered. The first one is pinned; another one later is refused.
    pub(super) fn note_org(&mut self, integration: &IntegrationId, org: Option<OrgId>, began: BootTime) {
        let Some(org) = org else { return };
        let pinned = self.state.organizations.get(integration).cloned();
        let wrong = pinned.as_ref().is_some_and(|p| *p != org) && !planted::is(Planted::NoPin);
        if pinned.is_none() {
            self.write(Record::OrganizationPinned { integration: integration.clone(), org: org.clone() });
        }
        let Some(tenant) = self.tenants.get_mut(integration) else { return };
        let news = wrong && !tenant.wrong_org;
        let back = !wrong && tenant.wrong_org;
        tenant.wrong_org = wrong;
        tenant.org_seen = Some((org, began));
        if wrong {
            tenant.whoami.wanted = true;
            tenant.whoami.not_before = self.now.boot + WRONG_ORG_RETRY;
        }
        if news {
            self.warn(Warning::WrongOrganization(integration.clone()));
        }
        if back {
            self.look_everywhere(integration);
        }
    }

    /// The right organization answers again: what waited for it waits no longer.
    fn look_everywhere(&mut self, integration: &IntegrationId) {
        for (at, desk) in self.desks.iter_mut().filter(|(at, _)| at.integration == *integration) {
            desk.calm();
            self.dirty.insert(at.clone());
        }
    }

    fn learnt_whoami(&mut self, flight: &Flight, me: WhoAmI) {
        self.note_success(&flight.integration);
        self.note_org(&flight.integration, me.org.clone(), flight.began);
        if let Some(tenant) = self.tenants.get_mut(&flight.integration) {
            tenant.known.extend(me.account.clone());
            tenant.whoami.failures = 0;
            tenant.whoami.last = Some((flight.began, me));
        }
    }

    fn learnt_roles(&mut self, flight: &Flight, outcome: ReadOutcome<Vec<DiscoveredRole>>) {
        let discovered = match outcome {
            Ok(roles) if !roles.is_empty() => Some(roles),
            // Not every tenant serves the route; then only configured pairs compare.
            Ok(_) => None,
            Err(fault) if matches!(fault.class, FaultClass::NotFound | FaultClass::Forbidden) => None,
            Err(fault) => return self.errand_failed(&flight.integration, Errand::Roles, fault),
        };
        if let Some(tenant) = self.tenants.get_mut(&flight.integration) {
            if discovered.is_none() && tenant.roles.last.is_some() {
                tenant.roles.last = Some((flight.began, ()));
                return; // what was known of the roles is not forgotten because a route went away
            }
            tenant.order = RoleOrder::new(&tenant.settings.role_order, discovered.as_deref());
            tenant.roles.failures = 0;
            tenant.roles.last = Some((flight.began, ()));
        }
    }

    fn errand_failed(&mut self, integration: &IntegrationId, errand: Errand, fault: Fault) {
        self.note_fault(integration, &fault);
        let jitter = u64::from(self.jitter());
        let now = self.now.boot;
        let Some(tenant) = self.tenants.get_mut(integration) else { return };
        let (failures, not_before) = match errand {
            Errand::WhoAmI => (&mut tenant.whoami.failures, &mut tenant.whoami.not_before),
            Errand::Roles => (&mut tenant.roles.failures, &mut tenant.roles.not_before),
            Errand::List => (&mut tenant.listing.failures, &mut tenant.listing.not_before),
            Errand::Survey => (&mut tenant.survey.failures, &mut tenant.survey.not_before),
        };
        let wait = (250u64 << (*failures).min(6)).min(15_000);
        *failures += 1;
        *not_before = now + Millis(wait - wait / 4 * jitter / 255);
        *tenant.waiting(errand).0 = true;
    }

    /// Jobs that wait for this integration may be able to go on.
    fn reconsider(&mut self, integration: &IntegrationId) {
        let waiting = self.pending.values().filter(|p| p.job.integration == *integration);
        let accounts: Vec<_> =
            waiting.filter(|p| matches!(p.job.ask, Ask::Grant(..))).filter_map(|p| p.at.clone()).collect();
        self.dirty.extend(accounts);
        while let Some(at) = self.dirty.pop_first() {
            self.drive(&at);
        }
    }
}

/// A listing is as urgent as whoever waits for it; the other reads are those of a raise.
fn lane_of(errand: Errand, listing: Lane) -> Lane {
    match errand {
        Errand::List => listing,
        Errand::Survey => Lane::Observe,
        Errand::WhoAmI | Errand::Roles => Lane::Raise,
    }
}
