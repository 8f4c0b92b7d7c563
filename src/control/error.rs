//! Why a call to the control plane brought nothing, told so that its reader knows who must act.
//!
//! Refuses to repeat what the other side wrote: of its texts only a problem's type is taken over, and
//! that only if it is plainly a name.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::wire::{NO_COMMON_VERSION, Problem, TOKEN_REFUSED, VERSION};
use crate::http::{Answer, SendFault};

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
    /// It does not take the agent token: its operator must make a new one.
    #[error(
        "{endpoint}: answered {status}: the agent token is unknown, too old, or was used with another key; ask for a new one"
    )]
    TokenRefused {
        /// The URL.
        endpoint: String,
        /// 401 or 403.
        status: u16,
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
        "{endpoint}: answered {status} ({kind}): it does not take this request; its log should say why, and the versions of both are worth a look"
    )]
    Refused {
        /// The URL.
        endpoint: String,
        /// Any other status.
        status: u16,
        /// The problem's type, cleaned.
        kind: String,
    },
    /// It speaks no protocol version that this agent speaks: one of the two must be updated.
    #[error(
        "{endpoint}: no common protocol version: this agent ({agent}) speaks {ours}, the control plane speaks {theirs}; update the older of the two. Live grants are ended on time all the same",
        agent = env!("CARGO_PKG_VERSION"), ours = VERSION
    )]
    NoCommonVersion {
        /// The URL.
        endpoint: String,
        /// Its versions, as far as it told them.
        theirs: String,
    },
    /// Somebody else answers in its name: tried again; the network's owner must act if it lasts.
    #[error("{endpoint}: {sign}")]
    Foreign {
        /// The URL.
        endpoint: String,
        /// What shows it.
        sign: String,
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
    pub(super) fn no_common_version(endpoint: String, theirs: &[u32]) -> Self {
        let theirs: Vec<String> = theirs.iter().take(16).map(u32::to_string).collect();
        let theirs = if theirs.is_empty() { "others".to_owned() } else { theirs.join(", ") };
        Self::NoCommonVersion { endpoint, theirs }
    }

    /// Whether waiting cannot help: a person must change something on one of the two sides.
    #[must_use]
    pub const fn needs_a_person(&self) -> bool {
        match self {
            Self::NotAccepted { .. }
            | Self::TokenRefused { .. }
            | Self::Refused { .. }
            | Self::NoCommonVersion { .. } => true,
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Foreign { .. } | Self::Garbled { .. } => {
                false
            }
        }
    }

    /// When the control plane wants to be asked again, if it said so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the control plane has not built this call at all (404, 405, 410 or 501).
    #[must_use]
    pub const fn is_unknown_call(&self) -> bool {
        self.is_gone() || matches!(self, Self::Refused { status: 405, .. } | Self::Busy { status: 501, .. })
    }

    /// Whether the control plane no longer knows the thing asked about (404 or 410).
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 410, .. })
    }
}

/// Refuses to go on with a control plane that answers in a version which was not offered.
pub(super) fn agreed(version: Option<u32>, endpoint: impl FnOnce() -> String) -> Result<(), ControlError> {
    match version {
        None | Some(VERSION) => Ok(()),
        Some(other) => Err(ControlError::no_common_version(endpoint(), &[other])),
    }
}

pub(super) fn refusal(endpoint: String, answer: &Answer) -> ControlError {
    let status = answer.status;
    let problem = problem(answer);
    if problem.kind == NO_COMMON_VERSION {
        return ControlError::no_common_version(endpoint, &problem.versions);
    }
    if problem.kind == TOKEN_REFUSED {
        return ControlError::TokenRefused { endpoint, status };
    }
    match status {
        401 | 403 => ControlError::NotAccepted { endpoint, status, kind: kind(answer) },
        408 | 429 | 500.. => {
            ControlError::Busy { endpoint, status, retry_after: retry_after(&answer.headers) }
        }
        _ => ControlError::Refused { endpoint, status, kind: kind(answer) },
    }
}

pub(super) fn problem(answer: &Answer) -> Problem {
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

/// Whole seconds, clamped to 1 s to 5 min; a date or junk counts as not said.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.clamp(1, 300)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_a_version_that_was_not_offered_is_refused() {
        let endpoint = || "https://cp.example/v1/agent/status".to_owned();
        assert!(agreed(None, endpoint).is_ok() && agreed(Some(1), endpoint).is_ok());
        for other in [0, 2] {
            let refused = agreed(Some(other), endpoint);
            assert!(matches!(refused, Err(ControlError::NoCommonVersion { .. })), "{other}");
        }
    }
}
