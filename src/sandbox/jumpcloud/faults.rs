//! Faults: what the simulated JumpCloud does wrong now and then, by order.
//!
//! A rule names the requests it strikes (method, path prefix), how often (`skip`, `count`,
//! `probability` from a seed) and what happens. The first rule that strikes is the only one. Kept in
//! memory: a restart is a healthy service. Refuses unknown names.

use serde::{Deserialize, Serialize};

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Strikes requests with this method only.
    #[serde(default)]
    pub method: Option<String>,
    /// Strikes requests whose path begins so.
    #[serde(default)]
    pub path_prefix: Option<String>,
    /// Lets this many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// Strikes this many times; without it, until it is cleared.
    #[serde(default)]
    pub count: Option<u32>,
    /// Strikes a matching request with this probability, 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Waits this many milliseconds before anything else happens, the effect included.
    #[serde(default)]
    pub delay_ms: u64,
    /// What happens.
    pub fault: Fault,
    /// How often it has struck; the service counts.
    #[serde(default)]
    pub fired: u32,
}

/// Rules, and the seed of their probabilities.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The rules, in the order in which they are tried.
    pub faults: Vec<Rule>,
    /// The seed.
    #[serde(default = "first_seed")]
    pub seed: u64,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Nothing but the rule's `delay_ms`.
    Latency,
    /// Not executed; 429 with this `Retry-After` header as it is (seconds, a date, junk) or none.
    TooManyRequests {
        /// The header.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// Not executed; answers this status.
    ErrorBefore {
        /// Such as 503.
        status: u16,
    },
    /// Executed; answers this status all the same.
    ErrorAfter {
        /// Such as 502.
        status: u16,
    },
    /// Not executed; the connection is cut without an answer.
    ResetBefore,
    /// Executed; the connection is cut without an answer.
    ResetAfter,
    /// Executed; the connection is cut after half of the answer's body.
    ResetMidBody,
    /// Answers an HTML page.
    Html {
        /// Such as 200 or 502.
        status: u16,
        /// Whether the request is executed.
        #[serde(default)]
        executed: bool,
    },
    /// Answers 504, or nothing until the client gives up, and executes this much later.
    Late {
        /// From the answer to the execution.
        after_ms: u64,
        /// Whether the client is left without an answer.
        #[serde(default)]
        hang: bool,
    },
    /// Not executed; answers as if it had been.
    NoEffect,
    /// Not executed; 401, as if the key were dead.
    Unauthorized,
    /// Not executed; 403, as if the role were too low.
    Forbidden,
    /// Not executed; answers this status, and quotes the request's own credential in the body.
    Echo {
        /// Such as 401.
        status: u16,
    },
    /// Executed; the body arrives in eight pieces with this pause between them.
    SlowBody {
        /// Milliseconds.
        pause_ms: u64,
    },
    /// Executed and answered without the rest of the JSON, with a content length that fits.
    Truncated,
}

impl Fault {
    /// As in the `kind` of its JSON.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::ErrorBefore { .. } => "error_before",
            Self::ErrorAfter { .. } => "error_after",
            Self::ResetBefore => "reset_before",
            Self::ResetAfter => "reset_after",
            Self::ResetMidBody => "reset_mid_body",
            Self::Html { .. } => "html",
            Self::Late { .. } => "late",
            Self::NoEffect => "no_effect",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Echo { .. } => "echo",
            Self::SlowBody { .. } => "slow_body",
            Self::Truncated => "truncated",
        }
    }
}

/// A fault that strikes now.
pub(super) struct Strike {
    pub(super) delay_ms: u64,
    pub(super) fault: Fault,
}

/// The rules at work.
#[derive(Clone)]
pub(super) struct Faults {
    pub(super) rules: Vec<Rule>,
    chance: u64,
}

impl Faults {
    /// With `seed`, rules with a probability strike the same requests each time.
    pub(super) fn new(rules: Vec<Rule>, seed: u64) -> Self {
        Self { rules, chance: seed.wrapping_mul(2).wrapping_add(1) }
    }

    /// The fault for this request, which counts as struck.
    pub(super) fn strike(&mut self, method: &str, path: &str) -> Option<Strike> {
        for at in 0..self.rules.len() {
            if !self.rules[at].matches(method, path) {
                continue;
            }
            if self.rules[at].skip > 0 {
                self.rules[at].skip -= 1;
                continue;
            }
            if self.rules[at].probability < 1.0 && self.chance() >= self.rules[at].probability {
                continue;
            }
            let rule = &mut self.rules[at];
            rule.count = rule.count.map(|left| left - 1);
            rule.fired += 1;
            return Some(Strike { delay_ms: rule.delay_ms, fault: rule.fault.clone() });
        }
        None
    }

    /// Marsaglia's xorshift64; the top 32 bits as a fraction.
    fn chance(&mut self) -> f64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let top = u32::try_from(self.chance >> 32).unwrap_or(u32::MAX);
        f64::from(top) / (f64::from(u32::MAX) + 1.0)
    }
}

impl Rule {
    fn matches(&self, method: &str, path: &str) -> bool {
        self.count != Some(0)
            && self.method.as_ref().is_none_or(|only| only.eq_ignore_ascii_case(method))
            && self.path_prefix.as_ref().is_none_or(|prefix| path.starts_with(prefix.as_str()))
    }
}

const fn always() -> f64 {
    1.0
}

const fn first_seed() -> u64 {
    1
}
