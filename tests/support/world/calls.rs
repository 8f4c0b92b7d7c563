//! What becomes of the engine's calls: reads answered by the model, writes with their fates.

use ephemerald::engine::{
    action::{CallId, Look, Lower, LowerChange, Raise, RaiseChange},
    ids::OrgId,
    input::{Input, Outcome},
    inventory::{Counts, Inventory},
    observed::{Fault, FaultClass, Listing, ObservedAccount, WhoAmI},
};

use super::{Event, Fate, JumpCloud, Neighbour, ORG, OTHER_ORG, World, Write, cloud::roles, email};

impl World {
    pub(super) fn read(&mut self, call: CallId, what: &Look) {
        self.cloud.reads += 1;
        let outcome = self.look(what);
        let takes = if matches!(what, Look::List) { self.listing_takes.0 } else { 0 };
        let shown: Vec<&ObservedAccount> = match &outcome {
            Outcome::Get(Ok(account)) => vec![account],
            Outcome::List(Ok(listing)) => {
                self.listings.push(call);
                listing.accounts.iter().collect()
            }
            _ => Vec::new(),
        };
        let came = self.elapsed + self.latency + takes;
        shown.into_iter().for_each(|account| self.witness.read(self.elapsed, came, account));
        self.after(self.latency + takes, Event::Answer(call, outcome));
    }

    /// A listing counts as evidence once it has come: one that waits while the machine sleeps says nothing to anybody.
    pub(super) fn heard(&mut self, call: CallId, outcome: &Outcome) {
        let own = self.listings.iter().position(|own| *own == call).map(|at| self.listings.swap_remove(at));
        if let (Some(_), Outcome::List(Ok(listing))) = (own, outcome) {
            let keys = listing.accounts.iter().flat_map(|a| [a.id.to_string(), a.email.to_string()]);
            self.witness.listed(keys.collect());
        }
    }

    /// Another integration's JumpCloud: it has a tenant of its own that nobody looks at here.
    pub(super) fn ask_neighbour(&mut self, call: CallId, what: &Look) {
        let throttled =
            || Fault { class: FaultClass::Throttled, status: Some(429), retry_after_ms: Some(30_000) };
        let outcome = match (self.neighbour, what) {
            (Neighbour::Silent, _) => return,
            (Neighbour::Throttled, Look::WhoAmI) => Outcome::WhoAmI(Err(throttled())),
            (Neighbour::Throttled, Look::Roles) => Outcome::Roles(Err(throttled())),
            (Neighbour::Throttled, Look::List) => Outcome::List(Err(throttled())),
            (Neighbour::Throttled, Look::Get(_)) => Outcome::Get(Err(throttled())),
            (Neighbour::Slow(_) | Neighbour::Well, _) => self.look(what),
        };
        let ms = if let Neighbour::Slow(ms) = self.neighbour { ms } else { self.latency };
        self.after(ms, Event::Answer(call, outcome));
    }

    /// An inventory goes to the control plane.
    pub(super) fn deliver(&mut self, inventory: Inventory) {
        let counts = self.takes_inventories.then(|| Counts {
            accounts: u32::try_from(inventory.accounts.len()).unwrap(),
            complete: inventory.complete,
            ..Counts::default()
        });
        if !self.loses_inventories {
            self.after(100, Event::Inventoried(inventory.jobs.clone(), counts));
        }
        self.inventories.push(inventory);
    }

    fn look(&self, what: &Look) -> Outcome {
        let org = if self.abroad { OTHER_ORG } else { ORG };
        let org = OrgId::new(org).ok().filter(|_| self.org_unreadable.is_none() && !self.nameless);
        let unreadable = self.org_unreadable.map(Fault::of);
        let lost = || Fault::of(FaultClass::Ambiguous);
        let forbidden = || Fault { class: FaultClass::Forbidden, status: Some(403), retry_after_ms: None };
        match what {
            Look::WhoAmI if self.down => Outcome::WhoAmI(Err(lost())),
            Look::WhoAmI if unreadable.is_some() => Outcome::WhoAmI(Err(unreadable.unwrap())),
            Look::WhoAmI => Outcome::WhoAmI(Ok(WhoAmI {
                account: self.cloud.by_email(self.owner),
                email: Some(email(self.owner)),
                role: None,
                org,
            })),
            Look::Roles if self.down => Outcome::Roles(Err(lost())),
            Look::Roles if self.serves_roles => Outcome::Roles(Ok(roles())),
            Look::Roles => Outcome::Roles(Err(forbidden())),
            Look::List if self.down => Outcome::List(Err(lost())),
            Look::List if unreadable.is_some() => Outcome::List(Err(unreadable.unwrap())),
            Look::List => {
                let mut accounts: Vec<_> =
                    self.cloud.admins.keys().filter_map(|id| self.cloud.show(id)).collect();
                accounts.retain(|_| !self.abroad);
                accounts.truncate(self.listing_shows);
                Outcome::List(Ok(Listing {
                    accounts,
                    complete: self.listing_complete,
                    org: org.filter(|_| !self.listings_nameless),
                    requests: self.listing_takes.1,
                    tagged: self.cloud.tagged(),
                    throttled: self.listing_throttled,
                }))
            }
            Look::Get(_) if self.down => Outcome::Get(Err(lost())),
            Look::Get(id) => {
                Outcome::Get(self.cloud.show(id).filter(|_| !self.blind && !self.abroad).ok_or(Fault {
                    class: FaultClass::NotFound,
                    status: Some(404),
                    retry_after_ms: None,
                }))
            }
        }
    }

    pub(super) fn send_raise(&mut self, raise: Raise) {
        let created = matches!(raise.change, RaiseChange::Create { .. });
        if self.now.boot > raise.send_by {
            let late = Err(Fault::of(FaultClass::NotSent));
            return self.input(Input::Outcome(raise.call, Outcome::Written(late)));
        }
        self.cloud.raises_applied += 1;
        let write = match raise.change {
            RaiseChange::SetRoles { id, roles, field } => Write::Set(id, roles, field),
            RaiseChange::Create { email, role, .. } => Write::Create(email, role),
        };
        let fate = self.send(raise.call, write, created);
        if !matches!(fate, Fate::Throttled | Fate::Refused | Fate::Unreachable) {
            self.witness.raised(&raise.at);
        }
    }

    pub(super) fn send_lower(&mut self, lower: &Lower) {
        let write = match lower.change() {
            LowerChange::SetRoles { id, roles, field } => Write::Set(id.clone(), roles.clone(), *field),
            LowerChange::Delete { id } => Write::Delete(id.clone()),
        };
        self.send(lower.call(), write, false);
    }

    fn send(&mut self, call: CallId, write: Write, create: bool) -> Fate {
        self.cloud.writes += 1;
        let refused = self.cloud.refuses.clone().filter(|(role, _)| write.carries(role));
        let fate = if self.down {
            Fate::Unreachable
        } else if self.fates.is_empty() {
            self.default_fate
        } else {
            self.fates.remove(0)
        };
        if fate != Fate::Fine {
            self.witness.faulty_at = self.elapsed;
        }
        let of = |class, status| Fault { class, status, retry_after_ms: None };
        let id = self.tells_ids.then(|| JumpCloud::id_of_nth(self.cloud.made + 1));
        let answer = |result: Result<(), Fault>| {
            if create { Outcome::Created(result.map(|()| id)) } else { Outcome::Written(result) }
        };
        if let (Fate::Lie | Fate::Refused, Write::Set(id, ..)) = (fate, &write) {
            *self.witness.in_vain.entry(id.clone()).or_default() += 1;
        }
        let half = self.latency / 2;
        let timeout = 10_000;
        let ambiguous = || Err(of(FaultClass::Ambiguous, None));
        let (apply, back, result) = match fate {
            Fate::Fine if matches!(&write, Write::Delete(id) if !self.cloud.admins.contains_key(id)) => {
                (None, self.latency, Err(of(FaultClass::NotFound, Some(404))))
            }
            Fate::Fine if refused.is_some() => {
                let class = refused.map_or(FaultClass::Refused, |(_, class)| class);
                (None, self.latency, Err(of(class, None)))
            }
            Fate::Fine => (Some(half), self.latency, Ok(())),
            Fate::AnswerLost => (Some(half), timeout, ambiguous()),
            Fate::Dropped => (None, timeout, ambiguous()),
            Fate::Late(ms) => (Some(ms), timeout, ambiguous()),
            Fate::Lie => (None, self.latency, Ok(())),
            Fate::Throttled => (None, self.latency, Err(of(FaultClass::Throttled, Some(429)))),
            Fate::Refused => (None, self.latency, Err(of(FaultClass::Refused, Some(400)))),
            Fate::Unreachable => (None, self.latency, Err(of(FaultClass::NotSent, None))),
        };
        if let Some(ms) = apply {
            self.after(ms, Event::Apply(write, matches!(fate, Fate::Late(_))));
        }
        self.after(back, Event::Answer(call, answer(result)));
        fate
    }
}
