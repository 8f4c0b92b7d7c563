//! What the daemon needs of the machine, from its configuration: what it reads, writes and listens on. The rest is
//! taken from it at its start ([`crate::hardening`]).
//!
//! Refuses to leave out a file that a key names, also when it is not there yet.

use std::{
    fs::DirBuilder,
    os::unix::{ffi::OsStrExt as _, fs::DirBuilderExt as _},
    path::PathBuf,
};

use super::connect::prepare;
use crate::{
    config::{Config, Integration},
    hardening::Plan,
    secrets::Source,
};

/// What [`hardening::apply`](crate::hardening::apply) leaves this agent.
#[must_use]
pub fn plan(config: &Config) -> Plan {
    // A rule is for what is there. A directory that cannot be made is told by whoever needs it.
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(&config.agent.state_dir);
    let told = std::env::var_os("NOTIFY_SOCKET");
    Plan {
        seccomp: config.hardening.seccomp,
        landlock: config.hardening.landlock,
        commands: config.runs_commands(),
        read: read(config),
        write: vec![config.agent.state_dir.clone()],
        sockets: config.agent.control_socket.parent().map(PathBuf::from).into_iter().collect(),
        listen: config.probes.map(|address| address.port()),
        abstract_sockets: told.is_some_and(|name| name.as_bytes().starts_with(b"@")),
    }
}

/// Every file that a key names, and those that the connections name.
fn read(config: &Config) -> Vec<PathBuf> {
    let mut all = vec![config.policy_file.clone()];
    all.extend(config.hardening.read.iter().cloned());
    all.extend(config.agent.state_key.as_ref().and_then(file));
    all.extend(config.control_plane.ca_file.clone());
    all.extend(config.control_plane.proxy_auth.as_ref().and_then(file));
    for integration in &config.integrations {
        all.extend(file(&integration.connection));
        all.extend(integration.proxy_auth.as_ref().and_then(file));
        all.extend(authorities(config, integration));
    }
    all
}

fn file(source: &Source) -> Option<PathBuf> {
    if let Source::File(path) = source { Some(path.clone()) } else { None }
}

/// The file that a connection names. One that cannot be used is told when it is needed; no program is started to
/// learn of one: name it in `hardening.read`.
fn authorities(config: &Config, integration: &Integration) -> Option<PathBuf> {
    let programs = [Some(&integration.connection), integration.proxy_auth.as_ref()];
    if programs.into_iter().flatten().any(|source| matches!(source, Source::Command(_))) {
        return None;
    }
    prepare(config, integration).ok().and_then(|prepared| prepared.connection.ca_file)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;
    use crate::config::Sources;

    #[test]
    fn every_file_that_a_key_names_is_read_and_no_directory_but_two_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let connection = r#"{"region": "eu", "token": "t", "ssl_ca_cert": "@/jc/ca.pem"}"#;
        fs::create_dir(at("jc")).unwrap();
        fs::write(at("jc/ca.pem"), "").unwrap();
        fs::write(at("main.json"), connection.replace('@', dir.path().to_str().unwrap())).unwrap();
        fs::set_permissions(at("main.json"), fs::Permissions::from_mode(0o600)).unwrap();
        let text = r#"
            agent = { state_dir = "@/new/state", control_socket = "@/run/control.sock", state_key_file = "@/state.key" }
            policy = { file = "@/policy.toml" }
            control_plane = { ca_file = "@/cp.pem", proxy = "http://p:3128", proxy_auth_file = "@/proxy.json" }
            telemetry = { listen = "127.0.0.1:9464" }
            hardening = { read = ["@/more"], landlock = "off" }
            [[integration]]
            name = "main"
            connection_file = "@/main.json"
            proxy = "http://q:3128"
            proxy_auth_file = "@/main-proxy.json"
        "#;
        fs::write(at("ephemerald.toml"), text.replace('@', dir.path().to_str().unwrap())).unwrap();
        fs::write(at("main-proxy.json"), r#"{"user": "u", "password": "p"}"#).unwrap();
        fs::set_permissions(at("main-proxy.json"), fs::Permissions::from_mode(0o600)).unwrap();
        let sources = Sources { file: Some(at("ephemerald.toml")), ..Sources::default() };
        let plan = plan(&Config::load(&sources).unwrap().config);
        let names = [
            "policy.toml",
            "more",
            "state.key",
            "cp.pem",
            "proxy.json",
            "main.json",
            "main-proxy.json",
            "jc/ca.pem",
        ];
        assert_eq!(plan.read, names.map(at));
        assert_eq!((plan.write, plan.sockets), (vec![at("new/state")], vec![at("run")]));
        assert_eq!(
            (plan.seccomp, plan.landlock, plan.commands, plan.listen),
            (true, false, false, Some(9464))
        );
        assert!(Path::new(&at("new/state")).is_dir(), "or no rule could be made for it");
    }
}
