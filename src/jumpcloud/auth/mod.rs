//! How a request shows who sends it: an API key, or a service account's access token.
//!
//! Refuses to let the secret go anywhere but into its header, and to send both kinds at once.

mod answer;
mod tokens;

use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::connection::{Connection, Credential};
use crate::{
    engine::{
        observed::{Fault, FaultClass},
        time::{Millis, Now, Timestamp},
    },
    http::{DoorError, ProxyOptions},
};
pub use tokens::TokenProblem;
use tokens::Tokens;

/// The token in a token endpoint's 2xx answer and how long it is used, or what is wrong with it.
pub(super) fn granted(body: &[u8], now: Timestamp) -> Result<(Zeroizing<String>, Millis), &'static str> {
    answer::granted(body, now).map(|granted| (granted.token, granted.lives))
}

/// What another answer of a token endpoint means.
pub(super) fn refused(status: u16, body: &[u8]) -> FaultClass {
    answer::refused(status, body)
}

/// The way of one integration.
#[derive(Debug)]
pub(super) enum Auth {
    Key(HeaderValue),
    ServiceAccount(Arc<Tokens>),
}

/// One header, and which token it carries.
pub(super) struct Pass {
    pub(super) header: (HeaderName, HeaderValue),
    /// The number of the access token; an API key has none and cannot be renewed.
    pub(super) token: Option<u64>,
}

impl Auth {
    pub(super) fn of(
        connection: &Connection,
        proxy: Option<&ProxyOptions>,
        clock: fn() -> Now,
    ) -> Result<Self, DoorError> {
        match &connection.credential {
            Credential::ApiKey(key) => {
                let mut key = HeaderValue::from_str(key.expose())
                    .map_err(|_| DoorError::Client("the token cannot be sent in a header".to_owned()))?;
                key.set_sensitive(true);
                Ok(Self::Key(key))
            }
            Credential::ServiceAccount { client_id, client_secret } => {
                Tokens::new(connection, (client_id, client_secret), proxy, clock)
                    .map(|tokens| Self::ServiceAccount(Arc::new(tokens)))
            }
        }
    }

    /// What the next request carries.
    ///
    /// # Errors
    /// The token could not be had: the request is not sent, see [`TokenProblem`].
    pub(super) async fn pass(&self) -> Result<Pass, Fault> {
        match self {
            Self::Key(key) => {
                Ok(Pass { header: (HeaderName::from_static("x-api-key"), key.clone()), token: None })
            }
            Self::ServiceAccount(tokens) => {
                let (value, number) = tokens.get().await.map_err(|problem| problem.fault)?;
                Ok(Pass { header: (AUTHORIZATION, value), token: Some(number) })
            }
        }
    }

    /// The token of this number was not accepted: another one, made since.
    ///
    /// # Errors
    /// As [`Auth::pass`].
    pub(super) async fn renewed(&self, number: u64) -> Result<Pass, Fault> {
        if let Self::ServiceAccount(tokens) = self {
            tokens.refuse(number);
        }
        self.pass().await
    }

    /// Whether it is a service account.
    pub(super) fn tokens(&self) -> Option<&Arc<Tokens>> {
        match self {
            Self::Key(_) => None,
            Self::ServiceAccount(tokens) => Some(tokens),
        }
    }
}
