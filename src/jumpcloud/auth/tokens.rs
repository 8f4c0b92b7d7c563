//! Access tokens of a service account: OAuth client credentials (RFC 6749, section 4.4), as JumpCloud
//! takes them: Basic with the client id and secret as they are, `scope=api`.
//!
//! One token is held. It is made anew before it runs out, behind the back of whoever uses the old one,
//! so that taking access away does not wait for the token endpoint while there is a token that works.
//! However many wait, one request is under way; it goes on when they give up, so that a slow endpoint
//! is of use to the next try. Refuses redirects, other origins, and more than one secret in one place:
//! it has a door of its own.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{
    Method, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use tokio::sync::watch;
use zeroize::{Zeroize as _, Zeroizing};

use super::{super::outcome, answer};
use crate::{
    engine::{
        observed::{Fault, FaultClass},
        time::{BootTime, Millis, Now},
    },
    http::{Door, DoorError, DoorOptions, ProxyOptions},
    jumpcloud::connection::Connection,
    secrets::{Secret, guard::Watch},
};

/// How long one request for a token may take.
const FETCH: Duration = Duration::from_secs(20);
/// How long a call waits for it: with the write's own time-out, what the engine waits for a write.
const WAIT: Duration = Duration::from_secs(5);
/// A token is made anew this long before its end, or in the last fifth of its life if that is shorter.
const MARGIN: Millis = Millis(5 * 60_000);
/// After a failure behind a working token, the next try.
const AGAIN: Millis = Millis(15_000);
/// Tokens are a few kilobytes.
const MAX_BODY: usize = 64 * 1024;

/// Why there is no token. The class is that of the call which needed it: it was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenProblem {
    /// What it means for the call.
    pub fault: Fault,
    /// For the operator, in words of ours.
    pub why: String,
}

/// The tokens of one service account.
pub(in super::super) struct Tokens {
    door: Door,
    path: String,
    /// Where a token may go.
    homes: Vec<String>,
    basic: HeaderValue,
    clock: fn() -> Now,
    held: Mutex<State>,
    fetching: AtomicBool,
    rounds: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    token: Option<Held>,
    problem: Option<TokenProblem>,
    made: u64,
}

struct Held {
    value: HeaderValue,
    number: u64,
    /// From here on a new one is made behind its back.
    renew: BootTime,
    /// From here on it is not used.
    ends: BootTime,
    /// It is known, and may go where it belongs.
    _watches: Vec<Watch>,
}

impl Tokens {
    pub(super) fn new(
        connection: &Connection,
        (id, secret): (&str, &Secret),
        proxy: Option<&ProxyOptions>,
        clock: fn() -> Now,
    ) -> Result<Self, DoorError> {
        let url = connection.place.token_url.as_deref().unwrap_or_default();
        let parsed = Url::parse(url).map_err(|_| DoorError::Origin { origin: url.to_owned() })?;
        let door = Door::new(DoorOptions {
            origin: parsed.origin().ascii_serialization(),
            extra_ca_pem: connection.ca_pem.clone(),
            only_extra_ca: connection.ca_only,
            proxy: proxy.map(ProxyOptions::duplicate),
            connect_timeout: Duration::from_secs(5),
            read_timeout: FETCH,
            total_timeout: FETCH,
            max_body: MAX_BODY,
            user_agent: concat!("ephemerald/", env!("CARGO_PKG_VERSION")).to_owned(),
        })?
        .carrying(secret);
        let place = &connection.place;
        let homes = [Some(&place.url), place.insights.as_ref()];
        let pair = Zeroizing::new(format!("{id}:{}", secret.expose()));
        let basic = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        let mut basic = HeaderValue::from_str(&basic)
            .map_err(|_| DoorError::Client("the client secret cannot be sent in a header".to_owned()))?;
        basic.set_sensitive(true);
        Ok(Self {
            door,
            path: parsed.path().to_owned(),
            homes: homes.into_iter().flatten().map(|url| url.trim_end_matches('/').to_owned()).collect(),
            basic,
            clock,
            held: Mutex::default(),
            fetching: AtomicBool::new(false),
            rounds: watch::channel(0).0,
        })
    }

    /// A token that may be used now, and its number.
    pub(in super::super) async fn get(self: &Arc<Self>) -> Result<(HeaderValue, u64), TokenProblem> {
        if let Some(found) = self.held_now() {
            return Ok(found);
        }
        let mut round = self.rounds.subscribe();
        self.fetch();
        let ended = tokio::time::timeout(WAIT, round.changed()).await;
        if let Some(found) = self.held_now() {
            return Ok(found);
        }
        let told = self.state().problem.clone();
        Err(told.filter(|_| ended.is_ok()).unwrap_or_else(|| {
            let why = format!("{}: no token within {} s", self.door.origin(), WAIT.as_secs());
            TokenProblem { fault: Fault::of(FaultClass::NotSent), why }
        }))
    }

    /// How long the present token may be used.
    pub(in super::super) fn life(&self) -> Option<Millis> {
        self.state().token.as_ref().map(|held| held.ends.since((self.clock)().boot))
    }

    /// The token of this number was not accepted. A newer one stays.
    pub(super) fn refuse(&self, number: u64) {
        let mut state = self.state();
        state.token = state.token.take().filter(|held| held.number != number);
    }

    fn held_now(self: &Arc<Self>) -> Option<(HeaderValue, u64)> {
        let now = (self.clock)().boot;
        let mut state = self.state();
        let held = state.token.as_mut().filter(|held| now < held.ends)?;
        let found = (held.value.clone(), held.number);
        if now >= held.renew {
            held.renew = now + AGAIN;
            drop(state);
            self.fetch();
        }
        Some(found)
    }

    /// Starts a request for a token, unless one is under way.
    fn fetch(self: &Arc<Self>) {
        if self.fetching.swap(true, Ordering::AcqRel) {
            return;
        }
        let done = Done(Arc::clone(self));
        tokio::spawn(async move {
            let done = done; // also when this task is lost: the next caller may try again
            let asked_at = (done.0.clock)().boot;
            let made = done.0.ask().await;
            done.0.keep(asked_at, made);
        });
    }

    fn keep(&self, asked_at: BootTime, made: Result<answer::Granted, TokenProblem>) {
        let mut state = self.state();
        let watched = |token: &str| self.homes.iter().map(|home| Watch::for_origin(token, home)).collect();
        match made.and_then(|granted| Ok((bearer(&granted.token)?, watched(&granted.token), granted.lives))) {
            Ok((value, watches, lives)) => {
                state.made += 1;
                let early = MARGIN.min(Millis(lives.0 / 5));
                let (number, ends) = (state.made, asked_at + lives);
                let renew = asked_at + Millis(lives.0 - early.0);
                state.token = Some(Held { value, number, renew, ends, _watches: watches });
                state.problem = None;
                tracing::debug!(lives_s = lives.0 / 1000, "JumpCloud: a token was made");
            }
            Err(problem) => {
                tracing::warn!(error = problem.why, "JumpCloud: no token for the service account");
                state.problem = Some(problem);
            }
        }
    }

    async fn ask(&self) -> Result<answer::Granted, TokenProblem> {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = crate::http::Request {
            method: Method::POST,
            path: self.path.clone(),
            headers: vec![
                (AUTHORIZATION, self.basic.clone()),
                (CONTENT_TYPE, form),
                (ACCEPT, HeaderValue::from_static("application/json")),
            ],
            body: Some(b"grant_type=client_credentials&scope=api".to_vec()),
            total_timeout: None,
        };
        let here = |what: &str| format!("{}{}: {what}", self.door.origin(), self.path);
        // Whatever happened to this request: the call that needs the token has not been sent.
        let unsent = |why: String| TokenProblem { fault: Fault::of(FaultClass::NotSent), why };
        let mut answer = self.door.send(request).await.map_err(|fault| unsent(here(&fault.to_string())))?;
        if !(200..300).contains(&answer.status) {
            let class = answer::refused(answer.status, &answer.body);
            let hint = outcome::classify(&answer).err().and_then(|fault| fault.retry_after_ms);
            let told = class != FaultClass::NotSent;
            let fault = Fault { class, status: told.then_some(answer.status), retry_after_ms: hint };
            return Err(TokenProblem { fault, why: here(&format!("answered {}", answer.status)) });
        }
        let granted = answer::granted(&answer.body, (self.clock)().wall);
        answer.body.zeroize();
        granted.map_err(|why| unsent(here(why)))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({}{})", self.door.origin(), self.path)
    }
}

/// Ends a round when dropped: whoever waits looks at what it brought.
struct Done(Arc<Tokens>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.fetching.store(false, Ordering::Release);
        self.0.rounds.send_modify(|round| *round += 1);
    }
}

fn bearer(token: &str) -> Result<HeaderValue, TokenProblem> {
    let text = Zeroizing::new(format!("Bearer {token}"));
    let mut value = HeaderValue::from_str(&text).map_err(|_| TokenProblem {
        fault: Fault::of(FaultClass::NotSent),
        why: "the access_token cannot be sent in a header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}
