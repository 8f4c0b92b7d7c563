//! The calls.

use std::{collections::HashSet, time::Duration};

use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Serialize;

use super::{Connection, outcome, wire};
use crate::{
    clock,
    engine::{
        ids::{AccountId, Email, OrgId, RoleName},
        observed::{DiscoveredRole, Fault, Listing, ObservedAccount, ReadOutcome, WhoAmI, WriteOutcome},
    },
    http::{Answer, Door, DoorError, DoorOptions, Request},
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
    with_org: bool,
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
        let door = Door::new(DoorOptions {
            origin: connection.url.clone(),
            extra_ca_pem: connection.ca_pem.clone(),
            only_extra_ca: false,
            proxy: None,
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
        Ok(Self { door, headers, with_org: connection.org_id.is_some(), page_size: connection.page_size })
    }

    /// Whose credential this is, in which organization: getSelf, with `/api/organizations` as the
    /// fallback for the organization. Neither is promised by the published documents.
    ///
    /// # Errors
    /// The fault of getSelf, where the fallback brings nothing either.
    pub async fn who_am_i(&self) -> ReadOutcome<WhoAmI> {
        let me = match self.get_body("/api/users/getSelf", true).await {
            Ok((body, status)) => wire::whoami(&body).map_err(|_| outcome::garbled(status)),
            Err(fault) => Err(fault),
        };
        match me {
            Ok(me) if me.org.is_some() => Ok(me),
            other => match (self.organization().await, other) {
                (Some(org), Ok(me)) => Ok(WhoAmI { org: Some(org), ..me }),
                (Some(org), Err(_)) => Ok(WhoAmI { account: None, email: None, role: None, org: Some(org) }),
                (None, other) => other,
            },
        }
    }

    /// All administrators, every page, in one pass.
    ///
    /// # Errors
    /// The first fault: half a listing is none.
    pub async fn list(&self) -> ReadOutcome<Listing> {
        let mut accounts: Vec<(ObservedAccount, Option<OrgId>)> = Vec::new();
        let mut total = None;
        for page in 0..MAX_PAGES {
            let skip = page * self.page_size;
            // Sorted, as JumpCloud advises for every paged read; filtered here, because it is not proven
            // that the server filters this route.
            let path = format!("/api/users?limit={}&skip={skip}&sort=_id", self.page_size);
            let (body, status) = self.get_body(&path, true).await?;
            let (found, stated) = wire::accounts(&body).map_err(|_| outcome::garbled(status))?;
            total = stated.or(total);
            let last =
                found.is_empty() || (found.len() as u64) < u64::from(self.page_size) && total.is_none();
            accounts.extend(found);
            if last || total.is_some_and(|total| accounts.len() as u64 >= total) {
                break;
            }
        }
        Ok(whole(accounts, total))
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
        for page in 0..MAX_PAGES {
            let path = format!("/api/v2/roles?limit={}&skip={}", self.page_size, page * self.page_size);
            let (body, status) = self.get_body(&path, true).await?;
            let (found, total) = wire::roles(&body).map_err(|_| outcome::garbled(status))?;
            let news =
                found.iter().filter(|r| !roles.iter().any(|k| k.name == r.name)).cloned().collect::<Vec<_>>();
            let done = news.is_empty() || (found.len() as u64) < u64::from(self.page_size);
            roles.extend(news);
            if done || total.is_some_and(|total| roles.len() as u64 >= total) {
                break;
            }
        }
        Ok(roles)
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
    /// The fault; see [`Fault::may_have_happened`].
    pub async fn set_roles(&self, id: &AccountId, roles: &[RoleName], plural: bool) -> WriteOutcome<()> {
        let body = match roles {
            [only] if !plural => wire::SetRoles::RoleName(only.as_str()),
            _ => wire::SetRoles::RoleNames(roles.iter().map(RoleName::as_str).collect()),
        };
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

    async fn organization(&self) -> Option<OrgId> {
        // This route refuses the organization header.
        let (body, _) = self.get_body("/api/organizations?limit=2", !self.with_org).await.ok()?;
        wire::organization(&body)
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
        self.send(Request {
            method,
            path: path.to_owned(),
            headers,
            body,
            total_timeout: Some(WRITE_TIMEOUT),
        })
        .await
    }

    async fn send(&self, request: Request) -> Result<Answer, Fault> {
        let (method, path) =
            (request.method.clone(), request.path.split('?').next().unwrap_or("").to_owned());
        match self.door.send(request).await {
            Ok(answer) => {
                tracing::debug!(method = %method, path, status = answer.status, "JumpCloud answered");
                outcome::classify(&answer, clock::now().wall.0)?;
                Ok(answer)
            }
            Err(fault) => {
                tracing::warn!(method = %method, path, error = %fault, "JumpCloud: no answer from {}", self.door.origin());
                Err(outcome::unanswered(&fault))
            }
        }
    }
}

/// A listing is complete if no id comes twice and as many came as were stated.
fn whole(accounts: Vec<(ObservedAccount, Option<OrgId>)>, total: Option<u64>) -> Listing {
    let ids: HashSet<&AccountId> = accounts.iter().map(|(a, _)| &a.id).collect();
    let complete = ids.len() == accounts.len() && total.is_none_or(|total| total == accounts.len() as u64);
    let mut orgs: Vec<OrgId> = accounts.iter().filter_map(|(_, org)| org.clone()).collect();
    let all_named = orgs.len() == accounts.len();
    orgs.dedup();
    let org = if all_named && orgs.len() == 1 { orgs.pop() } else { None };
    Listing { accounts: accounts.into_iter().map(|(a, _)| a).collect(), complete, org }
}
