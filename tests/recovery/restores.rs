//! Backup and restore with the shipped program.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::sleep;

use crate::process::{World, asking::Ask};

impl World {
    fn backup_dir(&self, name: &str) -> String {
        self.files.root.join(name).to_str().unwrap().to_owned()
    }

    async fn backed_up(&self, name: &str) -> String {
        let dir = self.backup_dir(name);
        let said = self.agent.command(&["ledger", "backup", &dir]).await;
        assert_eq!(said.code, Some(0), "{}", said.text);
        dir
    }
}

#[tokio::test]
async fn a_backup_of_a_running_agent_comes_back_into_an_empty_machine_and_is_believed_once_compared() {
    let mut world = World::ready().await;
    let request = world.approved(Ask::role("amara@example.com", "Help Desk", 25)).await;
    world.about(&request, "granted").await;
    let dir = world.backed_up("backup").await;
    let mode = |path: &str| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for name in ["ledger.db", "identity.json", "agent.key", "tag.key", "backup.json"] {
        assert_eq!(mode(&format!("{dir}/{name}")), 0o600, "{name}");
    }
    let again = world.agent.command(&["ledger", "backup", &dir]).await;
    assert_eq!(again.code, Some(2), "never over another one: {}", again.text);
    let busy = world.agent.command(&["ledger", "restore", &dir]).await;
    assert_eq!(busy.code, Some(8), "{}", busy.text);

    assert!(world.agent.kill().await);
    fs::remove_dir_all(&world.files.state).unwrap();
    let said = world.agent.command(&["ledger", "restore", &dir]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    for name in ["ledger.db", "identity.json", "agent.key", "tag.key"] {
        assert_eq!(mode(world.files.state.join(name).to_str().unwrap()), 0o600, "{name}");
    }
    world.agent.start();
    world.logs("it was put back from a backup").await;
    // The backup lacks what was recorded after it, so the control plane knows better than it.
    world.tells("revoke-only", |status| status["revoke_only"] == true).await;
    let ended = world.about(&request, "grant_ended").await;
    assert_eq!(ended["reason"], "expired");
    world.sees("amara@example.com", Some("Read Only")).await;
}

#[tokio::test]
async fn a_backup_of_the_last_record_is_believed_again_by_itself() {
    let mut world = World::ready().await;
    assert!(world.agent.kill().await);
    let dir = world.backed_up("backup").await;
    world.lose(&["ledger"]);
    let said = world.agent.command(&["ledger", "restore", &dir]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    world.agent.start();
    world.logs("ledger: as new as what the control plane knows; believed again").await;
    world.agent.ready().await;
    let request = world.approved(Ask::role("amara@example.com", "Help Desk", 1)).await;
    world.about(&request, "granted").await;
    world.about(&request, "grant_ended").await;
}

#[tokio::test]
async fn a_restore_never_takes_the_place_of_a_newer_ledger_unless_it_is_told_to() {
    let mut world = World::ready().await;
    let dir = world.backed_up("backup").await;
    let request = world.approved(Ask::role("amara@example.com", "Help Desk", 1)).await;
    world.about(&request, "grant_settled").await;
    world.agent.kill().await;
    let (_, before) = world.checked().await;
    let said = world.agent.command(&["ledger", "restore", &dir]).await;
    assert_eq!(said.code, Some(4), "{}", said.text);
    assert_eq!(world.checked().await.1["records"], before["records"], "and nothing was touched");

    let said = world.agent.command(&["ledger", "restore", &dir, "--even-if-newer"]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    let aside: Vec<_> = fs::read_dir(&world.files.state)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(aside[0].join("ledger.db").exists(), "what was there is kept");
    assert!(world.checked().await.1["records"].as_u64() < before["records"].as_u64());
}

#[tokio::test]
async fn a_backup_that_does_not_verify_is_refused() {
    let mut world = World::ready().await;
    let dir = world.backed_up("backup").await;
    world.agent.kill().await;
    let db = rusqlite::Connection::open(format!("{dir}/ledger.db")).unwrap();
    db.execute("UPDATE journal SET body = CAST('{}' AS BLOB) WHERE seq = 1", []).unwrap();
    drop(db);
    let said = world.agent.command(&["ledger", "restore", &dir]).await;
    assert_eq!(said.code, Some(7), "{}", said.text);
    assert_eq!(world.checked().await.0, Some(0));
}

#[tokio::test]
async fn a_restore_that_is_killed_at_any_moment_is_finished_by_running_it_again() {
    let mut world = World::ready().await;
    let request = world.approved(Ask::role("amara@example.com", "Help Desk", 1)).await;
    world.about(&request, "grant_settled").await;
    world.agent.kill().await;
    let dir = world.backed_up("backup").await;
    let (_, backup) = world.checked().await;
    let mut interrupted = 0;
    for wait in 0..30_u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ephemerald"))
            .arg("--config")
            .arg(&world.files.config)
            .args(["ledger", "restore", &dir])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(wait * 2)).await;
        let _ = child.kill();
        child.wait().unwrap();

        // Either the old ledger, or the new one, or nothing that anybody would begin upon.
        let half = world.files.state.join("ledger.restoring").exists();
        interrupted += usize::from(half);
        let check = world.agent.command(&["--output", "json", "ledger", "check"]).await;
        assert!(half || check.code == Some(0), "after {wait}: {}", check.text);
        if half {
            let run = world.agent.command(&["run"]).await;
            assert_ne!(run.code, Some(0));
            assert!(run.text.contains("a restore was interrupted here"), "{}", run.text);
        }
    }
    println!("{interrupted} of 30 kills fell between the first and the last rename");
    let said = world.agent.command(&["ledger", "restore", &dir]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    let (code, check) = world.checked().await;
    assert_eq!((code, &check["records"]), (Some(0), &backup["records"]), "{check}");
    world.agent.start();
    world.logs("ledger: as new as what the control plane knows; believed again").await;
}

#[tokio::test]
async fn a_restore_stopped_between_its_renames_holds_the_daemon_back_until_it_is_run_again() {
    let mut world = World::ready().await;
    world.agent.kill().await;
    let dir = world.backed_up("backup").await;
    // As it is left when what was there has been moved aside and nothing is in its place yet.
    fs::write(world.files.state.join("ledger.restoring"), "x").unwrap();
    world.lose(&["ledger.db", "ledger.created"]);
    let run = world.agent.command(&["run"]).await;
    assert_eq!(run.code.map(|code| code != 0), Some(true), "{}", run.text);
    assert!(!world.files.state.join("ledger.db").exists(), "nothing was begun");
    let said = world.agent.command(&["ledger", "restore", &dir]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    world.agent.start();
    world.agent.ready().await;
}
