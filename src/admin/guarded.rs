//! Answers at the control socket and for probes, looked over before they leave.
//!
//! Refuses: an answer that holds a live secret.

use axum::{
    body::{self, Body},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use crate::secrets::guard::{self, Outlet};

/// The answer as it is, or, if it holds a secret, an error in its place.
pub(super) async fn guarded(outlet: Outlet, answer: Response) -> Response {
    let (head, content) = answer.into_parts();
    // Our own answers are whole and in memory.
    let Ok(content) = body::to_bytes(content, usize::MAX).await else { return withheld("could not be read") };
    match guard::judge(outlet, &content, None) {
        Ok(()) => Response::from_parts(head, Body::from(content)),
        Err(hit) => withheld(&format!("held a secret (sha256 {}…)", hit.secret)),
    }
}

fn withheld(why: &str) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("the answer was withheld: it {why}\n")).into_response()
}
