//! The files that are shipped, read the way an operator installs them.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "config/recipes.rs"]
mod recipes;
#[path = "config/reference.rs"]
mod reference;

use std::{fs, path::Path};

use ephemerald::config::{Config, Sources, policy_file};

#[test]
fn the_shipped_files_load_as_they_are() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let sources = Sources { file: Some(shipped.join("ephemerald.toml")), ..Sources::default() };
    let config = Config::load(&sources).unwrap().config;
    assert!(config.integrations.is_empty());
    assert!(policy_file::load(&shipped.join("policy.toml")).unwrap().roles.is_empty());
}

#[test]
fn an_integration_may_come_from_conf_d_alone() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("ephemerald.toml");
    fs::write(&main, include_str!("../config/ephemerald.toml")).unwrap();
    fs::create_dir(dir.path().join("conf.d")).unwrap();
    let block = "[[integration]]\nname = \"main\"\nconnection_file = \"/etc/ephemerald/main.json\"\n";
    fs::write(dir.path().join("conf.d/main.toml"), block).unwrap();
    let config = Config::load(&Sources { file: Some(main), ..Sources::default() }).unwrap().config;
    assert_eq!(config.settings().integrations[0].id.as_str(), "main");
}

#[test]
fn a_missing_policy_is_an_error_that_names_the_file() {
    let error = policy_file::load(Path::new("/nonexistent/policy.toml")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/policy.toml"), "{error}");
}
