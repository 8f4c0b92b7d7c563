//! What a verified job asks for. By the time a job is one of these, its signature, its audience and
//! its validity window have been checked; what it asks may still be refused.

use serde::{Deserialize, Serialize};

use super::{
    ids::{AccountId, Email, GrantId, IntegrationId, JobId, RoleName},
    time::{Millis, Timestamp},
};

/// One job of the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id, which is also the idempotency key.
    pub id: JobId,
    /// SHA-256 of the signed bytes: the same id with another digest is an equivocation.
    pub digest: Digest,
    /// The integration it is for.
    pub integration: IntegrationId,
    /// Not to be started after this instant.
    pub start_by: Timestamp,
    /// What it asks.
    pub ask: Ask,
    /// The signed job as received: kept as evidence, never read by the engine.
    pub jws: String,
}

/// The five things a control plane can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Give access for a while.
    Grant(Box<GrantJob>, AccessRequest),
    /// End a grant of ours now.
    Revoke(GrantId),
    /// Move the end of a grant of ours.
    Extend(ExtendJob, AccessRequest),
    /// Read the inventory.
    Sync,
    /// Test the integration.
    Test,
}

/// A time-boxed permission or ephemeral account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantJob {
    /// The grant's id, chosen by the control plane.
    pub grant: GrantId,
    /// Whose access.
    pub target: Target,
    /// Which role.
    pub role: RoleName,
    /// For how long, from acceptance.
    pub duration: Millis,
    /// Can only shorten the grant.
    pub until: Option<Timestamp>,
}

/// More time for a grant of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendJob {
    /// The grant.
    pub grant: GrantId,
    /// Its new length, from the acceptance of the extension.
    pub duration: Millis,
}

/// Whose access a grant is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The administrator with this address.
    Email(Email),
    /// The administrator with this id.
    Account(AccountId),
    /// An account made for this grant and deleted at its end.
    Ephemeral {
        /// The tagged address; the shell derives it from the requester's mailbox and the tag key.
        address: Email,
        /// The requester's own mailbox, as the signed job names it.
        requester: Email,
        /// For the console's display, if given.
        firstname: Option<String>,
        /// For the console's display, if given.
        lastname: Option<String>,
    },
}

/// What a person asked for, as the control plane tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRequest {
    /// The request's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// Who approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// Public keys of the policy's approvers whose signatures over exactly this job were verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed_by: Vec<String>,
}

/// A SHA-256 digest; hexadecimal in records.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in &self.0[..4] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = text.as_bytes();
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let bad = || serde::de::Error::custom("a digest has 64 hexadecimal digits");
        if bytes.len() != 64 {
            return Err(bad());
        }
        let mut out = [0u8; 32];
        for (i, slot) in out.iter_mut().enumerate() {
            let (high, low) =
                (digit(bytes[2 * i]).ok_or_else(bad)?, digit(bytes[2 * i + 1]).ok_or_else(bad)?);
            *slot = high << 4 | low;
        }
        Ok(Self(out))
    }
}
