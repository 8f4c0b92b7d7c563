//! The token endpoint's answer (RFC 6749, sections 5.1 and 5.2), read tolerantly.
//!
//! Refuses to take any text from it but the token itself and the registered error codes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::engine::{
    observed::FaultClass,
    time::{Millis, Timestamp},
};

/// How long a token is believed that says nothing about it.
const UNSAID: Millis = Millis(5 * 60_000);
/// No token is believed for less or more than this, whatever it says.
const SHORTEST: Millis = Millis(1_000);
const LONGEST: Millis = Millis(24 * 60 * 60_000);
/// Longer tokens do not fit into a header that servers take.
const MAX_TOKEN: usize = 16 * 1024;

/// A token and how long it may be used.
pub(super) struct Granted {
    pub(super) token: zeroize::Zeroizing<String>,
    pub(super) lives: Millis,
}

/// The token in a 2xx answer, or what is wrong with it.
pub(super) fn granted(body: &[u8], now: Timestamp) -> Result<Granted, &'static str> {
    let mut answer: Value = serde_json::from_slice(body).map_err(|_| "the answer is no JSON")?;
    // Taken out, so that no copy stays behind.
    let token = match answer.get_mut("access_token").map(Value::take) {
        Some(Value::String(token)) => zeroize::Zeroizing::new(token),
        _ => return Err("the answer has no access_token"),
    };
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("the access_token cannot be sent in a header");
    }
    // RFC 6749, section 7.1: a kind that is not understood must not be used.
    let kind = answer.get("token_type").and_then(Value::as_str).unwrap_or("bearer");
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err("the token is not of the type Bearer");
    }
    let said = answer.get("expires_in").and_then(seconds).filter(|s| *s > 0);
    let lives = said.map(|s| Millis::from_secs(s.unsigned_abs())).or_else(|| by_itself(&token, now));
    Ok(Granted { token, lives: lives.unwrap_or(UNSAID).clamp(SHORTEST, LONGEST) })
}

/// What a refusal means. A code counts only where RFC 6749 puts it: in a 400 or 401.
pub(super) fn refused(status: u16, body: &[u8]) -> FaultClass {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let code = answer.as_ref().and_then(|a| a.get("error")).and_then(Value::as_str);
    match (status, code) {
        (401, _) | (400, Some("invalid_client" | "unauthorized_client" | "invalid_grant")) => {
            FaultClass::Credential
        }
        (429, _) => FaultClass::Throttled,
        (403, _) => FaultClass::Forbidden,
        (408, _) => FaultClass::NotSent,
        (400..=499, _) => FaultClass::Refused,
        // Down, or not a token endpoint at all: the API was asked for nothing.
        _ => FaultClass::NotSent,
    }
}

/// What a JWT says of itself. Its own span, where it tells both ends: our clock may be wrong.
fn by_itself(token: &str, now: Timestamp) -> Option<Millis> {
    let mut parts = token.split('.');
    let claims = parts.nth(1).filter(|_| parts.next().is_some() && parts.next().is_none())?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let ends = seconds(claims.get("exp")?)?.checked_mul(1000)?;
    let began = claims.get("iat").and_then(seconds).and_then(|iat| iat.checked_mul(1000));
    Some(Timestamp(ends).since(began.map_or(now, Timestamp)))
}

fn seconds(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "fractions of a second do not matter, `as` saturates"
        )]
        value => value.as_i64().or_else(|| value.as_f64().map(|s| s as i64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn lives(answer: &str) -> u64 {
        granted(answer.as_bytes(), NOW).unwrap().lives.0 / 1000
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_life_of_a_token_is_what_the_answer_says_else_what_the_token_says_else_short() {
        assert_eq!(lives(r#"{"access_token": "t", "expires_in": 3600}"#), 3600);
        assert_eq!(lives(r#"{"access_token": "t", "expires_in": "3600", "token_type": "BEARER"}"#), 3600);
        assert_eq!(lives(r#"{"access_token": "t", "expires_in": 3599.9}"#), 3599);
        assert_eq!(lives(r#"{"access_token": "t", "expires_in": 0}"#), 300, "no life is no statement");
        assert_eq!(lives(r#"{"access_token": "t", "expires_in": 1}"#), 1);
        assert_eq!(lives(r#"{"access_token": "t", "expires_in": 1e18}"#), 86_400);
        assert_eq!(lives(r#"{"access_token": "t"}"#), 300);
        let own = |claims: &str| lives(&format!(r#"{{"access_token": "{}"}}"#, jwt(claims)));
        assert_eq!(own(r#"{"exp": 1790001000}"#), 1000);
        assert_eq!(own(r#"{"exp": 1800000600, "iat": 1800000000}"#), 600, "our clock does not matter");
        assert_eq!(own(r#"{"exp": 1}"#), 1, "over by our clock: used once, then made anew");
        assert_eq!(own(r#"{"exp": 9223372036854775807}"#), 300);
        assert_eq!(own("no JSON"), 300);
    }

    #[test]
    fn what_holds_no_usable_token_is_said_to_hold_none() {
        for body in [
            "",
            "null",
            "<html>",
            "[]",
            "{}",
            r#"{"access_token": ""}"#,
            r#"{"access_token": 5}"#,
            r#"{"access_token": "a b"}"#,
            r#"{"access_token": "a\nb"}"#,
            r#"{"access_token": "t", "token_type": "mac"}"#,
            r#"{"error": "invalid_client"}"#,
        ] {
            assert!(granted(body.as_bytes(), NOW).is_err(), "{body}");
        }
        let long = format!(r#"{{"access_token": "{}"}}"#, "a".repeat(MAX_TOKEN + 1));
        assert!(granted(long.as_bytes(), NOW).is_err());
    }

    #[test]
    fn only_a_refused_secret_is_a_fault_of_the_credential() {
        let invalid = br#"{"error": "invalid_client", "error_description": "x"}"#;
        for (status, body, class) in [
            (401, &b""[..], FaultClass::Credential),
            (401, invalid, FaultClass::Credential),
            (400, invalid, FaultClass::Credential),
            (400, br#"{"error": "unauthorized_client"}"#, FaultClass::Credential),
            (400, br#"{"error": "invalid_scope"}"#, FaultClass::Refused),
            (400, b"<html>bad gateway config</html>", FaultClass::Refused),
            (404, invalid, FaultClass::Refused),
            (403, invalid, FaultClass::Forbidden),
            (429, b"", FaultClass::Throttled),
            (302, b"", FaultClass::NotSent),
            (500, invalid, FaultClass::NotSent),
            (503, b"", FaultClass::NotSent),
        ] {
            assert_eq!(refused(status, body), class, "{status} {}", String::from_utf8_lossy(body));
        }
    }
}
