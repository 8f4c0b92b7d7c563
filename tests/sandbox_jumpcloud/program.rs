//! `ephemerald sandbox jumpcloud` as a program: its options, and what it refuses to start with.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::bench::answer;

/// A simulated JumpCloud that is killed when it is dropped.
struct Program {
    child: Child,
    started: Value,
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(dir: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ephemerald"));
    command.args(["sandbox", "jumpcloud", "--plain-http", "--data-dir"]).arg(dir.join("data")).args(options);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(dir: &Path, options: &[&str]) -> Program {
    let mut child = command(dir, options).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let started = serde_json::from_str(&line).unwrap();
    Program { child, started }
}

fn refused(dir: &Path, options: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command(dir, options).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

fn file(dir: &Path, name: &str, content: &Value) -> String {
    let path = dir.join(name);
    fs::write(&path, content.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[allow(clippy::disallowed_methods, reason = "a test's own client, on loopback")]
fn client() -> reqwest::Client {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let tls = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

#[tokio::test]
async fn switches_faults_and_a_script_are_there_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let switches = file(dir.path(), "switches.json", &json!({"create_status": 201, "role_name": "adds"}));
    let fault = json!({"count": 1, "fault": {"kind": "error_before", "status": 503}});
    let faults = file(dir.path(), "faults.json", &json!({"faults": [fault]}));
    let steps = json!([{"account": "amara@example.com", "when": {"has_role": "Manager"}, "do": "demote"}]);
    let script = file(dir.path(), "script.json", &json!({"steps": steps}));
    let program = start(
        dir.path(),
        &[
            "--switches",
            &switches,
            "--switch",
            "role_name=replaces_first",
            "--faults",
            &faults,
            "--script",
            &script,
        ],
    );
    let url = program.started["url"].as_str().unwrap();
    let get = async |path: &str| answer(client().get(format!("{url}/_sandbox/{path}"))).await.1;
    let set = get("switches").await;
    assert_eq!((&set["create_status"], &set["role_name"]), (&json!(201), &json!("replaces_first")));
    assert_eq!(get("faults").await["faults"][0]["count"], 1);
    assert_eq!(get("script").await["scripts"][0]["script"]["steps"][0]["do"], "demote");
}

#[test]
fn the_connection_names_the_service_account_or_the_organization() {
    let dir = tempfile::tempdir().unwrap();
    let connection = dir.path().join("connection.json");
    let written = || -> Value { serde_json::from_slice(&fs::read(&connection).unwrap()).unwrap() };
    let option = ["--write-connection", connection.to_str().unwrap()];
    drop(start(dir.path(), &option));
    assert!(written()["token"].is_string());
    drop(start(dir.path(), &[&option[..], &["--service-account"]].concat()));
    let service = written();
    assert!(service["client_secret"].is_string() && service.get("token").is_none(), "{service}");
    drop(start(dir.path(), &[&option[..], &["--service-account"]].concat()));
    assert_eq!(written()["client_id"], service["client_id"], "a restart keeps the account");

    let other = tempfile::tempdir().unwrap();
    let program = start(other.path(), &[&option[..], &["--multi-tenant"]].concat());
    assert_eq!(written()["org_id"], program.started["org_id"]);
    assert!(program.started["org_id"].is_string());
}

#[test]
fn what_it_does_not_know_is_refused_with_the_name_of_the_file_or_setting() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = file(dir.path(), "wrong.json", &json!({"role_nam": "adds", "steps": 7}));
    for (options, says) in [
        (["--switch", "role_nam=adds"], "role_nam"),
        (["--switch", "role_name=multiplies"], "multiplies"),
        (["--switches", &wrong], "wrong.json"),
        (["--faults", &wrong], "wrong.json"),
        (["--script", &wrong], "wrong.json"),
        (["--script", "nowhere.json"], "nowhere.json"),
    ] {
        let (code, said) = refused(dir.path(), &options);
        assert!(code == Some(2) && said.contains(says), "{options:?}: {code:?} {said}");
    }
}
