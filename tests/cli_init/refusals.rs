//! What `init` refuses, and that it leaves nothing behind then.

use std::fs;

use crate::bench::{Home, INIT};

fn nothing_was_written(home: &Home) {
    assert!(!home.path("etc").exists() && !home.path("state").exists(), "{:?}", home.files("etc"));
}

#[test]
fn a_key_that_jumpcloud_does_not_take_is_refused_without_being_shown() {
    let home = Home::with_jumpcloud();
    home.private("api-key", "jca_canary_wrong");
    let said = home.init(&["--role", "Help Desk=4h"]);
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert!(said.err.contains("401") && said.err.contains("make a new one"), "{}", said.err);
    assert!(!said.err.contains("canary") && !said.out.contains("canary"));
    nothing_was_written(&home);
}

#[test]
fn a_key_that_may_not_read_administrators_is_refused_with_the_role_it_needs() {
    let mut home = Home::new();
    let accounts = r#"{"accounts": [{"email": "boss@example.org", "roles": ["Administrator With Billing"]},
        {"email": "bill@example.org", "roles": ["Billing Only"], "api_key": "jca_bill", "api_key_allowed": true}]}"#;
    fs::write(home.path("seed.json"), accounts).unwrap();
    home.start_jumpcloud(&["--seed-file", "seed.json"]);
    home.private("api-key", "jca_bill");
    let said = home.init(&["--role", "Help Desk=4h"]);
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert!(said.err.contains("403") && said.err.contains("Administrator With Billing"), "{}", said.err);
    nothing_was_written(&home);
}

#[test]
fn an_address_without_a_listener_or_with_a_strange_certificate_is_told_apart() {
    let home = Home::with_jumpcloud();
    let url = home.url();
    let call = |more: &[&str]| home.run(&[&INIT[..], &["--api-key-file", "api-key"], more].concat());
    let closed = call(&["--url", "https://127.0.0.1:1"]);
    assert_eq!(closed.code, Some(5), "{}", closed.err);
    assert!(closed.err.contains("Connection refused") && closed.err.contains("--offline"), "{}", closed.err);
    let strange = call(&["--url", &url]);
    assert_eq!(strange.code, Some(3), "{}", strange.err);
    assert!(strange.err.contains("certificate") && strange.err.contains("ca_file"), "{}", strange.err);
    nothing_was_written(&home);
}

#[test]
fn files_that_exist_are_named_and_kept_unless_forced_and_then_backed_up() {
    let home = Home::with_jumpcloud();
    fs::create_dir(home.path("etc")).unwrap();
    fs::write(home.path("etc/policy.toml"), "mine\n").unwrap();
    let said = home.init(&["--role", "Help Desk=4h"]);
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert!(said.err.contains("etc/policy.toml") && said.err.contains("--force"), "{}", said.err);
    assert_eq!(home.files("etc"), [home.path("etc/policy.toml")]);
    assert_eq!(home.read("etc/policy.toml"), "mine\n");

    let forced = home.init(&["--role", "Help Desk=4h", "--force"]).fine();
    assert!(forced.out.contains("policy.toml.bak-1"), "{}", forced.out);
    assert_eq!(home.read("etc/policy.toml.bak-1"), "mine\n");
    assert!(home.read("etc/policy.toml").contains("Help Desk"));
}

#[test]
fn what_something_beside_it_turns_into_another_configuration_is_taken_away_again() {
    let home = Home::with_jumpcloud();
    fs::create_dir_all(home.path("etc/conf.d")).unwrap();
    fs::write(home.path("etc/conf.d/10.toml"), "[policy]\nfile = \"/elsewhere/policy.toml\"\n").unwrap();
    let said = home.init(&["--role", "Help Desk=4h"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(said.err.contains("conf.d") && said.err.contains("policy.file"), "{}", said.err);
    assert_eq!(home.files("etc"), [home.path("etc/conf.d/10.toml")]);
    assert!(!home.path("state").exists());
}

#[test]
fn every_missing_and_wrong_answer_is_named_at_once() {
    let home = Home::new();
    let wrong = ["--offline", "--integration", "a/b", "--role", "Help Desk=4", "--max-duration", "9"];
    let said = home.run(&[&INIT[..], &wrong].concat());
    assert_eq!(said.code, Some(3), "{}", said.err);
    for words in ["missing: api_key_file", "integration: expected", "expected a duration"] {
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
    nothing_was_written(&home);
}

#[test]
fn a_role_that_the_organization_does_not_have_is_refused_with_the_nearest_one() {
    let home = Home::with_jumpcloud();
    let said = home.init(&["--role", "Helpdesk=4h"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(
        said.err.contains("did you mean \"Help Desk\"") && said.err.contains("Read Only"),
        "{}",
        said.err
    );
    nothing_was_written(&home);
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::with_jumpcloud();
    fs::set_permissions(home.path("api-key"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = home.init(&["--role", "Help Desk=4h"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(said.err.contains("0644") && said.err.contains("chmod 600"), "{}", said.err);
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let home = Home::new();
    // More than a pipe holds: an `init` that refuses without reading always leaves it broken.
    let said = home.run_with_input(&["init"], &"\n".repeat(1 << 20));
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("--non-interactive") && said.err.contains("--answers"), "{}", said.err);
    let json = home.run(&["init", "--output", "json"]);
    assert_eq!(json.code, Some(2), "{}", json.err);
}
