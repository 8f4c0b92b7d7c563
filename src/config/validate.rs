//! Turns what is written into what the daemon uses, section by section.
//!
//! Refuses: whatever [`super`] says; each refusal names the key and where it was written.

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use reqwest::Url;
use tracing_subscriber::EnvFilter;

use super::{
    Agent, Config, ConfigError, ControlPlane, Environment, Hardening, Log, LogFormat,
    duration::{self, DAY, SECOND},
    integration,
    layers::Merged,
    proxy, raw, show,
    source::{self, Said},
};
use crate::{
    engine::{ids::BadName, settings::Timing, time::Millis},
    secrets::Source,
};

pub(super) const HOUR: Millis = Millis(60 * 60 * 1000);
const BRIEF: RangeInclusive<Millis> = Millis(1)..=HOUR;

/// Checks every section.
pub(super) fn config(merged: &Merged) -> Result<Config, ConfigError> {
    let check = Check { merged };
    let raw = &merged.raw;
    source::patience(&check)?; // also while there is no command
    Ok(Config {
        agent: agent(&check, &raw.agent)?,
        control_plane: control_plane(&check, &raw.control_plane)?,
        integrations: integration::all(&check, &raw.integration)?,
        policy_file: check.path("policy.file", &raw.policy.file)?,
        timing: timing(&check, &raw.timing)?,
        log: log(&check, &raw.log)?,
        probes: probes(&check, &raw.telemetry)?,
        hardening: hardening(&check, &raw.hardening)?,
        environment: Environment::default(),
    })
}

fn agent(check: &Check<'_>, raw: &raw::Agent) -> Result<Agent, ConfigError> {
    let state_key = Said {
        at: "agent",
        of: "state_key",
        file: raw.state_key_file.as_ref(),
        credential: raw.state_key_credential.as_ref(),
        command: raw.state_key_command.as_ref(),
    };
    let state_dir = check.path("agent.state_dir", &raw.state_dir)?;
    let state_key = state_key.one(check)?.map(|(source, _)| source);
    if let Some(Source::File(path)) = state_key.as_ref().filter(|source| beside(source, &state_dir)) {
        let expected = "a file outside of agent.state_dir: beside what it protects it protects nothing";
        return Err(check.bad("agent.state_key_file", expected, &format!("{path:?}")));
    }
    Ok(Agent {
        state_dir,
        control_socket: check.path("agent.control_socket", &raw.control_socket)?,
        control_group: raw.control_group.clone(),
        name: raw.name.clone(),
        state_key,
    })
}

fn beside(source: &Source, dir: &Path) -> bool {
    matches!(source, Source::File(path) if path.starts_with(dir))
}

fn control_plane(check: &Check<'_>, raw: &raw::ControlPlane) -> Result<ControlPlane, ConfigError> {
    let url = raw.url.as_ref().map(|text| check.server("control_plane.url", text)).transpose()?;
    let ca_file = raw.ca_file.as_ref().map(|text| check.path("control_plane.ca_file", text)).transpose()?;
    let auth = Said {
        at: "control_plane",
        of: "proxy_auth",
        file: raw.proxy_auth_file.as_ref(),
        credential: raw.proxy_auth_credential.as_ref(),
        command: raw.proxy_auth_command.as_ref(),
    };
    let (proxy, proxy_auth) = proxy::keys(check, raw.proxy.as_deref(), &auth)?;
    if raw.ca_only && ca_file.is_none() {
        let expected = "`ca_file` beside it: it names what is trusted";
        return Err(check.bad("control_plane.ca_only", expected, "no ca_file"));
    }
    // The protocol lets a poll stay open for 55 s at most.
    let poll = SECOND..=Millis::from_secs(55);
    Ok(ControlPlane {
        url,
        ca_file,
        ca_only: raw.ca_only,
        poll_max: check.duration("control_plane.poll_max", &raw.poll_max, &poll)?,
        report_interval: check.duration(
            "control_plane.report_interval",
            &raw.report_interval,
            &(SECOND..=HOUR),
        )?,
        proxy,
        proxy_auth,
        no_proxy: proxy::exceptions(check, "control_plane.no_proxy", &raw.no_proxy)?,
    })
}

fn timing(check: &Check<'_>, raw: &raw::RawTiming) -> Result<Timing, ConfigError> {
    let look = |text: &String| check.duration("timing.watch", text, &(Millis(1)..=Millis(30 * DAY.0)));
    let watch: Vec<Millis> = raw.watch.iter().map(look).collect::<Result<_, _>>()?;
    if watch.is_empty() || !watch.is_sorted_by(|a, b| a < b) {
        let expected = "a list of one or more ascending durations";
        return Err(check.bad("timing.watch", expected, &format!("{:?}", raw.watch)));
    }
    Ok(Timing {
        settle: check.duration("timing.settle", &raw.settle, &BRIEF)?,
        in_flight_window: check.duration("timing.in_flight_window", &raw.in_flight_window, &BRIEF)?,
        watch,
        raise_timeout: check.duration("timing.raise_timeout", &raw.raise_timeout, &BRIEF)?,
        ..Timing::default()
    })
}

fn log(check: &Check<'_>, raw: &raw::Log) -> Result<Log, ConfigError> {
    let formats = [("auto", LogFormat::Auto), ("json", LogFormat::Json), ("human", LogFormat::Human)];
    let format = check.one_of("log.format", &raw.format, &formats)?;
    if raw.level.trim().is_empty() || EnvFilter::builder().parse(&raw.level).is_err() {
        let expected =
            "a level (error, warn, info, debug, trace) or a filter such as \"info,ephemerald=debug\"";
        return Err(check.bad("log.level", expected, &format!("{:?}", raw.level)));
    }
    Ok(Log { format, level: raw.level.clone() })
}

fn probes(check: &Check<'_>, raw: &raw::Telemetry) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(text) = &raw.listen else { return Ok(None) };
    let expected = "an IP address and a port such as \"127.0.0.1:9464\"";
    text.parse().map(Some).map_err(|_| check.bad("telemetry.listen", expected, &format!("{text:?}")))
}

fn hardening(check: &Check<'_>, raw: &raw::Hardening) -> Result<Hardening, ConfigError> {
    let switch = [("enforce", true), ("off", false)];
    let path = |text: &String| check.path("hardening.read", text);
    Ok(Hardening {
        seccomp: check.one_of("hardening.seccomp", &raw.seccomp, &switch)?,
        landlock: check.one_of("hardening.landlock", &raw.landlock, &switch)?,
        read: raw.read.iter().map(path).collect::<Result<_, _>>()?,
    })
}

/// Checks single values and says where a bad one was written.
pub(super) struct Check<'a> {
    pub(super) merged: &'a Merged,
}

impl Check<'_> {
    pub(super) fn bad(&self, key: &str, expected: &str, found: &str) -> ConfigError {
        ConfigError::Value {
            origin: self.merged.near(key),
            key: key.to_owned(),
            expected: expected.to_owned(),
            found: show::quotable(found),
        }
    }

    pub(super) fn duration(
        &self,
        key: &str,
        text: &str,
        range: &RangeInclusive<Millis>,
    ) -> Result<Millis, ConfigError> {
        duration::parse(text, range).map_err(|expected| self.bad(key, &expected, &format!("{text:?}")))
    }

    pub(super) fn path(&self, key: &str, text: &str) -> Result<PathBuf, ConfigError> {
        let path = PathBuf::from(text);
        if path.is_absolute() {
            return Ok(path);
        }
        Err(self.bad(key, "an absolute path", &format!("{text:?}")))
    }

    pub(super) fn name<T>(
        &self,
        key: &str,
        text: &str,
        new: fn(&str) -> Result<T, BadName>,
    ) -> Result<T, ConfigError> {
        new(text).map_err(|bad| self.bad(key, &format!("a name that {}", bad.problem), &format!("{text:?}")))
    }

    pub(super) fn one_of<T: Copy>(
        &self,
        key: &str,
        text: &str,
        known: &[(&str, T)],
    ) -> Result<T, ConfigError> {
        known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|(name, _)| format!("{name:?}")).collect();
            self.bad(key, &names.join(" or "), &format!("{text:?}"))
        })
    }

    fn server(&self, key: &str, text: &str) -> Result<String, ConfigError> {
        let url = Url::parse(text).ok();
        let loopback = |url: &Url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let fits = |url: &Url| {
            let scheme = url.scheme() == "https" || (url.scheme() == "http" && loopback(url));
            scheme && url.has_host() && url.username().is_empty() && url.password().is_none()
        };
        if url.as_ref().is_some_and(fits) {
            return Ok(text.to_owned());
        }
        let expected = "an https:// URL without a user name (http:// only on loopback)";
        Err(self.bad(key, expected, &format!("{text:?}")))
    }
}
