//! The agent token: one string that is all an enrolment needs.
//!
//! `eph1.` + base64url(JSON `{url, secret, root}`). Refuses to be printed, and URLs that are not an
//! origin. Its secret is worth something until it has been used once.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::strict;

const PREFIX: &str = "eph1.";
const MAX_BYTES: usize = 8 * 1024;

/// An agent token, taken apart.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct AgentToken {
    /// The control plane's origin: `https://host[:port]`, `http` only for loopback.
    pub url: String,
    /// The one-time secret, 16 to 512 bytes.
    pub secret: String,
    /// The RFC 7638 thumbprint of the root key.
    pub root: String,
}

impl AgentToken {
    /// Reads a token; white space around it is ignored.
    ///
    /// # Errors
    /// [`TokenError`], which quotes nothing of it.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(TokenError::Garbled);
        }
        let body = text.strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        let json = zeroize::Zeroizing::new(URL_SAFE_NO_PAD.decode(body).map_err(|_| TokenError::Garbled)?);
        strict::check(&json).map_err(|_| TokenError::Garbled)?;
        let token: Self = serde_json::from_slice(&json).map_err(|_| TokenError::Garbled)?;
        if !is_origin(&token.url) {
            return Err(TokenError::Url);
        }
        let thumbprint = URL_SAFE_NO_PAD.decode(&token.root).is_ok_and(|bytes| bytes.len() == 32);
        if !thumbprint || !(16..=512).contains(&token.secret.len()) {
            return Err(TokenError::Garbled);
        }
        Ok(token)
    }

    /// The token as one string; for control planes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let json = zeroize::Zeroizing::new(serde_json::to_vec(self).expect("three strings serialise"));
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&*json))
    }
}

impl fmt::Debug for AgentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentToken").field("url", &self.url).field("root", &self.root).finish_non_exhaustive()
    }
}

/// Why a text is not an agent token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing there.
    #[error("the agent token is empty: paste the whole string that the control plane shows once")]
    Empty,
    /// Something else was pasted.
    #[error("not an agent token: it must start with \"eph1.\"; a JumpCloud API key does not belong here")]
    Prefix,
    /// Cut, wrapped or changed.
    #[error("the agent token is damaged: copy the whole string, on one line, or ask for a new one")]
    Garbled,
    /// Its URL cannot be used.
    #[error(
        "the agent token's URL is not an https origin (https://host[:port], lower case, no default port, no path): ask the control plane's owner for a new token"
    )]
    Url,
}

/// `https://host[:port]` and nothing more, in the one spelling that proofs use as their audience;
/// `http` for loopback only.
fn is_origin(url: &str) -> bool {
    let plain = |host: &str, default_port: &str| {
        let ok = |c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | ':' | '[' | ']')
        };
        !host.is_empty() && host.chars().all(ok) && !host.ends_with(default_port) && !host.ends_with(':')
    };
    if let Some(host) = url.strip_prefix("https://") {
        return plain(host, ":443");
    }
    let Some(host) = url.strip_prefix("http://") else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    plain(host, ":80") && matches!(name, "localhost" | "127.0.0.1" | "::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> AgentToken {
        AgentToken {
            url: "https://cp.example:8443".to_owned(),
            secret: "canary-secret-0123456789".to_owned(),
            root: URL_SAFE_NO_PAD.encode([1; 32]),
        }
    }

    fn with_url(url: &str) -> AgentToken {
        let mut token = token();
        url.clone_into(&mut token.url);
        token
    }

    #[test]
    fn a_token_survives_the_paste_with_a_newline() {
        let text = format!("  {}\n", token().to_text());
        assert_eq!(AgentToken::parse(&text), Ok(token()));
    }

    #[test]
    fn what_is_not_a_token_is_named_without_being_quoted() {
        assert_eq!(AgentToken::parse(" \n"), Err(TokenError::Empty));
        assert_eq!(AgentToken::parse("0123456789abcdef"), Err(TokenError::Prefix));
        let text = token().to_text();
        assert_eq!(AgentToken::parse(&text[..text.len() - 9]), Err(TokenError::Garbled));
        for url in [
            "http://cp.example",
            "https://cp.example/path",
            "https://u@cp.example",
            "ftp://x",
            "http://localhost.x",
            "https://CP.example",
            "https://cp.example:443",
        ] {
            let bad = with_url(url);
            assert_eq!(AgentToken::parse(&bad.to_text()), Err(TokenError::Url), "{url}");
        }
        for url in ["http://127.0.0.1:81", "http://[::1]:8080", "http://localhost"] {
            let good = with_url(url);
            assert_eq!(AgentToken::parse(&good.to_text()), Ok(good));
        }
        assert!(!format!("{:?}", token()).contains("canary"));
    }
}
