//! Who may decide, and what the commands print.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use crate::process::World;

#[tokio::test]
async fn only_root_decides_what_is_in_doubt() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can become somebody else");
        return;
    }
    let mut world = World::ready().await;
    world.agent.kill().await;
    // A nobody who can read everything.
    for path in [
        &world.files.root,
        &world.files.state,
        &world.files.config,
        &world.files.policy,
        &world.files.connection,
    ] {
        let mode = if path.is_dir() { 0o777 } else { 0o666 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let before = world.checked().await.1;
    for args in
        [&["acknowledge"][..], &["claim", "g", "--revoke"], &["explain", "--integration", "main", "--all"]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_ephemerald"))
            .arg("--config")
            .arg(&world.files.config)
            .arg("ledger")
            .args(args)
            .args(["--why", "I want to"])
            .uid(65_534)
            .gid(65_534)
            .output();
        let Ok(output) = output else {
            println!("SKIPPED: nobody cannot run the program where it lies");
            return;
        };
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{args:?}: {text}");
        assert!(text.contains("only root"), "{text}");
    }
    assert_eq!(world.checked().await.1["records"], before["records"]);
}

#[tokio::test]
async fn a_ledger_that_is_believed_has_nothing_to_be_decided() {
    let mut world = World::ready().await;
    world.agent.kill().await;
    for (args, code, text) in [
        (&["acknowledge"][..], 4, "not in doubt"),
        (&["claim", "g", "--dismiss"], 4, "no claim of the name g"),
        (&["claim", "g"], 2, "--dismiss"),
        (&["explain", "--integration", "main", "--all"], 4, "no account is barred"),
    ] {
        let said = world.agent.command(&[&["ledger"], args, &["--why", "a test"]].concat()).await;
        assert_eq!(said.code, Some(code), "{args:?}: {}", said.text);
        assert!(said.text.contains(text), "{args:?}: {}", said.text);
    }
    let said = world.agent.command(&["ledger", "acknowledge", "--why", "two\nlines"]).await;
    assert_eq!(said.code, Some(2), "{}", said.text);
    let claims = world.agent.command(&["ledger", "claims"]).await;
    assert_eq!((claims.code, claims.text.as_str()), (Some(0), "no claim is open\n"));
}

#[tokio::test]
async fn a_check_fits_eighty_columns_and_a_missing_ledger_is_not_made() {
    let mut world = World::ready().await;
    let said = world.agent.command(&["ledger", "check"]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(said.text.lines().all(|line| line.chars().count() <= 80), "{}", said.text);
    assert!(said.text.contains("one unbroken hash chain"), "{}", said.text);
    world.agent.kill().await;
    world.lose(&["ledger"]);
    for args in [&["check"][..], &["claims"], &["acknowledge", "--why", "x"], &["backup", "/nowhere/at/all"]]
    {
        let said = world.agent.command(&[&["ledger"], args].concat()).await;
        assert_eq!(said.code, Some(3), "{args:?}: {}", said.text);
        assert!(!world.files.state.join("ledger.db").exists());
    }
}
