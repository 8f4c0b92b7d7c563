//! Where an organization is served: the console's origin, the token endpoint, Directory Insights.
//!
//! An organization answers in its own region only. Hosts: JumpCloud's regional API hosts, and the
//! token endpoints as its command line client lists them; written out and not derived from a rule,
//! because a wrong host would be sent a secret. Refuses a URL of another kind (`api.…`, a path, plain
//! http beyond loopback) and says which one is right.

use reqwest::Url;

use super::error::{ConnectionError, Teller};

/// A region of JumpCloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// United States.
    Us,
    /// European Union.
    Eu,
    /// India.
    In,
}

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The console's origin; V1 and V2 of the API are below it.
    pub url: String,
    /// The region, if the origin is a known console.
    pub region: Option<Region>,
    /// Where tokens for service accounts are made; `None` if nobody said and it cannot be known.
    pub token_url: Option<String>,
    /// The origin of Directory Insights; `None` as above.
    pub insights: Option<String>,
}

/// What the connection says about it.
#[derive(Default)]
pub(super) struct Said<'a> {
    pub(super) url: Option<&'a str>,
    pub(super) region: Option<&'a str>,
    pub(super) token_url: Option<&'a str>,
    pub(super) insights_url: Option<&'a str>,
}

const REGIONS: [Region; 3] = [Region::Us, Region::Eu, Region::In];
const TOKEN_PATH: &str = "/oauth2/token";

impl Region {
    /// As a connection names it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::In => "in",
        }
    }

    fn console(self) -> &'static str {
        match self {
            Self::Us => "https://console.jumpcloud.com",
            Self::Eu => "https://console.eu.jumpcloud.com",
            Self::In => "https://console.in.jumpcloud.com",
        }
    }

    fn insights(self) -> &'static str {
        match self {
            Self::Us => "https://api.jumpcloud.com",
            Self::Eu => "https://api.eu.jumpcloud.com",
            Self::In => "https://api.in.jumpcloud.com",
        }
    }

    fn token_url(self) -> &'static str {
        match self {
            Self::Us => "https://admin-oauth.id.jumpcloud.com/oauth2/token",
            Self::Eu => "https://admin-oauth.id.eu.jumpcloud.com/oauth2/token",
            Self::In => "https://admin-oauth.id.in.jumpcloud.com/oauth2/token",
        }
    }
}

impl Place {
    pub(super) fn of(teller: Teller<'_>, said: &Said<'_>) -> Result<Self, ConnectionError> {
        let region = said.region.map(|code| named(teller, code)).transpose()?;
        let url = match (said.url, region) {
            (Some(url), _) => console(teller, url)?,
            (None, Some(region)) => region.console().to_owned(),
            (None, None) => {
                let expected =
                    "url, such as https://console.jumpcloud.com, or region: \"us\", \"eu\" or \"in\"";
                return Err(teller.value("url", expected));
            }
        };
        let known = REGIONS.into_iter().find(|region| region.console() == url);
        if region.is_some() && region != known {
            let expected = "the region of url, or no region: the two name different places";
            return Err(teller.value("region", expected));
        }
        let given = |key, text: Option<&str>| text.map(|text| endpoint(teller, key, text)).transpose();
        let token = given("token_url", said.token_url)?.map(|url| match url.path() {
            "/" => format!("{}{TOKEN_PATH}", url.origin().ascii_serialization()),
            path => format!("{}{path}", url.origin().ascii_serialization()),
        });
        let insights = given("insights_url", said.insights_url)?;
        if insights.as_ref().is_some_and(|url| url.path() != "/") {
            return Err(teller.value("insights_url", "an origin without a path: https://host[:port]"));
        }
        let insights = insights.map(|url| url.origin().ascii_serialization());
        // A console of JumpCloud's own in a region that this version does not know: its other hosts are
        // not guessed. Anything else (the sandbox, a private gateway) is one origin for everything.
        let own = !is_jumpcloud(&url);
        let token = follows(teller, "token_url", token, known.map(Region::token_url))?;
        let insights = follows(teller, "insights_url", insights, known.map(Region::insights))?;
        Ok(Self {
            token_url: token.or_else(|| own.then(|| format!("{url}{TOKEN_PATH}"))),
            insights: insights.or_else(|| own.then(|| url.clone())),
            region: known,
            url,
        })
    }
}

/// For a known console the host is known, and no other one is sent the credential.
fn follows(
    teller: Teller<'_>,
    key: &'static str,
    given: Option<String>,
    known: Option<&'static str>,
) -> Result<Option<String>, ConnectionError> {
    match (given, known) {
        (Some(given), Some(known)) if given != known => {
            Err(teller.value(key, format!("{known}, which follows from url: leave the key out")))
        }
        (given, known) => Ok(given.or_else(|| known.map(str::to_owned))),
    }
}

fn named(teller: Teller<'_>, code: &str) -> Result<Region, ConnectionError> {
    let found = REGIONS.into_iter().find(|region| region.code().eq_ignore_ascii_case(code));
    found.ok_or_else(|| teller.value("region", "\"us\", \"eu\" or \"in\"; for any other host give url"))
}

/// The console's origin, or what is wrong with it.
fn console(teller: Teller<'_>, text: &str) -> Result<String, ConnectionError> {
    let refuse = |expected: String| Err(teller.value("url", expected));
    let Some(url) = Url::parse(text).ok().filter(Url::has_host) else {
        let meant = Url::parse(&format!("https://{text}")).ok().and_then(|url| right(&url));
        let right = meant.map_or("https://console.jumpcloud.com, or that of your region", Region::console);
        return refuse(format!("{right}: a whole URL, with https://"));
    };
    let origin = url.origin().ascii_serialization();
    let bare = is_bare(&url) && url.path() == "/";
    match right(&url) {
        Some(region) if bare && origin == region.console() => Ok(origin),
        Some(region) => refuse(format!("{}, just that: {}", region.console(), wrong(&url))),
        None if !bare => refuse(format!("https://host[:port] and nothing more: {}", wrong(&url))),
        None if !is_secure(&url) => refuse(format!("an https:// URL: {}", wrong(&url))),
        None => Ok(origin),
    }
}

/// The region that a URL of JumpCloud's own means; `None` for other hosts, and for consoles in
/// regions that this version does not know.
fn right(url: &Url) -> Option<Region> {
    let host = url.host_str()?;
    let sub = host.strip_suffix("jumpcloud.com").filter(|sub| sub.is_empty() || sub.ends_with('.'))?;
    let labels: Vec<&str> = sub.split('.').filter(|label| !label.is_empty()).collect();
    match labels.last() {
        Some(&"eu") => Some(Region::Eu),
        Some(&"in") => Some(Region::In),
        _ if labels.len() == 2 && labels[0] == "console" => None,
        _ => Some(Region::Us),
    }
}

fn wrong(url: &Url) -> &'static str {
    let first = url.host_str().and_then(|host| host.split('.').next()).unwrap_or("");
    match first {
        "api" if right(url).is_some() => "api.… is the host of Directory Insights",
        "admin-oauth" if right(url).is_some() => "admin-oauth.… is the host that makes tokens",
        _ if right(url).is_some() && first != "console" => "this host does not serve the administrators API",
        _ if !is_secure(url) => "http is for loopback only",
        _ if !url.username().is_empty() || url.password().is_some() => {
            "no user name or password belongs into it"
        }
        _ if url.path() != "/" => "no path belongs into it (the client adds /api itself)",
        _ => "no port, query or fragment belongs into it",
    }
}

fn endpoint(teller: Teller<'_>, key: &'static str, text: &str) -> Result<Url, ConnectionError> {
    let fits = |url: &Url| url.has_host() && is_bare(url) && is_secure(url);
    let expected = "an https:// URL without user name, query and fragment (http only on loopback)";
    Url::parse(text).ok().filter(fits).ok_or_else(|| teller.value(key, expected))
}

fn is_bare(url: &Url) -> bool {
    let alone = url.username().is_empty() && url.password().is_none();
    alone && url.query().is_none() && url.fragment().is_none()
}

fn is_secure(url: &Url) -> bool {
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}

fn is_jumpcloud(origin: &str) -> bool {
    origin.ends_with(".jumpcloud.com")
}
