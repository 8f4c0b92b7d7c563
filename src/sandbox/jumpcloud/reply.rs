//! An answer of the simulated API, and the bodies that its errors may have.
//!
//! Refuses to say more than JumpCloud would: an error names neither keys nor accounts.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::switches::ErrorBody;

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// HTTP status.
    pub(super) status: u16,
    /// JSON body, unless there is none.
    pub(super) body: Option<Value>,
    /// Headers beside the usual ones; names in lower case.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    /// An error with the body that JumpCloud's errors have in the wild.
    pub(super) fn error(status: u16, message: &str) -> Self {
        let error = if status == 401 { "Unauthorized" } else { message };
        Self::json(status, json!({"message": message, "error": error}))
    }

    /// An error that says no more than its status does.
    pub(super) fn status(status: u16) -> Self {
        Self::error(status, reason(status))
    }

    pub(super) fn unauthorized() -> Self {
        Self::error(401, "Unauthorized: api key user not found")
    }

    /// Gives an error the body that errors have by the switch; successes stay as they are, and so do
    /// errors of another form, such as those of OAuth.
    pub(super) fn reshape_error(&mut self, shape: ErrorBody) {
        let message = match &self.body {
            Some(body) if self.status >= 400 && body["message"].is_string() => body["message"].clone(),
            _ => return,
        };
        let documented = json!({"code": self.status, "message": message, "status": reason(self.status)});
        match shape {
            ErrorBody::Seen => {}
            ErrorBody::Documented => self.body = Some(documented),
            ErrorBody::Details => {
                let detail = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": reason(self.status), "domain": "simulated.example"});
                let mut body = documented;
                body["details"] = json!([detail]);
                self.body = Some(body);
            }
            // A bare string goes out as plain text.
            ErrorBody::Text => self.body = Some(message),
            ErrorBody::Html => {
                let title = reason(self.status);
                let page = format!("<html><head><title>{title}</title></head><body>{title}</body></html>");
                self.body = Some(json!(page));
                self.headers.push(("content-type", "text/html; charset=utf-8".to_owned()));
            }
            ErrorBody::Empty => self.body = None,
        }
    }
}

fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}
