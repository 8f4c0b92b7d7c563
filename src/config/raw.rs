//! The configuration as it is written, before any check; also the list of keys and the defaults.
//!
//! Refuses nothing. `config/ephemerald.toml` documents each key, a test holds the two together.

use serde::{Deserialize, Serialize};

use super::duration::show;
use crate::engine::settings::Timing;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    pub(super) agent: Agent,
    pub(super) control_plane: ControlPlane,
    pub(super) integration: Vec<Integration>,
    pub(super) policy: Policy,
    pub(super) timing: RawTiming,
    pub(super) log: Log,
    pub(super) telemetry: Telemetry,
    pub(super) hardening: Hardening,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Agent {
    pub(super) state_dir: String,
    pub(super) control_socket: String,
    pub(super) control_group: Option<String>,
    pub(super) name: Option<String>,
    pub(super) state_key_file: Option<String>,
    pub(super) state_key_credential: Option<String>,
    pub(super) state_key_command: Option<Vec<String>>,
    pub(super) command_timeout: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ControlPlane {
    pub(super) url: Option<String>,
    pub(super) ca_file: Option<String>,
    pub(super) ca_only: bool,
    pub(super) poll_max: String,
    pub(super) report_interval: String,
    pub(super) proxy: Option<String>,
    pub(super) proxy_auth_file: Option<String>,
    pub(super) proxy_auth_credential: Option<String>,
    pub(super) proxy_auth_command: Option<Vec<String>>,
    pub(super) no_proxy: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Integration {
    pub(super) name: String,
    pub(super) connection_file: Option<String>,
    pub(super) connection_credential: Option<String>,
    pub(super) connection_command: Option<Vec<String>>,
    pub(super) proxy: Option<String>,
    pub(super) proxy_auth_file: Option<String>,
    pub(super) proxy_auth_credential: Option<String>,
    pub(super) proxy_auth_command: Option<Vec<String>>,
    pub(super) roles: Vec<String>,
    pub(super) role_mode: String,
    pub(super) role_order: Vec<Vec<String>>,
    pub(super) floor_role: String,
    pub(super) on_incomparable: String,
    pub(super) exclude_accounts: Vec<String>,
    pub(super) email_template: Option<String>,
    pub(super) observe_interval: String,
    pub(super) rate_limit: u32,
    pub(super) page_size: u32,
    pub(super) insights: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Policy {
    pub(super) file: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RawTiming {
    pub(super) settle: String,
    pub(super) in_flight_window: String,
    pub(super) watch: Vec<String>,
    pub(super) raise_timeout: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    pub(super) format: String,
    pub(super) level: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Telemetry {
    pub(super) listen: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Hardening {
    pub(super) seccomp: String,
    pub(super) landlock: String,
    pub(super) read: Vec<String>,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/ephemerald".into(),
            control_socket: "/run/ephemerald/control.sock".into(),
            control_group: None,
            name: None,
            state_key_file: None,
            state_key_credential: None,
            state_key_command: None,
            command_timeout: "10s".into(),
        }
    }
}

impl Default for ControlPlane {
    fn default() -> Self {
        Self {
            url: None,
            ca_file: None,
            ca_only: false,
            poll_max: "55s".into(),
            report_interval: "30s".into(),
            proxy: None,
            proxy_auth_file: None,
            proxy_auth_credential: None,
            proxy_auth_command: None,
            no_proxy: Vec::new(),
        }
    }
}

impl Default for Integration {
    fn default() -> Self {
        Self {
            name: String::new(),
            connection_file: None,
            connection_credential: None,
            connection_command: None,
            proxy: None,
            proxy_auth_file: None,
            proxy_auth_credential: None,
            proxy_auth_command: None,
            roles: Vec::new(),
            role_mode: "single".into(),
            role_order: Vec::new(),
            floor_role: "Read Only".into(),
            on_incomparable: "refuse".into(),
            exclude_accounts: Vec::new(),
            email_template: None,
            observe_interval: "1m".into(),
            rate_limit: 10,
            page_size: 100,
            insights: false,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self { file: "/etc/ephemerald/policy.toml".into() }
    }
}

impl Default for RawTiming {
    /// The engine's own defaults, written out.
    fn default() -> Self {
        let timing = Timing::default();
        Self {
            settle: show(timing.settle),
            in_flight_window: show(timing.in_flight_window),
            watch: timing.watch.into_iter().map(show).collect(),
            raise_timeout: show(timing.raise_timeout),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: "auto".into(), level: "info".into() }
    }
}

impl Default for Hardening {
    fn default() -> Self {
        Self { seccomp: "enforce".into(), landlock: "enforce".into(), read: Vec::new() }
    }
}
