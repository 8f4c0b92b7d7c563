//! The ways out: which proxy each channel takes, what is shown to it, and which hosts go without.
//!
//! Refuses: a proxy of the environment that no key asks for; to go direct where the proxy that was asked for
//! cannot be found out. What depends on the process that asks (a variable, a file that the daemon alone may
//! read) is an error of the way, not of the configuration, so that an operator's commands still work.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use reqwest::Url;
use serde::Deserialize;

use super::{Config, ConfigError, Integration, show, source::Said, validate::Check};
use crate::{
    http::ProxyOptions,
    secrets::{Secret, Source},
};

/// Which way a channel's requests take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Nothing is said: an integration goes as the control plane does, the control plane directly.
    Unsaid,
    /// None.
    Direct,
    /// This one.
    Own(ProxyUrl),
    /// That of `https_proxy` or `HTTPS_PROXY`, without the hosts of `no_proxy` or `NO_PROXY`.
    Environment,
}

/// A proxy's URL. Its user name and password show in no Debug output, only in [`ProxyUrl::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(String);

/// What the environment of this process says about proxies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The variable's name and its URL; `None` for a value that is none.
    https: Option<(&'static str, Option<ProxyUrl>)>,
    /// Whether that variable is set to nothing: no proxy.
    emptied: bool,
    /// What goes without.
    except: Vec<String>,
    /// The variables that other programs would follow.
    pub set: Vec<&'static str>,
}

/// What a `proxy_auth_…` holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    user: String,
    password: String,
}

impl Config {
    /// The proxy of the control plane, and of whatever has none of its own.
    ///
    /// # Errors
    /// Why it cannot be found out, for the operator.
    pub fn proxy_of_control_plane(&self) -> Result<Option<ProxyOptions>, String> {
        let plane = &self.control_plane;
        self.way("control_plane", &plane.proxy, plane.proxy_auth.as_ref())
    }

    /// The proxy of an integration.
    ///
    /// # Errors
    /// As for the control plane.
    pub fn proxy_of(&self, integration: &Integration) -> Result<Option<ProxyOptions>, String> {
        if integration.proxy == Proxy::Unsaid {
            return self.proxy_of_control_plane();
        }
        let section = format!("integration {}", integration.settings.id);
        self.way(&section, &integration.proxy, integration.proxy_auth.as_ref())
    }

    /// Variables that other programs would follow and this one does not, if nobody chose a way.
    #[must_use]
    pub fn ignored_variables(&self) -> &[&'static str] {
        let chosen = self.control_plane.proxy != Proxy::Unsaid
            || self.integrations.iter().any(|integration| integration.proxy == Proxy::Environment);
        if chosen { &[] } else { &self.environment.set }
    }

    fn way(
        &self,
        section: &str,
        proxy: &Proxy,
        auth: Option<&Source>,
    ) -> Result<Option<ProxyOptions>, String> {
        let key = format!("{section}: proxy");
        let mut except = self.control_plane.no_proxy.clone();
        let (url, said_by) = match proxy {
            Proxy::Unsaid | Proxy::Direct => return Ok(None),
            Proxy::Own(url) => (url, key),
            Proxy::Environment => {
                let Some((name, url)) = self.environment.found(&key)? else { return Ok(None) };
                except.extend(self.environment.except.iter().cloned());
                (url, format!("{key} and {name}"))
            }
        };
        let mut options = url.split();
        options.except = except;
        options.said_by = said_by;
        options.auth_by = format!("{section}: proxy_auth_file");
        if let Some(source) = auth {
            let read = read(source)
                .map_err(|problem| format!("{section}: proxy_auth_{}: {problem}", source.kind()))?;
            (options.user, options.password) = (Some(read.0), Some(read.1));
            options.auth_by = source.to_string();
        } else if options.user.is_some() {
            options.auth_by.clone_from(&options.said_by);
        }
        Ok(Some(options))
    }
}

impl Environment {
    /// Lower case wins, also where it is set to nothing: that is how a proxy is switched off for a command.
    pub(super) fn of(variables: &[(String, String)]) -> Self {
        let value = |name| variables.iter().find(|(n, _)| n == name).map(|(_, value)| value.trim());
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| value(name).map(|value| (name, value)))
        };
        let said = first(["https_proxy", "HTTPS_PROXY"]);
        let (_, without) = first(["no_proxy", "NO_PROXY"]).unwrap_or_default();
        let names = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
        Self {
            https: said.filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, assumed(text))),
            emptied: said.is_some_and(|(_, text)| text.is_empty()),
            except: list(without),
            set: names.into_iter().filter(|name| value(name).is_some_and(|v| !v.is_empty())).collect(),
        }
    }

    fn found(&self, key: &str) -> Result<Option<(&'static str, &ProxyUrl)>, String> {
        match &self.https {
            Some((name, Some(url))) => Ok(Some((name, url))),
            Some((name, None)) => Err(format!(
                "{key} is \"environment\", and the variable {name} is no http:// or https:// URL of a proxy"
            )),
            None if self.emptied => Ok(None),
            None => Err(format!(
                "{key} is \"environment\", and neither https_proxy nor HTTPS_PROXY is set for this process: set one, or write a URL or \"direct\" instead"
            )),
        }
    }
}

impl ProxyUrl {
    fn new(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then(|| Self(text.to_owned()))
    }

    /// The proxy for the HTTP client: the URL apart from user name and password.
    #[must_use]
    pub fn split(&self) -> ProxyOptions {
        let bare = |url| ProxyOptions {
            url,
            user: None,
            password: None,
            except: Vec::new(),
            said_by: String::new(),
            auth_by: String::new(),
        };
        let Ok(mut url) = Url::parse(&self.0) else { return bare(self.0.clone()) };
        let user = Some(decoded(url.username())).filter(|user| !user.is_empty());
        let password = url.password().map(|text| Secret::new(decoded(text)));
        // An http(s) URL with a host takes both; nothing else passes the configuration.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        ProxyOptions { user, password, ..bare(url.to_string()) }
    }

    /// Whether a password stands in it, where others may read it.
    #[must_use]
    pub fn holds_password(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| url.password().is_some())
    }

    /// The URL with its user name and password, for the HTTP client only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&show::mask(&self.0))
    }
}

/// The `proxy` of a section, and who is shown to it.
pub(super) fn keys(
    check: &Check<'_>,
    proxy: Option<&str>,
    auth: &Said<'_>,
) -> Result<(Proxy, Option<Source>), ConfigError> {
    let key = format!("{}.proxy", auth.at);
    let proxy = match proxy {
        None => Proxy::Unsaid,
        Some("direct") => Proxy::Direct,
        Some("environment") => Proxy::Environment,
        Some(text) => Proxy::Own(ProxyUrl::new(text).ok_or_else(|| {
            let expected = "an http:// or https:// URL of a proxy, \"direct\" or \"environment\"";
            check.bad(&key, expected, &format!("{text:?}"))
        })?),
    };
    let Some((source, key)) = auth.one(check)? else { return Ok((proxy, None)) };
    match &proxy {
        Proxy::Unsaid | Proxy::Direct => {
            Err(check.bad(&key, "a proxy in the same section", "a password for no proxy"))
        }
        Proxy::Own(url) if url.split().user.is_some() => {
            Err(check.bad(&key, "user name and password in one place", "a user name in `proxy` too"))
        }
        _ => Ok((proxy, Some(source))),
    }
}

/// What `no_proxy` may hold: what the library understands, because a form that it does not know would
/// silently match nothing.
pub(super) fn exceptions(check: &Check<'_>, key: &str, raw: &[String]) -> Result<Vec<String>, ConfigError> {
    let fits = |entry: &String| {
        if let Some((address, bits)) = entry.split_once('/') {
            let longest = match address.parse() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            return bits.parse::<u8>().is_ok_and(|bits| bits <= longest);
        }
        let name = entry.strip_prefix('.').unwrap_or(entry);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        entry.parse::<IpAddr>().is_ok() || (!name.is_empty() && name.chars().all(plain))
    };
    for entry in raw {
        if !fits(entry) {
            let expected = "host names, `.suffix`, IP addresses or networks such as 10.0.0.0/8, without ports, `*` or a scheme";
            return Err(check.bad(key, expected, &format!("{entry:?}")));
        }
    }
    Ok(raw.iter().map(|entry| entry.to_ascii_lowercase()).collect())
}

fn list(text: &str) -> Vec<String> {
    let entries = text.split(',').map(|entry| entry.trim().to_ascii_lowercase());
    entries.filter(|entry| !entry.is_empty()).collect()
}

/// Other programs take `proxy:3128` for `http://proxy:3128`.
fn assumed(text: &str) -> Option<ProxyUrl> {
    if text.contains("://") { ProxyUrl::new(text) } else { ProxyUrl::new(&format!("http://{text}")) }
}

fn read(source: &Source) -> Result<(String, Secret), String> {
    let text = source.read().map_err(|error| error.to_string())?;
    // The parser's own words would quote what is there.
    let expected = || format!("{source}: expected {{\"user\": \"…\", \"password\": \"…\"}}");
    let Credentials { user, password } = serde_json::from_str(text.expose()).map_err(|_| expected())?;
    let password = Secret::new(password);
    if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
        return Err(format!("{source}: `user` is empty, or holds a colon"));
    }
    Ok((user, password))
}

/// Without the `%XX` of a URL.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).filter(|_| *first == b'%').and_then(|two| str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
