//! The layers, the checks and the messages of the configuration.

use std::{fs, path::Path};

use super::*;

fn sources(dir: &Path, main: &str, conf_d: &[(&str, &str)]) -> Sources {
    let file = dir.join("ephemerald.toml");
    fs::write(&file, main).unwrap();
    fs::create_dir_all(dir.join("conf.d")).unwrap();
    for (name, text) in conf_d {
        fs::write(dir.join("conf.d").join(name), text).unwrap();
    }
    Sources { file: Some(file), ..Sources::default() }
}

fn refused(main: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    Config::load(&sources(dir.path(), main, &[])).unwrap_err().to_string()
}

fn origin<'a>(loaded: &'a Loaded, key: &str) -> &'a str {
    &loaded.entries.iter().find(|entry| entry.key == key).unwrap().origin
}

#[test]
fn without_any_file_the_defaults_are_the_engine_s() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::load(&sources(dir.path(), "", &[])).unwrap().config;
    let timing = Timing::default();
    assert_eq!(config.timing.settle, timing.settle);
    assert_eq!(config.timing.in_flight_window, timing.in_flight_window);
    assert_eq!(config.timing.watch, timing.watch);
    assert_eq!(config.timing.raise_timeout, timing.raise_timeout);
    assert_eq!(config.agent.state_dir, Path::new("/var/lib/ephemerald"));
}

#[test]
fn a_later_layer_wins_and_every_value_knows_its_origin() {
    let dir = tempfile::tempdir().unwrap();
    let mut sources = sources(
        dir.path(),
        "[log]\nlevel = \"warn\"\nformat = \"json\"\n[timing]\nsettle = \"1s\"\n[agent]\nname = \"a\"",
        &[
            ("20.toml", "[timing]\nsettle = \"3s\""),
            ("10.toml", "[timing]\nsettle = \"2s\""),
            ("note.txt", "no TOML"),
        ],
    );
    sources.environment = vec![
        ("EPHEMERALD__LOG__LEVEL".into(), "debug".into()),
        ("EPHEMERALD__AGENT__NAME".into(), "b".into()),
        ("EPHEMERALD__TIMING__WATCH".into(), "[\"1s\", \"2s\"]".into()),
        ("EPHEMERALD_OTHER".into(), "x".into()),
    ];
    sources.overrides = vec![Override { key: "log.level", value: "trace".into(), flag: "--log-level" }];
    let loaded = Config::load(&sources).unwrap();
    assert_eq!(loaded.config.timing.settle, Millis::from_secs(3));
    assert_eq!(loaded.config.timing.watch, [Millis::from_secs(1), Millis::from_secs(2)]);
    assert_eq!(loaded.config.log, Log { format: LogFormat::Json, level: "trace".into() });
    assert_eq!(loaded.config.agent.name.as_deref(), Some("b"));
    assert!(origin(&loaded, "timing.settle").ends_with("20.toml"));
    assert!(origin(&loaded, "log.format").ends_with("ephemerald.toml"));
    assert_eq!(origin(&loaded, "agent.name"), "environment variable EPHEMERALD__AGENT__NAME");
    assert_eq!(origin(&loaded, "log.level"), "flag --log-level");
    assert_eq!(origin(&loaded, "control_plane.poll_max"), "default");
}

#[test]
fn an_array_replaces_the_array_of_an_earlier_layer() {
    let dir = tempfile::tempdir().unwrap();
    let one = "[[integration]]\nname = \"one\"\nconnection_file = \"/one.json\"\n";
    let two = "[[integration]]\nname = \"two\"\nconnection_credential = \"two.json\"\nrole_mode = \"multiple\"\n\
               role_order = [[\"Administrator\", \"Help Desk\"]]";
    let loaded = Config::load(&sources(dir.path(), one, &[("10.toml", two)])).unwrap();
    let [integration] = loaded.config.integrations.as_slice() else { panic!("one integration") };
    assert_eq!(integration.settings.id.as_str(), "two");
    assert_eq!(integration.connection, Source::Credential("two.json".into()));
    assert_eq!(integration.settings.role_order.len(), 1);
    assert!(origin(&loaded, "integration.0.name").ends_with("10.toml"));
    assert_eq!(origin(&loaded, "integration.0.floor_role"), "default");
}

#[test]
fn an_unknown_key_is_refused_with_its_origin_and_the_nearest_known_key() {
    let said = refused("[agent]\nstate_dri = \"/x\"");
    assert!(
        said.contains("ephemerald.toml: unknown key `agent.state_dri`; did you mean `agent.state_dir`"),
        "{said}"
    );
    let said = refused("[[integration]]\nname = \"a\"\nconnection_flie = \"/x\"");
    assert!(said.contains("did you mean `integration.connection_file`"), "{said}");
    let dir = tempfile::tempdir().unwrap();
    let mut sources = sources(dir.path(), "", &[]);
    sources.environment = vec![("EPHEMERALD__LOG__LEVLE".into(), "info".into())];
    let said = Config::load(&sources).unwrap_err().to_string();
    assert!(said.starts_with("environment variable EPHEMERALD__LOG__LEVLE: unknown key"), "{said}");
}

#[test]
fn a_refusal_does_not_quote_a_key_that_was_pasted_into_the_wrong_place() {
    for key in [
        "jca_1XYZ0123456789abcdefghijklmnopqrstuvwx",
        "5f00c0de5f00c0de5f00c0de5f00c0de5f00c0de",
        "a+b/c==d1-e_f2g3h4i5",
    ] {
        for text in [
            format!("[[integration]]\nname = \"a\"\nconnection_file = \"{key}\""),
            format!("[[integration]]\nname = \"a\"\nconnection_file = \"/x\"\ntoken = \"{key}\""),
            format!("[[integration]]\nname = \"a\"\nconnection_file = \"/x\"\nrate_limit = \"{key}\""),
            format!("[[integration]]\nname = \"a\"\nconnection_file = \"/x\"\nrole_mode = \"{key}\""),
            format!("[agent]\n\"{key}\" = 1"),
            format!("[log]\nlevel = {key}"),
        ] {
            let said = refused(&text);
            assert!(said.contains("ephemerald.toml") && !said.contains(key), "{said}");
        }
        for text in [
            format!("mode = \"{key}\""),
            format!("\"{key}\" = 1"),
            format!("mode = {key}"),
            format!("[roles]\n\"{key}\" = \"a\""),
        ] {
            let said = policy_file::parse(&text, "policy.toml").unwrap_err().to_string();
            assert!(said.contains("policy.toml") && !said.contains(key), "{said}");
        }
    }
    let said = refused("[agent]\nstate_dir = \"a/relative/path\"");
    assert!(said.contains("found \"a/relative/path\""), "words of people are quoted: {said}");
}

#[test]
fn each_bad_value_is_refused_with_file_key_expected_and_found() {
    let integration = "[[integration]]\nname = \"a\"\nconnection_file = \"/x\"\n";
    for (text, words) in [
        ("[timing]\nsettle = \"15\"".to_owned(), "`timing.settle`: expected a duration such as"),
        ("[timing]\nsettle = 15".to_owned(), "found \"15\""),
        ("[timing]\nwatch = [\"2m\", \"1m\"]".to_owned(), "ascending"),
        ("[agent]\nstate_dir = \"state\"".to_owned(), "an absolute path, found \"state\""),
        (
            "[agent]\nstate_dir = \"/s\"\nstate_key_file = \"/s/k\"".to_owned(),
            "`agent.state_key_file`: expected a file outside of agent.state_dir",
        ),
        ("[control_plane]\nurl = \"http://cp.example\"".to_owned(), "https:// URL"),
        ("[control_plane]\npoll_max = \"2m\"".to_owned(), "to 55s"),
        ("[log]\nformat = \"xml\"".to_owned(), "\"auto\" or \"json\" or \"human\""),
        ("[log]\nlevel = \"a=b=c\"".to_owned(), "`log.level`"),
        ("[[integration]]\nname = \"a\"".to_owned(), "`integration.0`: expected exactly one of"),
        (format!("{integration}connection_credential = \"c\""), "found two of them"),
        ("[[integration]]\nname = \"a\"\nconnection_command = []".to_owned(), "found an empty list"),
        (
            "[[integration]]\nname = \"a\"\nconnection_command = [\"./vault\"]".to_owned(),
            "`integration.0.connection_command`: expected a program",
        ),
        ("[agent]\ncommand_timeout = \"2m\"".to_owned(), "`agent.command_timeout`: expected a duration"),
        (format!("{integration}{integration}"), "`integration.1.name`"),
        (format!("{integration}rate_limit = 0"), "`integration.0.rate_limit`"),
        (format!("{integration}rate_limit = \"fast\""), "rate_limit"),
        (format!("{integration}role_order = [[\"A\"]]"), "found 1 roles"),
        (format!("{integration}page_size = 101"), "`integration.0.page_size`: expected 1 to 100, found 101"),
        (format!("{integration}roles = [\"\"]"), "`integration.0.roles`"),
        (
            format!("{integration}email_template = \"x@{{domain}}\""),
            "`integration.0.email_template`: expected an address that holds {tag} once",
        ),
        (format!("{integration}proxy = \"socks5://p\""), "`integration.0.proxy`"),
        (format!("{integration}insights = \"maybe\""), "insights"),
        (format!("{integration}on_incomparable = \"replace\""), "expected \"refuse\""),
        ("[log\n".to_owned(), "line 1"),
    ] {
        let said = refused(&text);
        assert!(said.contains("ephemerald.toml") && said.contains(words), "{text:?}: {said}");
    }
}

#[test]
fn a_state_key_comes_from_one_place_or_from_none() {
    let said = refused("[agent]\nstate_key_file = \"/k\"\nstate_key_credential = \"k\"");
    assert!(said.contains("exactly one of `state_key_file`, `state_key_credential`"), "{said}");
}

#[test]
fn two_integrations_that_read_the_same_connection_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("main.json");
    fs::write(&file, "{}").unwrap();
    fs::create_dir(dir.path().join("conf")).unwrap();
    let around = dir.path().join("conf/../main.json");
    let block = |name: &str, place: &str| format!("[[integration]]\nname = \"{name}\"\n{place}\n");
    let at = |path: &Path| format!("connection_file = {path:?}");
    for (one, other) in [
        (at(&file), at(&file)),
        (at(&file), at(&around)),
        ("connection_file = \"/not/there\"".to_owned(), "connection_file = \"/not//there\"".to_owned()),
        ("connection_credential = \"jc\"".to_owned(), "connection_credential = \"jc\"".to_owned()),
        (
            "connection_command = [\"vault\", \"a\"]".to_owned(),
            "connection_command = [\"vault\", \"a\"]".to_owned(),
        ),
    ] {
        let said = refused(&(block("a", &one) + &block("b", &other)));
        assert!(
            said.contains("`integration.1.connection_") && said.contains("integration \"a\" reads too"),
            "{said}"
        );
    }
    let two = block("a", &at(&file)) + &block("b", "connection_credential = \"main.json\"");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Config::load(&sources(dir.path(), &two, &[])).unwrap().config.integrations.len(), 2);
}

#[test]
fn each_integration_has_its_own_rate_roles_and_way() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[control_plane]\nproxy = \"http://all.example:3128\"\n\
                [[integration]]\nname = \"a\"\nconnection_file = \"/a\"\nrate_limit = 3\nroles = [\"Help Desk\"]\n\
                [[integration]]\nname = \"b\"\nconnection_file = \"/b\"\nrole_mode = \"multiple\"\nproxy = \"direct\"\n\
                [[integration]]\nname = \"c\"\nconnection_file = \"/c\"\nproxy = \"http://u:hunter2@own.example:8080\"\n";
    let loaded = Config::load(&sources(dir.path(), text, &[])).unwrap();
    let config = &loaded.config;
    let [a, b, c] = config.integrations.as_slice() else { panic!("three") };
    assert_eq!((a.settings.rate_per_second, b.settings.rate_per_second), (3, 10));
    assert_eq!(a.settings.offered_roles.as_ref().unwrap().len(), 1);
    assert_eq!(b.settings.offered_roles, None);
    assert_ne!(a.settings.role_mode, b.settings.role_mode);
    let url = |integration| config.proxy_of(integration).unwrap().map(|proxy| proxy.url);
    assert_eq!(url(a).as_deref(), Some("http://all.example:3128/"));
    assert_eq!(url(b), None);
    assert_eq!(url(c).as_deref(), Some("http://own.example:8080/"));
    assert_eq!(a.said.keys().copied().collect::<Vec<_>>(), ["rate_limit", "roles"], "what somebody wrote");
    let shown = format!("{loaded:?} {}", serde_json::to_string(&loaded.entries).unwrap());
    assert!(shown.contains("***@own.example") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    let sources = Sources { file: Some("/nonexistent/ephemerald.toml".into()), ..Sources::default() };
    assert!(matches!(Config::load(&sources), Err(ConfigError::Read(..))));
}

#[test]
fn the_password_of_a_proxy_is_in_no_output() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[control_plane]\nproxy = \"http://user:hunter2@proxy.example:3128\"";
    let loaded = Config::load(&sources(dir.path(), text, &[])).unwrap();
    let Proxy::Own(url) = &loaded.config.control_plane.proxy else { panic!("its own") };
    assert_eq!(url.expose(), "http://user:hunter2@proxy.example:3128");
    let shown = format!("{loaded:?} {}", serde_json::to_string(&loaded.entries).unwrap());
    assert!(shown.contains("***@proxy.example") && !shown.contains("hunter2"), "{shown}");
    for wrong in ["ftp://u:hunter2@p", "http://u:hun/hunter2@p"] {
        assert!(
            !refused(&format!("[control_plane]\nproxy = \"{wrong}\"\npoll_max=\"1\"")).contains("hunter2")
        );
        assert!(!refused(&format!("[control_plane]\nurl = \"{wrong}\"")).contains("hunter2"));
    }
}

#[test]
fn every_documented_key_exists_and_every_key_is_documented() {
    let shipped = include_str!("../../config/ephemerald.toml");
    // A key that is off is written `#key = …`; prose has a space after the `#`.
    let on: String = shipped
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let tables: toml::Table = on.parse().unwrap();
    let mut documented = std::collections::BTreeSet::new();
    for (section, content) in &tables {
        let content = content.as_array().map_or(content, |items| &items[0]);
        documented.extend(content.as_table().unwrap().keys().map(|key| format!("{section}.{key}")));
    }
    assert_eq!(documented, layers::known_keys());
}

#[test]
fn the_shipped_file_says_what_the_defaults_are() {
    let dir = tempfile::tempdir().unwrap();
    let values = |text| -> Vec<_> {
        let loaded = Config::load(&sources(dir.path(), text, &[])).unwrap();
        loaded.entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
    };
    assert_eq!(values(include_str!("../../config/ephemerald.toml")), values(""));
}

#[test]
fn the_shipped_policy_says_what_the_defaults_are_and_grants_nothing() {
    let shipped = policy_file::parse(include_str!("../../config/policy.toml"), "policy.toml").unwrap();
    let empty = policy_file::parse("", "policy.toml").unwrap();
    assert!(shipped.roles.is_empty());
    assert_eq!(crate::engine::policy::Policy { hash: empty.hash.clone(), ..shipped }, empty);
}
