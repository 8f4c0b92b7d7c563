//! A CONNECT proxy: when it is taken, what is shown to it, and what its refusals ask of the operator.
//!
//! Refuses: to go past a proxy that is configured; to carry plain HTTP, which the proxy would read, the key
//! included; to show its password to anybody but the proxy.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Url, header::HeaderValue};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::{DoorError, names};
use crate::secrets::Secret;

/// The longest head of a proxy's answer that is read.
const MAX_HEAD: usize = 8 * 1024;

/// A CONNECT proxy.
#[derive(Debug)]
pub struct ProxyOptions {
    /// Its URL, without user name and password.
    pub url: String,
    /// User name, if it wants one.
    pub user: Option<String>,
    /// Password, if it wants one.
    pub password: Option<Secret>,
    /// Hosts that are reached without it: names (with all below them), addresses, networks.
    pub except: Vec<String>,
    /// Which key or variable names it, for messages.
    pub said_by: String,
    /// Which key or file says user name and password, or could, for messages.
    pub auth_by: String,
}

impl ProxyOptions {
    /// A second copy, on purpose: one integration has several origins.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            url: self.url.clone(),
            user: self.user.clone(),
            password: self.password.as_ref().map(Secret::duplicate),
            except: self.except.clone(),
            said_by: self.said_by.clone(),
            auth_by: self.auth_by.clone(),
        }
    }
}

/// The proxy of one door.
#[derive(Debug)]
pub struct Proxy {
    url: Url,
    auth: Option<HeaderValue>,
    /// Nothing reads it: as long as it lives, the guard knows it.
    _password: Option<Secret>,
    /// For a proxy that is spoken to over TLS.
    tls: Option<Arc<ClientConfig>>,
    /// `host:port` of the origin.
    target: String,
    said_by: String,
    auth_by: String,
}

/// What a proxy says when it is asked for the way.
#[derive(Debug)]
enum Asked {
    /// The status, and where a redirect leads.
    Answered(u16, Option<String>),
    /// Something else than HTTP.
    Stranger,
    /// It hung up.
    Closed,
    /// There is no way to it.
    Unreachable(String),
}

impl Proxy {
    /// The proxy that an origin is reached by; `None` if it is one of the exceptions.
    pub(super) fn of(
        options: ProxyOptions,
        origin: &Url,
        tls: &ClientConfig,
    ) -> Result<Option<Self>, DoorError> {
        let bad = |what: &str| DoorError::Proxy(format!("{}: {what}", options.said_by));
        let url = Url::parse(&options.url).map_err(|_| bad("the URL is not one"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(bad("expected an http:// or https:// URL of an HTTP CONNECT proxy"));
        }
        // The library's own rules for exceptions, asked once: an origin does not change.
        let rules = Matcher::builder().all(url.as_str()).no(options.except.join(",")).build();
        let uri = origin.as_str().parse().map_err(|_| bad("the origin is no URI"))?;
        if rules.intercept(&uri).is_none() {
            return Ok(None);
        }
        if origin.scheme() != "https" {
            let what = format!(
                "a proxy would read the plain HTTP to {}: write the host into control_plane.no_proxy",
                origin.host_str().unwrap_or_default()
            );
            return Err(bad(&what));
        }
        if origin.host_str().is_some_and(|host| host.starts_with('[')) {
            // The library takes the brackets for a part of the name that the certificate must have.
            let what = "a literal IPv6 address cannot be reached through a proxy: give the host a name, or write its address into control_plane.no_proxy";
            return Err(bad(what));
        }
        let tls = (url.scheme() == "https").then(|| {
            let mut tls = tls.clone();
            tls.alpn_protocols.clear();
            Arc::new(tls)
        });
        let port = origin.port_or_known_default().unwrap_or(443);
        Ok(Some(Self {
            auth: header(&options).map_err(bad)?,
            _password: options.password,
            target: format!("{}:{port}", origin.host_str().unwrap_or_default()),
            url,
            tls,
            said_by: options.said_by,
            auth_by: options.auth_by,
        }))
    }

    /// For the library.
    pub(super) fn rule(&self) -> Result<reqwest::Proxy, DoorError> {
        let proxy = reqwest::Proxy::all(self.url.as_str());
        let proxy = proxy.map_err(|_| DoorError::Proxy(format!("{}: the URL is not one", self.said_by)))?;
        Ok(match &self.auth {
            Some(auth) => proxy.custom_http_auth(auth.clone()),
            None => proxy,
        })
    }

    /// Its address, for messages: no user name, no password.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Which key or variable names it.
    #[must_use]
    pub fn said_by(&self) -> &str {
        &self.said_by
    }

    /// Its name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        bare(self.url.host_str().unwrap_or_default())
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// Asks it for the way, and lets go. `Ok` tells that it makes one.
    ///
    /// # Errors
    /// What it says instead, and what that asks of the operator.
    pub async fn ask(&self, patience: Duration) -> Result<String, String> {
        let asked = timeout(patience, self.asked(patience)).await;
        let asked = asked.map_err(|_| format!("{self}: no answer to CONNECT within {patience:?}"))?;
        match asked {
            Asked::Answered(200, _) => Ok(format!("{self} makes a way to {}", self.target)),
            other => Err(self.sentence(&other)),
        }
    }

    /// It does not know who asks.
    pub(super) fn unknown(&self) -> String {
        self.sentence(&Asked::Answered(407, None))
    }

    fn sentence(&self, asked: &Asked) -> String {
        let (target, auth_by) = (&self.target, &self.auth_by);
        match asked {
            // Some proxies say 401 once there is a password.
            Asked::Answered(status @ (401 | 407), _) if self.auth.is_some() => format!(
                "{self} does not accept the user name and password of {auth_by} ({status}): mend them there and restart; only Basic is spoken"
            ),
            Asked::Answered(status @ (401 | 407), _) => format!(
                "{self} wants a user name and password ({status}): write them into a file, and its path as {auth_by}; only Basic is spoken"
            ),
            Asked::Answered(403, _) => format!(
                "{self} does not allow {target} (403): its owner must let this machine through to that host and port"
            ),
            Asked::Answered(status @ (502..=504), _) => {
                format!(
                    "{self} does not reach {target} ({status}): its own DNS or way out fails, or the host is down"
                )
            }
            Asked::Answered(status, Some(there)) => format!(
                "an answer that is not from {target}: {self} answers {status}, a redirect to {there}: a captive portal, or a proxy that wants a login?"
            ),
            Asked::Answered(200, _) => format!("{self} refused a way to {target}, and now makes one"),
            Asked::Answered(status, None) => {
                format!("{self} answers {status} to CONNECT {target}: see its log")
            }
            Asked::Stranger => format!(
                "{self} is not an HTTP proxy: what answers there speaks something else; are host and port right, and http:// or https://?"
            ),
            Asked::Closed => format!(
                "{self} closed the connection without an answer to CONNECT {target}: may this machine use it, and is http:// or https:// right?"
            ),
            Asked::Unreachable(why) => format!("{self} cannot be reached: {why}"),
        }
    }

    async fn asked(&self, patience: Duration) -> Asked {
        let found = match names::addresses(self.host(), self.port(), patience).await {
            Ok(found) => found,
            Err(error) => return Asked::Unreachable(error.to_string()),
        };
        let stream = match TcpStream::connect(&*found).await {
            Ok(stream) => stream,
            Err(error) => return Asked::Unreachable(error.to_string()),
        };
        let Some(tls) = &self.tls else { return self.connect(stream).await };
        let Ok(name) = ServerName::try_from(self.host().to_owned()) else {
            return Asked::Unreachable("its name is none that TLS knows".to_owned());
        };
        match TlsConnector::from(Arc::clone(tls)).connect(name, stream).await {
            Ok(stream) => self.connect(stream).await,
            Err(error) => Asked::Unreachable(error.to_string()),
        }
    }

    async fn connect(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Asked {
        let target = &self.target;
        let mut head =
            Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes());
        if let Some(auth) = &self.auth {
            head.extend_from_slice(b"Proxy-Authorization: ");
            head.extend_from_slice(auth.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        if stream.write_all(&head).await.is_err() {
            return Asked::Closed;
        }
        let mut answer = Vec::new();
        let mut some = [0; 1024];
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") && answer.len() < MAX_HEAD {
            match stream.read(&mut some).await {
                Ok(0) | Err(_) if answer.is_empty() => return Asked::Closed,
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&some[..count]),
            }
        }
        self.understood(&String::from_utf8_lossy(&answer))
    }

    fn understood(&self, answer: &str) -> Asked {
        let mut lines = answer.split("\r\n");
        let status = lines.next().filter(|line| line.starts_with("HTTP/1."));
        let status = status.and_then(|line| line.get(9..12)?.parse().ok());
        let Some(status) = status else { return Asked::Stranger };
        let mut headers = lines.filter_map(|line| line.split_once(':'));
        let there = headers.find(|(name, _)| name.eq_ignore_ascii_case("location"));
        let there = there.and_then(|(_, to)| self.url.join(to.trim()).ok());
        Asked::Answered(status, there.and_then(|to| Some(to.host_str()?.to_owned())))
    }
}

/// How messages name it.
impl std::fmt::Display for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the proxy {}", self.shown())
    }
}

/// An IPv6 address without its brackets; anything else as it is.
pub(super) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// RFC 7617: the first colon ends the name.
fn header(options: &ProxyOptions) -> Result<Option<HeaderValue>, &'static str> {
    let Some(user) = &options.user else { return Ok(None) };
    let password = options.password.as_ref().map_or("", Secret::expose);
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let basic = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&basic).map_err(|_| "the user name cannot be sent")?;
    value.set_sensitive(true);
    Ok(Some(value))
}
