//! The calls to the control plane, each proven by the agent's key.
//!
//! Refuses answers that are not what the protocol says, however friendly their status; decides
//! nothing about jobs. A call is repeated at once in two cases only: the control plane asked for a
//! nonce that the proof did not have, or the key that proved it was replaced while it was on its way.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::RwLock;

pub use super::error::ControlError;
use super::{
    error::{agreed, problem, refusal},
    keys::KeyPair,
    proof::{ProofClaims, SCHEME, body_digest},
    rotation,
    wire::{
        AcquireAnswer, AcquireRequest, EnrollAnswer, EnrollRequest, HeartbeatAnswer, HeartbeatRequest,
        InventoryAnswer, InventoryRequest, JournalHead, NONCE_HEADER, RecoverAnswer, RecoverRequest, Report,
        ReportsAnswer, RotateKeyAnswer, StatusAnswer, StatusRequest, USE_NONCE,
    },
};
use crate::{
    engine::{
        ids::{AgentId, JobId},
        time::Now,
    },
    http::{Answer, Door, Request},
    secrets::guard::Watch,
};

/// The longest wait of a long poll that the protocol allows, seconds.
pub const MAX_WAIT_S: u32 = 55;

const ENROLL: &str = "/v1/agent/enroll";
const ACQUIRE: &str = "/v1/agent/jobs/acquire";
const STATUS: &str = "/v1/agent/status";
const ROTATE: &str = "/v1/agent/rotate-key";

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
    key: Mutex<KeyPair>,
    issuer: String,
    speaker: Speaker,
    clock: fn() -> Now,
    nonce: Mutex<Option<String>>,
    /// Held while a new key is tried: the control plane drops the old one at that moment.
    changing: RwLock<()>,
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
        let (key, nonce, changing) = (Mutex::new(key), Mutex::new(None), RwLock::new(()));
        Self { door, key, issuer, speaker, clock, nonce, changing }
    }

    /// The key that proves the requests.
    #[must_use]
    pub fn key(&self) -> KeyPair {
        self.key.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same agent with another key.
    #[must_use]
    pub fn with_key(&self, key: KeyPair) -> Self {
        let nonce = self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Self {
            door: Arc::clone(&self.door),
            key: Mutex::new(key),
            issuer: self.issuer.clone(),
            speaker: self.speaker.clone(),
            clock: self.clock,
            nonce: Mutex::new(nonce),
            changing: RwLock::new(()),
        }
    }

    /// Tries a new key with a status, and proves all requests with it from then on if that is accepted. Nobody
    /// else begins a request meanwhile: with the old key it could come just after that one was dropped.
    ///
    /// # Errors
    /// [`ControlError`]; then the old key stays.
    pub async fn try_key(
        &self,
        next: KeyPair,
        request: &StatusRequest,
    ) -> Result<StatusAnswer, ControlError> {
        let _nobody_else = self.changing.write().await;
        let answer = self.with_key(next.clone()).status(request).await?;
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(answer)
    }

    /// Spends the one-time secret.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn enroll(&self, request: &EnrollRequest) -> Result<EnrollAnswer, ControlError> {
        // Of the token itself the guard knows the whole text, which this is no part of in any form.
        let _watch = Watch::for_origin(&request.secret, self.door.origin());
        let answer: EnrollAnswer = self.post(ENROLL, request, None).await?;
        agreed(answer.version, || self.endpoint(ENROLL))?;
        Ok(answer)
    }

    /// Waits for jobs, for `request.wait_s` and a little more.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn acquire(&self, request: &AcquireRequest) -> Result<AcquireAnswer, ControlError> {
        let wait = Duration::from_secs(u64::from(request.wait_s.min(MAX_WAIT_S))) + GRACE;
        let answer: AcquireAnswer = self.post(ACQUIRE, request, Some(wait)).await?;
        agreed(answer.version, || self.endpoint(ACQUIRE))?;
        Ok(answer)
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
        self.report_from(reports, None).await
    }

    /// Delivers reports with the newest durable record of the journal they come from.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn report_from(
        &self,
        reports: &[Report],
        journal: Option<JournalHead>,
    ) -> Result<ReportsAnswer, ControlError> {
        #[derive(Serialize)]
        struct Batch<'a> {
            reports: &'a [Report],
            #[serde(skip_serializing_if = "Option::is_none")]
            journal: Option<JournalHead>,
        }
        self.post("/v1/agent/reports", &Batch { reports, journal }, None).await
    }

    /// Tells the agent's state.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn status(&self, request: &StatusRequest) -> Result<StatusAnswer, ControlError> {
        let answer: StatusAnswer = self.post(STATUS, request, None).await?;
        agreed(answer.version, || self.endpoint(STATUS))?;
        Ok(answer)
    }

    /// Announces a new key of this agent, proven by it and by the one in force.
    ///
    /// # Errors
    /// [`ControlError`]; also if the control plane says that it took another key.
    pub async fn rotate_key(&self, new: &KeyPair) -> Result<RotateKeyAnswer, ControlError> {
        let agent = AgentId::new(&self.issuer).expect("an enrolled agent's issuer is its id");
        let old = self.key();
        let request = rotation::announce(&agent, self.door.origin(), old.public(), new, self.seconds());
        let answer: RotateKeyAnswer = self.post(ROTATE, &request, None).await?;
        if answer.key != new.public().thumbprint() {
            return Err(ControlError::Garbled { endpoint: self.endpoint(ROTATE), line: 1, column: 1 });
        }
        Ok(answer)
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
        let (mut answer, key) = self.send(path, body.clone(), timeout).await?;
        if answer.status == 401 && (problem(&answer).kind == USE_NONCE || self.is_replaced(&key).await) {
            (answer, _) = self.send(path, body, timeout).await?;
        }
        if let Some(sign) = self.door.foreign(&answer) {
            return Err(ControlError::Foreign { endpoint: self.endpoint(path), sign });
        }
        if answer.status != 200 {
            return Err(refusal(self.endpoint(path), &answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| ControlError::Garbled {
            endpoint: self.endpoint(path),
            line: error.line(),
            column: error.column(),
        })
    }

    /// Whether this key is no longer in force; while another one is tried, once that is decided.
    async fn is_replaced(&self, thumbprint: &str) -> bool {
        drop(self.changing.read().await);
        thumbprint != self.key().public().thumbprint()
    }

    fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.door.origin())
    }

    fn seconds(&self) -> i64 {
        (self.clock)().wall.0.div_euclid(1000)
    }

    /// Sends it once; also tells which key proved it.
    async fn send(
        &self,
        path: &str,
        body: Vec<u8>,
        total_timeout: Option<Duration>,
    ) -> Result<(Answer, String), ControlError> {
        drop(self.changing.read().await);
        let key = self.key();
        let headers = vec![
            (AUTHORIZATION, self.prove(&key, path, &body)),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        ];
        let request =
            Request { method: Method::POST, path: path.to_owned(), headers, body: Some(body), total_timeout };
        let answer = self.door.send(request).await;
        let answer =
            answer.map_err(|fault| ControlError::Unreachable { endpoint: self.endpoint(path), fault })?;
        if let Some(nonce) = nonce(&answer.headers) {
            *self.nonce.lock().unwrap_or_else(PoisonError::into_inner) = Some(nonce);
        }
        Ok((answer, key.public().thumbprint()))
    }

    fn prove(&self, key: &KeyPair, path: &str, body: &[u8]) -> HeaderValue {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).expect("the system's random source does not fail after start");
        let origin = self.door.origin();
        let claims = ProofClaims {
            iss: self.issuer.clone(),
            aud: origin.to_owned(),
            htm: "POST".to_owned(),
            htu: format!("{origin}{path}"),
            body: body_digest(body),
            iat: self.seconds(),
            jti: URL_SAFE_NO_PAD.encode(id),
            nonce: self.nonce.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            instance: self.speaker.instance.clone(),
            epoch: self.speaker.epoch,
        };
        let text = format!("{SCHEME} {}", claims.sign(key));
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

fn nonce(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(HeaderName::from_static(NONCE_HEADER))?.to_str().ok()?;
    (!value.is_empty() && value.len() <= 256).then(|| value.to_owned())
}
