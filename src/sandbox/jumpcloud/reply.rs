//! An answer of the simulated API, and the bodies that its errors may have.
//!
//! Refuses to say more than JumpCloud would: an error names neither keys nor accounts.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{log::Changed, switches::ErrorBody, write::Refusal};

/// An answer, and what it did.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// HTTP status.
    pub(super) status: u16,
    /// JSON body, unless there is none.
    pub(super) body: Option<Value>,
    /// The change made, if one was.
    pub(super) changed: Option<Changed>,
}

impl Reply {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), changed: None }
    }

    /// An error with the body that JumpCloud's errors have in the wild.
    pub(super) fn error(status: u16, message: &str) -> Self {
        let error = if status == 401 { "Unauthorized" } else { message };
        Self::json(status, json!({"message": message, "error": error}))
    }

    pub(super) fn unauthorized() -> Self {
        Self::error(401, "Unauthorized: api key user not found")
    }

    /// Gives an error the body that errors have by the switch; successes stay as they are.
    pub(super) fn reshape_error(&mut self, shape: ErrorBody) {
        let message = match &self.body {
            Some(body) if self.status >= 400 => body["message"].clone(),
            _ => return,
        };
        match shape {
            ErrorBody::Seen => {}
            ErrorBody::Documented => {
                let name =
                    StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
                self.body = Some(json!({"code": self.status, "message": message, "status": name}));
            }
            // A bare string goes out as plain text.
            ErrorBody::Text => self.body = Some(message),
            ErrorBody::Empty => self.body = None,
        }
    }

    pub(super) fn not_found() -> Self {
        Self::error(404, "Not Found")
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::error(refusal.status, &refusal.message)
    }
}
