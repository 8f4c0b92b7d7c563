//! Without questions: what is written from what is given and from what JumpCloud says.

use std::{fs, os::unix::fs::MetadataExt as _};

use serde_json::json;

use crate::bench::{Home, INIT, holding};

#[test]
fn what_nobody_answered_comes_from_jumpcloud_and_the_rest_is_the_cautious_default() {
    let home = Home::with_jumpcloud();
    let said = home.init(&["--role", "Help Desk=4h", "--role", "Manager=90m"]).fine();

    let policy = home.read("etc/policy.toml");
    assert!(policy.contains("mode = \"dry_run\""), "{policy}");
    assert!(policy.contains("[\"owner@example.com\", \"breakglass@example.com\"]"), "{policy}");
    assert!(policy.contains("\"Help Desk\" = \"4h\"\n\"Manager\" = \"90m\""), "{policy}");
    assert!(policy.contains("max_duration = \"4h\"") && policy.contains("allowed = false"), "{policy}");
    assert!(home.read("etc/ephemerald.toml").contains("role_mode = \"single\""));
    for (file, mode) in [("main.json", 0o600), ("policy.toml", 0o600), ("ephemerald.toml", 0o600)] {
        assert_eq!(home.mode(&format!("etc/{file}")), mode, "{file}");
    }
    assert_eq!((home.mode("etc"), home.mode("state")), (0o700, 0o700));
    assert_eq!(
        holding(&[home.files("etc"), home.files("state")].concat(), &home.api_key()),
        [home.path("etc/main.json")]
    );
    assert!(!said.out.contains(&home.api_key()) && !said.err.contains(&home.api_key()), "{}", said.out);
    assert!(
        said.out.contains("enroll") && said.out.contains(" check\n") && said.out.contains(" run\n"),
        "{}",
        said.out
    );
}

#[test]
fn a_file_of_answers_says_the_same_as_flags_and_flags_are_stronger() {
    let home = Home::with_jumpcloud();
    let answers = format!(
        "layout = \"user\"\nconfig_dir = \"etc\"\nstate_dir = \"state\"\nname = \"jit-1\"\nintegration = \"prod\"\n\
         url = {:?}\nca_file = \"ca.pem\"\napi_key_file = \"api-key\"\nrole_mode = \"multiple\"\n\
         protected_accounts = [\"owner@example.com\"]\nallowed_accounts = [\"*@example.com\"]\n\
         mode = \"dry_run\"\nephemeral_domains = [\"example.com\"]\n[roles]\n\"Help Desk\" = \"4h\"\n",
        home.url()
    );
    fs::write(home.path("answers.toml"), answers).unwrap();
    home.run(&["init", "--non-interactive", "--answers", "answers.toml", "--mode", "enforce"]).fine();

    let config = home.read("etc/ephemerald.toml");
    for words in ["name = \"jit-1\"", "name = \"prod\"", "role_mode = \"multiple\"", "/etc/prod.json\""] {
        assert!(config.contains(words), "{words}: {config}");
    }
    let policy = home.read("etc/policy.toml");
    for words in [
        "mode = \"enforce\"",
        "[\"owner@example.com\"]",
        "[\"*@example.com\"]",
        "domains = [\"example.com\"]",
    ] {
        assert!(policy.contains(words), "{words}: {policy}");
    }
}

#[test]
fn administrators_with_several_roles_turn_the_role_mode_to_multiple() {
    let mut home = Home::new();
    let seed = json!({"accounts": [
        {"email": "boss@example.org", "roles": ["Administrator With Billing"]},
        {"email": "two@example.org", "roles": ["Help Desk", "Command Runner"]},
    ]});
    fs::write(home.path("seed.json"), seed.to_string()).unwrap();
    home.start_jumpcloud(&["--seed-file", "seed.json"]);
    home.private("api-key", &home.api_key());
    home.init(&["--role", "Help Desk=4h"]).fine();
    assert!(home.read("etc/ephemerald.toml").contains("role_mode = \"multiple\""));

    let said = home.init(&["--role", "Help Desk=4h", "--role-mode", "single", "--force"]).fine();
    let prose = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(prose.contains("several roles are refused"), "{prose}");
}

#[test]
fn the_key_may_come_from_standard_input_and_offline_asks_nobody() {
    let home = Home::new();
    let args =
        [&INIT[..], &["--offline", "--region", "eu", "--api-key-file", "-", "--protect", "a@b.example"]]
            .concat();
    let said = home.run_with_input(&args, "jca_canary77\n").fine();
    let connection = home.read("etc/main.json");
    assert!(
        connection.contains("\"jca_canary77\"") && connection.contains("https://console.eu.jumpcloud.com")
    );
    assert!(said.out.contains("no role is named") && said.out.contains("was not asked"), "{}", said.out);
    assert!(!said.out.contains("canary") && !said.err.contains("canary"));
}

#[test]
fn the_same_answers_again_change_nothing_and_say_so() {
    let home = Home::with_jumpcloud();
    home.init(&["--role", "Help Desk=4h"]).fine();
    let inode = fs::metadata(home.path("etc/main.json")).unwrap().ino();
    let again = home.init(&["--role", "Help Desk=4h", "--output", "json"]).fine().json();
    assert_eq!(again["written"], json!([]));
    assert_eq!(again["unchanged"].as_array().unwrap().len(), 3, "{again}");
    assert!(again["next"][0]["command"].as_str().unwrap().contains("enroll"), "{again}");
    assert_eq!(fs::metadata(home.path("etc/main.json")).unwrap().ino(), inode);
}

#[test]
fn show_prints_every_file_without_secrets_and_writes_none() {
    let home = Home::with_jumpcloud();
    let said = home.init(&["--role", "Help Desk=4h", "--show"]).fine();
    for words in
        ["etc/main.json  mode 0600", "\"token\": \"(not shown)\"", "mode = \"dry_run\"", "[[integration]]"]
    {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    assert!(!said.out.contains(&home.api_key()));
    assert!(!home.path("etc").exists() && !home.path("state").exists());
}

#[test]
fn a_containers_files_name_the_paths_that_are_inside_of_it() {
    let home = Home::with_jumpcloud();
    let url = home.url();
    let said = home.run(&[
        "init",
        "--non-interactive",
        "--layout",
        "container",
        "--url",
        &url,
        "--ca-file",
        "ca.pem",
        "--api-key-file",
        "api-key",
        "--role",
        "Help Desk=4h",
    ]);
    let said = said.fine();
    let config = home.read("etc/ephemerald.toml");
    assert!(
        config.contains("\"/etc/ephemerald/main.json\"") && config.contains("\"/var/lib/ephemerald\""),
        "{config}"
    );
    assert!(said.out.contains("docker compose -f deploy/compose/agent.yaml up -d"), "{}", said.out);
    let connection = fs::metadata(home.path("etc/main.json")).unwrap();
    assert_eq!(connection.mode() & 0o7777, 0o600);
    if rustix::process::geteuid().is_root() {
        assert_eq!(connection.uid(), 65532, "the image's user");
    } else {
        assert!(said.out.contains("chown 65532"), "{}", said.out);
    }
}
