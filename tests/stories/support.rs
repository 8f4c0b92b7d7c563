//! What is sent to somebody who helps.

use std::{fs, os::unix::fs::PermissionsExt as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::process::{World, asking::Ask};

const PERSON: &str = "dmitri@example.com";

#[tokio::test]
async fn a_support_bundle_tells_how_things_stand_without_a_secret_or_an_address() {
    let world = World::ready().await;
    let request = world.approved(Ask::role(PERSON, "Manager", 300)).await;
    world.about(&request, "granted").await;
    // Somebody has pasted the key where it does not belong, in three forms.
    let key = world.api_key.as_str().to_owned();
    let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    let log = world.files.root.join("journal.txt");
    let own = fs::read_to_string(world.files.state.join("agent.key")).unwrap();
    let basic = STANDARD.encode(format!("me:{key}"));
    fs::write(
        &log,
        format!("zero {own} {basic}\none {key}\ntwo {}\nthree {hex}\nfour {PERSON}\n", STANDARD.encode(&key)),
    )
    .unwrap();
    let to = world.files.root.join("support.json");
    let (to, log) = (to.to_str().unwrap(), log.to_str().unwrap());

    let said = world.agent.command(&["support-bundle", "--to", to, "--log", log]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    let text = fs::read_to_string(to).unwrap();
    let middle = &basic[8..basic.len() - 8];
    for secret in
        [own.trim(), middle, key.as_str(), hex.as_str(), &STANDARD.encode(&key)[..key.len() / 3 * 4], PERSON]
    {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    assert_eq!(fs::metadata(to).unwrap().permissions().mode() & 0o777, 0o600);
    let told: Value = serde_json::from_str(&text).unwrap();
    for part in [
        "version",
        "machine",
        "configuration",
        "policy",
        "status",
        "health",
        "grants",
        "metrics",
        "ledger",
        "check",
        "log",
    ] {
        assert!(!told[part].is_null() && told[part]["problem"].is_null(), "{part}: {}", told[part]);
    }
    assert_eq!(told["grants"][0]["state"], "active");
    assert!(told["grants"][0]["account_email"].as_str().unwrap().starts_with("person-"));
    assert_eq!(told["check"]["ok"], true, "{}", told["check"]);

    // Never over another one.
    let again = world.agent.command(&["support-bundle", "--to", to]).await;
    assert!(again.code == Some(1) && again.text.contains("--to"), "{}", again.text);
}

#[tokio::test]
async fn a_dead_agent_has_a_bundle_too_and_whoever_wants_the_addresses_says_so() {
    let mut world = World::ready().await;
    world.agent.kill().await;
    let key = world.api_key.as_str().to_owned();
    let log = world.files.root.join("journal.txt");
    fs::write(&log, format!("{key} {PERSON}\n")).unwrap();
    let dead = world.files.root.join("dead.json");
    let (to, log) = (dead.to_str().unwrap(), log.to_str().unwrap());
    let said = world.agent.command(&["support-bundle", "--to", to, "--with-addresses", "--log", log]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    let text = fs::read_to_string(&dead).unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert!(told["status"]["problem"].as_str().unwrap().contains("not running"));
    assert!(text.contains(PERSON) && !text.contains(&key));
}
