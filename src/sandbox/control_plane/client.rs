//! The operator's side of the reference control plane: what `ephemerald sandbox request`, `approve`
//! and `requests` call, and tests.
//!
//! Refuses to talk to anything but loopback; follows no redirect and uses no proxy.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::{Method, Url, redirect};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    admin_api::{Cancelled, JobSpec, Queued, Sent, SyncSpec},
    agents::AgentView,
    alarms::AlarmView,
    faults::Faults,
    inventory::InventoryView,
    keys::KeysView,
    reports::ResultView,
    requests::{ExtensionSpec, RequestSpec, RequestView},
};
use crate::engine::ids::{AgentId, Email, JobId};

/// Why an operator's request failed.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The address is not one that this client talks to.
    #[error("{0:?} is not an http or https address on this machine (localhost, 127.0.0.1 or [::1])")]
    Address(String),
    /// The CA or token file cannot be used.
    #[error("cannot read {0}")]
    File(PathBuf, #[source] io::Error),
    /// The CA file holds no usable certificate.
    #[error("{0} holds no usable PEM certificate: give the ca.pem that the control plane wrote")]
    CaFile(PathBuf),
    /// The HTTP client cannot be built.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// Nobody answers, or not as expected.
    #[error("the reference control plane at {0} does not answer: is it running?")]
    Unreachable(Url, #[source] reqwest::Error),
    /// The control plane refused.
    #[error("refused with status {status}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        detail: String,
    },
}

/// An operator's connection to a reference control plane.
#[derive(Clone)]
pub struct Operator {
    base: Url,
    http: reqwest::Client,
    token: Option<String>,
}

impl Operator {
    /// Prepares a connection to `url`; nothing is sent yet. `ca_file` is needed for https,
    /// `token_file` if the control plane was started with an admin token.
    ///
    /// # Errors
    /// Everything but [`OperatorError::Unreachable`] and [`OperatorError::Refused`].
    pub fn new(url: &str, ca_file: Option<&Path>, token_file: Option<&Path>) -> Result<Self, OperatorError> {
        let base = Url::parse(url).map_err(|_| OperatorError::Address(url.to_owned()))?;
        let local = matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if !local || !matches!(base.scheme(), "http" | "https") {
            return Err(OperatorError::Address(url.to_owned()));
        }
        let token = token_file
            .map(|path| fs::read_to_string(path).map_err(|error| OperatorError::File(path.to_owned(), error)))
            .transpose()?
            .map(|text| text.trim().to_owned());
        Ok(Self { http: http_client(ca_file)?, base, token })
    }

    pub(super) fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    /// Where the control plane is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str()
    }

    /// Makes a new one-time agent token.
    ///
    /// # Errors
    /// [`OperatorError::Unreachable`], [`OperatorError::Refused`]; so for all methods here.
    pub async fn token(&self) -> Result<String, OperatorError> {
        let answer: Value = self.call(Method::POST, "v1/admin/tokens", Some(&json!({}))).await?;
        Ok(answer["token"].as_str().unwrap_or_default().to_owned())
    }

    /// Asks for access.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn request(&self, spec: &RequestSpec) -> Result<RequestView, OperatorError> {
        self.call(Method::POST, "v1/admin/requests", Some(spec)).await
    }

    /// Approves a request, which signs its job.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn approve(&self, number: &str, approvers: &[Email]) -> Result<RequestView, OperatorError> {
        let path = format!("v1/admin/requests/{number}/approve");
        self.call(Method::POST, &path, Some(&json!({ "approvers": approvers }))).await
    }

    /// Ends a request early: withdrawn if no agent has it, else a revoke job.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn revoke(&self, number: &str, reason: Option<&str>) -> Result<RequestView, OperatorError> {
        let path = format!("v1/admin/requests/{number}/revoke");
        self.call(Method::POST, &path, Some(&json!({ "reason": reason }))).await
    }

    /// Asks for more time; the agreement is part of it.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn extend(&self, number: &str, asked: &ExtensionSpec) -> Result<Queued, OperatorError> {
        self.call(Method::POST, &format!("v1/admin/requests/{number}/extend"), Some(asked)).await
    }

    /// Asks for an integration's inventory.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn sync(&self, asked: &SyncSpec) -> Result<Queued, OperatorError> {
        self.call(Method::POST, "v1/admin/sync", Some(asked)).await
    }

    /// All access requests, oldest first.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn requests(&self) -> Result<Vec<RequestView>, OperatorError> {
        self.call(Method::GET, "v1/admin/requests", None::<&()>).await
    }

    /// One access request.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn show(&self, number: &str) -> Result<RequestView, OperatorError> {
        self.call(Method::GET, &format!("v1/admin/requests/{number}"), None::<&()>).await
    }

    /// All agents.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn agents(&self) -> Result<Vec<AgentView>, OperatorError> {
        self.call(Method::GET, "v1/admin/agents", None::<&()>).await
    }

    /// Asks an agent to replace its key, with the next answer to its status.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn wish_new_key(&self, agent: &AgentId) -> Result<AgentView, OperatorError> {
        self.call(Method::POST, &format!("v1/admin/agents/{agent}/rotate-key"), Some(&json!({}))).await
    }

    /// What a person must look at, oldest first.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn alarms(&self) -> Result<Vec<AlarmView>, OperatorError> {
        self.call(Method::GET, "v1/admin/alarms", None::<&()>).await
    }

    /// What the agents have read of their organizations.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn inventory(&self) -> Result<Vec<InventoryView>, OperatorError> {
        self.call(Method::GET, "v1/admin/inventory", None::<&()>).await
    }

    /// The job-signing keys.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn keys(&self) -> Result<KeysView, OperatorError> {
        self.call(Method::GET, "v1/admin/keys", None::<&()>).await
    }

    /// Makes a new job-signing key; the old ones stay trusted.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn rotate_keys(&self) -> Result<KeysView, OperatorError> {
        self.call(Method::POST, "v1/admin/keys/rotate", Some(&json!({}))).await
    }

    /// Takes every job-signing key but the newest out of the set.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn drop_old_keys(&self) -> Result<KeysView, OperatorError> {
        self.call(Method::POST, "v1/admin/keys/drop-old", Some(&json!({}))).await
    }

    /// All reports received, in order of first arrival.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn results(&self) -> Result<Vec<ResultView>, OperatorError> {
        self.call(Method::GET, "v1/admin/results", None::<&()>).await
    }

    /// Sends a job of a test's own making.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn send(&self, job: &JobSpec) -> Result<Sent, OperatorError> {
        self.call(Method::POST, "v1/admin/jobs", Some(job)).await
    }

    /// Withdraws a job: one that nobody has is dropped, one in hand is told at its next heartbeat.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn cancel(&self, job: &JobId) -> Result<Cancelled, OperatorError> {
        self.call(Method::POST, &format!("v1/admin/jobs/{job}/cancel"), Some(&json!({}))).await
    }

    /// Replaces the set of faults.
    ///
    /// # Errors
    /// As [`token`](Self::token).
    pub async fn faults(&self, faults: &Faults) -> Result<Faults, OperatorError> {
        self.call(Method::POST, "v1/admin/faults", Some(faults)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<T, OperatorError> {
        let url = self.base.join(path).map_err(|_| OperatorError::Address(path.to_owned()))?;
        let failed = |error| OperatorError::Unreachable(self.base.clone(), error);
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return response.json().await.map_err(failed);
        }
        let text = response.text().await.map_err(failed)?;
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or(&text).to_owned();
        Err(OperatorError::Refused { status: status.as_u16(), detail })
    }
}

#[expect(clippy::disallowed_methods, reason = "an operator's client for loopback: not the agent's door")]
fn http_client(ca_file: Option<&Path>) -> Result<reqwest::Client, OperatorError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        let pem = fs::read(path).map_err(|error| OperatorError::File(path.to_owned(), error))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let unusable = || OperatorError::CaFile(path.to_owned());
            roots.add(certificate.map_err(|_| unusable())?).map_err(|_| unusable())?;
        }
        if roots.is_empty() {
            return Err(OperatorError::CaFile(path.to_owned()));
        }
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(OperatorError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .timeout(Duration::from_secs(10))
        .build()
        .expect("no setting of this client can be refused"))
}
