//! The stage: a temporary directory, the two simulated parts, and the agent's process.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    sync::oneshot,
};

use super::teller::Teller;
use crate::sandbox::{
    control_plane::{self, Operator},
    jumpcloud::{self, Console},
};

/// Everything that runs.
pub(super) struct Stage {
    dir: Option<tempfile::TempDir>,
    pub(super) config: PathBuf,
    pub(super) control_data: PathBuf,
    pub(super) agent_log: PathBuf,
    pub(super) cloud_url: String,
    pub(super) cloud_ca: PathBuf,
    pub(super) cloud: Console,
    pub(super) operator: Operator,
    control: Option<Part>,
    control_at: SocketAddr,
    cloud_part: Part,
    agent: Option<Child>,
    socket: PathBuf,
}

/// A simulated part and the way to stop it.
struct Part {
    stop: oneshot::Sender<()>,
    done: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Part {
    async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.done.await;
    }
}

impl Stage {
    /// Starts the simulated parts and writes the agent's files.
    pub(super) async fn set(teller: &mut Teller) -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("ephemerald-sandbox-").tempdir().map_err(text)?;
        let root = dir.path().to_owned();
        teller.act("The stage: loopback only, real TLS from a throw-away authority");
        let (cloud, cloud_part) = start_cloud(&root).await?;
        teller.step(
            "jumpcloud",
            &format!("simulated JumpCloud at {}", cloud.url),
            &json!({"url": cloud.url}),
        );
        let control_data = root.join("control-plane");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (control, control_part) = start_control(any, &control_data).await?;
        teller.step(
            "control_plane",
            &format!("reference control plane at {}", control.url),
            &json!({"url": control.url}),
        );
        let operator = Operator::of_data_dir(&control_data).map_err(text)?;
        let ca = |file: &Option<PathBuf>| file.clone().ok_or_else(|| "no certificate authority".to_owned());
        let files =
            Files { root: &root, connection: root.join("jumpcloud.json"), control_ca: ca(&control.ca_file)? };
        cloud.write_connection(&files.connection).map_err(text)?;
        files.write()?;
        Ok(Self {
            config: root.join("ephemerald.toml"),
            agent_log: root.join("agent.log"),
            socket: root.join("control.sock"),
            cloud_ca: ca(&cloud.ca_file)?,
            cloud_url: cloud.url,
            cloud: cloud.console,
            cloud_part,
            operator,
            control: Some(control_part),
            control_at: control.addr,
            control_data,
            agent: None,
            dir: Some(dir),
        })
    }

    /// The shipped program with the stage's configuration.
    pub(super) fn ephemerald(&self) -> Result<Command, String> {
        let mut command = Command::new(std::env::current_exe().map_err(text)?);
        command.arg("--config").arg(&self.config).stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    pub(super) fn root(&self) -> PathBuf {
        self.config.parent().map(Path::to_owned).unwrap_or_default()
    }

    pub(super) fn start_agent(&mut self) -> Result<(), String> {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.agent_log).map_err(text)?;
        let errors = log.try_clone().map_err(text)?;
        let agent = self.ephemerald()?.arg("run").stdout(log).stderr(errors).spawn().map_err(text)?;
        self.agent = Some(agent);
        Ok(())
    }

    /// Waits until the agent says that it is ready.
    pub(super) async fn agent_ready(&mut self) -> Result<(), String> {
        for _ in 0..200 {
            if let Ok(health) = crate::admin::client::health(&self.socket).await
                && health.ready
            {
                return Ok(());
            }
            if let Some(Ok(Some(status))) = self.agent.as_mut().map(Child::try_wait) {
                return Err(format!("the agent ended at its start: {status}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let why = crate::admin::client::health(&self.socket).await.map(|h| h.why_not.join("; "));
        Err(format!("the agent is not ready: {}", why.unwrap_or_else(|e| e.to_string())))
    }

    pub(super) async fn stop_control_plane(&mut self) {
        if let Some(part) = self.control.take() {
            part.stop().await;
        }
    }

    /// Starts it again on its old address, with its old state.
    pub(super) async fn restart_control_plane(&mut self) -> Result<(), String> {
        let (_, part) = start_control(self.control_at, &self.control_data).await?;
        self.control = Some(part);
        Ok(())
    }

    /// Stops everything; with `keep` false a person may still want to look at the files.
    pub(super) async fn strike(mut self, once: bool) {
        if let Some(mut agent) = self.agent.take() {
            if let Some(pid) =
                agent.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            if tokio::time::timeout(Duration::from_secs(15), agent.wait()).await.is_err() {
                let _ = agent.kill().await;
            }
        }
        if let Some(part) = self.control.take() {
            part.stop().await;
        }
        self.cloud_part.stop().await;
        if let Some(dir) = self.dir.take().filter(|_| !once) {
            let _ = dir.keep();
        }
    }

    pub(super) fn agent_log_tail(&self) -> String {
        let log = fs::read_to_string(&self.agent_log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    pub(super) fn places(&self) -> Value {
        json!({
            "config": self.config, "agent_log": self.agent_log, "control_plane_data": self.control_data,
            "jumpcloud": self.cloud_url, "jumpcloud_ca": self.cloud_ca,
        })
    }
}

async fn start_cloud(root: &Path) -> Result<(jumpcloud::Running, Part), String> {
    let tls = root.join("jumpcloud-tls");
    let options = jumpcloud::Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), Some(&tls));
    let (stop, stopped) = oneshot::channel::<()>();
    let mut running = jumpcloud::run(options, async { drop(stopped.await) }).await.map_err(text)?;
    let done = std::mem::replace(&mut running.done, tokio::spawn(async { Ok(()) }));
    Ok((running, Part { stop, done }))
}

async fn start_control(listen: SocketAddr, data: &Path) -> Result<(control_plane::Running, Part), String> {
    let (stop, stopped) = oneshot::channel::<()>();
    let options = control_plane::Options::new(listen, data);
    let mut running = control_plane::run(options, async { drop(stopped.await) }).await.map_err(text)?;
    let done = std::mem::replace(&mut running.done, tokio::spawn(async { Ok(()) }));
    Ok((running, Part { stop, done }))
}

/// The files that configure the agent: all that it gets.
struct Files<'a> {
    root: &'a Path,
    connection: PathBuf,
    control_ca: PathBuf,
}

impl Files<'_> {
    fn write(&self) -> Result<(), String> {
        let state = self.root.join("state");
        fs::DirBuilder::new().mode(0o700).create(&state).map_err(text)?;
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        let config = format!(
            "# Waiting times are the sandbox's: far shorter than the defaults.\n\
             [agent]\nname = \"sandbox\"\nstate_dir = {state}\ncontrol_socket = {socket}\n\n\
             [control_plane]\nca_file = {ca}\nreport_interval = \"1s\"\n\n\
             [policy]\nfile = {policy}\n\n[log]\nformat = \"json\"\n\n\
             [[integration]]\nname = \"jumpcloud\"\nconnection_file = {connection}\nobserve_interval = \"2s\"\nrate_limit = 50\n\n\
             [timing]\nsettle = \"2s\"\nin_flight_window = \"12s\"\nwatch = [\"12s\", \"20s\"]\nraise_timeout = \"10s\"\n",
            state = quoted(&state),
            socket = quoted(&self.root.join("control.sock")),
            ca = quoted(&self.control_ca),
            policy = quoted(&self.root.join("policy.toml")),
            connection = quoted(&self.connection),
        );
        fs::write(self.root.join("ephemerald.toml"), config).map_err(text)?;
        fs::write(self.root.join("policy.toml"), POLICY).map_err(text)?;
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&self.connection, private).map_err(text)
    }
}

const POLICY: &str = "\
mode = \"enforce\"
max_duration = \"10m\"
max_live_grants = 20
protected_accounts = [\"owner@example.com\"]

[roles]
\"Read Only\" = \"10m\"
\"Help Desk\" = \"10m\"
\"Manager\" = \"10m\"

[ephemeral]
allowed = true
domains = [\"example.com\"]

[require]
request_number = true
justification = true
approvers = 1
requester_not_approver = true
";

pub(super) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
