//! Each rule of the ways out, through files as an operator writes them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::{super::Sources, *};

const BLOCKS: &str = "[[integration]]\nname = \"a\"\nconnection_file = \"/a\"\n\
    [[integration]]\nname = \"b\"\nconnection_file = \"/b\"\n";

fn loaded(plane: &str, own: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("ephemerald.toml");
    fs::write(&main, format!("[control_plane]\n{plane}\n{BLOCKS}{own}\n")).unwrap();
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sources = Sources { file: Some(main), environment: environment.collect(), ..Sources::default() };
    Config::load(&sources).map(|loaded| loaded.config)
}

fn urls(config: &Config) -> [Option<String>; 3] {
    let url = |way: Result<Option<ProxyOptions>, String>| way.unwrap().map(|proxy| proxy.url);
    let [a, b] = config.integrations.as_slice() else { panic!("two") };
    [url(config.proxy_of_control_plane()), url(config.proxy_of(a)), url(config.proxy_of(b))]
}

fn auth_file(dir: &Path, mode: u32, text: &str) -> String {
    let path = dir.join("proxy.json");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path.display().to_string()
}

#[test]
fn variables_are_followed_only_where_a_key_says_so_and_lower_case_wins() {
    let both =
        [("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "http://lower:2"), ("NO_PROXY", "x.example")];
    let (lower, own) = (Some("http://lower:2/".to_owned()), Some("http://own:3/".to_owned()));
    assert_eq!(urls(&loaded("", "", &both).unwrap()), [None, None, None]);
    let asked = "proxy = \"environment\"";
    let config = loaded(asked, "proxy = \"direct\"", &both).unwrap();
    assert_eq!(urls(&config), [lower.clone(), lower.clone(), None]);
    assert_eq!(config.proxy_of_control_plane().unwrap().unwrap().except, ["x.example"]);
    assert_eq!(urls(&loaded(asked, "proxy = \"http://own:3\"", &both).unwrap())[2], own);
    assert_eq!(urls(&loaded("", asked, &both).unwrap()), [None, None, lower]);
    assert_eq!(urls(&loaded(asked, "", &both[..1]).unwrap())[0].as_deref(), Some("http://upper:1/"));
    assert_eq!(
        urls(&loaded(asked, "", &[("HTTPS_PROXY", "bare:3128")]).unwrap())[0].as_deref(),
        Some("http://bare:3128/")
    );
    let emptied = [("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "")];
    assert_eq!(urls(&loaded(asked, "", &emptied).unwrap())[0], None, "set to nothing is a choice");
}

#[test]
fn a_proxy_of_the_environment_that_is_not_there_is_an_error_of_the_way_and_never_direct() {
    let config =
        loaded("proxy = \"environment\"", "proxy = \"direct\"", &[("ALL_PROXY", "http://x:1")]).unwrap();
    let said = config.proxy_of_control_plane().unwrap_err();
    assert!(said.contains("neither https_proxy nor HTTPS_PROXY is set"), "{said}");
    assert!(config.proxy_of(&config.integrations[0]).is_err());
    assert!(config.proxy_of(&config.integrations[1]).unwrap().is_none());
    let config = loaded("proxy = \"environment\"", "", &[("HTTPS_PROXY", "socks5://u:hunter2@x")]).unwrap();
    let said = config.proxy_of_control_plane().unwrap_err();
    assert!(said.contains("HTTPS_PROXY") && !said.contains("hunter2"), "{said}");
}

#[test]
fn variables_that_are_ignored_are_named_unless_somebody_chose_a_way() {
    let set = [("HTTPS_PROXY", "http://u:hunter2@x:1"), ("http_proxy", "http://x:1"), ("all_proxy", "")];
    let config = loaded("", "", &set).unwrap();
    assert_eq!(config.ignored_variables(), ["HTTPS_PROXY", "http_proxy"]);
    assert!(!format!("{config:?}").contains("hunter2"));
    for (plane, own) in [
        ("proxy = \"direct\"", ""),
        ("proxy = \"http://x:1\"", ""),
        ("proxy = \"environment\"", ""),
        ("", "proxy = \"environment\""),
    ] {
        assert!(loaded(plane, own, &set).unwrap().ignored_variables().is_empty(), "{plane} {own}");
    }
    assert!(loaded("", "", &[("NO_PROXY", "x")]).unwrap().ignored_variables().is_empty());
}

#[test]
fn user_and_password_come_from_a_file_that_nobody_else_reads() {
    let dir = tempfile::tempdir().unwrap();
    let good = r#"{"user": "agent", "password": "hunter2:%41"}"#;
    let plane = |file: &str| format!("proxy = \"http://p:1\"\nproxy_auth_file = {file:?}");
    let config = loaded(&plane(&auth_file(dir.path(), 0o600, good)), "proxy = \"http://o:2\"", &[]).unwrap();
    let proxy = config.proxy_of(&config.integrations[0]).unwrap().unwrap();
    let password = proxy.password.as_ref().unwrap().expose();
    assert_eq!((proxy.user.as_deref(), password), (Some("agent"), "hunter2:%41"));
    assert!(proxy.auth_by.ends_with("proxy.json"), "{}", proxy.auth_by);
    assert!(!format!("{proxy:?} {config:?}").contains("hunter2"));
    assert!(config.proxy_of(&config.integrations[1]).unwrap().unwrap().user.is_none(), "its own proxy");
    for (mode, text, words) in [
        (0o644, good, "chmod 600"),
        (0o600, r#"{"user": "agent", "pasword": "hunter2"}"#, "expected {\"user\""),
        (0o600, r#"{"user": "a:b", "password": "hunter2"}"#, "colon"),
        (0o600, r#"{"user": "", "password": "hunter2"}"#, "empty"),
        (0o600, "agent:hunter2", "expected {\"user\""),
    ] {
        let config = loaded(&plane(&auth_file(dir.path(), mode, text)), "", &[]).unwrap();
        let said = config.proxy_of_control_plane().unwrap_err();
        assert!(said.contains("control_plane: proxy_auth_file: ") && said.contains("proxy.json"), "{said}");
        assert!(said.contains(words) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn user_and_password_may_come_from_a_program_or_a_credential_but_from_one_place_only() {
    let printed = r#"proxy_auth_command = ["echo", '{"user": "agent", "password": "hunter2"}']"#;
    let config = loaded(&format!("proxy = \"http://p:1\"\n{printed}"), "", &[]).unwrap();
    let proxy = config.proxy_of_control_plane().unwrap().unwrap();
    assert_eq!((proxy.user.as_deref(), proxy.auth_by.as_str()), (Some("agent"), "command echo"));
    assert_eq!(proxy.password.unwrap().expose(), "hunter2");
    let failing = "proxy = \"http://p:1\"\nproxy_auth_command = [\"false\"]";
    let said = loaded(failing, "", &[]).unwrap().proxy_of_control_plane().unwrap_err();
    assert!(said.contains("control_plane: proxy_auth_command: command false: exit status: 1"), "{said}");
    let named = "proxy = \"http://p:1\"\nproxy_auth_credential = \"no-such.json\"";
    let said = loaded(named, "", &[]).unwrap().proxy_of_control_plane().unwrap_err();
    assert!(said.contains("proxy_auth_credential: ") && said.contains("no-such.json"), "{said}");
    let said = loaded(&format!("{named}\n{printed}"), "", &[]).unwrap_err().to_string();
    assert!(
        said.contains("exactly one of `proxy_auth_file`") && said.contains("found two of them"),
        "{said}"
    );
}

#[test]
fn what_a_url_spells_with_percents_is_sent_as_it_is_meant() {
    let config = loaded("proxy = \"http://us%40er:p%3Aw%2541@p:1\"", "", &[]).unwrap();
    let proxy = config.proxy_of_control_plane().unwrap().unwrap();
    assert_eq!((proxy.user.as_deref(), proxy.password.unwrap().expose()), (Some("us@er"), "p:w%41"));
    assert_eq!(decoded("a%zz%4"), "a%zz%4");
}

#[test]
fn exceptions_hold_for_every_channel_and_what_would_match_nothing_is_refused() {
    let plane = "proxy = \"http://p:1\"\nno_proxy = [\"A.Example\", \".internal\", \"10.0.0.0/8\", \"::1\", \"fd00::/8\"]";
    let config = loaded(plane, "proxy = \"http://o:2\"", &[]).unwrap();
    for integration in &config.integrations {
        let except = config.proxy_of(integration).unwrap().unwrap().except;
        assert_eq!(except, ["a.example", ".internal", "10.0.0.0/8", "::1", "fd00::/8"]);
    }
    for wrong in [
        "*",
        "*.internal",
        "host:443",
        "https://host",
        "10.0.0.0/33",
        "fd00::/129",
        "x/8",
        "",
        ".",
        "a,b",
        "[::1]",
    ] {
        let said = loaded(&format!("no_proxy = [{wrong:?}]"), "", &[]).unwrap_err().to_string();
        assert!(
            said.contains("`control_plane.no_proxy`") && said.contains("without ports"),
            "{wrong}: {said}"
        );
    }
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    for (plane, key) in [
        ("proxy_auth_file = \"/p.json\"", "control_plane.proxy_auth_file"),
        ("proxy = \"direct\"\nproxy_auth_file = \"/p.json\"", "control_plane.proxy_auth_file"),
        ("proxy = \"http://u@p\"\nproxy_auth_file = \"/p.json\"", "control_plane.proxy_auth_file"),
        ("proxy = \"http://p\"\nproxy_auth_file = \"p.json\"", "control_plane.proxy_auth_file"),
        ("proxy = \"socks5://p\"", "control_plane.proxy"),
        ("proxy = \"p:3128\"", "control_plane.proxy"),
        ("ca_only = true", "control_plane.ca_only"),
    ] {
        let said = loaded(plane, "", &[]).unwrap_err().to_string();
        assert!(said.contains(&format!("`{key}`")), "{plane}: {said}");
    }
}
