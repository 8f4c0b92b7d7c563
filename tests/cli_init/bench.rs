//! The program as a newcomer calls it, in a directory of its own, and the simulated parts beside it.

use std::{
    fs,
    io::{BufRead as _, BufReader, ErrorKind::BrokenPipe, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use ephemerald::sandbox::jumpcloud::contract::DOCUMENTS_VARIABLE;
use serde_json::Value;

use super::guard::WithinContract;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

/// A home directory; everything that was started in it ends with it.
pub(crate) struct Home {
    // Dropped first, while the simulated JumpCloud still runs.
    within: Vec<WithinContract>,
    running: Started,
    pub(crate) dir: tempfile::TempDir,
}

/// Processes that are killed with their owner.
#[derive(Default)]
struct Started(Vec<Child>);

impl Drop for Started {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { within: Vec::new(), running: Started::default(), dir: tempfile::tempdir().unwrap() }
    }

    /// A home with a simulated JumpCloud; its connection in `jumpcloud.json`, its CA in `ca.pem`, the
    /// owner's API key in `api-key`.
    pub(crate) fn with_jumpcloud() -> Self {
        let home = Self::with_jumpcloud_of(&[]);
        home.private("api-key", &home.api_key());
        home
    }

    /// As [`with_jumpcloud`](Self::with_jumpcloud), of another kind, and without the key's file.
    pub(crate) fn with_jumpcloud_of(more: &[&str]) -> Self {
        let mut home = Self::new();
        home.start_jumpcloud(more);
        home
    }

    pub(crate) fn start_jumpcloud(&mut self, more: &[&str]) {
        let files = ["--data-dir", "jc", "--write-ca", "ca.pem", "--write-connection", "jumpcloud.json"];
        self.start_part(&[&["sandbox", "jumpcloud"][..], &files, more].concat());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a file that nobody else may read.
    pub(crate) fn private(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().mode() & 0o7777
    }

    pub(crate) fn url(&self) -> String {
        self.connection()["url"].as_str().unwrap().to_owned()
    }

    pub(crate) fn api_key(&self) -> String {
        self.connection()["token"].as_str().unwrap().to_owned()
    }

    pub(crate) fn connection(&self) -> Value {
        serde_json::from_str(&self.read("jumpcloud.json")).unwrap()
    }

    /// The program, at home, with nothing in its environment but where that is.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ephemerald"));
        command.env_clear().env("HOME", self.dir.path()).current_dir(&self.dir).args(args);
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    /// Runs a command with this on its standard input. One that refuses before it reads leaves a pipe that
    /// nobody holds: what it says is what counts.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Said {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let written = child.stdin.take().unwrap().write_all(input.as_bytes());
        assert!(written.as_ref().map_or_else(|error| error.kind() == BrokenPipe, |()| true), "{written:?}");
        Said::of(child.wait_with_output().unwrap())
    }

    /// `init` without questions and with this home's key, into `etc` and `state`.
    pub(crate) fn init(&self, more: &[&str]) -> Said {
        let url = self.url();
        let given = ["--url", &url, "--ca-file", "ca.pem", "--api-key-file", "api-key"];
        self.run(&[&INIT[..], &given, more].concat())
    }

    /// Starts a simulated part and waits for its one line.
    pub(crate) fn start_part(&mut self, args: &[&str]) -> Value {
        let documents = std::env::var_os(DOCUMENTS_VARIABLE).map(|dir| (DOCUMENTS_VARIABLE, dir));
        let mut child = self.command(args).envs(documents).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.running.0.push(child);
        let said: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{args:?}: {line:?}: {error}"));
        if args.contains(&"jumpcloud") {
            let origin = said["url"].as_str().unwrap().to_owned();
            self.within.push(WithinContract { origin, ca: self.path("ca.pem") });
        }
        said
    }

    /// Starts the agent; what it prints goes to `agent.log`. Its process id.
    pub(crate) fn start_agent(&mut self, args: &[&str]) -> i32 {
        let log = fs::File::create(self.path("agent.log")).unwrap();
        let errors = log.try_clone().unwrap();
        let child = self.command(args).stdout(log).stderr(errors).spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        self.running.0.push(child);
        id
    }

    /// The names of all files below `dir`.
    pub(crate) fn files(&self, dir: &str) -> Vec<PathBuf> {
        let mut open = vec![self.path(dir)];
        let mut files = Vec::new();
        while let Some(next) = open.pop() {
            let Ok(entries) = fs::read_dir(next) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    open.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files.sort();
        files
    }
}

/// The beginning of a scripted call.
pub(crate) const INIT: [&str; 7] =
    ["--state-dir", "state", "init", "--non-interactive", "--layout", "user", "--config-dir=etc"];

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn fine(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// Waits for a condition, for as long as [`PATIENCE`] at least.
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let pause = Duration::from_millis(50);
    let mut why = String::new();
    for _ in 0..PATIENCE.as_millis() / pause.as_millis() {
        match look() {
            Ok(found) => return found,
            Err(still) => why = still,
        }
        std::thread::sleep(pause);
    }
    panic!("{what}: {why}")
}

/// Those of the files that hold this text.
pub(crate) fn holding(files: &[PathBuf], text: &str) -> Vec<PathBuf> {
    let holds = |path: &&PathBuf| {
        let bytes = fs::read(path as &Path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    files.iter().filter(holds).cloned().collect()
}
