//! Refusals of the reference control plane as RFC 9457 problem documents.
//!
//! Never explains more to a stranger than which check failed; never quotes a token or a proof.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::store::StoreError;
use crate::control::wire::PROBLEM_PREFIX;

/// A refusal.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    retry_after_s: Option<u64>,
    versions: Vec<u32>,
}

impl Problem {
    pub(super) const fn new(status: StatusCode, kind: &'static str, detail: String) -> Self {
        Self { status, kind, detail, retry_after_s: None, versions: Vec::new() }
    }

    pub(super) const fn not_found(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(super) const fn conflict(detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    pub(super) const fn unprocessable(detail: String) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable", detail)
    }

    pub(super) fn is_about_the_token(&self) -> bool {
        self.kind == "token-refused"
    }

    pub(super) const fn malformed(detail: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    pub(super) const fn unauthorized(kind: &'static str, detail: String) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, kind, detail)
    }

    /// The answer that asks for the same request again with the nonce in its header.
    pub(super) fn use_nonce(detail: &str) -> Self {
        Self::unauthorized("use-nonce", detail.to_owned())
    }

    /// No version is spoken by both sides.
    pub(super) fn no_common_version(ours: Vec<u32>) -> Self {
        let detail = format!("this control plane speaks versions {ours:?}");
        Self { versions: ours, ..Self::new(StatusCode::CONFLICT, "no-common-version", detail) }
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the body is longer than 2 MiB".to_owned())
    }

    pub(super) const fn forbidden(detail: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    pub(super) fn unavailable(retry_after_s: u64) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "an outage was asked for".to_owned())
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the store of the control plane failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the store failed".to_owned())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("{PROBLEM_PREFIX}{}", self.kind),
            "title": self.status.canonical_reason().unwrap_or("refused"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if !self.versions.is_empty() {
            body["versions"] = json!(self.versions);
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
