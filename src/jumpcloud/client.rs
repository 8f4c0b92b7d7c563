//! One administrator at a time: read, create, set roles, delete.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde::Serialize;

use super::{
    Connection, Insights, TokenProblem,
    auth::Auth,
    connection::Credential,
    outcome,
    pace::Pace,
    sending::{About, Call, Line},
    wire,
};
use crate::{
    engine::{
        action::RoleField,
        ids::{AccountId, Email, OrgId, RoleName},
        observed::{Fault, FaultClass, ObservedAccount, ReadOutcome, WriteOutcome},
        time::{BootTime, Millis, Now, Timestamp},
    },
    http::{Answer, Door, DoorError, DoorOptions, ProxyOptions},
};

/// A write's total time-out; the engine serialises on it, so it bounds how long a lower waits.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer that is read: a hundred accounts are far below.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// A client of one organization.
#[derive(Debug)]
pub struct Client {
    pub(super) line: Line,
    pub(super) page_size: u32,
    pace: Mutex<Pace>,
    /// When a page last stated a total that was not its own length, on the boot-time clock; 0: never.
    pub(super) whole_totals_at: AtomicU64,
    /// The connection's file, for messages.
    pub(super) file: String,
    /// When the end of the key was told last.
    pub(super) told: AtomicU64,
    /// The key's name: a part of its digest.
    pub(super) key: String,
    /// When the key ends, as far as anybody said; 0: not known.
    pub(super) ends: AtomicI64,
    /// The organization that JumpCloud named last.
    pub(super) seen: Mutex<Option<OrgId>>,
}

/// What a client works with, beside its connection.
#[derive(Debug)]
pub struct Setup {
    /// A proxy for everything that belongs to the connection.
    pub proxy: Option<ProxyOptions>,
    /// Accounts in one page of a listing, 1 to 100.
    pub page_size: u32,
    /// Requests a second that the tenant is asked for at most; pages take half of it.
    pub rate_per_second: u32,
    /// The clocks.
    pub clock: fn() -> Now,
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
    /// [`DoorError`] if an origin, the certificate authorities or the proxy cannot be used.
    pub fn new(connection: &Connection, setup: &Setup) -> Result<Self, DoorError> {
        let auth = Arc::new(Auth::of(connection, setup.proxy.as_ref(), setup.clock)?);
        let door = door(connection, &connection.place.url, setup)?;
        Ok(Self {
            line: Line::new(door, auth, connection.org_id.clone(), setup.clock),
            page_size: setup.page_size,
            pace: Mutex::new(Pace::new(setup.rate_per_second)),
            whole_totals_at: AtomicU64::new(0),
            file: connection.origin.clone(),
            told: AtomicU64::new(0),
            key: connection.credential.digest(),
            ends: AtomicI64::new(connection.expires_at.map_or(0, |at| at.0)),
            seen: Mutex::default(),
        })
    }

    /// What showed that somebody else gave the last answer in JumpCloud's name, if it did.
    #[must_use]
    pub fn somebody_else(&self) -> Option<String> {
        self.line.foreign.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Directory Insights, with the same credential. `None` where its host is not known.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn insights(&self, connection: &Connection, setup: &Setup) -> Result<Option<Insights>, DoorError> {
        let Some(origin) = &connection.place.insights else { return Ok(None) };
        let door = door(connection, origin, setup)?;
        let line = Line::new(door, Arc::clone(&self.line.auth), connection.org_id.clone(), setup.clock);
        Ok(Some(Insights::new(line)))
    }

    /// One administrator.
    ///
    /// # Errors
    /// The fault; `NotFound` proves nothing by itself.
    pub async fn get(&self, id: &AccountId) -> ReadOutcome<ObservedAccount> {
        let call = Call {
            method: Method::GET,
            path: format!("/api/users/{id}"),
            body: None,
            about: About::Account,
            patience: READ_TIMEOUT,
            not_after: None,
        };
        let answer = self.line.send(&call).await?;
        let account = wire::account(&answer.body).map_err(|_| outcome::garbled(answer.status))?;
        if account.id == *id { Ok(account) } else { Err(outcome::garbled(answer.status)) }
    }

    /// Makes an account, if it is not later than `not_after`; the id if the answer tells one.
    ///
    /// # Errors
    /// The fault; see [`Fault::may_have_happened`].
    pub async fn create(
        &self,
        account: &NewAccount,
        not_after: Option<BootTime>,
    ) -> WriteOutcome<Option<AccountId>> {
        let body = wire::Create {
            email: account.email.as_str(),
            role_name: account.role.as_str(),
            enable_multi_factor: true,
            api_key_allowed: false,
            firstname: account.firstname.as_deref(),
            lastname: account.lastname.as_deref(),
        };
        let place = (About::Organization, "/api/users".to_owned());
        let answer = self.write(Method::POST, place, Some(&body), not_after).await?;
        Ok(wire::created(&answer.body))
    }

    /// Sets exactly these roles, if it is not later than `not_after`; nothing else is written.
    ///
    /// # Errors
    /// `NotSent` for an empty set, or for several roles in the singular field; else the fault, see [`Fault::may_have_happened`].
    pub async fn set_roles(
        &self,
        id: &AccountId,
        roles: &[RoleName],
        field: RoleField,
        not_after: Option<BootTime>,
    ) -> WriteOutcome<()> {
        let all = || roles.iter().map(RoleName::as_str).collect();
        let (role_name, role_names) = match (field, roles) {
            (RoleField::One, [only]) => (Some(only.as_str()), None),
            (RoleField::Several, [_, ..]) => (None, Some(all())),
            (RoleField::Both, [only]) => (Some(only.as_str()), Some(all())),
            // No role, or several in the field for one: what JumpCloud makes of it is not known.
            _ => return Err(Fault::of(FaultClass::NotSent)),
        };
        let body = wire::SetRoles { role_name, role_names };
        let place = (About::Account, format!("/api/users/{id}"));
        self.write(Method::PUT, place, Some(&body), not_after).await.map(drop)
    }

    /// Deletes an account.
    ///
    /// # Errors
    /// The fault; see [`Fault::may_have_happened`].
    pub async fn delete(&self, id: &AccountId) -> WriteOutcome<()> {
        let place = (About::Account, format!("/api/users/{id}"));
        self.write(Method::DELETE, place, None::<&()>, None).await.map(drop)
    }

    /// Makes sure that there is an access token; `None` with an API key, else how long it lives.
    ///
    /// # Errors
    /// [`TokenProblem`], for the operator.
    pub async fn token(&self) -> Option<Result<Millis, TokenProblem>> {
        let tokens = self.line.auth.tokens()?;
        Some(tokens.get().await.map(|_| tokens.life().unwrap_or_default()))
    }

    /// The key's name in messages: the first 8 digits of the SHA-256 of the whole key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The organization that JumpCloud named as this key's.
    #[must_use]
    pub fn seen_organization(&self) -> Option<OrgId> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the key ends, as JumpCloud or the connection says.
    #[must_use]
    pub fn key_ends(&self) -> Option<Timestamp> {
        Some(Timestamp(self.ends.load(Ordering::Relaxed))).filter(|at| at.0 != 0)
    }

    /// The origin, for messages.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.line.door.origin()
    }

    pub(super) fn is_service_account(&self) -> bool {
        self.line.auth.tokens().is_some()
    }

    pub(super) fn pace<T>(&self, ask: impl FnOnce(&mut Pace) -> T) -> T {
        ask(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn write<B: Serialize>(
        &self,
        method: Method,
        (about, path): (About, String),
        body: Option<&B>,
        not_after: Option<BootTime>,
    ) -> Result<Answer, Fault> {
        let body = body.map(|body| serde_json::to_vec(body).expect("texts and lists serialise"));
        let call = Call { method, path, body, about, patience: WRITE_TIMEOUT, not_after };
        let answer = self.line.send(&call).await?;
        // A gateway's page with a 200 is not JumpCloud's word.
        if wire::is_answer(&answer.body) { Ok(answer) } else { Err(outcome::garbled(answer.status)) }
    }
}

fn door(connection: &Connection, origin: &str, setup: &Setup) -> Result<Door, DoorError> {
    let door = Door::new(DoorOptions {
        origin: origin.to_owned(),
        extra_ca_pem: connection.ca_pem.clone(),
        only_extra_ca: connection.ca_only,
        proxy: setup.proxy.as_ref().map(ProxyOptions::duplicate),
        connect_timeout: Duration::from_secs(5),
        read_timeout: WRITE_TIMEOUT,
        total_timeout: WRITE_TIMEOUT,
        max_body: MAX_BODY,
        user_agent: concat!("ephemerald/", env!("CARGO_PKG_VERSION")).to_owned(),
    })?;
    Ok(match &connection.credential {
        Credential::ApiKey(key) => door.carrying(key),
        // Its secret goes to the token endpoint alone.
        Credential::ServiceAccount { .. } => door,
    })
}
