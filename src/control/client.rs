//! The calls to the control plane, each proven by the agent's key.
//!
//! Refuses answers that are not what the protocol says, however friendly their status; decides
//! nothing about jobs. A call is repeated at once in one case only: the control plane asked for a
//! nonce that the proof did not have.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    keys::KeyPair,
    proof::{ProofClaims, SCHEME, body_digest},
    wire::{
        AcquireAnswer, AcquireRequest, EnrollAnswer, EnrollRequest, HeartbeatAnswer, HeartbeatRequest,
        InventoryAnswer, InventoryRequest, NONCE_HEADER, Problem, RecoverAnswer, RecoverRequest, Report,
        ReportsAnswer, StatusAnswer, StatusRequest, USE_NONCE,
    },
};
use crate::{
    engine::{
        ids::{AgentId, JobId},
        time::Now,
    },
    http::{Answer, Door, Request, SendFault},
};

/// The longest wait of a long poll that the protocol allows, seconds.
pub const MAX_WAIT_S: u32 = 55;

/// Time on top of a long poll's wait before it counts as lost.
const GRACE: Duration = Duration::from_secs(10);

/// Which process speaks: told in every proof.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// Random, new at every start.
    pub instance: String,
    /// Grows at every start on one ledger.
    pub epoch: u64,
}

/// One control plane, spoken to with one key.
pub struct Client {
    door: Arc<Door>,
    key: KeyPair,
    issuer: String,
    speaker: Speaker,
    clock: fn() -> Now,
    nonce: Mutex<Option<String>>,
}

impl Client {
    /// A client of an enrolled agent.
    #[must_use]
    pub fn new(door: Arc<Door>, key: KeyPair, agent: &AgentId, speaker: Speaker, clock: fn() -> Now) -> Self {
        Self { issuer: agent.to_string(), ..Self::unenrolled(door, key, speaker, clock) }
    }

    /// A client that has yet to enrol: its proofs name the key's thumbprint.
    #[must_use]
    pub fn unenrolled(door: Arc<Door>, key: KeyPair, speaker: Speaker, clock: fn() -> Now) -> Self {
        let issuer = key.public().thumbprint();
        Self { door, key, issuer, speaker, clock, nonce: Mutex::new(None) }
    }

    /// Spends the one-time secret.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn enroll(&self, request: &EnrollRequest) -> Result<EnrollAnswer, ControlError> {
        self.post("/v1/agent/enroll", request, None).await
    }

    /// Waits for jobs, for `request.wait_s` and a little more.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn acquire(&self, request: &AcquireRequest) -> Result<AcquireAnswer, ControlError> {
        let wait = Duration::from_secs(u64::from(request.wait_s.min(MAX_WAIT_S))) + GRACE;
        self.post("/v1/agent/jobs/acquire", request, Some(wait)).await
    }

    /// Extends the lease of a job in hand; learns whether it was cancelled.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn heartbeat(
        &self,
        job: &JobId,
        request: &HeartbeatRequest,
    ) -> Result<HeartbeatAnswer, ControlError> {
        // A job id holds nothing that a path would have to escape.
        self.post(&format!("/v1/agent/jobs/{job}/heartbeat"), request, None).await
    }

    /// Delivers reports; repeats are harmless.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn report(&self, reports: &[Report]) -> Result<ReportsAnswer, ControlError> {
        #[derive(Serialize)]
        struct Batch<'a> {
            reports: &'a [Report],
        }
        self.post("/v1/agent/reports", &Batch { reports }, None).await
    }

    /// Tells the agent's state.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn status(&self, request: &StatusRequest) -> Result<StatusAnswer, ControlError> {
        self.post("/v1/agent/status", request, None).await
    }

    /// Announces or sends pages of the inventory.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn inventory(&self, request: &InventoryRequest) -> Result<InventoryAnswer, ControlError> {
        self.post("/v1/agent/inventory", request, None).await
    }

    /// Asks what the control plane believes to be live.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn recover(&self, request: &RecoverRequest) -> Result<RecoverAnswer, ControlError> {
        self.post("/v1/agent/recover", request, None).await
    }

    async fn post<B: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        timeout: Option<Duration>,
    ) -> Result<A, ControlError> {
        let body = serde_json::to_vec(body).expect("every message serialises");
        let mut answer = self.send(path, body.clone(), timeout).await?;
        if answer.status == 401 && problem(&answer).kind == USE_NONCE {
            answer = self.send(path, body, timeout).await?;
        }
        let endpoint = || format!("{}{path}", self.door.origin());
        if answer.status != 200 {
            return Err(refusal(endpoint(), &answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| ControlError::Garbled {
            endpoint: endpoint(),
            line: error.line(),
            column: error.column(),
        })
    }

    async fn send(
        &self,
        path: &str,
        body: Vec<u8>,
        total_timeout: Option<Duration>,
    ) -> Result<Answer, ControlError> {
        let headers = vec![
            (AUTHORIZATION, self.prove(path, &body)),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ];
        let request =
            Request { method: Method::POST, path: path.to_owned(), headers, body: Some(body), total_timeout };
        let answer = self.door.send(request).await.map_err(|fault| ControlError::Unreachable {
            endpoint: format!("{}{path}", self.door.origin()),
            fault,
        })?;
        if let Some(nonce) = nonce(&answer.headers) {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce);
        }
        Ok(answer)
    }

    fn prove(&self, path: &str, body: &[u8]) -> HeaderValue {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).expect("the system's random source does not fail after start");
        let origin = self.door.origin();
        let claims = ProofClaims {
            iss: self.issuer.clone(),
            aud: origin.to_owned(),
            htm: "POST".to_owned(),
            htu: format!("{origin}{path}"),
            body: body_digest(body),
            iat: (self.clock)().wall.0.div_euclid(1000),
            jti: URL_SAFE_NO_PAD.encode(id),
            nonce: self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            instance: self.speaker.instance.clone(),
            epoch: self.speaker.epoch,
        };
        let text = format!("{SCHEME} {}", claims.sign(&self.key));
        let mut value = HeaderValue::from_str(&text).expect("base64url and dots are header characters");
        value.set_sensitive(true);
        value
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Why a call brought nothing. Nothing here touches a live grant: it runs to its end.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody answered: tried again; the network's owner must act if it lasts.
    #[error("{endpoint}: {fault}")]
    Unreachable {
        /// The URL.
        endpoint: String,
        /// What happened on the way.
        #[source]
        fault: SendFault,
    },
    /// The control plane does not know this agent, its key or its token: its operator must act.
    #[error(
        "{endpoint}: answered {status} ({kind}): the control plane does not accept this agent; check the clock, then enrol again with a new agent token"
    )]
    NotAccepted {
        /// The URL.
        endpoint: String,
        /// 401 or 403.
        status: u16,
        /// The problem's type, cleaned.
        kind: String,
    },
    /// It is overloaded or down: tried again, not before the time it names.
    #[error("{endpoint}: answered {status}: the control plane is busy or down; tried again")]
    Busy {
        /// The URL.
        endpoint: String,
        /// 408, 429 or 5xx.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It will not take this request: a bug or a version too far apart.
    #[error(
        "{endpoint}: answered {status} ({kind}): it does not take this request; compare the versions of agent and control plane"
    )]
    Refused {
        /// The URL.
        endpoint: String,
        /// Any other status.
        status: u16,
        /// The problem's type, cleaned.
        kind: String,
    },
    /// 200, and not the message that belongs there: something between us, or its bug.
    #[error(
        "{endpoint}: answered 200 with something else than the protocol's answer (line {line}, column {column}); is a proxy or another server in between?"
    )]
    Garbled {
        /// The URL.
        endpoint: String,
        /// Line of the first misfit, from 1.
        line: usize,
        /// Its column.
        column: usize,
    },
}

impl ControlError {
    /// When the control plane wants to be asked again, if it said so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the control plane no longer knows the thing asked about (404 or 410).
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 410, .. })
    }
}

fn refusal(endpoint: String, answer: &Answer) -> ControlError {
    let status = answer.status;
    match status {
        401 | 403 => ControlError::NotAccepted { endpoint, status, kind: kind(answer) },
        408 | 429 | 500.. => {
            ControlError::Busy { endpoint, status, retry_after: retry_after(&answer.headers) }
        }
        _ => ControlError::Refused { endpoint, status, kind: kind(answer) },
    }
}

fn problem(answer: &Answer) -> Problem {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// The problem's type as far as it is plainly a name: it goes into logs.
fn kind(answer: &Answer) -> String {
    let kind = problem(answer).kind;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '/');
    if kind.is_empty() || kind.len() > 128 || !kind.chars().all(plain) {
        return "no problem document".to_owned();
    }
    kind
}

fn nonce(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(HeaderName::from_static(NONCE_HEADER))?.to_str().ok()?;
    (!value.is_empty() && value.len() <= 256).then(|| value.to_owned())
}

/// Whole seconds, clamped to 1 s to 5 min; a date or junk counts as not said.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.clamp(1, 300)))
}
