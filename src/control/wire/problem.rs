//! Problem documents, RFC 9457.

use serde::{Deserialize, Serialize};

/// `type` of the 401 that asks for a proof with the nonce in the `ephemerald-nonce` header.
pub const USE_NONCE: &str = "urn:ephemerald:problem:use-nonce";

/// `type` of the refusal of an agent token, whatever is wrong with it.
pub const TOKEN_REFUSED: &str = "urn:ephemerald:problem:token-refused";

/// `type` of the 409 that says that agent and control plane have no protocol version in common.
pub const NO_COMMON_VERSION: &str = "urn:ephemerald:problem:no-common-version";

/// What every problem type of this protocol begins with.
pub const PROBLEM_PREFIX: &str = "urn:ephemerald:problem:";

/// Every problem of version 1, without the prefix.
pub const PROBLEMS: [&str; 10] = [
    "use-nonce",
    "proof-refused",
    "token-refused",
    "no-common-version",
    "malformed",
    "not-found",
    "conflict",
    "too-large",
    "unavailable",
    "internal",
];

/// A problem document. Every member may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// The kind in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// This occurrence in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// With [`NO_COMMON_VERSION`]: the versions that the control plane speaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<u32>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}
