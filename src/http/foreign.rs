//! Answers that somebody else gives in a server's name: the login page of a captive portal, the page of a
//! proxy that says no.
//!
//! Refuses to guess from the text: a redirect to another host and a web page where an API answers are the two
//! signs. Neither is followed or repeated.

use reqwest::{
    Url,
    header::{CONTENT_TYPE, HeaderMap, LOCATION},
};

/// What is odd about an answer from `origin`; `None` if nothing is.
pub(super) fn sign(origin: &Url, status: u16, headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match status {
        300..=399 => {
            let to = origin.join(text(LOCATION)?).ok()?;
            let there = to.host_str().filter(|host| Some(*host) != origin.host_str())?;
            Some(format!("{status}, a redirect to {there}"))
        }
        200..=299 => {
            let kind = text(CONTENT_TYPE)?.trim_start().to_ascii_lowercase();
            let page = ["text/html", "application/xhtml"].iter().any(|page| kind.starts_with(page));
            page.then(|| format!("{status} with a web page"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_redirect_elsewhere_and_a_web_page_are_signs_and_nothing_else_is() {
        let origin = Url::parse("https://console.jumpcloud.com").unwrap();
        let sign = |status, headers: &[(HeaderName, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            sign(&origin, status, &headers.collect())
        };
        let there = sign(302, &[(LOCATION, "http://login.hotel.example/?u=secret")]).unwrap();
        assert!(there.contains("login.hotel.example") && !there.contains("secret"), "{there}");
        assert!(sign(200, &[(CONTENT_TYPE, "Text/HTML; charset=utf-8")]).unwrap().contains("web page"));
        for (status, header) in [
            (302, (LOCATION, "/login")),
            (302, (LOCATION, "https://console.jumpcloud.com/login")),
            (200, (CONTENT_TYPE, "application/json")),
            (502, (CONTENT_TYPE, "text/html")),
            (401, (CONTENT_TYPE, "text/plain")),
        ] {
            assert_eq!(sign(status, std::slice::from_ref(&header)), None, "{status} {header:?}");
        }
        assert_eq!(sign(302, &[]), None);
        assert_eq!(sign(200, &[]), None);
    }
}
