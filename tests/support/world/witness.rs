//! Looks over the engine's shoulder: a fold of its own, every write judged as it leaves, what was
//! violated, what was seen happening.

use std::collections::{BTreeMap, BTreeSet};

use ephemerald::engine::{
    account::{AccountKey, AccountRef, Effect},
    action::{Entry, Lower, LowerChange, Raise, RaiseChange},
    codes::ResultCode,
    grant::{Grant, Phase},
    ids::{AccountId, GrantId, RoleName},
    observed::ObservedAccount,
    record::{GrantGone, Record},
    roles::RoleOrder,
    state::State,
    time::Timestamp,
};

use super::{
    Write,
    cloud::{JumpCloud, roles},
};

/// What a read showed of an account, in milliseconds that have really passed.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// When it was taken…
    pub(crate) taken: u64,
    /// …and when its answer came.
    pub(crate) came: u64,
    pub(crate) id: AccountId,
    pub(crate) roles: Vec<RoleName>,
}

/// A write of roles that left the machine.
#[derive(Clone, Debug)]
pub(crate) struct Writing {
    pub(crate) sent: u64,
    pub(crate) id: AccountId,
    pub(crate) roles: Vec<RoleName>,
    pub(crate) lowers: bool,
    /// What the engine took for the account's own and for live when it was sent.
    pub(crate) kept: Vec<RoleName>,
    /// When it took effect, and what was there just before.
    pub(crate) applied: Option<(u64, Vec<RoleName>)>,
}

/// How long after somebody else's touch an ending may still be computed from the read before it.
const RACE_MS: u64 = 1_500;

#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// The fold of every record handed out, made apart from the engine.
    pub(crate) state: State,
    /// What must never happen and did: (invariant, what).
    pub(crate) violations: Vec<(&'static str, String)>,
    /// How often each interesting thing happened.
    pub(crate) seen: BTreeMap<&'static str, u64>,
    /// When an account was last changed by a person or by a late write.
    pub(crate) stirred: BTreeMap<AccountId, u64>,
    /// When a write met a fate other than the good one, last.
    pub(crate) faulty_at: u64,
    /// The last two listings, by id and by address.
    pub(crate) listings: [BTreeSet<String>; 2],
    /// Until when each end that was ever accepted for a grant allows it, in time that really passes.
    pub(crate) limits: BTreeMap<(GrantId, Timestamp), u64>,
    /// How often a write of roles to an account was refused, or answered and changed nothing.
    pub(crate) in_vain: BTreeMap<AccountId, u64>,
    /// Accounts whose roles a raise of ours displaced, and which.
    displaced: BTreeMap<AccountId, BTreeSet<RoleName>>,
    /// Accounts that a job named, or that we made.
    pub(crate) aimed_at: BTreeSet<AccountId>,
    /// Every read of an account and every write of roles, in the order of time.
    pub(crate) readings: Vec<Reading>,
    pub(crate) writings: Vec<Writing>,
    /// The grants that were ever accepted for an account, and how many raises for it may have been carried out.
    raises: BTreeMap<AccountRef, (BTreeSet<GrantId>, usize)>,
}

impl Witness {
    pub(crate) fn violated(&mut self, invariant: &'static str, what: String) {
        self.violations.push((invariant, what));
    }

    pub(crate) fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// A raise left whose fate is not that it was certainly not carried out: no grant has two of them.
    pub(super) fn raised(&mut self, at: &AccountRef) {
        let (grants, raises) = self.raises.entry(at.clone()).or_default();
        *raises += 1;
        if *raises > grants.len() {
            let what = format!("{at:?}: {raises} raises for {} grants", grants.len());
            self.violated("no_second_effect", what);
        }
    }

    pub(super) fn fold(&mut self, entries: &[Entry], elapsed: u64) {
        for entry in entries {
            self.state.apply(entry.seq, entry.at, &entry.record);
            match &entry.record {
                Record::GrantAccepted(terms) => {
                    let length = terms.ends_at.since(terms.accepted_at).0;
                    self.limits.insert((terms.grant.clone(), terms.ends_at), elapsed + length);
                    let (integration, account) = (terms.integration.clone(), terms.account.clone());
                    let at = AccountRef { integration, account };
                    self.raises.entry(at).or_default().0.insert(terms.grant.clone());
                }
                Record::ExtensionAccepted(ext) => {
                    let length = ext.end.at.since(entry.at).0;
                    self.limits.insert((ext.about.grant.clone(), ext.end.at), elapsed + length);
                }
                Record::GrantReappeared { .. } => self.saw("reappearance"),
                Record::GrantGone(gone) => {
                    self.saw("gone");
                    self.check_proof(gone, elapsed);
                }
                Record::GrantActive(_) => self.saw("active"),
                Record::GrantIndeterminate { .. } => self.saw("indeterminate"),
                Record::RevocationOverdue { .. } => self.saw("overdue"),
                Record::BaselineMoved { .. } => self.saw("baseline moved"),
                Record::JobEquivocated { .. } => self.saw("equivocation"),
                _ => {}
            }
        }
    }

    /// An extension comes into force, or does not: only from a durable record, and not after the end.
    pub(super) fn extended(&mut self, entry: &Entry, durable: &[Entry], elapsed: u64) {
        match &entry.record {
            Record::GrantExtended(ext) => {
                self.saw("extended");
                let accepted = |e: &Entry| matches!(&e.record, Record::ExtensionAccepted(a) if a.job == ext.job && a.end == ext.end);
                if !durable.iter().any(accepted) {
                    self.violated("write_before_act", format!("{elapsed}: {ext:?}"));
                }
                if entry.at >= ext.from || ext.end.at <= ext.from {
                    self.violated("extended_or_too_late", format!("{elapsed}: at {:?} {ext:?}", entry.at));
                }
            }
            Record::ExtensionDropped(dropped) => match dropped.code {
                ResultCode::Cancelled => self.saw("extension withdrawn"),
                _ => self.saw("extension too late"),
            },
            _ => {}
        }
    }

    /// Gone is what a read showed after the last write: the very roles, or two listings without it.
    fn check_proof(&mut self, gone: &GrantGone, elapsed: u64) {
        let Some(grant) = self.state.grants.get(&gone.about.grant) else { return };
        let id = self.state.accounts.get(&grant.account_ref()).and_then(|a| a.id.clone());
        let proven = match &gone.observed {
            Some(roles) => id.as_ref().is_some_and(|id| self.was_read(id, roles, elapsed)),
            None => {
                let key = id.map_or_else(|| grant.terms.account.as_str().to_owned(), |id| id.to_string());
                self.listings.iter().all(|l| !l.is_empty() && !l.contains(&key))
            }
        };
        if !proven {
            self.violated("proof_is_a_read", format!("{elapsed}: {gone:?}"));
        }
    }

    /// Whether a read that was taken after the last write has shown just that.
    fn was_read(&self, id: &AccountId, roles: &[RoleName], elapsed: u64) -> bool {
        let written = self.writings.iter().filter(|w| w.id == *id).map(|w| w.sent).max().unwrap_or(0);
        let since = self.readings.iter().rev().filter(|r| r.id == *id && r.taken >= written);
        since.filter(|r| r.came <= elapsed).any(|r| r.roles == roles)
    }

    pub(super) fn read(&mut self, taken: u64, came: u64, account: &ObservedAccount) {
        let (id, roles) = (account.id.clone(), account.roles.clone());
        self.readings.push(Reading { taken, came, id, roles });
    }

    pub(super) fn listed(&mut self, keys: BTreeSet<String>) {
        self.listings = [std::mem::take(&mut self.listings[1]), keys];
    }

    pub(super) fn refold(&mut self, durable: &[Entry]) {
        self.state = State::default();
        for entry in durable {
            self.state.apply(entry.seq, entry.at, &entry.record);
        }
        // Whether a raise that the process died over had left is known to nobody but us.
        for account in self.state.accounts.values() {
            if let (Some(id), Some(Effect::Raise { displaces, .. })) =
                (&account.id, account.open_attempt.as_ref().map(|attempt| &attempt.effect))
            {
                self.displaced.entry(id.clone()).or_default().extend(displaces.iter().cloned());
            }
        }
    }

    /// A raise leaves the machine.
    pub(super) fn raise(&mut self, elapsed: u64, raise: &Raise, durable: &[Entry], cloud: &JumpCloud) {
        let started = durable.iter().rev().find_map(|e| match &e.record {
            Record::AttemptStarted { at, attempt } if *at == raise.at => Some(&attempt.effect),
            _ => None,
        });
        let (explained, wanted) = match (&raise.change, started) {
            (RaiseChange::SetRoles { roles, .. }, Some(Effect::Raise { roles: said, adds, .. })) => {
                (roles == said, adds.clone())
            }
            (RaiseChange::Create { role, .. }, Some(Effect::Create { role: said })) => {
                (role == said, vec![role.clone()])
            }
            _ => (false, Vec::new()),
        };
        let mut kept = State::default();
        durable.iter().for_each(|e| kept.apply(e.seq, e.at, &e.record));
        let granted = |r: &RoleName| kept.grants_of(&raise.at).any(|g| g.terms.role == *r);
        if !explained || !wanted.iter().all(granted) {
            self.violated("write_before_act", format!("{elapsed}: {raise:?} after {started:?}"));
        }
        if let RaiseChange::SetRoles { id, roles, .. } = &raise.change {
            self.check_aim(elapsed, id);
            self.wrote(elapsed, id, roles, None);
            let had = cloud.admins.get(id).map(|a| a.roles.clone()).unwrap_or_default();
            let gone = had.into_iter().filter(|r| !roles.contains(r));
            let mut displaced: Vec<RoleName> = gone.collect();
            if let Some(Effect::Raise { displaces, .. }) = started.filter(|_| self.raced(id, elapsed)) {
                displaced.extend(displaces.iter().cloned()); // what was read, a moment before somebody's touch
            }
            self.displaced.entry(id.clone()).or_default().extend(displaced);
        }
    }

    /// Whether somebody else touched the account so shortly before that no read can have shown it.
    fn raced(&self, id: &AccountId, elapsed: u64) -> bool {
        self.stirred.get(id).is_some_and(|at| elapsed.saturating_sub(*at) <= RACE_MS)
    }

    fn wrote(&mut self, sent: u64, id: &AccountId, roles: &[RoleName], lowers: Option<Vec<RoleName>>) {
        let (id, roles, lowers, kept) =
            (id.clone(), roles.to_vec(), lowers.is_some(), lowers.unwrap_or_default());
        self.writings.push(Writing { sent, id, roles, lowers, kept, applied: None });
    }

    /// A lower leaves the machine.
    pub(super) fn lower(&mut self, elapsed: u64, lower: &Lower, state: &State, cloud: &JumpCloud) {
        let (id, written) = match lower.change() {
            LowerChange::SetRoles { id, roles, .. } => (id, roles.as_slice()),
            LowerChange::Delete { id } => (id, [].as_slice()),
        };
        self.check_aim(elapsed, id);
        if matches!(lower.change(), LowerChange::Delete { .. })
            && matches!(lower.at().account, AccountKey::Standing(_))
        {
            self.violated("touch_only_what_we_granted", format!("{elapsed}: deletes {id}"));
        }
        let live = state.grants_of(lower.at()).filter(|g| g.phase.is_live()).map(|g| g.terms.role.clone());
        let own = state.accounts.get(lower.at()).map(|a| a.baseline.clone()).unwrap_or_default();
        self.wrote(elapsed, id, written, Some(own.into_iter().chain(live).collect()));
        let raced = self.raced(id, elapsed);
        let Some(admin) = cloud.admins.get(id).filter(|_| !raced) else { return };
        let order = order();
        let Some(account) = state.accounts.get(lower.at()) else {
            return self
                .violated("touch_only_what_we_granted", format!("{elapsed}: {lower:?} of no account"));
        };
        let live = |r: &RoleName| {
            state.grants_of(lower.at()).any(|g: &Grant| g.phase.is_live() && g.terms.role == *r)
        };
        let back = |r: &RoleName| {
            self.displaced.get(id).is_some_and(|d| d.contains(r)) && (account.baseline.contains(r) || live(r))
        };
        let raises = |r: &&RoleName| !order.any_covers(&admin.roles, r) && !back(r);
        if let Some(role) = written.iter().find(raises) {
            let shown = &admin.roles;
            let text = format!("{elapsed}: writes {role} to {id}, which shows {shown:?}");
            self.violated("a_revocation_never_raises", text);
        }
    }

    /// A write takes effect.
    pub(super) fn applied(&mut self, elapsed: u64, write: &Write, late: bool, cloud: &JumpCloud) {
        let id = match write {
            Write::Set(id, ..) | Write::Delete(id) => id.clone(),
            Write::Create(address, _) => {
                if cloud.by_email(address.as_str()).is_none() {
                    self.aimed_at.insert(JumpCloud::id_of_nth(cloud.made + 1));
                }
                return;
            }
        };
        if let Write::Set(_, roles, _) = write {
            let before = cloud.admins.get(&id).map(|a| a.roles.clone()).unwrap_or_default();
            let same = |w: &&mut Writing| w.id == id && w.applied.is_none() && w.roles == *roles;
            if let Some(writing) = self.writings.iter_mut().rfind(same) {
                writing.applied = Some((elapsed, before));
            }
        }
        if late {
            self.late(&id, write);
            self.stirred.insert(id, elapsed);
        }
    }

    fn late(&mut self, id: &AccountId, write: &Write) {
        self.saw("late write");
        let Write::Set(_, roles, _) = write else { return };
        let over = |g: &&Grant| {
            !g.phase.is_live()
                && matches!(&g.terms.account, AccountKey::Standing(a) if a == id)
                && roles.contains(&g.terms.role)
        };
        if self.state.grants.values().any(|g| over(&g) && g.phase != Phase::Revoking) {
            self.saw("late raise after the end");
        }
    }

    fn check_aim(&mut self, elapsed: u64, id: &AccountId) {
        if !self.aimed_at.contains(id) {
            self.violated("touch_only_what_we_granted", format!("{elapsed}: {id} was never asked for"));
        }
    }

    /// The engine's state is the fold of what it handed out; a job's memory may be shorter by its time.
    pub(crate) fn check_fold(&mut self, engine: &State) {
        let same = engine.grants == self.state.grants
            && engine.accounts == self.state.accounts
            && engine.organizations == self.state.organizations
            && engine.jobs.iter().all(|(id, seen)| self.state.jobs.get(id) == Some(seen));
        if !same {
            let text = format!("engine {engine:?}\nfold {:?}", self.state);
            self.violated("state_is_the_fold", text);
        }
    }
}

/// The order in force in the model's tenant.
pub(crate) fn order() -> RoleOrder {
    RoleOrder::new(&[], Some(&roles()))
}
