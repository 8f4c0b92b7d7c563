//! Which answers are not as described because somebody ordered it: the fault that struck, or a switch
//! that is not at its default.
//!
//! Refuses to excuse by guess: each kind of fault and each switch that may do so is named here.

use serde_json::Value;

use crate::sandbox::jumpcloud::{faults::Fault, switches::Switches};

/// Which answers a switch spoils.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Statuses from 400 on.
    Errors,
    /// Statuses below 400.
    Successes,
}

/// Switches with a value that makes answers which no description has.
const SPOILING: &[(&str, Part)] = &[
    ("error_body", Part::Errors),
    ("unknown_role_status", Part::Errors),
    ("missing_id_status", Part::Errors),
    ("unknown_route_status", Part::Errors),
    ("duplicate_status", Part::Errors),
    ("deleted_again_status", Part::Errors),
    ("bare_lists", Part::Successes),
    ("create_answer", Part::Successes),
    ("put_answer", Part::Successes),
    ("fields", Part::Successes),
];

/// Their names.
pub fn switches_that_spoil_answers() -> impl Iterator<Item = &'static str> {
    SPOILING.iter().map(|(name, _)| *name)
}

/// Whether the answer under this fault is one that JumpCloud's API could give.
pub(super) const fn answers_as_described(fault: &Fault) -> bool {
    match fault {
        Fault::Latency
        | Fault::NoEffect
        | Fault::SlowBody { .. }
        | Fault::TooManyRequests { .. }
        | Fault::Unauthorized
        | Fault::Forbidden => true,
        // A gateway's status, a body that is cut, a page for people, a quoted key, or nothing.
        Fault::ErrorBefore { .. }
        | Fault::ErrorAfter { .. }
        | Fault::ResetBefore
        | Fault::ResetAfter
        | Fault::ResetMidBody
        | Fault::Html { .. }
        | Fault::Echo { .. }
        | Fault::Late { .. }
        | Fault::Truncated => false,
    }
}

/// Whether a switch at another value than its default explains a strange answer with this status.
pub(super) fn on_purpose(switches: &Switches, status: u16) -> bool {
    let now = serde_json::to_value(switches).unwrap_or_default();
    let default = serde_json::to_value(Switches::default()).unwrap_or_default();
    let set = |name: &str| now.get(name).unwrap_or(&Value::Null) != default.get(name).unwrap_or(&Value::Null);
    let part = |part: Part| match part {
        Part::Errors => status >= 400,
        Part::Successes => status < 400,
    };
    SPOILING.iter().any(|(name, spoils)| set(name) && part(*spoils))
}
