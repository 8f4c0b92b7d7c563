//! Enrolment: from a pasted agent token to an identity on disk.
//!
//! The order is the point: the key is durable before the one-time secret is spent, so a crash at any
//! step is mended by running it again with the same token. Refuses a root key other than the one
//! that the token pins, before anything is stored.

use std::{
    io::{self, Read as _},
    path::Path,
};

use zeroize::Zeroizing;

use super::{
    client::{Client, ControlError},
    identity::{Identity, IdentityError, load_or_create_key},
    keys::{KeyError, KeyPair, KeySet},
    token::{AgentToken, TokenError},
    wire::{EnrollRequest, Offers, Utc},
};
use crate::{
    engine::time::Timestamp,
    secrets::{AtRest, Secret, SecretError, Source},
};

/// Where the agent token is read from; never an argument, where every user of the machine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// A file, a credential or a program.
    From(Source),
    /// Standard input, up to its end.
    Stdin,
}

impl TokenSource {
    /// Reads the token. Blocks on standard input.
    ///
    /// # Errors
    /// [`EnrollError::Secret`], [`EnrollError::Stdin`] or [`EnrollError::Token`].
    pub fn read(&self) -> Result<AgentToken, EnrollError> {
        let text = match self {
            Self::From(source) => source.read()?,
            Self::Stdin => {
                // As large as it may be from the start: growing would leave copies.
                let mut text = Zeroizing::new(String::with_capacity(64 * 1024 + 64));
                io::stdin().take(MAX_TOKEN_BYTES).read_to_string(&mut text).map_err(EnrollError::Stdin)?;
                Secret::new(text.as_str().to_owned())
            }
        };
        Ok(AgentToken::parse(text.expose())?)
    }
}

const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// Makes the agent's key durable, or finds the one of an earlier attempt. `entropy` is 32 random
/// bytes.
///
/// # Errors
/// [`EnrollError::Enrolled`] if the directory has an identity, else [`EnrollError::Identity`].
pub fn prepare(dir: &Path, entropy: &Zeroizing<[u8; 32]>, rest: &AtRest) -> Result<KeyPair, EnrollError> {
    if let Some(identity) = Identity::load(dir, rest)? {
        return Err(EnrollError::Enrolled { url: identity.url, agent: identity.agent_id.to_string() });
    }
    Ok(load_or_create_key(dir, entropy, rest)?)
}

/// What an agent tells of itself.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// A name for people, such as the host's.
    pub name: Option<String>,
    /// What it can do.
    pub offers: Option<Offers>,
}

/// Spends the token with the prepared key and stores who we are. `client` is unenrolled and speaks
/// to the token's URL.
///
/// # Errors
/// [`EnrollError`]; nothing is stored then, and the same token may be tried again.
pub async fn enroll(
    client: &Client,
    key: &KeyPair,
    token: &AgentToken,
    about: About,
    (dir, rest): (&Path, &AtRest),
    now: Timestamp,
) -> Result<Identity, EnrollError> {
    let request = EnrollRequest {
        secret: token.secret.clone(),
        key: key.public().to_jwk(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: about.name,
        offers: about.offers,
    };
    let answer = client.enroll(&request).await?;
    KeySet::verify(&answer.key_set, &answer.root, &token.root)?;
    let identity = Identity {
        format: 1,
        agent_id: answer.agent_id,
        url: token.url.clone(),
        key: key.public().thumbprint(),
        root: answer.root,
        root_thumbprint: token.root.clone(),
        key_set: answer.key_set,
        enrolled_at: Utc(now),
        ledger: None,
        proof: None,
    };
    identity.store(dir, rest)?;
    Ok(identity)
}

/// Why an enrolment did not come about.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// It has been done.
    #[error(
        "already enrolled with {url} as {agent}: to enrol anew, stop the agent, end its grants, and move identity.json and agent.key away"
    )]
    Enrolled {
        /// The control plane.
        url: String,
        /// The agent's id.
        agent: String,
    },
    /// The token's file or credential cannot be read.
    #[error("agent token: {0}")]
    Secret(#[from] SecretError),
    /// Standard input cannot be read.
    #[error("agent token: standard input: {0}")]
    Stdin(io::Error),
    /// What was read is none.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// The control plane did not take it.
    #[error("enrolment: {0}")]
    Control(#[from] ControlError),
    /// Its keys are not those that the token pins.
    #[error("enrolment: {0}")]
    Keys(#[from] KeyError),
    /// The state directory cannot be used.
    #[error("enrolment: {0}")]
    Identity(#[from] IdentityError),
}
