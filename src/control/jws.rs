//! Compact JWS (RFC 7515) with one algorithm: `EdDSA` over Ed25519 (RFC 8037).
//!
//! Verifies the bytes as they came, with a pinned key and an expected `typ`. Refuses `none`, every
//! other algorithm, unknown header fields, `crit`, keys carried in the header, padding and
//! non-canonical base64url. Never looks at a clock.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::keys::{KeyPair, PublicKey};
use crate::strict;

/// The only algorithm.
pub const ALG: &str = "EdDSA";

/// Why a JWS was refused; never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not three base64url parts, or longer than allowed.
    #[error("not a compact JWS of at most {max} bytes")]
    Shape {
        /// The limit.
        max: usize,
    },
    /// The protected header is not exactly `alg`, `typ`, `kid`.
    #[error("the protected header must hold exactly \"alg\":\"EdDSA\", the expected \"typ\", and \"kid\"")]
    Header,
    /// `kid` names no pinned key.
    #[error("signed by a key that is not pinned")]
    UnknownKey,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
}

/// What a verified JWS holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The key that signed it.
    pub kid: String,
    /// The payload's bytes, exactly as signed.
    pub payload: Vec<u8>,
}

/// Signs a payload; the header is `{"alg":"EdDSA","typ":…,"kid":…}`.
#[must_use]
pub fn sign(typ: &str, key: &KeyPair, payload: &[u8]) -> String {
    let header = Header { alg: ALG.to_owned(), typ: typ.to_owned(), kid: key.kid().to_owned() };
    let header = serde_json::to_vec(&header).expect("a struct of three strings serialises");
    let mut jws = URL_SAFE_NO_PAD.encode(header);
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut jws);
    let signature = key.sign(jws.as_bytes());
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
    jws
}

/// Verifies a JWS with the key that `find` knows by the header's `kid`.
///
/// # Errors
/// [`JwsError`]; the payload is not looked at before the signature has verified.
pub fn verify(
    jws: &str,
    typ: &str,
    max: usize,
    find: impl Fn(&str) -> Option<PublicKey>,
) -> Result<Verified, JwsError> {
    let shape = JwsError::Shape { max };
    if jws.len() > max {
        return Err(shape);
    }
    let (signed, signature) = jws.rsplit_once('.').ok_or(shape)?;
    let (header, payload) = signed.split_once('.').ok_or(shape)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| shape);
    let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);

    strict::check(&header).map_err(|_| JwsError::Header)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| JwsError::Header)?;
    if header.alg != ALG || header.typ != typ {
        return Err(JwsError::Header);
    }
    let key = find(&header.kid).ok_or(JwsError::UnknownKey)?;
    UnparsedPublicKey::new(&ED25519, key.as_bytes())
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| JwsError::Signature)?;
    Ok(Verified { kid: header.kid, payload })
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> KeyPair {
        KeyPair::from_seed(&[7; 32])
    }

    fn check(jws: &str) -> Result<Verified, JwsError> {
        let key = key();
        verify(jws, "t", 1000, |kid| (kid == key.kid()).then(|| key.public().clone()))
    }

    fn with_header(header: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
        let signature = URL_SAFE_NO_PAD.encode(key().sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    #[test]
    fn what_was_signed_verifies_and_one_changed_byte_does_not() {
        let jws = sign("t", &key(), b"{\"a\":1}");
        assert_eq!(check(&jws).unwrap().payload, b"{\"a\":1}");
        for at in 0..jws.len() {
            let mut bytes = jws.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(check(&String::from_utf8(bytes).unwrap()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_header_with_anything_unexpected_is_refused() {
        let kid = key().kid().to_owned();
        let good = format!(r#"{{"alg":"EdDSA","typ":"t","kid":"{kid}"}}"#);
        assert!(check(&with_header(&good)).is_ok());
        for (from, to) in [
            ("EdDSA", "none"),
            ("EdDSA", "HS256"),
            ("\"t\"", "\"u\""),
            (r#""alg""#, r#""crit":["x"],"alg""#),
            (r#""alg""#, r#""jwk":{},"alg""#),
            (r#""alg""#, r#""b64":false,"alg""#),
            (r#""alg""#, r#""alg":"none","alg""#),
            (r#""typ":"t","#, ""),
        ] {
            let header = good.replacen(from, to, 1);
            assert_eq!(check(&with_header(&header)), Err(JwsError::Header), "{header}");
        }
        assert_eq!(check(&with_header(&good.replace(&kid, "other"))), Err(JwsError::UnknownKey));
    }

    #[test]
    fn padding_extra_parts_and_length_are_refused() {
        let jws = sign("t", &key(), b"{}");
        for bad in [format!("{jws}="), format!("{jws}.x"), "a.b".to_owned(), String::new()] {
            assert!(matches!(check(&bad), Err(JwsError::Shape { .. })), "{bad}");
        }
        let long = sign("t", &key(), &[b' '; 2000]);
        assert_eq!(check(&long), Err(JwsError::Shape { max: 1000 }));
    }
}
