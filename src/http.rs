//! The one outbound door: every byte that leaves for the network passes here.
//!
//! One [`Door`] belongs to one origin. Refuses: other origins, redirects (the library's default would
//! carry `x-api-key` and the body to another host), plain http beyond loopback or through a proxy, proxies
//! that nobody configured, going past one that is, answers without a bound in size or time, hidden retries, and a request that
//! holds a live secret which is not meant for its origin.

mod dead_clock;
mod fault;
mod foreign;
mod names;
mod proxy;
mod shown;
mod trust;

use std::{net::IpAddr, sync::Arc, time::Duration};

use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use crate::secrets::{
    Secret,
    guard::{self, Outlet, Watch},
};
use dead_clock::Judge;
use fault::Where;
pub use {
    fault::SendFault,
    proxy::{Proxy, ProxyOptions},
    shown::Shown,
};

/// How long a proxy that refused is asked why.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// How a door is made.
#[derive(Debug)]
pub struct DoorOptions {
    /// `https://host[:port]`; http only for loopback.
    pub origin: String,
    /// Certificate authorities to trust beside the platform's, PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Trust only those.
    pub only_extra_ca: bool,
    /// A proxy for this origin; none is taken from the environment.
    pub proxy: Option<ProxyOptions>,
    /// Longest time to a connection.
    pub connect_timeout: Duration,
    /// Longest silence while an answer is read.
    pub read_timeout: Duration,
    /// Longest time for everything.
    pub total_timeout: Duration,
    /// Largest answer that is read, in bytes.
    pub max_body: usize,
    /// `User-Agent`.
    pub user_agent: String,
}

/// The door to one origin.
#[derive(Debug)]
pub struct Door {
    client: reqwest::Client,
    origin: Url,
    max_body: usize,
    judge: Arc<Judge>,
    proxy: Option<Proxy>,
    connect_timeout: Duration,
    /// The secrets that are meant for this origin.
    carries: Vec<Watch>,
}

/// A request; the origin is the door's.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Absolute path, encoded, with the query.
    pub path: String,
    /// Headers; those that carry secrets are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Option<Vec<u8>>,
    /// Instead of the door's total time-out (long polls).
    pub total_timeout: Option<Duration>,
}

/// An answer of any status, redirects included.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// Why a door cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The origin is no https URL.
    #[error("{origin:?} is not an https:// origin (http:// is for loopback only): write https://host[:port]")]
    Origin {
        /// What was given.
        origin: String,
    },
    /// The certificate authorities cannot be read.
    #[error("certificate authorities: {0}; give PEM certificates (-----BEGIN CERTIFICATE-----)")]
    Ca(String),
    /// The proxy's URL is none.
    #[error("proxy: {0}")]
    Proxy(String),
    /// The library refused.
    #[error("HTTP client: {0}")]
    Client(String),
}

impl Door {
    /// Makes the door to one origin.
    ///
    /// # Errors
    /// [`DoorError`] names what is wrong with the origin, the authorities or the proxy.
    pub fn new(options: DoorOptions) -> Result<Self, DoorError> {
        let origin = origin(&options.origin)?;
        let (tls, judge) = trust::tls(&options)?;
        let proxy = options.proxy.map(|proxy| Proxy::of(proxy, &origin, &tls)).transpose()?.flatten();
        #[expect(clippy::disallowed_methods, reason = "this is the one door")]
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(origin.scheme() == "https")
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .dns_resolver(names::Resolver::within(options.connect_timeout))
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .timeout(options.total_timeout)
            .pool_idle_timeout(Duration::from_secs(15))
            .user_agent(options.user_agent);
        if let Some(proxy) = &proxy {
            builder = builder.proxy(proxy.rule()?);
        }
        let client = builder.build().map_err(|e| DoorError::Client(fault::causes(&e)))?;
        let (max_body, connect_timeout) = (options.max_body, options.connect_timeout);
        Ok(Self { client, origin, max_body, judge, proxy, connect_timeout, carries: Vec::new() })
    }

    /// The same door, for a secret that is meant for its origin. No other one passes, in whatever form.
    #[must_use]
    pub fn carrying(mut self, secret: &Secret) -> Self {
        let watch = Watch::for_origin(secret.expose(), self.origin());
        self.carries.push(watch);
        self
    }

    /// Sends one request, once.
    ///
    /// # Errors
    /// [`SendFault`] tells whether it may have been carried out.
    pub async fn send(&self, request: Request) -> Result<Answer, SendFault> {
        let url = self.url(&request.path)?;
        self.guard(&request)?;
        let mut builder = self.client.request(request.method, url);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        if let Some(timeout) = request.total_timeout {
            builder = builder.timeout(timeout);
        }
        let response = match builder.send().await {
            Ok(response) => response,
            Err(error) => return Err(self.explained(&error).await),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = self.read(response).await?;
        Ok(Answer { status, headers, body })
    }

    /// The origin, for messages.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.origin.as_str().trim_end_matches('/')
    }

    /// The proxy that the origin is reached by.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// The certificate that the origin showed last, trusted or not.
    #[must_use]
    pub fn shown(&self) -> Option<Shown> {
        self.judge.shown_by(self.host())
    }

    /// What shows that somebody else answers in the origin's name; `None` if nothing does.
    #[must_use]
    pub fn foreign(&self, answer: &Answer) -> Option<String> {
        let sign = foreign::sign(&self.origin, answer.status, &answer.headers)?;
        Some(format!(
            "an answer that is not from {}: {sign}: a captive portal or a proxy?",
            self.origin.host_str().unwrap_or_default()
        ))
    }

    fn host(&self) -> &str {
        proxy::bare(self.origin.host_str().unwrap_or_default())
    }

    /// What went wrong, where, and what can be done about it.
    async fn explained(&self, error: &reqwest::Error) -> SendFault {
        let causes = fault::causes(error);
        let place = Where::of(error, &causes);
        let why = match (&self.proxy, place) {
            (Some(proxy), Where::Unknown) => proxy.unknown(),
            // The library keeps the proxy's answer to itself, so it is asked once more.
            (Some(proxy), Where::Refused) => match proxy.ask(ASK_AGAIN).await {
                Ok(now) => format!("{causes}; {now}"),
                Err(why) => why,
            },
            (Some(proxy), Where::ToProxy) => {
                format!("{proxy} cannot be reached: {}", self.with_certificate(proxy.host(), causes))
            }
            (Some(proxy), Where::Nowhere) => {
                let limit = self.connect_timeout;
                format!("no connection within {limit:?}: {proxy}, or the host behind it, does not answer")
            }
            (None, Where::Nowhere) if !causes.contains("DNS") => {
                let limit = self.connect_timeout;
                format!(
                    "timed out: no connection within {limit:?}: is the host up, and does a firewall let this machine out?"
                )
            }
            (Some(proxy), _) => format!("{} (through {proxy})", self.with_certificate(self.host(), causes)),
            (None, _) => self.with_certificate(self.host(), causes),
        };
        if fault::is_certain(error) { SendFault::NotSent { why } } else { SendFault::MaybeSent { why } }
    }

    /// Names the certificate that was shown, if one was the trouble.
    fn with_certificate(&self, host: &str, causes: String) -> String {
        let shown = Some(host).filter(|_| causes.contains("peer certificate"));
        match shown.and_then(|host| self.judge.shown_by(host)) {
            Some(Shown { subject, issuer, .. }) => {
                fault::advised(format!("{causes}: {host} showed {subject}, issued by {issuer}"))
            }
            None => fault::advised(causes),
        }
    }

    /// Nothing leaves that holds a secret of somebody else.
    fn guard(&self, request: &Request) -> Result<(), SendFault> {
        let headers = request.headers.iter().map(|(_, value)| value.as_bytes());
        let parts = headers.chain([request.path.as_bytes()]).chain(request.body.as_deref());
        for part in parts {
            guard::judge(Outlet::Request, part, Some(self.origin())).map_err(|hit| SendFault::NotSent {
                why: format!(
                    "refused to send: the request to {} held a secret that does not belong there (sha256 {}…)",
                    self.origin(),
                    hit.secret
                ),
            })?;
        }
        Ok(())
    }

    /// A path that could lead anywhere else is a bug of ours or an attack; it is not sent.
    fn url(&self, path: &str) -> Result<Url, SendFault> {
        let refuse = |why: &str| SendFault::NotSent { why: format!("refused to send: {why}") };
        if !path.starts_with('/') || path.starts_with("//") {
            return Err(refuse("the path does not stay on the origin"));
        }
        let url = self.origin.join(path).map_err(|_| refuse("the path is not one"))?;
        // What the URL parser changes (dots in any encoding, line ends, backslashes, fragments) was
        // not encoded as it should be, and may lead elsewhere.
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        if url.origin() != self.origin.origin() || format!("{}{query}", url.path()) != path {
            return Err(refuse("the path is not encoded or leads elsewhere"));
        }
        Ok(url)
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Vec<u8>, SendFault> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|e| SendFault::MaybeSent { why: fault::advised(fault::causes(&e)) })?
        {
            if body.len() + chunk.len() > self.max_body {
                return Err(SendFault::TooLarge { limit: self.max_body });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn origin(text: &str) -> Result<Url, DoorError> {
    let refuse = || DoorError::Origin { origin: text.chars().take(200).collect() };
    let url = Url::parse(text).map_err(|_| refuse())?;
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let root = matches!(url.path(), "" | "/");
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    if plain && root && scheme && url.host_str().is_some() { Ok(url) } else { Err(refuse()) }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
