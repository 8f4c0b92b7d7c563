//! The calls.

use std::{collections::HashSet, time::Duration};

use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Serialize;

use super::{Connection, outcome, wire};
use crate::{
    engine::{
        action::RoleField,
        ids::{AccountId, Email, OrgId, RoleName},
        observed::{
            DiscoveredRole, Fault, FaultClass, Listing, ObservedAccount, ReadOutcome, WhoAmI, WriteOutcome,
        },
    },
    http::{Answer, Door, DoorError, DoorOptions, ProxyOptions, Request},
};

/// A write's total time-out; the engine serialises on it, so it bounds how long a lower waits.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer that is read: a hundred accounts are far below.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// The most pages of a listing: a hundred thousand administrators.
const MAX_PAGES: u32 = 1_000;

/// A client of one organization.
#[derive(Debug)]
pub struct Client {
    door: Door,
    headers: Vec<(HeaderName, HeaderValue)>,
    page_size: u32,
}

/// An ephemeral account to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// Its tagged address.
    pub email: Email,
    /// Its role.
    pub role: RoleName,
    /// For the console's display.
    pub firstname: Option<String>,
    /// For the console's display.
    pub lastname: Option<String>,
}

impl Client {
    /// A client over a connection.
    ///
    /// # Errors
    /// [`DoorError`] if the origin or the certificate authorities cannot be used.
    pub fn new(connection: &Connection) -> Result<Self, DoorError> {
        Self::through(connection, None)
    }

    /// As [`Client::new`], through a proxy if there is one.
    ///
    /// # Errors
    /// [`DoorError`], also for a proxy's URL that is none.
    pub fn through(connection: &Connection, proxy: Option<ProxyOptions>) -> Result<Self, DoorError> {
        let door = Door::new(DoorOptions {
            origin: connection.url.clone(),
            extra_ca_pem: connection.ca_pem.clone(),
            only_extra_ca: false,
            proxy,
            connect_timeout: Duration::from_secs(5),
            read_timeout: WRITE_TIMEOUT,
            total_timeout: WRITE_TIMEOUT,
            max_body: MAX_BODY,
            user_agent: concat!("ephemerald/", env!("CARGO_PKG_VERSION")).to_owned(),
        })?;
        let mut key = HeaderValue::from_str(connection.token.expose())
            .map_err(|_| DoorError::Client("the token cannot be sent in a header".to_owned()))?;
        key.set_sensitive(true);
        let mut headers = vec![
            (HeaderName::from_static("x-api-key"), key),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ];
        let org = connection.org_id.as_ref().map(|org| HeaderValue::from_str(org.as_str()));
        if let Some(Ok(org)) = org {
            headers.push((HeaderName::from_static("x-org-id"), org));
        }
        Ok(Self { door, headers, page_size: connection.page_size })
    }

    /// Whose credential this is, in which organization: getSelf, with `/api/organizations` as the
    /// fallback for the organization. Neither is promised by the published documents.
    ///
    /// # Errors
    /// The fault of getSelf, where the fallback brings nothing either; the fallback's own fault if it
    /// was not answered.
    pub async fn who_am_i(&self) -> ReadOutcome<WhoAmI> {
        let me = match self.get_body("/api/users/getSelf", true).await {
            Ok((body, status)) => wire::whoami(&body).map_err(|_| outcome::garbled(status))?,
            // Not offered to this credential. Any other fault is the answer: who we are decides what
            // is protected, so an outage must not pass for an answer that tells less.
            Err(fault) if matches!(fault.class, FaultClass::NotFound | FaultClass::Forbidden) => {
                let org = self.organization().await?;
                return org
                    .map(|org| WhoAmI { account: None, email: None, role: None, org: Some(org) })
                    .ok_or(fault);
            }
            Err(fault) => return Err(fault),
        };
        if me.org.is_some() {
            return Ok(me);
        }
        let org = match self.organization().await {
            Err(fault) if fault.class != FaultClass::Forbidden && fault.class != FaultClass::NotFound => {
                return Err(fault);
            }
            asked => asked.unwrap_or_default(),
        };
        if me.account.is_none() && org.is_none() {
            return Err(outcome::garbled(200));
        }
        Ok(WhoAmI { org, ..me })
    }

    /// All administrators, every page, in one pass.
    ///
    /// # Errors
    /// The first fault: half a listing is none.
    pub async fn list(&self) -> ReadOutcome<Listing> {
        let mut accounts: Vec<wire::Found> = Vec::new();
        let mut ids = HashSet::new();
        let mut totals = Vec::new();
        for _ in 0..MAX_PAGES {
            // Sorted, as JumpCloud advises for every paged read; filtered here, because it is not proven
            // that the server filters this route. Skips what came, not what was asked for: the server
            // may give smaller pages.
            let path = format!("/api/users?limit={}&skip={}&sort=_id", self.page_size, accounts.len());
            let (body, status) = self.get_body(&path, true).await?;
            let (found, total) = wire::accounts(&body).map_err(|_| outcome::garbled(status))?;
            let news = found.iter().filter(|(account, _)| ids.insert(account.id.clone())).count();
            accounts.extend(found);
            totals.push(total);
            if news == 0 || total.is_some_and(|total| accounts.len() as u64 >= total) {
                break;
            }
        }
        Ok(whole(accounts, ids.len(), &totals))
    }

    /// One administrator.
    ///
    /// # Errors
    /// The fault; `NotFound` proves nothing by itself.
    pub async fn get(&self, id: &AccountId) -> ReadOutcome<ObservedAccount> {
        let (body, status) = self.get_body(&format!("/api/users/{id}"), true).await?;
        let (account, _) = wire::account(&body).map_err(|_| outcome::garbled(status))?;
        if account.id == *id { Ok(account) } else { Err(outcome::garbled(status)) }
    }

    /// The tenant's roles (`/api/v2/roles`; undocumented, checked live by the vendor's own client).
    ///
    /// # Errors
    /// The first fault.
    pub async fn roles(&self) -> ReadOutcome<Vec<DiscoveredRole>> {
        let mut roles: Vec<DiscoveredRole> = Vec::new();
        let mut seen = 0;
        for _ in 0..MAX_PAGES {
            let path = format!("/api/v2/roles?limit={}&skip={seen}", self.page_size);
            let (body, status) = self.get_body(&path, true).await?;
            let (found, total) = wire::roles(&body).map_err(|_| outcome::garbled(status))?;
            let known = roles.len();
            let page = found.len();
            for role in found {
                if !roles.iter().any(|known| known.name == role.name) {
                    roles.push(role);
                }
            }
            let reached = |count: usize| total.is_none_or(|total| count as u64 >= total);
            if roles.len() == known {
                // Half a list would make roles incomparable, or unknown, that are neither.
                return if reached(seen) { Ok(roles) } else { Err(outcome::garbled(status)) };
            }
            seen += page;
            if total.is_some() && reached(seen) {
                return Ok(roles);
            }
        }
        Err(outcome::garbled(200))
    }

    /// Makes an account; the id if the answer tells one.
    ///
    /// # Errors
    /// The fault; see [`Fault::may_have_happened`].
    pub async fn create(&self, account: &NewAccount) -> WriteOutcome<Option<AccountId>> {
        let body = wire::Create {
            email: account.email.as_str(),
            role_name: account.role.as_str(),
            enable_multi_factor: true,
            api_key_allowed: false,
            firstname: account.firstname.as_deref(),
            lastname: account.lastname.as_deref(),
        };
        let answer = self.write(Method::POST, "/api/users", Some(&body)).await?;
        Ok(wire::created(&answer.body))
    }

    /// Sets exactly these roles; nothing else is written.
    ///
    /// # Errors
    /// `NotSent` for an empty set, or for several roles in the singular field; else the fault, see [`Fault::may_have_happened`].
    pub async fn set_roles(&self, id: &AccountId, roles: &[RoleName], field: RoleField) -> WriteOutcome<()> {
        let all = || roles.iter().map(RoleName::as_str).collect();
        let (role_name, role_names) = match (field, roles) {
            (RoleField::One, [only]) => (Some(only.as_str()), None),
            (RoleField::Several, [_, ..]) => (None, Some(all())),
            (RoleField::Both, [only]) => (Some(only.as_str()), Some(all())),
            // No role, or several in the field for one: what JumpCloud makes of it is not known.
            _ => return Err(Fault::of(FaultClass::NotSent)),
        };
        let body = wire::SetRoles { role_name, role_names };
        self.write(Method::PUT, &format!("/api/users/{id}"), Some(&body)).await.map(drop)
    }

    /// Deletes an account.
    ///
    /// # Errors
    /// The fault; see [`Fault::may_have_happened`].
    pub async fn delete(&self, id: &AccountId) -> WriteOutcome<()> {
        self.write(Method::DELETE, &format!("/api/users/{id}"), None::<&()>).await.map(drop)
    }

    /// The origin, for messages.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.door.origin()
    }

    async fn organization(&self) -> ReadOutcome<Option<OrgId>> {
        // This route refuses the organization header. Two, so that a multi-tenant key shows as one.
        let (body, status) = self.get_body("/api/organizations?limit=2", false).await?;
        wire::organization(&body).map_err(|_| outcome::garbled(status))
    }

    async fn get_body(&self, path: &str, with_org: bool) -> ReadOutcome<(Vec<u8>, u16)> {
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| with_org || name != "x-org-id");
        let request = Request {
            method: Method::GET,
            path: path.to_owned(),
            headers,
            body: None,
            total_timeout: Some(READ_TIMEOUT),
        };
        let answer = self.send(request).await?;
        Ok((answer.body, answer.status))
    }

    async fn write<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<Answer, Fault> {
        let mut headers = self.headers.clone();
        let body = body.map(|body| serde_json::to_vec(body).expect("texts and lists serialise"));
        if body.is_some() {
            headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        let request =
            Request { method, path: path.to_owned(), headers, body, total_timeout: Some(WRITE_TIMEOUT) };
        let answer = self.send(request).await?;
        // A gateway's page with a 200 is not JumpCloud's word.
        if wire::is_answer(&answer.body) { Ok(answer) } else { Err(outcome::garbled(answer.status)) }
    }

    async fn send(&self, request: Request) -> Result<Answer, Fault> {
        let (method, path) =
            (request.method.clone(), request.path.split('?').next().unwrap_or("").to_owned());
        match self.door.send(request).await {
            Ok(answer) => {
                tracing::debug!(method = %method, path, status = answer.status, "JumpCloud answered");
                outcome::classify(&answer)?;
                Ok(answer)
            }
            Err(fault) => {
                tracing::warn!(method = %method, path, error = %fault, "JumpCloud: no answer from {}", self.door.origin());
                Err(outcome::unanswered(&fault))
            }
        }
    }
}

/// A listing is complete if no id came twice and every page stated the number that came: a total
/// that moved means that rows moved between pages too, and no total proves no absence.
fn whole(accounts: Vec<wire::Found>, ids: usize, totals: &[Option<u64>]) -> Listing {
    let count = accounts.len();
    let complete = ids == count && totals.iter().all(|total| *total == Some(count as u64));
    let org = accounts.first().and_then(|(_, org)| org.clone());
    let org = org.filter(|org| accounts.iter().all(|(_, other)| other.as_ref() == Some(org)));
    Listing {
        accounts: accounts.into_iter().map(|(account, _)| account).collect(),
        complete,
        org,
        requests: u32::try_from(totals.len()).unwrap_or(u32::MAX),
    }
}
