//! What was seen, for the console and over the control API.
//!
//! Refuses to change what was seen; it can only be forgotten as a whole.

use axum::{Json, Router, extract::State, routing::get};

use super::{Report, Violation};
use crate::sandbox::jumpcloud::Console;

impl Console {
    /// What the agent sent, and what was answered to anybody, that is not as JumpCloud's API is
    /// described.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.contract().violations.into_iter().map(|seen| seen.violation).collect()
    }

    /// Everything that was seen while exchanges were held against the descriptions.
    #[must_use]
    pub fn contract(&self) -> Report {
        self.0.lock().watch.report().clone()
    }

    /// Forgets what was seen so far.
    pub fn clear_contract(&self) {
        self.0.lock().watch.clear();
    }
}

/// The route of the control API.
pub(in crate::sandbox::jumpcloud) fn router() -> Router<Console> {
    Router::new().route("/_sandbox/contract", get(show).delete(clear))
}

async fn show(State(console): State<Console>) -> Json<Report> {
    Json(console.contract())
}

async fn clear(State(console): State<Console>) -> Json<Report> {
    console.clear_contract();
    show(State(console)).await
}
