//! The one classification of answers: from status and kind of failure, never from text.

use std::ops::RangeInclusive;

use reqwest::header::{DATE, RETRY_AFTER};

use crate::{
    engine::observed::{Fault, FaultClass},
    http::{Answer, SendFault},
};

/// Shortest and longest wait that a `Retry-After` is believed, in milliseconds.
const RETRY_AFTER_MS: RangeInclusive<u64> = 1_000..=60_000;

/// What an answer means: `Ok` for 2xx, else the fault.
///
/// # Errors
/// The fault.
pub(super) fn classify(answer: &Answer) -> Result<(), Fault> {
    let class = match answer.status {
        200..=299 => return Ok(()),
        300..=399 => FaultClass::Redirected,
        401 => FaultClass::Credential,
        // Who may not do it at all is not told when to come back.
        403 if answer.headers.contains_key(RETRY_AFTER) => FaultClass::Throttled,
        403 => FaultClass::Forbidden,
        404 | 410 => FaultClass::NotFound,
        408 => FaultClass::Ambiguous,
        429 => FaultClass::Throttled,
        400..=499 => FaultClass::Refused,
        _ => FaultClass::Ambiguous,
    };
    let header = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after_ms = header(RETRY_AFTER).and_then(|text| retry_after(text, header(DATE)));
    Err(Fault { class, status: Some(answer.status), retry_after_ms })
}

/// What it means that there is no answer.
pub(super) fn unanswered(fault: &SendFault) -> Fault {
    Fault::of(match fault {
        SendFault::NotSent { .. } => FaultClass::NotSent,
        SendFault::MaybeSent { .. } | SendFault::TooLarge { .. } => FaultClass::Ambiguous,
    })
}

/// A 2xx whose body cannot be used proves as little as no answer.
pub(super) fn garbled(status: u16) -> Fault {
    Fault { class: FaultClass::Ambiguous, status: Some(status), retry_after_ms: None }
}

/// Seconds, or an HTTP date, which is read against the answer's own `Date`: a wrong clock of ours
/// must not make it longer or shorter. Anything else, and anything in the past, is no hint.
fn retry_after(text: &str, date: Option<&str>) -> Option<u64> {
    let ms = if let Ok(seconds) = text.trim().parse::<u64>() {
        seconds.saturating_mul(1000)
    } else {
        u64::try_from(http_date(text)?.saturating_sub(http_date(date?)?)).ok()?
    };
    Some(ms.clamp(*RETRY_AFTER_MS.start(), *RETRY_AFTER_MS.end()))
}

/// Milliseconds since 1970.
fn http_date(text: &str) -> Option<i64> {
    Some(jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};

    use super::*;

    fn answer(status: u16, after: Option<&str>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:27 GMT"));
        if let Some(after) = after {
            headers.insert(RETRY_AFTER, HeaderValue::from_str(after).unwrap());
        }
        Answer { status, headers, body: Vec::new() }
    }

    #[test]
    fn every_status_has_exactly_this_meaning() {
        for status in 100..=599u16 {
            let expected = match status {
                200..=299 => None,
                300..=399 => Some(FaultClass::Redirected),
                401 => Some(FaultClass::Credential),
                403 => Some(FaultClass::Forbidden),
                404 | 410 => Some(FaultClass::NotFound),
                429 => Some(FaultClass::Throttled),
                408 => Some(FaultClass::Ambiguous),
                400..=499 => Some(FaultClass::Refused),
                _ => Some(FaultClass::Ambiguous),
            };
            let found = classify(&answer(status, None)).err();
            assert_eq!(found.as_ref().map(|f| f.class), expected, "{status}");
            assert!(found.is_none_or(|f| f.status == Some(status)));
        }
    }

    #[test]
    fn only_what_may_have_happened_is_ambiguous() {
        let ambiguous = |status| classify(&answer(status, None)).unwrap_err().may_have_happened();
        assert!([500, 502, 503, 504, 408, 302, 307, 100].into_iter().all(ambiguous));
        assert!(![400, 401, 403, 404, 409, 410, 422, 429].into_iter().any(ambiguous));
    }

    #[test]
    fn a_403_that_says_when_to_come_back_is_throttling() {
        let class = |after| classify(&answer(403, after)).unwrap_err().class;
        assert_eq!(class(None), FaultClass::Forbidden);
        assert_eq!(class(Some("1")), FaultClass::Throttled);
        assert_eq!(class(Some("soon")), FaultClass::Throttled);
    }

    #[test]
    fn retry_after_is_believed_within_reason() {
        let after = |text| classify(&answer(429, Some(text))).unwrap_err().retry_after_ms;
        assert_eq!(after("5"), Some(5_000));
        assert_eq!(after("0"), Some(1_000));
        assert_eq!(after("99999999999999999999"), None);
        assert_eq!(after("86400"), Some(60_000));
        assert_eq!(after("-3"), None);
        assert_eq!(after("soon"), None);
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(10_000));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), None, "in the past");
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", None), None, "against no date");
    }
}
