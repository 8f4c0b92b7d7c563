//! One request to JumpCloud's API: who sends it, for which organization, and what is done when either
//! is not taken.
//!
//! **401 with an access token.** The token is made anew once and the request repeated once, writes
//! included: a 401 says that the sender was not known, so nothing was carried out, and a repeat cannot
//! do it twice. An API key is not repeated: there is no other one.
//!
//! **`x-org-id`** is sent, where the connection has an `org_id`, with everything about administrators
//! and roles; never with getSelf and `/api/organizations`, which are about the credential. Sources
//! disagree whether `/api/users` takes it; a route that does not take it answers 403. So a 403 that
//! met the header is asked once more without it, as far as that cannot reach another organization:
//! - a request that names an administrator by id means the same administrator either way;
//! - a listing, a create and the roles name nobody: without the header they would go to whichever
//!   organization the credential means by itself. They are repeated only if the credential has exactly
//!   one organization, and that is the configured one, by JumpCloud's own word of the last minute.
//!
//! If the repeat is refused too, the first answer is the answer. A 400, 401 or 404 that met the header
//! is never repeated without it: that is what a wrong `org_id` gets, and it must stay a fault. It never
//! becomes "gone", because a 404 proves nothing and an absence needs a complete listing.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
};

use super::{
    auth::{Auth, Pass},
    outcome, wire,
};
use crate::{
    engine::{
        ids::OrgId,
        observed::{Fault, FaultClass},
        time::{BootTime, Millis, Now},
    },
    http::{Answer, Door, Request},
};

/// How long JumpCloud's word on a credential's organizations counts.
const SOLE_FOR: Millis = Millis(60_000);
/// With less of its time left than this, a request is not begun.
const LEAST: Millis = Millis(2_000);

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// One administrator, named by id.
    Account,
    /// The organization at large.
    Organization,
    /// What was done in the organization, at another origin: never without the header.
    Events,
    /// The credential itself; also asked with the header if it is not known without.
    Credential {
        /// Send the header all the same.
        header: bool,
    },
}

/// A request, before anybody signed it.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Vec<u8>>,
    pub(super) about: About,
    /// For everything, tokens and repeats included.
    pub(super) patience: Duration,
    /// Not to be sent after this instant.
    pub(super) not_after: Option<BootTime>,
}

/// The way to one origin of JumpCloud's.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) door: Door,
    pub(super) auth: std::sync::Arc<Auth>,
    pub(super) org: Option<OrgId>,
    pub(super) clock: fn() -> Now,
    /// Writes, and reads, go without the header first: with it they were refused, without they were not.
    bare: [AtomicBool; 2],
    /// Until when (boot-time clock) the credential is known to have the configured organization only.
    sole_until: AtomicU64,
    /// What showed that somebody else gave the last answer.
    pub(super) foreign: Mutex<Option<String>>,
}

impl Line {
    pub(super) fn new(
        door: Door,
        auth: std::sync::Arc<Auth>,
        org: Option<OrgId>,
        clock: fn() -> Now,
    ) -> Self {
        let sole_until = AtomicU64::new(0);
        Self { door, auth, org, clock, bare: Default::default(), sole_until, foreign: Mutex::default() }
    }

    /// Sends it; `Ok` is a 2xx.
    pub(super) async fn send(&self, call: &Call) -> Result<Answer, Fault> {
        let began = (self.clock)().boot;
        if let About::Credential { header } = call.about {
            return self.signed(call, header, began).await;
        }
        if self.org.is_none() {
            return self.signed(call, false, began).await;
        }
        // Reads and writes may differ.
        let bare = &self.bare[usize::from(call.method == Method::GET)];
        if bare.load(Ordering::Relaxed) && self.may_omit(call.about).await {
            match self.signed(call, false, began).await {
                Err(fault) if is_refusal(&fault) => bare.store(false, Ordering::Relaxed),
                answer => return answer,
            }
            return self.signed(call, true, began).await;
        }
        let refused = match self.signed(call, true, began).await {
            Err(fault) if fault.class == FaultClass::Forbidden => fault,
            answer => return answer,
        };
        if !self.may_omit(call.about).await {
            return Err(refused);
        }
        match self.signed(call, false, began).await {
            Ok(answer) => {
                bare.store(true, Ordering::Relaxed);
                Ok(answer)
            }
            // Another refusal adds nothing; what may have happened is told, and when to come back.
            Err(fault) if is_refusal(&fault) => Err(refused),
            Err(fault) => Err(fault),
        }
    }

    /// The organizations that the credential has: all of them, in pages of `limit`.
    ///
    /// # Errors
    /// The fault; `Forbidden` and `NotFound` mean that it may not ask.
    pub(super) async fn organizations(&self, limit: u32) -> Result<wire::Organizations, Fault> {
        let mut all = wire::Organizations::default();
        for _ in 0..100 {
            let more = self.organizations_from(all.ids.len(), limit).await?;
            let known = all.ids.len();
            all.total = more.total;
            all.ids.extend(more.ids.into_iter().filter(|id| !all.ids.contains(id)).collect::<Vec<_>>());
            if all.ids.len() == known || all.total.is_some_and(|t| all.ids.len() as u64 >= t) {
                break;
            }
        }
        Ok(all)
    }

    /// The first two, so that a credential of several shows as one.
    ///
    /// # Errors
    /// As for all of them.
    pub(super) async fn first_organizations(&self) -> Result<wire::Organizations, Fault> {
        self.organizations_from(0, 2).await
    }

    async fn organizations_from(&self, skip: usize, limit: u32) -> Result<wire::Organizations, Fault> {
        let skip = if skip == 0 { String::new() } else { format!("&skip={skip}") };
        let call = Call {
            method: Method::GET,
            path: format!("/api/organizations?limit={limit}{skip}"),
            body: None,
            about: About::Credential { header: false },
            patience: Duration::from_secs(15),
            not_after: None,
        };
        let answer = self.signed(&call, false, (self.clock)().boot).await?;
        wire::organizations(&answer.body).map_err(|_| outcome::garbled(answer.status))
    }

    async fn may_omit(&self, about: About) -> bool {
        match about {
            About::Account => true,
            About::Credential { .. } | About::Events => false,
            About::Organization if self.is_sole() => true,
            About::Organization => {
                let Ok(found) = self.first_organizations().await else { return false };
                let sole = found.only().is_some() && found.only() == self.org.as_ref();
                if sole {
                    let until = (self.clock)().boot + SOLE_FOR;
                    self.sole_until.store(until.0, Ordering::Relaxed);
                }
                sole
            }
        }
    }

    fn is_sole(&self) -> bool {
        (self.clock)().boot.0 < self.sole_until.load(Ordering::Relaxed)
    }

    /// With a credential; a token that is not taken is made anew once.
    async fn signed(&self, call: &Call, with_org: bool, began: BootTime) -> Result<Answer, Fault> {
        let pass = self.auth.pass().await?;
        let token = pass.token;
        let first = self.once(call, with_org, pass, began).await;
        match (first, token) {
            (Err(fault), Some(number)) if fault.class == FaultClass::Credential => {
                let pass = self.auth.renewed(number).await?;
                self.once(call, with_org, pass, began).await
            }
            (answer, _) => answer,
        }
    }

    async fn once(&self, call: &Call, with_org: bool, pass: Pass, began: BootTime) -> Result<Answer, Fault> {
        let now = (self.clock)().boot;
        let patience = u64::try_from(call.patience.as_millis()).unwrap_or(u64::MAX);
        let left = Millis(patience.saturating_sub(now.since(began).0));
        // A token or a repeat may have taken the time; what went before was certainly not carried out.
        if left < LEAST || call.not_after.is_some_and(|instant| now > instant) {
            return Err(Fault::of(FaultClass::NotSent));
        }
        let request = Request {
            method: call.method.clone(),
            path: call.path.clone(),
            headers: self.headers(call, with_org, pass),
            body: call.body.clone(),
            total_timeout: Some(Duration::from_millis(left.0)),
        };
        let path = call.path.split('?').next().unwrap_or("");
        match self.door.send(request).await {
            Ok(answer) => {
                tracing::debug!(method = %call.method, path, status = answer.status, "JumpCloud answered");
                let sign = self.door.foreign(&answer);
                if let Some(sign) = &sign {
                    tracing::warn!(method = %call.method, path, error = sign, "JumpCloud: somebody else answers");
                }
                *self.foreign.lock().unwrap_or_else(PoisonError::into_inner) = sign;
                outcome::classify(&answer)?;
                Ok(answer)
            }
            Err(fault) => {
                tracing::warn!(method = %call.method, path, error = %fault, "JumpCloud: no answer from {}", self.door.origin());
                Err(outcome::unanswered(&fault))
            }
        }
    }

    fn headers(&self, call: &Call, with_org: bool, pass: Pass) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = vec![pass.header, (ACCEPT, HeaderValue::from_static("application/json"))];
        let org = self.org.as_ref().filter(|_| with_org);
        if let Some(Ok(org)) = org.map(|org| HeaderValue::from_str(org.as_str())) {
            headers.push((HeaderName::from_static("x-org-id"), org));
        }
        if call.body.is_some() {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        headers
    }
}

/// Certainly not carried out, and for what it is: not for when, or for whatever happened on the way.
fn is_refusal(fault: &Fault) -> bool {
    use FaultClass::{Credential, Forbidden, NotFound, Refused};
    matches!(fault.class, Credential | Forbidden | NotFound | Refused)
}
