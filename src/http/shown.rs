//! Which certificate a server showed, in the words of the people who must find out where it comes from.
//!
//! Refuses to judge: that is done by the library's verifier before. What is in a certificate was written by
//! somebody else, so it is cut and cleaned before it is shown.

use rustls::pki_types::CertificateDer;
use x509_cert::{Certificate, der::Decode as _, name::Name};

/// Names in certificates may be as long as somebody likes.
const LONGEST: usize = 120;

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whom it is for.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: String,
    /// Its last instant, UTC milliseconds since 1970.
    pub ends_at: i64,
}

impl Shown {
    pub(super) fn of(leaf: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(leaf).ok()?;
        let body = certificate.tbs_certificate();
        let ends = body.validity().not_after.to_unix_duration();
        Some(Self {
            subject: words(body.subject()),
            issuer: words(body.issuer()),
            ends_at: i64::try_from(ends.as_millis()).ok()?,
        })
    }
}

const NAMELESS: &str = "nobody named";

/// All of it, or, where that is long, the common name: it is what the consoles of such proxies show.
fn words(name: &Name) -> String {
    let whole = name.to_string();
    let common = || name.iter().map(ToString::to_string).find(|part| part.starts_with("CN="));
    let text = if whole.chars().count() > LONGEST { common().unwrap_or(whole) } else { whole };
    let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.is_empty() {
        return NAMELESS.to_owned();
    }
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

// The sandbox's library makes the certificates.
#[cfg(test)]
#[cfg(feature = "sandbox")]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn of(name: &[(DnType, &str)]) -> Shown {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, text) in name {
            params.distinguished_name.push(kind.clone(), *text);
        }
        params.not_after = rcgen::date_time_ymd(2030, 1, 2);
        Shown::of(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der()).unwrap()
    }

    #[test]
    fn names_and_the_end_are_read() {
        let shown = of(&[(DnType::CommonName, "Corp TLS Inspection"), (DnType::OrganizationName, "Corp")]);
        assert!(shown.issuer.contains("CN=Corp TLS Inspection"), "{shown:?}");
        assert_eq!((&shown.subject, shown.ends_at), (&shown.issuer, 1_893_542_400_000));
    }

    #[test]
    fn what_somebody_wrote_is_cut_and_moves_no_cursor() {
        let shown = of(&[(DnType::OrganizationName, &"x".repeat(500)), (DnType::CommonName, "a\u{1b}[2Jb")]);
        assert!(shown.issuer.starts_with("CN=a") && !shown.issuer.contains('\u{1b}'), "{shown:?}");
        assert!(of(&[(DnType::CommonName, &"x".repeat(500))]).issuer.chars().count() <= LONGEST + 1);
        assert_eq!(of(&[]).issuer, NAMELESS);
        assert_eq!(Shown::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
