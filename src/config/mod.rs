//! Configuration: several layers in, one checked [`Config`] out.
//!
//! Later layers win: defaults, `/etc/ephemerald/ephemerald.toml` (or `--config FILE`), `conf.d/*.toml`
//! beside it in the order of their names, `EPHEMERALD__SECTION__KEY`, flags. Tables merge key by
//! key; **an array replaces the whole array of an earlier layer**, `[[integration]]` included.
//!
//! Refuses: unknown keys, durations without a unit, two integrations of one name or connection, a
//! control plane or proxy that is no https (http is for loopback and for proxies). Secrets have no key here:
//! they come from files, credentials and
//! commands that this configuration only names.

mod duration;
mod error;
mod integration;
mod layers;
pub mod policy_file;
mod proxy;
mod raw;
mod show;
mod source;
pub mod template;
mod validate;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use crate::{
    engine::{
        settings::{IntegrationSettings, Settings, Timing},
        time::Millis,
    },
    secrets::Source,
};

pub use error::ConfigError;
pub use layers::{DEFAULT_FILE, Override, Sources};
pub use proxy::{Environment, Proxy, ProxyUrl};
pub use show::Entry;

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The agent itself.
    pub agent: Agent,
    /// How the control plane is reached.
    pub control_plane: ControlPlane,
    /// The JumpCloud organizations; may be empty.
    pub integrations: Vec<Integration>,
    /// Where the policy lies; see [`policy_file`].
    pub policy_file: PathBuf,
    /// Waiting times of the engine.
    pub timing: Timing,
    /// What is logged and how.
    pub log: Log,
    /// Where probes and Prometheus are answered; nowhere unless named.
    pub probes: Option<SocketAddr>,
    /// What the daemon takes from itself.
    pub hardening: Hardening,
    /// What the environment says about proxies; of use only where a key says so.
    pub environment: Environment,
}

/// The agent itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Holds the ledger and the agent's key.
    pub state_dir: PathBuf,
    /// The socket that the operator's commands use.
    pub control_socket: PathBuf,
    /// The group that may use that socket, by name or number; the daemon's own when there is none.
    pub control_group: Option<String>,
    /// What people call this agent; shown by the control plane.
    pub name: Option<String>,
    /// Where the key comes from that authenticates the ledger and seals the keys beside it.
    pub state_key: Option<Source>,
}

/// How the control plane is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlPlane {
    /// Replaces the URL that enrolment stored.
    pub url: Option<String>,
    /// More certificate authorities to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// Trust those alone, not the platform's.
    pub ca_only: bool,
    /// How long one poll for jobs may stay open.
    pub poll_max: Millis,
    /// How often the agent reports its status.
    pub report_interval: Millis,
    /// The way out, for everything that has none of its own.
    pub proxy: Proxy,
    /// User name and password for that proxy.
    pub proxy_auth: Option<Source>,
    /// What is reached without any proxy.
    pub no_proxy: Vec<String>,
}

/// One JumpCloud organization.
#[derive(Clone, Debug)]
pub struct Integration {
    /// What the engine needs to know.
    pub settings: IntegrationSettings,
    /// Where the connection JSON comes from.
    pub connection: Source,
    /// The way to it.
    pub proxy: Proxy,
    /// User name and password for its own proxy.
    pub proxy_auth: Option<Source>,
    /// Accounts in one page of a listing.
    pub page_size: u32,
    /// Whether Directory Insights is asked for hints.
    pub insights: bool,
    /// Which of the keys that the connection's `options` may hold too somebody wrote, and where.
    pub said: BTreeMap<&'static str, String>,
}

/// What the daemon takes from itself at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// System calls are filtered.
    pub seccomp: bool,
    /// Paths and ports are restricted.
    pub landlock: bool,
    /// Files and directories that are read beside those that other keys name.
    pub read: Vec<PathBuf>,
}

/// What is logged and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// A level or a filter such as `info,ephemerald::jumpcloud=debug`.
    pub level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For eyes.
    Human,
}

/// A configuration and where each of its values comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked configuration.
    pub config: Config,
    /// Every key with its value (masked) and origin, in the order of the sections.
    pub entries: Vec<Entry>,
}

impl Config {
    /// Reads all layers and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`] names the file or variable, the key, what was expected and what was found.
    pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
        let merged = layers::merge(sources)?;
        let mut config = validate::config(&merged)?;
        config.environment = Environment::of(&sources.environment);
        Ok(Loaded { config, entries: show::entries(&merged) })
    }

    /// Whether the daemon starts programs: then it leaves itself, and so them, more of the system.
    #[must_use]
    pub fn runs_commands(&self) -> bool {
        let single = self.control_plane.proxy_auth.iter().chain(&self.agent.state_key);
        let integrations = self.integrations.iter();
        let sources = integrations.flat_map(|i| [Some(&i.connection), i.proxy_auth.as_ref()]).flatten();
        sources.chain(single).any(|source| matches!(source, Source::Command(_)))
    }

    /// The part that the engine is started with, before the connections have had their say.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            integrations: self.integrations.iter().map(|i| i.settings.clone()).collect(),
            timing: self.timing.clone(),
        }
    }
}
