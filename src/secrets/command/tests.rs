//! What a program may print, and what becomes of one that does not behave.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

struct Script {
    dir: tempfile::TempDir,
    path: PathBuf,
}

/// A program of this text. Made by a shell: a file that this process had open for writing could not be run
/// while another test's child still holds it.
fn script(text: &str) -> Script {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vault");
    let made = std::process::Command::new("/bin/sh")
        .args(["-c", r#"printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod 755 "$1""#, "sh"])
        .arg(&path)
        .arg(text)
        .status();
    assert!(made.unwrap().success());
    Script { dir, path }
}

impl Script {
    fn run(&self, arguments: &[&str], patience: Duration) -> Result<String, String> {
        let mut argv = vec![self.path.display().to_string()];
        argv.extend(arguments.iter().map(|&text| text.to_owned()));
        let read = Command::new(&argv, patience).unwrap().read();
        read.map(|secret| secret.expose().to_owned()).map_err(|error| error.to_string())
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn what_is_printed_is_the_secret_and_no_shell_sees_the_arguments() {
    let program = script(r#"printf '%s|' "$@"; printf '\r\n\n'"#);
    let said = program.run(&["kv", "$(id) ; 'x'", "-field=a b"], LONG);
    assert_eq!(said.as_deref(), Ok("kv|$(id) ; 'x'|-field=a b|"));
}

#[test]
fn the_environment_is_cleared_but_for_what_is_documented() {
    let said = script("/usr/bin/env; pwd; cat").run(&[], LONG).unwrap();
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "there is something to be cleared");
    for line in said.lines().filter(|line| line.contains('=')) {
        let name = line.split('=').next().unwrap();
        assert!(name == "PATH" || name == "PWD" || KEPT.contains(&name) || name == "_", "{name}");
    }
    assert!(said.lines().any(|line| line == format!("PATH={PATH}")), "{said}");
    assert_eq!(said.lines().last(), Some("/"), "it runs in /, and nothing comes from standard input");
}

#[test]
fn a_failure_tells_the_status_and_how_much_was_said_and_nothing_of_it() {
    let error =
        script("echo canary-out; echo canary-err >&2; exit 7").run(&["canary-arg"], LONG).unwrap_err();
    assert!(error.contains("exit status: 7") && error.contains("11 bytes"), "{error}");
    assert!(error.contains("/vault") && !error.contains("canary"), "{error}");
    let error = script("kill -TERM $$").run(&[], LONG).unwrap_err();
    assert!(error.contains("signal: 15"), "{error}");
}

#[test]
fn nothing_too_much_and_no_text_are_refused() {
    for (text, words) in [
        ("", "printed nothing"),
        ("echo; echo", "printed nothing"),
        (r"printf 'canary\377'", "not UTF-8"),
        // The second one goes on printing for ever, also when nobody listens.
        ("head -c 65537 /dev/zero", "more than 64 KiB"),
        ("trap '' PIPE; while :; do echo canary; done 2>/dev/null", "more than 64 KiB"),
    ] {
        let error = script(text).run(&[], LONG).unwrap_err();
        assert!(error.contains(words) && !error.contains("canary"), "{text}: {error}");
    }
    assert_eq!(script("head -c 65536 /dev/zero | tr '\\0' x").run(&[], LONG).unwrap().len(), 65536);
}

#[test]
fn one_that_does_not_end_is_killed_with_all_that_it_started() {
    let program = script(r#"sleep 1000 & echo $! > "$1"; echo canary; wait"#);
    let noted = program.dir.path().join("pid");
    let error = program.run(&[noted.to_str().unwrap()], Duration::from_millis(500)).unwrap_err();
    assert!(error.contains("no end within 500ms") && !error.contains("canary"), "{error}");
    let child: i32 = fs::read_to_string(&noted).unwrap().trim().parse().unwrap();
    // Killed at once, gone a moment later; whether somebody collects it is not ours to say.
    let gone = || {
        let state = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z")
    };
    assert!(
        (0..500).any(|_| gone() || {
            thread::sleep(Duration::from_millis(10));
            false
        }),
        "{child} lives"
    );
}

#[test]
fn a_program_that_others_can_change_is_not_run() {
    let program = script("touch \"$1\"; echo canary");
    let trace = program.dir.path().join("ran");
    for mode in [0o775, 0o757] {
        fs::set_permissions(&program.path, fs::Permissions::from_mode(mode)).unwrap();
        let error = program.run(&[trace.to_str().unwrap()], LONG).unwrap_err();
        assert!(error.contains(&format!("{mode:04o}")), "{error}");
    }
    assert!(!trace.exists());
    let error = Command::new(&[program.dir.path().display().to_string()], LONG).unwrap().read().unwrap_err();
    assert!(error.to_string().contains("not a file"), "{error}");
}

#[test]
fn a_program_in_a_directory_that_others_can_change_is_not_run() {
    let program = script("echo s3cret");
    let within = program.dir.path().join("bin");
    fs::create_dir(&within).unwrap();
    fs::rename(&program.path, within.join("vault")).unwrap();
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let run = |path: &Path| Command::new(&[path.display().to_string()], LONG).unwrap().read();
    // Neither the program's own directory nor one above it, nor the one in which a link to it lies.
    let links = tempfile::tempdir().unwrap();
    let link = links.path().join("vault");
    std::os::unix::fs::symlink(within.join("vault"), &link).unwrap();
    assert_eq!(run(&link).unwrap().expose(), "s3cret");
    for (dir, path) in
        [(within.as_path(), within.join("vault")), (program.dir.path(), link.clone()), (links.path(), link)]
    {
        for mode in [0o775, 0o757] {
            set(dir, mode);
            let error = run(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("command {}: has mode {mode:04o}", dir.display())), "{error}");
        }
        // As in /tmp: nobody takes away there what belongs to somebody else.
        set(dir, 0o1777);
        assert_eq!(run(&path).unwrap().expose(), "s3cret");
        set(dir, 0o755);
    }
}

#[test]
fn a_program_that_belongs_to_somebody_else_is_not_run() {
    if !geteuid().is_root() {
        eprintln!("NOT TESTED: only root can give a file away");
        return;
    }
    let program = script("echo s3cret");
    for path in [program.path.as_path(), program.dir.path()] {
        std::os::unix::fs::chown(path, Some(4242), None).unwrap();
        let error = program.run(&[], LONG).unwrap_err();
        assert!(error.contains(&format!("command {}: belongs to uid 4242", path.display())), "{error}");
        std::os::unix::fs::chown(path, Some(0), None).unwrap();
    }
}

#[test]
fn a_bare_name_is_looked_for_in_the_fixed_places_and_anything_between_is_none() {
    let of = |text: &str| Command::new(&[text.to_owned(), "x".to_owned()], LONG);
    assert_eq!(of("echo").unwrap().read().unwrap().expose(), "x");
    let error = of("no-such-program").unwrap().read().unwrap_err().to_string();
    assert!(error.contains("no-such-program: not found in /usr/local/sbin:"), "{error}");
    for odd in ["", "./vault", "bin/vault", "vault\0"] {
        assert!(of(odd).is_none(), "{odd:?}");
    }
    assert!(Command::new(&[], LONG).is_none());
}

#[tokio::test]
async fn it_may_be_read_within_a_runtime() {
    assert_eq!(script("echo s3cret").run(&[], LONG).as_deref(), Ok("s3cret"));
}
