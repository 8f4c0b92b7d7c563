//! The shipped binary against the sandbox's parts, each a process of its own: enrolment, check, the
//! journal, and what every bad input gets.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "contract/process_guard.rs"]
mod guard;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use aws_lc_rs::digest;
use ephemerald::sandbox::jumpcloud::contract::DOCUMENTS_VARIABLE;
use serde_json::Value;

use guard::WithinContract;

const EPHEMERALD: &str = env!("CARGO_BIN_EXE_ephemerald");

/// A process that is killed with its owner.
struct Process {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(EPHEMERALD);
        let documents = std::env::var_os(DOCUMENTS_VARIABLE).map(|dir| (DOCUMENTS_VARIABLE, dir));
        command.args(args).env_clear().envs(documents).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.out.read_line(&mut line).unwrap() > 0, "it ended without a word");
        line
    }

    /// Reads its log until a line has these words.
    fn until(&mut self, words: &str) {
        while !self.line().contains(words) {}
    }

    fn terminate(mut self) -> i32 {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both simulated parts, and the files of an agent that is to use them.
struct Bench {
    // Dropped first, while the simulated JumpCloud still runs.
    _contract: WithinContract,
    dir: tempfile::TempDir,
    control_plane: Process,
    control_plane_at: String,
    _jumpcloud: Process,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let mut control_plane = Process::start(&[
            "sandbox",
            "control-plane",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &at("plane"),
            "--write-ca",
            &at("plane.pem"),
            "--write-token",
            &at("token"),
        ]);
        let mut jumpcloud = Process::start(&[
            "sandbox",
            "jumpcloud",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            &at("cloud"),
            "--write-ca",
            &at("cloud.pem"),
            "--write-connection",
            &at("jumpcloud.json"),
        ]);
        let (mut control_plane_at, mut jumpcloud_url) = (String::new(), String::new());
        for (part, file) in [(&mut control_plane, "token_file"), (&mut jumpcloud, "connection_file")] {
            let said: Value = serde_json::from_str(&part.line()).unwrap();
            assert!(said["url"].as_str().unwrap().starts_with("https://127.0.0.1:"), "{said}");
            if file == "token_file" {
                said["listening"].as_str().unwrap().clone_into(&mut control_plane_at);
            } else {
                said["url"].as_str().unwrap().clone_into(&mut jumpcloud_url);
            }
            assert!(Path::new(said["ca_file"].as_str().unwrap()).is_file(), "{said}");
            assert_eq!(
                fs::metadata(said[file].as_str().unwrap()).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        let contract = WithinContract { origin: jumpcloud_url, ca: dir.path().join("cloud.pem") };
        let bench = Self { _contract: contract, dir, control_plane, control_plane_at, _jumpcloud: jumpcloud };
        bench.configure("");
        let policy = "mode = \"enforce\"\n[roles]\n\"Manager\" = \"10m\"\n";
        fs::write(bench.at("policy.toml"), policy).unwrap();
        bench
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn configure(&self, more: &str) {
        let [state, socket, ca, policy, connection] =
            ["state", "control.sock", "plane.pem", "policy.toml", "jumpcloud.json"].map(|name| self.at(name));
        let text = format!(
            "[agent]\nstate_dir = {state:?}\ncontrol_socket = {socket:?}\n[control_plane]\nca_file = {ca:?}\n\
             [policy]\nfile = {policy:?}\n[[integration]]\nname = \"jumpcloud\"\nconnection_file = {connection:?}\n{more}"
        );
        fs::write(self.at("ephemerald.toml"), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        let config = self.at("ephemerald.toml");
        let mut command = Command::new(EPHEMERALD);
        command.env_clear().stdin(Stdio::null()).arg("--config").arg(config).args(args).output().unwrap()
    }

    fn enroll(&self) -> Output {
        self.run(&["enroll", "--token-file", self.at("token").to_str().unwrap()])
    }

    fn daemon(&self) -> Process {
        let config = self.at("ephemerald.toml");
        let mut daemon = Process::start(&["--config", config.to_str().unwrap(), "run"]);
        daemon.until("policy: in force");
        daemon
    }

    /// The status of every step of `check`, by part and step, and the exit code.
    fn check(&self) -> (BTreeMap<String, String>, i32, String) {
        let output = self.run(&["check", "--output", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let steps = report["steps"].as_array().unwrap();
        let steps = steps
            .iter()
            .map(|s| (format!("{}: {}", text(&s["part"]), text(&s["step"])), text(&s["status"])))
            .collect();
        (steps, output.status.code().unwrap(), report.to_string())
    }

    /// Every file of the state directory: its length and the digest of its content. SQLite's side files
    /// come with every reader; an empty log says nothing.
    fn state(&self) -> BTreeMap<PathBuf, (usize, Vec<u8>)> {
        let entries = fs::read_dir(self.at("state"));
        let paths = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
        let paths = paths.filter(|path| {
            let name = path.to_str().unwrap();
            let empty = fs::metadata(path).unwrap().len() == 0;
            !(name.ends_with("-shm") || name.ends_with("-wal") && empty)
        });
        let digest = |bytes: &[u8]| digest::digest(&digest::SHA256, bytes).as_ref()[..4].to_vec();
        paths
            .map(|path| {
                let bytes = fs::read(&path).unwrap();
                (path, (bytes.len(), digest(&bytes)))
            })
            .collect()
    }
}

fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.starts_with("error: "), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

#[test]
fn an_agent_enrols_is_checked_runs_and_its_journal_verifies() {
    let bench = Bench::new();
    let (steps, code, report) = bench.check();
    assert_eq!(code, 0, "{report}");
    assert_eq!(steps["control plane: enrolment"], "warn", "{report}");

    let enrolled = bench.enroll();
    assert_eq!(enrolled.status.code(), Some(0), "{}", String::from_utf8_lossy(&enrolled.stderr));
    assert!(String::from_utf8_lossy(&enrolled.stdout).contains("Next: `ephemerald check`"));
    assert_eq!(fs::metadata(bench.at("state")).unwrap().permissions().mode() & 0o777, 0o700);

    let before = bench.state();
    let (steps, code, report) = bench.check();
    assert_eq!(code, 0, "{report}");
    for (step, status) in &steps {
        assert!(status == "ok" || step == "agent: daemon", "{step} is {status}: {report}");
    }
    assert!(steps.contains_key("control plane: authentication"), "{report}");
    assert_eq!(bench.state(), before, "check changed the state directory");

    let daemon = bench.daemon();
    let (steps, code, report) = bench.check();
    assert_eq!((code, steps["agent: daemon"].as_str()), (0, "ok"), "{report}");
    assert!(report.contains("held by the running daemon"), "{report}");
    refused(&bench.run(&["run"]), 8, &["held by another daemon"]);
    assert_eq!(daemon.terminate(), 0);

    let verified = bench.run(&["audit", "verify", "--output", "json"]);
    assert_eq!(verified.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!(report["ok"], true, "{report}");
    assert!(report["rows"].as_u64().unwrap() > 0, "{report}");
    refused(&bench.enroll(), 4, &["already enrolled", "move identity.json and agent.key away"]);
}

#[test]
fn an_enrolment_if_needed_is_done_once_and_needs_no_token_afterwards() {
    let bench = Bench::new();
    let args =
        ["enroll", "--if-needed", "--token-file", bench.at("token").to_str().unwrap()].map(str::to_owned);
    let enroll = || bench.run(&args.each_ref().map(String::as_str));
    assert!(enroll().stdout.starts_with(b"Enrolled as "));
    let before = bench.state();
    fs::remove_file(bench.at("token")).unwrap();
    assert!(enroll().stdout.starts_with(b"Enrolled already as "));
    assert_eq!(bench.state(), before, "a second enrolment changed the state directory");
}

#[test]
fn a_token_that_is_none_leaves_nothing_on_disk() {
    let bench = Bench::new();
    let token = bench.at("bad-token");
    let write = |text: &str, mode| {
        fs::write(&token, text).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
    };
    let enroll = || bench.run(&["enroll", "--token-file", token.to_str().unwrap()]);
    refused(&enroll(), 3, &["bad-token", "check that it exists"]);
    write("eph1.canary-4711", 0o644);
    refused(&enroll(), 3, &["chmod 600", "0644"]);
    for (text, words) in [
        ("canary-4711", "must start with \"eph1.\""),
        ("eph1.canary-4711", "damaged"),
        (
            "eph1.eyJ1cmwiOiJodHRwOi8vY3AuZXhhbXBsZSIsInNlY3JldCI6ImNhbmFyeS00NzExLWNhbmFyeSIsInJvb3QiOiJBQUFBIn0",
            "https origin",
        ),
    ] {
        write(text, 0o600);
        let output = enroll();
        refused(&output, 3, &[words]);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("canary-4711"));
    }
    refused(&bench.run(&["enroll"]), 3, &["the agent token is empty"]);
    assert!(!bench.at("state").exists(), "a refused token made the state directory");
}

#[test]
fn a_token_that_was_spent_by_another_agent_is_refused_and_enrols_nobody() {
    let bench = Bench::new();
    assert_eq!(bench.enroll().status.code(), Some(0));
    let other = bench.at("other");
    let other = other.to_str().unwrap();
    let token = bench.at("token");
    let output = bench.run(&["--state-dir", other, "enroll", "--token-file", token.to_str().unwrap()]);
    refused(&output, 4, &["was used with another key"]);
    assert!(!Path::new(other).join("identity.json").exists());
}

#[test]
fn an_unknown_authority_is_named_and_stops_the_enrolment_before_the_token_is_spent() {
    let bench = Bench::new();
    let good = fs::read_to_string(bench.at("ephemerald.toml")).unwrap();
    let other = good.replace("plane.pem", "cloud.pem");
    fs::write(bench.at("ephemerald.toml"), &other).unwrap();
    refused(&bench.enroll(), 5, &["not signed by a trusted authority"]);
    assert!(!bench.at("state").join("identity.json").exists());
    fs::write(bench.at("ephemerald.toml"), good).unwrap();
    assert_eq!(bench.enroll().status.code(), Some(0), "the token was spent");
    fs::write(bench.at("ephemerald.toml"), other).unwrap();
    let (steps, code, report) = bench.check();
    assert_eq!((code, steps["control plane: TLS"].as_str()), (3, "fail"), "{report}");
    assert!(report.contains("control_plane.ca_file"), "{report}");
}

#[test]
fn a_control_plane_that_is_down_is_transient_and_the_same_token_works_later() {
    let mut bench = Bench::new();
    let data = bench.at("plane");
    let data = data.to_str().unwrap();
    let dead = Process::start(&["version"]);
    assert_eq!(std::mem::replace(&mut bench.control_plane, dead).terminate(), 0);
    refused(&bench.enroll(), 5, &["Connection refused"]);
    assert!(!bench.at("state").join("identity.json").exists());
    refused(&bench.run(&["sandbox", "requests", "--data-dir", data]), 5, &["is it running?"]);
    let part = ["sandbox", "control-plane", "--listen", &bench.control_plane_at, "--data-dir", data];
    let mut again = Process::start(&part);
    again.line();
    assert_eq!(bench.enroll().status.code(), Some(0));
}

#[test]
fn a_connection_that_cannot_be_used_is_named_by_check() {
    let bench = Bench::new();
    let connection = bench.at("jumpcloud.json");
    let good = fs::read_to_string(&connection).unwrap();
    let put = |text: &str, mode| {
        fs::write(&connection, text).unwrap();
        fs::set_permissions(&connection, fs::Permissions::from_mode(mode)).unwrap();
        bench.check()
    };
    let (steps, code, report) = put(&good, 0o644);
    assert_eq!((code, steps["integration jumpcloud: connection"].as_str()), (3, "fail"), "{report}");
    assert!(report.contains("chmod 600"), "{report}");
    let (_, code, report) = put(&good.replace("https://", "ftp://"), 0o600);
    assert!(code == 3 && report.contains("`url`: expected an https:// URL"), "{report}");
    let (_, code, report) = put(&good.replace("\"token\"", "\"tokn\""), 0o600);
    assert!(code == 3 && report.contains("did you mean `token`?"), "{report}");
    let (steps, code, report) = put(&good.replace("\"token\": \"", "\"token\": \"canary-"), 0o600);
    assert_eq!((code, steps["integration jumpcloud: API key"].as_str()), (4, "fail"), "{report}");
    assert!(
        report.contains("not accepted: paste the credential again") && !report.contains("canary"),
        "{report}"
    );
    let (steps, code, report) = put(&good.replace("cloud/tls/ca.pem", "plane.pem"), 0o600);
    assert_eq!((code, steps["integration jumpcloud: TLS"].as_str()), (3, "fail"), "{report}");
    assert!(!bench.at("state").exists(), "check made the state directory");
}

#[test]
fn a_ledger_of_a_newer_version_or_with_a_changed_record_is_left_as_it_is() {
    let bench = Bench::new();
    assert_eq!(bench.daemon().terminate(), 0);
    let file = bench.at("state").join("ledger.db");
    let execute = |sql: &str| {
        let db = rusqlite::Connection::open(&file).unwrap();
        db.execute_batch(sql).unwrap();
    };
    execute("DROP TRIGGER IF EXISTS journal_no_update; UPDATE journal SET at = at + 1 WHERE seq = 1;");
    let output = bench.run(&["audit", "verify", "--output", "json"]);
    refused(&output, 7, &["the journal does not verify", "row 1"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["ok"], &report["bad"]["seq"]), (&Value::Bool(false), &Value::from(1)));
    execute("PRAGMA user_version = 4711;");
    let before = bench.state();
    for command in [&["run"][..], &["audit", "verify"]] {
        refused(&bench.run(command), 3, &["schema version 4711", "run the newer version"]);
    }
    assert_eq!(bench.state(), before);
    let (steps, code, report) = bench.check();
    assert_eq!((code, steps["agent: ledger"].as_str()), (3, "fail"), "{report}");
}

#[test]
fn a_person_asks_and_another_one_approves_from_the_command_line() {
    let bench = Bench::new();
    assert_eq!(bench.enroll().status.code(), Some(0));
    let data = bench.at("plane");
    let data = data.to_str().unwrap();
    let sandbox = |args: &[&str]| {
        let (command, rest) = args.split_first().unwrap();
        bench.run(&[&["sandbox", command, "--data-dir", data], rest].concat())
    };
    let asked =
        sandbox(&["request", "--account", "help@example.com", "--role", "Manager", "--output", "json"]);
    let asked: Value = serde_json::from_slice(&asked.stdout).unwrap();
    let number = asked["number"].as_str().unwrap();
    assert_eq!(asked["spec"]["duration_s"], 60);
    refused(&sandbox(&["approve", number, "--by", "visitor@example.com"]), 4, &["another person must"]);
    assert_eq!(sandbox(&["approve", number, "--by", "boss@example.com"]).status.code(), Some(0));
    let listed = sandbox(&["requests"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains(number) && listed.contains("queued"), "{listed}");
    assert!(listed.lines().all(|line| line.chars().count() <= 80), "{listed}");
    let bad = sandbox(&["request", "--account", "nobody", "--role", "Manager"]);
    assert_eq!(bad.status.code(), Some(2), "{}", String::from_utf8_lossy(&bad.stderr));
}
