//! The agent's process: started, asked, killed, started again.

use std::{
    ffi::OsString,
    fs,
    os::{fd::OwnedFd, unix::fs::PermissionsExt as _},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use ephemerald::admin::client;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use super::{Files, PATIENCE};

/// One agent; at most one process of it runs.
pub(crate) struct Agent {
    config: PathBuf,
    log: PathBuf,
    socket: PathBuf,
    token: PathBuf,
    /// What `run` has in its environment beside the test's own.
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) running: Option<Child>,
}

/// What a command printed and how it ended.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    /// Both outputs, one after the other.
    pub(crate) text: String,
    /// Standard output alone.
    #[allow(dead_code, reason = "each test file uses its own part")]
    pub(crate) printed: String,
}

impl Said {
    /// All of it as one line: for sentences, wherever they were broken.
    #[allow(dead_code, reason = "each test file uses its own part")]
    pub(crate) fn prose(&self) -> String {
        self.text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Agent {
    pub(crate) fn of(files: &Files) -> Self {
        Self {
            config: files.config.clone(),
            log: files.log.clone(),
            socket: files.socket.clone(),
            token: files.root.join("agent-token"),
            environment: Vec::new(),
            running: None,
        }
    }

    /// Runs another subcommand with the agent's configuration; what it prints goes to the log too.
    pub(crate) async fn command(&self, args: &[&str]) -> Said {
        self.command_in(&[], args).await
    }

    /// The same with this in its environment, too.
    pub(crate) async fn command_in(&self, environment: &[(OsString, OsString)], args: &[&str]) -> Said {
        let output = self.program().args(args).envs(environment.iter().cloned()).output().await.unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        fs::write(&self.log, log + &text).unwrap();
        Said { code: output.status.code(), text, printed }
    }

    pub(crate) async fn enroll(&self, token: &str) {
        fs::write(&self.token, token).unwrap();
        fs::set_permissions(&self.token, fs::Permissions::from_mode(0o600)).unwrap();
        let said = self.command(&["enroll", "--token-file", self.token.to_str().unwrap()]).await;
        assert_eq!(said.code, Some(0), "enroll: {}", said.text);
    }

    pub(crate) fn start(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        self.start_into(log.into());
    }

    /// The same; what it prints goes elsewhere.
    pub(crate) fn start_into(&mut self, outlet: OwnedFd) {
        assert!(self.running.is_none(), "one process at a time");
        let errors = outlet.try_clone().unwrap();
        let mut run = self.program();
        run.arg("run").envs(self.environment.iter().cloned()).stdout(outlet).stderr(errors);
        self.running = Some(run.spawn().unwrap());
    }

    /// Waits until the agent says that it is ready.
    pub(crate) async fn ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let health = client::health(&self.socket).await;
            if health.as_ref().is_ok_and(|health| health.ready) {
                return;
            }
            let ended = self.running.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the agent is not ready: {health:?}, ended: {ended:?}\n{}",
                self.tail()
            );
            sleep(Duration::from_millis(25)).await;
        }
    }

    /// SIGKILL; true if the process was alive until then.
    pub(crate) async fn kill(&mut self) -> bool {
        let mut child = self.running.take().expect("a process runs");
        let alive = child.try_wait().unwrap().is_none();
        child.kill().await.unwrap();
        alive
    }

    /// The end of the log, for a failing test.
    pub(crate) fn tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("\"debug\"")).collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// The program with the agent's configuration.
    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ephemerald"));
        command.arg("--config").arg(&self.config).stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}
