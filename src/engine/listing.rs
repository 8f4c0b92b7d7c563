//! What a shared listing of all administrators brings: sightings for every account at work, proofs
//! of absence, resolved targets, the end of a test.
//!
//! Refuses to take "not listed" for "not there" unless the listing is complete, comes from the pinned
//! organization, shows an account recorded earlier and most of the people of the one before, and a second one agrees.

use std::collections::HashMap;

use super::{
    Engine, Flight, Pending,
    account::{AccountKey, AccountRef},
    answer::Evidence,
    codes::{ResultCode, Rule},
    desk::Sighting,
    ids::{AccountId, Email, IntegrationId},
    job::{Ask, GrantJob, Target},
    observed::{FaultClass, Listing, ObservedAccount},
    tenant::Errand,
    time::{BootTime, Millis},
};

/// Two passes of a proof of absence lie at least this far apart.
const ABSENCE_GAP: Millis = Millis(2_000);
/// How old the organization's own word may be where a listing does not name it.
const ORG_AGE: Millis = Millis(120_000);

impl Engine {
    pub(super) fn listed(&mut self, flight: &Flight, errand: Errand, listing: Listing) {
        let integration = &flight.integration;
        self.note_success(integration);
        self.note_org(integration, listing.org.clone(), flight.began);
        let proves = self.proves_absence(integration, &listing)
            && !self.looks_cut(integration, flight.began, &listing);
        let now = self.now.boot;
        let Some(tenant) = self.tenants.get_mut(integration) else { return };
        tenant.budget.debit(listing.requests.saturating_sub(1), now);
        if listing.throttled {
            // The pause is over, and so may be what made it necessary; the rate was too high all the same.
            tenant.budget.throttled(Millis(0), now);
        }
        let probe = if errand == Errand::Survey { &mut tenant.survey } else { &mut tenant.listing };
        probe.failures = 0;
        if tenant.wrong_org {
            return; // not our organization: nothing in it is an observation
        }
        probe.last = Some((flight.began, ()));
        let controls = std::mem::take(&mut tenant.known);
        tenant.known = controls.iter().chain(listing.accounts.iter().map(|a| &a.id)).cloned().collect();
        let index = Index::of(&listing);
        for at in self.desks.keys().filter(|at| at.integration == *integration).cloned().collect::<Vec<_>>() {
            let counts = proves
                && controls.iter().any(|c| index.ids.contains_key(c) && Some(c) != self.id_of(&at).as_ref());
            self.spread(&at, flight.began, &index, counts);
        }
        self.resolve_all(integration, flight.began, &index, listing.complete);
        if proves {
            self.sweep_orphans(integration, &listing);
        }
        self.keep_listing(integration, flight.began, listing);
    }

    /// What one account learns from a listing that began at `began`.
    fn spread(&mut self, at: &AccountRef, began: BootTime, index: &Index<'_>, counts: bool) {
        let Some(desk) = self.desks.get_mut(at) else { return };
        if desk.awaits_listing.is_some_and(|since| since <= began) {
            desk.awaits_listing = None;
        }
        let overtaken = desk.writing || began < desk.written_at;
        let id = self.id_of(at);
        if !self.state.accounts.contains_key(at) {
            return self.reject_unlisted(at, index, id.as_ref(), counts);
        }
        if overtaken {
            return;
        }
        let found = match (&at.account, &id) {
            (_, Some(id)) => index.ids.get(id).copied(),
            (AccountKey::Ephemeral(address), None) => index.by_address(address).first().copied(),
            (AccountKey::Standing(_), None) => None,
        };
        let Some(desk) = self.desks.get_mut(at) else { return };
        match found {
            Some(account) => self.sighted(at, Sighting::listed(began, account.clone())),
            None if !counts => self.cannot_prove(at),
            None if desk.absent_since.is_none_or(|first| began.since(first) < ABSENCE_GAP) => {
                desk.absent_since.get_or_insert(began);
                let gap = self.now.boot + ABSENCE_GAP;
                desk.not_before = desk.not_before.max(gap);
                desk.seen = None;
            }
            None => {
                desk.seen = None;
                self.digest_absence(at);
            }
        }
        self.warn_of_stranger(at, index, id.as_ref());
        self.dirty.insert(at.clone());
    }

    /// Not listed, and that proves nothing: look again, ever more patiently, and ask anew who answers.
    fn cannot_prove(&mut self, at: &AccountRef) {
        let jitter = self.jitter();
        let (base, cap) = (self.settings.timing.lower_base, self.settings.timing.lower_cap);
        let now = self.now.boot;
        if let Some(desk) = self.desks.get_mut(at) {
            desk.back_off(now, base, cap, jitter);
            desk.readback = false;
        }
        let recent = |(_, seen): &(_, BootTime)| now.since(*seen) <= ORG_AGE;
        if self.tenants.get(&at.integration).is_some_and(|t| !t.org_seen.as_ref().is_some_and(recent)) {
            self.want(&at.integration, Errand::WhoAmI);
        }
    }

    /// Jobs that name an account by an id that nobody has.
    fn reject_unlisted(&mut self, at: &AccountRef, index: &Index<'_>, id: Option<&AccountId>, counts: bool) {
        let absent = id.is_some_and(|id| !index.ids.contains_key(id));
        let jobs = self.desks.get(at).map(|d| d.jobs.clone()).unwrap_or_default();
        for job in jobs.iter().filter(|_| absent && counts) {
            if let Some(pending) = self.pending.get(job).cloned() {
                self.reject(&pending.job, Rule::AccountNotFound);
            }
        }
    }

    fn warn_of_stranger(&mut self, at: &AccountRef, index: &Index<'_>, id: Option<&AccountId>) {
        let (AccountKey::Ephemeral(address), Some(id)) = (&at.account, id) else { return };
        if index.by_address(address).iter().any(|a| a.id != *id) {
            self.warn(super::action::Warning::Stranger(at.clone()));
        }
    }

    fn proves_absence(&self, integration: &IntegrationId, listing: &Listing) -> bool {
        let Some(tenant) = self.tenants.get(integration) else { return false };
        let pinned = self.state.organizations.get(integration);
        let recent = tenant.org_seen.as_ref().filter(|(_, at)| self.now.boot.since(*at) <= ORG_AGE);
        let org = listing.org.as_ref().or_else(|| recent.map(|(org, _)| org));
        listing.complete && pinned.is_some() && pinned == org
    }

    pub(super) fn id_of(&self, at: &AccountRef) -> Option<AccountId> {
        match &at.account {
            AccountKey::Standing(id) => Some(id.clone()),
            AccountKey::Ephemeral(_) => self.state.accounts.get(at).and_then(|a| a.id.clone()),
        }
    }

    fn resolve_all(
        &mut self,
        integration: &IntegrationId,
        began: BootTime,
        index: &Index<'_>,
        complete: bool,
    ) {
        let unresolved = |p: &&Pending| p.job.integration == *integration && p.at.is_none();
        for pending in self.pending.values().filter(unresolved).cloned().collect::<Vec<_>>() {
            let Ask::Grant(grant, _) = &pending.job.ask else { continue };
            self.resolve(&pending, grant, began, index, complete);
        }
        let waits = |p: &Pending| p.job.integration == *integration && p.at.is_none();
        if self.pending.values().any(|p| waits(p) && matches!(p.job.ask, Ask::Grant(..))) {
            self.want(integration, Errand::List);
        }
    }

    /// From an address to exactly one account; from then on only the id counts. A listing that began before
    /// the job came can name the account, which is read again before anything is decided; it does not say
    /// who is not there.
    fn resolve(
        &mut self,
        pending: &Pending,
        grant: &GrantJob,
        began: BootTime,
        index: &Index<'_>,
        complete: bool,
    ) {
        let integration = pending.job.integration.clone();
        let timely = pending.received <= began;
        let account = match &grant.target {
            Target::Account(_) => return,
            Target::Ephemeral { .. } if !timely => return,
            Target::Ephemeral { address, .. } => {
                if !index.by_address(address).is_empty() {
                    return self.reject(&pending.job, Rule::AddressTaken);
                }
                AccountKey::Ephemeral(address.clone())
            }
            Target::Email(email) => match index.unsuspended(email)[..] {
                [only] => AccountKey::Standing(only.id.clone()),
                _ if !timely => return,
                [] if !complete => return,
                [] if index.by_address(email).is_empty() => {
                    return self.reject(&pending.job, Rule::AccountNotFound);
                }
                [] => return self.reject(&pending.job, Rule::AccountSuspended),
                _ => return self.reject(&pending.job, Rule::AccountAmbiguous),
            },
        };
        if !complete {
            return; // an incomplete listing may hide a second match
        }
        let at = AccountRef { integration, account };
        if self.is_barred(&at) {
            return self.reject(&pending.job, Rule::AccountBarred);
        }
        let desk = self.desks.entry(at.clone()).or_default();
        desk.jobs.push(pending.job.id.clone());
        if let AccountKey::Standing(id) = &at.account {
            let newer = desk.seen.as_ref().is_some_and(|seen| seen.at > began);
            let overtaken = desk.writing || began < desk.written_at || newer;
            if let Some(account) = index.ids.get(id).filter(|_| !overtaken) {
                desk.seen = Some(Sighting::listed(began, (*account).clone()));
            }
        } else {
            desk.absent_since = Some(began);
        }
        if let Some(waiting) = self.pending.get_mut(&pending.job.id) {
            waiting.at = Some(at.clone());
        }
        self.dirty.insert(at);
    }

    /// Tests are done once all three reads have come back since they began.
    pub(super) fn tests_done(&mut self, integration: &IntegrationId) {
        let Some(tenant) = self.tenants.get(integration) else { return };
        let mut done = Vec::new();
        for pending in
            self.pending.values().filter(|p| p.job.integration == *integration && p.job.ask == Ask::Test)
        {
            let since = pending.received;
            let read = tenant.whoami.is_since(since)
                && tenant.roles.is_since(since)
                && (tenant.survey.is_since(since) || tenant.listing.is_since(since));
            let fault = tenant.last_fault.clone();
            let hopeless = fault.as_ref().is_some_and(|f| f.class == FaultClass::Credential);
            if tenant.wrong_org || hopeless {
                done.push((pending.job.clone(), ResultCode::Failed, Some(Rule::Credential), fault));
            } else if read {
                done.push((pending.job.clone(), ResultCode::Tested, None, None));
            }
        }
        for (job, code, rule, fault) in done {
            self.answer(&job, code, rule, Evidence { fault, ..Evidence::default() });
        }
    }
}

/// A listing, by id and by address.
struct Index<'a> {
    ids: HashMap<AccountId, &'a ObservedAccount>,
    addresses: HashMap<String, Vec<&'a ObservedAccount>>,
}

impl<'a> Index<'a> {
    fn of(listing: &'a Listing) -> Self {
        let mut addresses: HashMap<String, Vec<&ObservedAccount>> = HashMap::new();
        for account in &listing.accounts {
            let here = addresses.entry(account.email.as_str().to_ascii_lowercase()).or_default();
            // Pages that moved under the listing may show one account twice: that is still one.
            if here.iter().all(|known| known.id != account.id) {
                here.push(account);
            }
        }
        Self { ids: listing.accounts.iter().map(|a| (a.id.clone(), a)).collect(), addresses }
    }

    fn by_address(&self, email: &Email) -> &[&'a ObservedAccount] {
        self.addresses.get(&email.as_str().to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }

    fn unsuspended(&self, email: &Email) -> Vec<&'a ObservedAccount> {
        self.by_address(email).iter().copied().filter(|a| !a.suspended).collect()
    }
}
