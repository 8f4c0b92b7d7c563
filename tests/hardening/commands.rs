//! Where programs are started, they get what they need, and not what nobody needs. In a process of its own: what
//! is taken is not given back.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use ephemerald::hardening::{self, NEVER, Plan, Standing};

const CHILD: &str = "EPHEMERALD_TEST_COMMANDS";
const PLACE: &str = "EPHEMERALD_TEST_PLACE";
/// Neither a directory for anybody's passing files nor one that a rule names.
fn outside() -> PathBuf {
    let ours = Path::new(env!("CARGO_TARGET_TMPDIR"));
    if !["/tmp", "/var/tmp"].iter().any(|passing| ours.starts_with(passing)) {
        return ours.to_owned();
    }
    // A checkout among passing files.
    let home = std::env::home_dir().unwrap().join(".cache/ephemerald-tests");
    fs::create_dir_all(&home).unwrap();
    home
}

/// Runs the ignored test below as a process.
fn child(commands: bool) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "commands::a_program_is_started", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, commands.to_string())
        .env(PLACE, outside())
        .output()
        .unwrap()
}

#[test]
#[ignore = "the child of the tests below"]
fn a_program_is_started() {
    let Ok(commands) = std::env::var(CHILD).map(|word| word == "true") else { return };
    let plan = Plan { seccomp: true, landlock: true, commands, ..Plan::default() };
    let told = hardening::apply(&plan);
    for standing in [&told.memory, &told.privileges, &told.files, &told.calls] {
        assert!(matches!(standing, Standing::InForce(_)), "{told:?}");
    }
    let outside = PathBuf::from(std::env::var_os(PLACE).unwrap());
    let outside = outside.join("written-by-a-command");
    let written = fs::write(&outside, "x").map_err(|error| error.kind());
    assert_eq!(written, Err(ErrorKind::PermissionDenied));
    assert_eq!(
        fs::read_dir(outside.parent().unwrap()).is_ok(),
        commands,
        "a command may read what its user may"
    );
    let said = Command::new("sh").args(["-c", "exec cat /proc/self/status"]).output();
    if !commands {
        assert_eq!(said.unwrap_err().kind(), ErrorKind::PermissionDenied);
        return;
    }
    let status = String::from_utf8(said.unwrap().stdout).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "what is started is confined, too: {status}");
    }
    let said = Command::new("unshare").args(["--user", "true"]).output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && text.contains("Operation not permitted"), "{text}");
    evades();
}

/// Other ways to what is refused, from a program that was started.
fn evades() {
    let place = PathBuf::from(std::env::var_os(PLACE).unwrap());
    let said = Command::new(place.join("evades")).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    let found: Vec<&str> = text.lines().collect();
    let (eperm, enosys) = (1, 38);
    let mut expected = vec![format!("clone3 {enosys}"), format!("clone {eperm}"), "fork 0".to_owned()];
    if cfg!(target_arch = "x86_64") {
        expected.extend([format!("x32-unshare {eperm}"), format!("x32-ptrace {eperm}")]);
    }
    assert_eq!(found, expected);
}

#[test]
fn a_program_runs_confined_where_commands_are_configured_and_not_at_all_elsewhere() {
    assert!(NEVER.len() > 30, "a list");
    let source = outside().join("evades.c");
    fs::write(&source, include_str!("evades.c")).unwrap();
    let made = Command::new("cc").arg("-o").arg(source.with_extension("")).arg(&source).status();
    assert!(made.unwrap().success());
    for commands in [true, false] {
        let output = child(commands);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success() && text.contains("1 passed"), "commands {commands}: {text}");
    }
}
