//! Whose credential this is, and in which organization: getSelf, and `/api/organizations`. Neither is
//! promised by the published documents for every kind of credential.
//!
//! Where an `org_id` is configured, it is the organization only if JumpCloud says so: getSelf names it,
//! or it is among the credential's organizations. If the credential has others only, the answer is
//! `WrongOrganization`; if that cannot be read, no organization is named, and nothing is raised.
//! Refuses to take an outage for an answer that tells less: who we are decides what is protected.

use std::{
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

use reqwest::Method;

use super::{
    Client, outcome,
    sending::{About, Call},
    wire::{self, Own},
};
use crate::engine::{
    ids::OrgId,
    observed::{Fault, FaultClass, ReadOutcome, WhoAmI},
    time::{BootTime, Millis, Timestamp},
};

const PATIENCE: Duration = Duration::from_secs(15);
const DAY: Millis = Millis(24 * 60 * 60 * 1000);
/// An end nearer than this is told.
const SOON: Millis = Millis(14 * DAY.0);

/// All that is known of the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// Who it is.
    pub who: WhoAmI,
    /// When the key or secret runs out, by JumpCloud's word or else by the connection's.
    pub key_ends: Option<Timestamp>,
}

impl Client {
    /// Whose credential this is, in which organization.
    ///
    /// # Errors
    /// The fault of getSelf, where `/api/organizations` brings nothing either; its fault if it was not
    /// answered; `WrongOrganization` if the credential does not have the configured one.
    pub async fn who_am_i(&self) -> ReadOutcome<WhoAmI> {
        self.me().await.map(|me| me.who)
    }

    /// As [`Client::who_am_i`], with what an operator wants to know beside it.
    ///
    /// # Errors
    /// As there.
    pub async fn me(&self) -> ReadOutcome<Me> {
        let (own, unknown) = match self.own().await {
            Ok(own) => (own, None),
            Err(fault) if is_not_offered(&fault) => (Own::default(), Some(fault)),
            // A service account is no administrator; what getSelf says to one is not known.
            Err(fault) if fault.class == FaultClass::Credential && self.is_service_account() => {
                (Own::default(), Some(fault))
            }
            Err(fault) => return Err(fault),
        };
        let org = self.organization(own.org.as_ref()).await;
        let org = match (org, unknown) {
            (Err(fault), Some(first)) if is_not_offered(&fault) => {
                // A service account has no account of its own to protect: then this is all there is to
                // know, as long as the credential was taken somewhere.
                if self.is_service_account() && fault.class == FaultClass::Forbidden {
                    None
                } else {
                    return Err(first);
                }
            }
            (Ok(None), Some(first)) => return Err(first),
            (Err(fault), None) if is_not_offered(&fault) => None,
            (Err(fault), _) => return Err(fault),
            (Ok(org), _) => org,
        };
        if own.account.is_none() && org.is_none() && !self.is_service_account() {
            return Err(outcome::garbled(200));
        }
        if org.is_some() {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = org.clone();
        }
        if let Some(ends) = own.key_ends {
            self.ends.store(ends.0, Ordering::Relaxed);
        }
        self.tell_end(self.key_ends());
        let who = WhoAmI { account: own.account, email: own.email, role: own.role, org };
        Ok(Me { who, key_ends: self.key_ends() })
    }

    /// All organizations of the credential, by their ids.
    ///
    /// # Errors
    /// The fault; not every credential may ask.
    pub async fn organizations(&self) -> ReadOutcome<Vec<OrgId>> {
        self.line.organizations(self.page_size).await.map(|found| found.ids)
    }

    /// Once a day: with a dead key no access can be taken away.
    fn tell_end(&self, ends: Option<Timestamp>) {
        let now = (self.line.clock)();
        let Some(ends) = ends.filter(|ends| ends.since(now.wall) < SOON) else { return };
        let last = self.told.load(Ordering::Relaxed);
        if last != 0 && now.boot.since(BootTime(last)) < DAY {
            return;
        }
        self.told.store(now.boot.0.max(1), Ordering::Relaxed);
        let days = ends.since(now.wall).0 / DAY.0;
        tracing::error!(
            connection = self.file,
            key = self.key,
            credential = if self.is_service_account() { "client secret" } else { "API key" },
            days,
            "JumpCloud: the credential expires soon; without a new one no access can be taken away"
        );
    }

    /// getSelf: without the organization's header, as JumpCloud's own module asks it; with it where
    /// that is refused, because a multi-tenant credential may need it.
    async fn own(&self) -> ReadOutcome<Own> {
        let first = match self.get_self(false).await {
            Err(fault) if self.line.org.is_some() && (is_not_offered(&fault) || is_unknown(&fault)) => fault,
            answer => return answer,
        };
        match self.get_self(true).await {
            // The header is refused too: then it is no better with it, except that an unknown sender may
            // have become a known one.
            Err(fault) if !is_unknown(&first) && (is_not_offered(&fault) || is_bad_request(&fault)) => {
                Err(first)
            }
            answer => answer,
        }
    }

    async fn get_self(&self, header: bool) -> ReadOutcome<Own> {
        let call = Call {
            method: Method::GET,
            path: "/api/users/getSelf".to_owned(),
            body: None,
            about: About::Credential { header },
            patience: PATIENCE,
            not_after: None,
        };
        let answer = self.line.send(&call).await?;
        wire::own(&answer.body).map_err(|_| outcome::garbled(answer.status))
    }

    /// The organization that requests go to. `home` is what getSelf names.
    async fn organization(&self, home: Option<&OrgId>) -> ReadOutcome<Option<OrgId>> {
        let Some(configured) = &self.line.org else {
            return match home {
                Some(home) => Ok(Some(home.clone())),
                None => Ok(self.line.first_organizations().await?.only().cloned()),
            };
        };
        if home == Some(configured) {
            return Ok(home.cloned());
        }
        let found = self.line.organizations(self.page_size).await?;
        if found.ids.contains(configured) {
            return Ok(Some(configured.clone()));
        }
        // Only a list that is known to be whole shows that something is not in it.
        let whole = found.total.is_none_or(|total| total == found.ids.len() as u64) && !found.ids.is_empty();
        if whole { Err(Fault::of(FaultClass::WrongOrganization)) } else { Ok(None) }
    }
}

fn is_not_offered(fault: &Fault) -> bool {
    matches!(fault.class, FaultClass::NotFound | FaultClass::Forbidden)
}

fn is_unknown(fault: &Fault) -> bool {
    fault.class == FaultClass::Credential
}

fn is_bad_request(fault: &Fault) -> bool {
    fault.class == FaultClass::Refused
}
