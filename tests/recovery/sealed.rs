//! The shipped program with a state key: turned on over what is there, with its keys sealed, and without it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::process::{PATIENCE, World, agent::Said, asking::Ask};

const HEADER: &[u8] = b"ephemerald sealed v1\n";
const KEYS: [&str; 2] = ["tag.key", "agent.key"];

impl World {
    fn state_key(&self) -> PathBuf {
        self.files.root.join("state.key")
    }

    /// Writes a state key, and names it in the configuration.
    fn with_state_key(&self, digit: &str) {
        let file = self.state_key();
        fs::write(&file, digit.repeat(64)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        self.with_state_key_from(&format!("file = \"{}\"", file.display()));
    }

    fn with_state_key_from(&self, source: &str) {
        self.without_state_key();
        self.rewrite_config(|text| text.replace("[agent]\n", &format!("[agent]\nstate_key_{source}\n")));
    }

    fn without_state_key(&self) {
        self.rewrite_config(|text| {
            text.lines().filter(|line| !line.starts_with("state_key_")).collect::<Vec<_>>().join("\n")
        });
    }

    fn stored(&self, name: &str) -> Vec<u8> {
        fs::read(self.files.state.join(name)).unwrap()
    }

    fn are_sealed(&self) -> bool {
        KEYS.iter().all(|name| self.stored(name).starts_with(HEADER))
    }

    /// What was logged behind `from`, once this is in it.
    async fn logged_since(&self, from: usize, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.files.log_text().split_off(from);
            if log.contains(text) {
                return log;
            }
            assert!(Instant::now() < deadline, "never: {text}\n{log}");
            sleep(Duration::from_millis(30)).await;
        }
    }

    async fn asked(&self, args: &[&str]) -> (Said, Value) {
        let said = self.agent.command(&[&["--output", "json"], args].concat()).await;
        let value = serde_json::from_str(&said.printed).unwrap_or_default();
        (said, value)
    }

    async fn state_key_step(&self) -> Value {
        let (_, check) = self.asked(&["check"]).await;
        let steps = check.to_string();
        assert!(steps.contains("state key"), "{steps}");
        check
    }
}

#[tokio::test]
async fn a_key_that_is_turned_on_over_a_live_grant_costs_it_nothing_once_the_ledger_is_sealed() {
    let mut world = World::ready().await;
    let request = world.approved(Ask::role("amara@example.com", "Help Desk", 30)).await;
    world.about(&request, "granted").await;
    let unset = world.agent.command(&["state", "seal", "--yes"]).await;
    assert_eq!(unset.code, Some(3), "{}", unset.text);
    world.with_state_key("a");
    let busy = world.agent.command(&["state", "seal", "--yes"]).await;
    assert_eq!(busy.code, Some(8), "{}", busy.text);
    assert!(world.agent.kill().await);

    let told = world.state_key_step().await.to_string();
    assert!(told.contains("ephemerald state seal"), "{told}");
    let unasked = world.agent.command(&["state", "seal"]).await;
    assert!(unasked.code == Some(2) && unasked.text.contains("--yes"), "{}", unasked.text);
    assert!(!world.are_sealed());
    let (said, sealed) = world.asked(&["state", "seal", "--yes"]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    let files = serde_json::json!(["tag.key", "agent.key", "identity.json"]);
    assert_eq!((&sealed["sealed"], &sealed["files"]), (&true.into(), &files));
    assert!(world.are_sealed());
    let (code, check) = world.checked().await;
    assert_eq!((code, &check["authentic"]), (Some(0), &true.into()), "{check}");
    assert_eq!(world.agent.command(&["audit", "verify"]).await.code, Some(0), "anybody can verify the chain");

    world.agent.start();
    world.agent.ready().await;
    world.sees("amara@example.com", Some("Help Desk")).await;
    let changed = world.agent.command(&["rotate-key"]).await;
    assert_eq!(changed.code, Some(0), "{}", changed.text);
    assert!(world.are_sealed(), "the new key is sealed as the old one was");
    let ended = world.about(&request, "grant_ended").await;
    assert_eq!(ended["reason"], "expired");
    world.sees("amara@example.com", Some("Read Only")).await;
    world.tells("believed", |status| status["revoke_only"] == false).await;
    let log = world.files.log_text();
    assert!(!log.contains(&"a".repeat(64)), "the key is in no line");
}

#[tokio::test]
async fn sealed_keys_come_back_from_a_backup_and_say_so_where_their_key_is_missing() {
    let world = World::enrolled().await;
    world.with_state_key("b");
    let plain = world.stored("agent.key");
    let said = world.agent.command(&["state", "seal", "--yes"]).await; // no ledger yet
    assert!(said.code == Some(0) && said.text.contains("agent.key, identity.json"), "{}", said.text);
    fs::write(world.files.state.join("agent.key"), plain).unwrap(); // somebody's plain copy
    let mut world = world.started().await;
    world.logs("files that lay unsealed in the state directory are sealed with it").await;
    assert!(world.are_sealed());
    let dir = world.files.root.join("backup");
    let said = world.agent.command(&["ledger", "backup", dir.to_str().unwrap()]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    assert!(KEYS.iter().all(|name| fs::read(dir.join(name)).unwrap().starts_with(HEADER)));
    assert!(world.agent.kill().await);

    // Without its key: endings alone, and nothing is changed.
    let before = KEYS.map(|name| world.stored(name));
    for (edit, why) in
        [(0, "names no state key"), (1, "sealed with another state key"), (2, "cannot be read")]
    {
        match edit {
            0 => world.without_state_key(),
            1 => world.with_state_key("c"),
            _ => fs::remove_file(world.state_key()).unwrap(),
        }
        let from = world.files.log_text().len();
        world.agent.start();
        let log = world.logged_since(from, "from now on nothing is raised, endings go on").await;
        world.agent.kill().await;
        // Without any key the identity is believed, and the agent's key cannot be used; else nobody is spoken to.
        let (other, its) = match edit {
            0 => ("agent.key", why),
            1 => ("identity.json", "is not authenticated with the state key"),
            _ => ("identity.json", why),
        };
        for (name, why) in [("tag.key", why), (other, its)] {
            let line = log.lines().find(|line| line.contains(name) && line.contains(why));
            assert!(line.is_some(), "{why}: nothing of {name} in\n{log}");
        }
        assert_eq!(KEYS.map(|name| world.stored(name)), before, "{why}");
        assert!(log.contains("live grants are ended on time"), "{why}\n{log}");
    }

    // The whole state is lost, the key lies elsewhere.
    fs::remove_dir_all(&world.files.state).unwrap();
    world.with_state_key("b");
    let said = world.agent.command(&["ledger", "restore", dir.to_str().unwrap()]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    world.agent.start();
    world.logs("ledger: as new as what the control plane knows; believed again").await;
    assert!(world.are_sealed());
    assert_eq!(world.checked().await.1["authentic"], true);
}

#[tokio::test]
async fn an_agent_that_enrols_with_a_state_key_never_has_a_key_unsealed_on_its_disk() {
    let mut world = World::enrolled().await;
    world.lose(&["agent", "identity"]);
    world.with_state_key("d");
    let token = world.operator.token().await.unwrap();
    world.agent.enroll(&token).await;
    assert!(world.stored("agent.key").starts_with(HEADER));
    world.agent.start();
    world.agent.ready().await;
    assert!(world.are_sealed());
    assert!(!world.files.log_text().contains("lay unsealed"));
    world.agent.kill().await;

    // Given up: laid open with the key, then without it.
    let said = world.agent.command(&["state", "unseal", "--yes"]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    world.without_state_key();
    assert!(KEYS.iter().all(|name| !world.stored(name).starts_with(HEADER)));
    world.agent.start();
    world.agent.ready().await;
    let (code, check) = world.checked().await;
    assert_eq!((code, &check["authentic"]), (Some(0), &Value::Null), "{check}");
}

#[tokio::test]
async fn whoever_writes_to_the_disk_does_not_say_whom_the_agent_trusts() {
    let world = World::enrolled().await;
    world.with_state_key("9");
    let (said, sealed) = world.asked(&["state", "seal", "--yes"]).await;
    assert_eq!((said.code, &sealed["ledger_id"]), (Some(0), &Value::Null), "{}", said.text);
    let mut world = world.started().await;
    world.agent.ready().await;
    assert!(world.agent.kill().await);
    let file = world.files.state.join("identity.json");
    let ours = fs::read_to_string(&file).unwrap();
    let proof = ours.lines().find(|line| line.contains("\"proof\"")).unwrap();
    let other = ours.replace("https://", "https://evil.");
    let stripped = ours.replace(&format!(",\n{proof}"), "");
    assert!(other != ours && stripped != ours);
    for forged in [other, stripped] {
        fs::write(&file, &forged).unwrap();
        let from = world.files.log_text().len();
        world.agent.start();
        let log = world.logged_since(from, "identity: cannot be read; no jobs are taken").await;
        assert!(log.contains("is not authenticated with the state key"), "{log}");
        assert!(!log.contains("control plane: in contact"), "{log}");
        world.agent.kill().await;
        let (_, check) = world.asked(&["check"]).await;
        assert!(check.to_string().contains("is not authenticated with the state key"), "{check}");
        let again = world.agent.command(&["enroll", "--if-needed", "--token-file", "/dev/null"]).await;
        assert_ne!(again.code, Some(0), "{}", again.text);
        assert_eq!(fs::read_to_string(&file).unwrap(), forged, "nothing was changed");
    }
    fs::write(&file, ours).unwrap();
    world.agent.start();
    world.agent.ready().await;
}

#[tokio::test]
async fn the_key_comes_from_a_program_or_a_credential_too_and_where_it_is_lost_another_one_is_begun_with() {
    let mut world = World::ready().await;
    assert!(world.agent.kill().await);
    world.with_state_key("e");
    let file = world.state_key();
    world.with_state_key_from(&format!("command = [\"/bin/cat\", \"{}\"]", file.display()));
    let said = world.agent.command(&["state", "seal", "--yes"]).await;
    assert!(said.code == Some(0) && world.are_sealed(), "{}", said.text);
    world.agent.start();
    world.agent.ready().await;
    world.tells("believed", |status| status["revoke_only"] == false).await;
    assert!(world.agent.kill().await);

    world.with_state_key_from("credential = \"state.key\"");
    let beside = [("CREDENTIALS_DIRECTORY".into(), world.files.root.clone().into_os_string())];
    let said = world.agent.command_in(&beside, &["--output", "json", "ledger", "check"]).await;
    assert!(said.code == Some(0) && said.text.contains("\"authentic\": true"), "{}", said.text);
    let said = world.agent.command(&["ledger", "check"]).await;
    assert!(said.text.contains("not looked at: credential state.key"), "nothing is there: {}", said.text);

    world.with_state_key("f");
    let refused = world.agent.command(&["state", "seal", "--yes"]).await;
    assert!(
        refused.code == Some(4) && refused.text.contains("--anew"),
        "{:?} {}",
        refused.code,
        refused.text
    );
    world.lose(&["agent", "identity"]);
    fs::remove_file(world.files.state.join("tag.key")).unwrap();
    let said = world.agent.command(&["state", "seal", "--anew", "--yes"]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    let token = world.operator.token().await.unwrap();
    world.agent.enroll(&token).await;
    world.agent.start();
    world.agent.ready().await;
    world.tells("believed", |status| status["revoke_only"] == false).await;
    assert!(world.are_sealed());
}
