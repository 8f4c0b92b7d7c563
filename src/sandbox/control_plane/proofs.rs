//! Who sends a request: checks the proof that every agent request carries, and hands out the server
//! nonces that proofs may have to include.
//!
//! Refuses a proof that is unsigned, signed by another key, made for another request, too old, used
//! before, or without a fresh nonce where one is required. Nothing is remembered about a refused one.

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
    signature::{ED25519, UnparsedPublicKey},
};
use axum::http::{HeaderMap, Method, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::{Shared, agents, problem::Problem, store::now_ms};
use crate::engine::ids::AgentId;

/// How far a proof's issue time may be off, in seconds, without a fresh nonce.
const SKEW_S: i64 = 60;
/// How long a nonce stays fresh, in milliseconds; the one before it is accepted as well.
const NONCE_MS: i64 = 5 * 60 * 1000;

/// The server nonces of this process: an HMAC over the current five minutes.
pub(super) struct Nonces(hmac::Key);

impl Default for Nonces {
    fn default() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &agents::random::<32>()))
    }
}

impl Nonces {
    /// The nonce to put into answers.
    pub(super) fn current(&self) -> String {
        self.of(now_ms() / NONCE_MS)
    }

    fn fresh(&self, nonce: &str) -> bool {
        let window = now_ms() / NONCE_MS;
        nonce == self.of(window) || nonce == self.of(window - 1)
    }

    fn of(&self, window: i64) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &window.to_be_bytes()))
    }
}
