//! What a policy file may say, and what each bad one is refused with.

use super::*;
use crate::engine::{
    ids::{Email, RoleName},
    policy::Requirements,
    time::{Millis, Timestamp},
};

fn refused(text: &str) -> String {
    parse(text, "policy.toml").unwrap_err().to_string()
}

#[test]
fn an_empty_policy_grants_nothing_and_asks_for_everything() {
    let policy = parse("", "policy.toml").unwrap();
    assert!(policy.roles.is_empty() && policy.ephemeral.is_none() && !policy.dry_run);
    let all = Requirements {
        request_number: true,
        justification: true,
        approvers: 1,
        requester_not_approver: true,
        signatures: 1,
    };
    assert_eq!(policy.require, all);
}

#[test]
fn roles_accounts_and_domains_are_taken_as_written() {
    let text = r#"
        mode = "dry_run"
        [roles]
        "Help Desk" = "4h"
        [accounts]
        allow = ["*@Example.com", "ada@example.org"]
        [ephemeral]
        allowed = true
        domains = ["Example.com"]
    "#;
    let policy = parse(text, "policy.toml").unwrap();
    assert!(policy.dry_run);
    assert_eq!(policy.roles[&RoleName::new("Help Desk").unwrap()], Millis::from_secs(4 * 3600));
    assert!(policy.accounts_allow[0].matches(&Email::new("eve@example.com").unwrap()));
    assert_eq!(policy.ephemeral.unwrap().domains, ["example.com"]);
    assert_ne!(policy.hash, parse("", "policy.toml").unwrap().hash);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let said = refused("[require]\napprover = 2");
    assert!(said.contains("policy.toml") && said.contains("did you mean `require.approvers`"), "{said}");
    assert!(refused("max_duraton = \"1h\"").contains("did you mean `max_duration`"));
}

#[test]
fn each_bad_value_is_refused_by_key_with_what_was_expected_and_found() {
    for (text, words) in [
        ("mode = \"off\"", "`mode`: expected \"enforce\" or \"dry_run\", found \"off\""),
        ("[roles]\n\"Help Desk\" = \"4\"", "`roles.\"Help Desk\"`: expected a duration"),
        ("max_duration = \"90 days\"", "from 1s to 30days, found \"90 days\""),
        ("[accounts]\ndeny = [\"*ada@example.com\"]", "`accounts.deny`"),
        ("[ephemeral]\nallowed = true", "`ephemeral.domains`: expected at least one"),
        ("[ephemeral]\ntemplate = \"x@{domain}\"", "holds {tag} once"),
        ("[ephemeral]\ntemplate = \"{domain}+{tag}@evil.example\"", "`ephemeral.template`"),
        ("max_grants_per_hour = 0", "`max_grants_per_hour`: expected 1 to 10000"),
        ("cool_down = \"0s\"", "`cool_down`: expected a duration"),
        ("denied_roles = [\"\"]", "`denied_roles`"),
        ("[hours]\nzone = \"Mars/Olympus\"", "`hours.zone`: expected a time zone such as"),
        ("[hours]\nwindows = [\"mon 9-17\"]", "`hours.windows`: expected days and times"),
        ("[hours]\nwindows = [\"mon 09:00-09:00\"]", "`hours.windows`"),
        ("[hours]\nwindows = [\"may 09:00-10:00\"]", "`hours.windows`"),
        ("[require]\nsignatures = 2", "`require.signatures`: expected 1 to 1"),
        ("[approval_keys]\nada = \"AAAA\"", "`approval_keys.\"ada\"`: expected an Ed25519 public key"),
        ("max_live_grants = 0", "`max_live_grants`: expected 1 to 10000"),
        ("protected_accounts = [\"nobody\"]", "must contain '@'"),
        ("[roles", "line 1"),
    ] {
        let said = refused(text);
        assert!(said.contains(words), "{text:?}: {said}");
    }
}
#[test]
fn what_is_new_in_the_file_is_taken_as_written() {
    let key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let text = format!(
        r#"
        max_continuous = "10h"
        cool_down = "6h"
        max_grants_per_hour = 5
        denied_roles = ["Manager"]
        [roles]
        "Manager" = "1h"
        [approval_keys]
        "grace@example.com" = "{key}"
        [hours]
        zone = "Europe/Berlin"
        windows = ["mon-fri 08:00-18:00", "fri-sat,mon 22:00-02:00"]
        whole = false
        "#
    );
    let policy = parse(&text, "policy.toml").unwrap();
    assert_eq!((policy.max_continuous, policy.cool_down), (Millis(36_000_000), Millis(21_600_000)));
    assert_eq!(policy.longest(&RoleName::new("Manager").unwrap()), None, "denied is stronger than named");
    assert_eq!(policy.signatures(), 1);
    let hours = policy.hours.unwrap();
    assert_eq!(hours.windows[1].days, [true, false, false, false, true, true, false]);
    let open = |at: &str| {
        let at = Timestamp(at.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        hours.allow(at, at)
    };
    // Wednesdays: 08:00 in Berlin is 06:00 in summer and 07:00 in winter.
    assert!(open("2026-07-15T06:00:00Z") && !open("2026-07-15T05:59:59Z") && !open("2026-07-15T16:00:00Z"));
    assert!(open("2026-12-16T07:00:00Z") && !open("2026-12-16T06:59:59Z"));
}

#[test]
fn without_max_continuous_twelve_hours_hold_unless_one_grant_may_be_longer() {
    let continuous = |text: &str| parse(text, "policy.toml").unwrap().max_continuous;
    assert_eq!(continuous(""), Millis::from_secs(12 * 3600));
    assert_eq!(continuous("max_duration = \"3days\""), Millis::from_secs(72 * 3600));
}

#[test]
fn a_change_of_the_policy_is_told_key_by_key() {
    let policy = |text: &str| parse(text, "policy.toml").unwrap();
    let old = policy("max_live_grants = 3\n[roles]\nManager = \"1h\"\n\"Help Desk\" = \"1h\"");
    let new = policy("max_live_grants = 4\n[roles]\n\"Help Desk\" = \"2h\"\n\"Read Only\" = \"1h\"");
    let told: Vec<_> = changes(&old, &new).into_iter().map(|c| (c.key, c.from, c.to)).collect();
    let some = |text: &str| Some(text.to_owned());
    let expected = [
        ("max_live_grants".to_owned(), some("3"), some("4")),
        ("roles.\"Help Desk\"".to_owned(), some("1h"), some("2h")),
        ("roles.\"Manager\"".to_owned(), some("1h"), None),
        ("roles.\"Read Only\"".to_owned(), None, some("1h")),
    ];
    assert_eq!(told, expected);
    assert!(changes(&old, &old).is_empty());
}

#[test]
fn every_key_of_the_file_is_among_the_entries() {
    let whole = parse(
        "[ephemeral]\nallowed = true\ndomains = [\"a.example\"]\n[hours]\nwindows = [\"sun 00:00-24:00\"]",
        "policy.toml",
    )
    .unwrap();
    let shown = entries(&whole);
    for key in known_keys().iter().filter(|key| !matches!(key.as_str(), "roles" | "approval_keys")) {
        assert!(shown.contains_key(key), "{key} is not shown, so its change would not be told");
    }
}

#[test]
fn only_a_regular_file_of_a_sensible_size_is_read_and_nobody_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("policy.toml");
    let said = |path: &Path| load(path).unwrap_err().to_string();
    assert!(said(dir.path()).ends_with("found a directory"), "{}", said(dir.path()));
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::from(0o600), 0).unwrap();
    assert!(said(&path).contains("at most 1024 KiB, found a pipe"), "{}", said(&path));
    std::fs::remove_file(&path).unwrap();
    let most = usize::try_from(MAX_BYTES).unwrap();
    std::fs::write(&path, "#".repeat(most)).unwrap();
    load(&path).unwrap();
    std::fs::write(&path, "#".repeat(most + 1)).unwrap();
    assert!(said(&path).ends_with("found more"), "{}", said(&path));
}
