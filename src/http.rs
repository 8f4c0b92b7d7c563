//! The one outbound door: every byte that leaves for the network passes here.
//!
//! One [`Door`] belongs to one origin. Refuses: other origins, redirects (the library's default would
//! carry `x-api-key` and the body to another host), plain http beyond loopback, proxies from the
//! environment, answers without a bound in size or time, hidden retries.

mod dead_clock;
mod trust;

use std::{error::Error as _, net::IpAddr, time::Duration};

use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use crate::secrets::Secret;

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

/// A CONNECT proxy.
#[derive(Debug)]
pub struct ProxyOptions {
    /// Its URL, without user name and password.
    pub url: String,
    /// User name, if it wants one.
    pub user: Option<String>,
    /// Password, if it wants one.
    pub password: Option<Secret>,
}

impl ProxyOptions {
    /// A second copy, on purpose: one integration has several origins.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let password = self.password.as_ref().map(Secret::duplicate);
        Self { url: self.url.clone(), user: self.user.clone(), password }
    }
}

/// The door to one origin.
#[derive(Debug)]
pub struct Door {
    client: reqwest::Client,
    origin: Url,
    max_body: usize,
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

/// Why there is no answer. The text names causes, never contents.
#[derive(Debug, thiserror::Error)]
pub enum SendFault {
    /// Certainly not sent: no byte of the request left.
    #[error("not sent: {why}")]
    NotSent {
        /// For the operator: DNS, connection refused, TLS and whose certificate.
        why: String,
    },
    /// It may have been carried out.
    #[error("no usable answer: {why}")]
    MaybeSent {
        /// For the operator.
        why: String,
    },
    /// The answer is larger than the door lets in.
    #[error("the answer is larger than {limit} bytes and was not read")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
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
        let tls = trust::tls(&options)?;
        #[expect(clippy::disallowed_methods, reason = "this is the one door")]
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(origin.scheme() == "https")
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .timeout(options.total_timeout)
            .pool_idle_timeout(Duration::from_secs(15))
            .user_agent(options.user_agent);
        if let Some(proxy) = options.proxy {
            builder = builder.proxy(make_proxy(&proxy)?);
        }
        let client = builder.build().map_err(|e| DoorError::Client(chain(&e)))?;
        Ok(Self { client, origin, max_body: options.max_body })
    }

    /// Sends one request, once.
    ///
    /// # Errors
    /// [`SendFault`] tells whether it may have been carried out.
    pub async fn send(&self, request: Request) -> Result<Answer, SendFault> {
        let url = self.url(&request.path)?;
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
        let response = builder.send().await.map_err(|e| fault(&e))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = self.read(response).await?;
        Ok(Answer { status, headers, body })
    }

    /// The origin, for messages.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.origin.as_str().trim_end_matches('/')
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
        while let Some(chunk) = response.chunk().await.map_err(|e| SendFault::MaybeSent { why: chain(&e) })? {
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

fn make_proxy(options: &ProxyOptions) -> Result<reqwest::Proxy, DoorError> {
    let proxy =
        reqwest::Proxy::all(&options.url).map_err(|_| DoorError::Proxy("the URL is not one".to_owned()))?;
    Ok(match (&options.user, &options.password) {
        (Some(user), Some(password)) => proxy.basic_auth(user, password.expose()),
        (Some(user), None) => proxy.basic_auth(user, ""),
        _ => proxy,
    })
}

/// Only a failure to connect is certainly "not sent": DNS, TCP, TLS and proxy all fail there.
fn fault(error: &reqwest::Error) -> SendFault {
    let why = chain(error);
    if error.is_connect() || error.is_builder() {
        return SendFault::NotSent { why };
    }
    SendFault::MaybeSent { why }
}

/// The causes of an error in one line, without the URL (its query may tell more than a log should).
fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "timed out".to_owned() } else { String::new() };
    let mut source = error.source();
    while let Some(cause) = source {
        let line = cause.to_string();
        if !line.is_empty() && !text.contains(&line) {
            text = if text.is_empty() { line } else { format!("{text}: {line}") };
        }
        source = cause.source();
    }
    if let Some(advice) = trust::advice(&text) {
        text = format!("{text} ({advice})");
    }
    if text.is_empty() { "the request failed".to_owned() } else { text }
}
