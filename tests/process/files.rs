//! The agent's files: all that configures it.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::scan::Canary;

/// Where they are.
pub(crate) struct Files {
    pub(crate) root: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) policy: PathBuf,
    pub(crate) connection: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) socket: PathBuf,
    /// Everything that any process of the agent ever printed.
    pub(crate) log: PathBuf,
}

impl Files {
    /// Writes them under `root`; the connection is left to JumpCloud's part.
    pub(crate) fn write(root: &Path, control_ca: &Path) -> Self {
        let files = Self {
            root: root.to_owned(),
            config: root.join("ephemerald.toml"),
            policy: root.join("policy.toml"),
            connection: root.join("main.json"),
            state: root.join("state"),
            socket: root.join("control.sock"),
            log: root.join("agent.log"),
        };
        fs::DirBuilder::new().mode(0o700).create(&files.state).unwrap();
        let toml = CONFIG
            .replace("@STATE@", text(&files.state))
            .replace("@SOCKET@", text(&files.socket))
            .replace("@CA@", text(control_ca))
            .replace("@POLICY@", text(&files.policy))
            .replace("@CONNECTION@", text(&files.connection));
        fs::write(&files.config, toml).unwrap();
        fs::write(&files.policy, POLICY).unwrap();
        files
    }

    /// What the agent printed so far.
    pub(crate) fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Looks for each secret, in every usual encoding, in all that the agent printed and in every file below its state
    /// directory that is no key.
    pub(crate) fn hold_nowhere(&self, canaries: &[Canary]) {
        let mut paths = vec![self.log.clone(), self.state.clone()];
        while let Some(path) = paths.pop() {
            if let Ok(entries) = fs::read_dir(&path) {
                paths.extend(entries.map(|entry| entry.unwrap().path()));
            } else if path.extension().is_none_or(|end| end != "key")
                && let Ok(content) = fs::read(&path)
            {
                for canary in canaries {
                    let form = canary.in_bytes(&content);
                    assert!(form.is_none(), "SEEN: {} ({form:?}) in {}", canary.name, path.display());
                }
            }
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const CONFIG: &str = r#"
[agent]
name = "story"
state_dir = "@STATE@"
control_socket = "@SOCKET@"

[control_plane]
ca_file = "@CA@"
report_interval = "1s"

[policy]
file = "@POLICY@"

[log]
format = "json"
level = "info,ephemerald=debug,ephemerald::http=info"

[[integration]]
name = "main"
connection_file = "@CONNECTION@"
observe_interval = "1s"
rate_limit = 100

[timing]
settle = "1s"
in_flight_window = "3s"
watch = ["2s", "3s"]
raise_timeout = "10s"
"#;

const POLICY: &str = r#"
mode = "enforce"
max_duration = "10m"
max_live_grants = 50
max_grants_per_hour = 10000
protected_accounts = ["breakglass@example.com"]

[roles]
"Read Only" = "10m"
"Help Desk" = "10m"
"Manager" = "10m"

[ephemeral]
allowed = true
domains = ["example.com"]

[require]
request_number = true
justification = true
approvers = 1
requester_not_approver = true
"#;
