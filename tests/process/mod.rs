//! The shipped program between a simulated JumpCloud and a reference control plane, over real TLS.
//!
//! The agent is a process of its own, configured by files alone and killed when the world is dropped.
//! Refuses fixed sleeps: whoever waits names a condition and gets a deadline.

pub(crate) mod agent;
pub(crate) mod asking;
mod files;
#[path = "../contract/guard.rs"]
mod guard;
pub(crate) mod scan;
pub(crate) mod secrets;

use std::{
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use ephemerald::sandbox::{
    control_plane::{self, Operator},
    jumpcloud::{self, Console},
};
use tokio::{sync::oneshot, task::JoinHandle};

pub(crate) use self::{agent::Agent, files::Files};
use guard::WithinContract;
use scan::Canary;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

/// Everything that runs, and the files of the agent.
pub(crate) struct World {
    pub(crate) cloud: Console,
    pub(crate) operator: Operator,
    pub(crate) agent: Agent,
    pub(crate) files: Files,
    /// The connection's API key: must never be seen anywhere.
    pub(crate) api_key: String,
    /// Secrets that this world's ledger holds on purpose.
    pub(crate) told: Vec<String>,
    control_at: SocketAddr,
    control: Option<Part>,
    neighbours: Vec<Part>,
    _cloud: Part,
    _contract: WithinContract,
    _dir: tempfile::TempDir,
}

impl World {
    /// The simulated parts, an agent that is enrolled and ready.
    pub(crate) async fn ready() -> Self {
        Self::enrolled().await.started().await
    }

    /// As [`ready`](Self::ready), before the agent is started.
    pub(crate) async fn enrolled() -> Self {
        Self::enrolled_on(|_, _| {}).await
    }

    /// As [`enrolled`](Self::enrolled), with a JumpCloud of the test's own making.
    pub(crate) async fn enrolled_at(make: impl FnOnce(&mut jumpcloud::Options)) -> Self {
        Self::enrolled_on(|options, _| make(options)).await
    }

    /// As [`enrolled_at`](Self::enrolled_at); the path is a directory for its files.
    pub(crate) async fn enrolled_on(edit: impl FnOnce(&mut jumpcloud::Options, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let (cloud, cloud_part) = start_cloud(root, "jumpcloud-tls", edit).await;
        let (control, control_part) =
            start_control(SocketAddr::from(([127, 0, 0, 1], 0)), root.join("control-plane")).await;
        let files = Files::write(root, control.ca_file.as_ref().unwrap());
        cloud.write_connection(&files.connection).unwrap();
        let operator = Operator::of_data_dir(&root.join("control-plane")).unwrap();
        let world = Self {
            _contract: WithinContract(cloud.console.clone()),
            cloud: cloud.console,
            api_key: cloud.api_key,
            told: Vec::new(),
            agent: Agent::of(&files),
            files,
            operator,
            control_at: control.addr,
            control: Some(control_part),
            neighbours: Vec::new(),
            _cloud: cloud_part,
            _dir: dir,
        };
        let token = world.operator.token().await.unwrap();
        world.agent.enroll(&token).await;
        world
    }

    /// Edits the agent's own file.
    pub(crate) fn rewrite_config(&self, edit: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(&self.files.config).unwrap();
        std::fs::write(&self.files.config, edit(text)).unwrap();
    }

    /// Starts the enrolled agent and waits until it is ready.
    pub(crate) async fn started(mut self) -> Self {
        self.agent.start();
        self.agent.ready().await;
        self
    }

    /// Edits the policy file.
    pub(crate) fn with_policy(self, edit: impl FnOnce(String) -> String) -> Self {
        let text = std::fs::read_to_string(&self.files.policy).unwrap();
        std::fs::write(&self.files.policy, edit(text)).unwrap();
        self
    }

    /// Edits the connection file.
    pub(crate) fn rewrite_connection(&self, edit: impl FnOnce(&mut serde_json::Value)) {
        let file = &self.files.connection;
        let mut connection = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        edit(&mut connection);
        std::fs::write(file, connection.to_string()).unwrap();
    }

    /// Writes the connection's `token` as `tokne`.
    pub(crate) fn misspell_token(&self) {
        self.rewrite_connection(|connection| {
            let token = connection.as_object_mut().unwrap().remove("token").unwrap();
            connection["tokne"] = token;
        });
    }

    /// Waits until the agent has logged this.
    pub(crate) async fn logs(&self, text: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !self.files.log_text().contains(text) {
            assert!(
                tokio::time::Instant::now() < deadline,
                "{text:?} was not logged:\n{}",
                self.agent.tail()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Gives the agent a second JumpCloud, as the integration `name`; before it is started.
    pub(crate) async fn with_neighbour(&mut self, name: &str) -> Console {
        let (cloud, part) = start_cloud(&self.files.root, &format!("{name}-tls"), |_, _| {}).await;
        let connection = self.files.root.join(format!("{name}.json"));
        cloud.write_connection(&connection).unwrap();
        let mut config = std::fs::read_to_string(&self.files.config).unwrap();
        config += &format!(
            "[[integration]]\nname = {name:?}\nconnection_file = {connection:?}\nrate_limit = 100\n"
        );
        std::fs::write(&self.files.config, config).unwrap();
        self.neighbours.push(part);
        cloud.console
    }

    /// Stops the control plane; what it answered is durable.
    pub(crate) async fn stop_control_plane(&mut self) {
        let part = self.control.take().unwrap();
        drop(part.stop);
        part.done.await.unwrap().unwrap();
    }

    /// Starts it again on its old address, with its old state.
    pub(crate) async fn restart_control_plane(&mut self) {
        let (_, part) = start_control(self.control_at, self.control_data()).await;
        self.control = Some(part);
    }

    fn control_data(&self) -> PathBuf {
        self.files.root.join("control-plane")
    }
}

/// However a story went, and however often its agent was killed in it: nothing that is left behind holds a secret.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.files.hold_nowhere(&self.secrets());
        }
    }
}

impl World {
    /// All that the agent has been given now, and that it has made for itself.
    pub(crate) fn secrets(&self) -> Vec<Canary> {
        let mut canaries = secrets::of_files(&self.files);
        canaries.push(Canary::text("API key", &self.api_key));
        canaries.extend(self.cloud.tokens().iter().map(|token| Canary::text("access token", token)));
        canaries.retain(|canary| !self.told.iter().any(|told| canary.is_in(told.as_bytes())));
        canaries
    }
}

/// A simulated part and the way to stop it: dropping `stop` ends it.
pub(crate) struct Part {
    stop: oneshot::Sender<()>,
    done: JoinHandle<std::io::Result<()>>,
}

pub(crate) async fn start_cloud(
    root: &Path,
    tls: &str,
    edit: impl FnOnce(&mut jumpcloud::Options, &Path),
) -> (jumpcloud::Running, Part) {
    let tls = root.join(tls);
    let mut options = jumpcloud::Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), Some(&tls));
    options.api_key = Some(format!("jca_canary{:016x}", RandomState::new().hash_one(tls.as_os_str())));
    edit(&mut options, root);
    let (stop, stopped) = oneshot::channel::<()>();
    let mut running = jumpcloud::run(options, async { drop(stopped.await) }).await.unwrap();
    let done = std::mem::replace(&mut running.done, tokio::spawn(async { Ok(()) }));
    (running, Part { stop, done })
}

pub(crate) async fn start_control(listen: SocketAddr, data: PathBuf) -> (control_plane::Running, Part) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let options = control_plane::Options {
            lease: Duration::from_secs(3),
            ..control_plane::Options::new(listen, &data)
        };
        let (stop, stopped) = oneshot::channel::<()>();
        match control_plane::run(options, async { drop(stopped.await) }).await {
            Ok(mut running) => {
                let done = std::mem::replace(&mut running.done, tokio::spawn(async { Ok(()) }));
                return (running, Part { stop, done });
            }
            // While it was away its port may have become the near end of somebody's connection.
            Err(_) if listen.port() != 0 && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}
