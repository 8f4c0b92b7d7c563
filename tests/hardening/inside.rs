//! From inside: `tries.c`, on the daemon's own thread.

use std::{collections::BTreeMap, fs};

use rustix::io::Errno;

use crate::{compile::compiled, process::World};

/// Everything that was tried, with what came of it; `edit` changes the configuration.
async fn tried(edit: impl FnOnce(String) -> String) -> BTreeMap<String, i32> {
    // Not below the directory of the agent's files, which it reads as a whole.
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("readable"), "by everybody").unwrap();
    let mut world = World::enrolled().await;
    world.rewrite_config(edit);
    let library = compiled(include_str!("tries.c"), &world.files.root);
    world.agent.environment.push(("LD_PRELOAD".into(), library.into()));
    world.agent.environment.push(("EPHEMERALD_TEST_TRIES".into(), outside.path().into()));
    world.agent.start();
    world.agent.ready().await;
    let log = world.files.log_text();
    // This test's own machine is left as it was.
    let _ = fs::remove_file("/etc/ephemerald-was-here");
    let line = |line: &str| {
        let (name, errno) = line.strip_prefix("try ")?.split_once(' ')?;
        Some((name.to_owned(), errno.parse().unwrap()))
    };
    let tried: BTreeMap<_, _> = log.lines().filter_map(line).collect();
    assert!(tried.contains_key("end"), "the tries were not made to the end:\n{log}");
    tried
}

const NEEDED: &[&str] = &["tcp", "udp", "signal_itself", "resolver", "itself", "end"];
const CALLS: &[&str] = &[
    "ptrace",
    "process_vm_readv",
    "fork",
    "execve",
    "netlink",
    "raw_socket",
    "write_and_run",
    "run_later",
    "signal_the_parent",
    "look_at_dumpable",
    "dumpable_again",
    "a_limit",
    "setuid",
    "unshare",
];
const PATHS: &[&str] =
    &["read_outside", "list_outside", "write_outside", "make_outside", "write_to_etc", "listen_on_a_port"];

fn answers(tried: &BTreeMap<String, i32>, names: &[&str]) -> Vec<(String, i32)> {
    names.iter().map(|name| ((*name).to_owned(), tried[*name])).collect()
}

fn all(names: &[&str], answer: i32) -> Vec<(String, i32)> {
    names.iter().map(|name| ((*name).to_owned(), answer)).collect()
}

#[tokio::test]
async fn whoever_gets_in_gets_nothing_that_the_daemon_does_not_need() {
    let tried = tried(|text| text).await;
    assert_eq!(answers(&tried, CALLS), all(CALLS, Errno::PERM.raw_os_error()));
    assert_eq!(answers(&tried, PATHS), all(PATHS, Errno::ACCESS.raw_os_error()));
    // The C library takes another call then; after any other answer it would start no thread.
    assert_eq!(tried["clone3"], Errno::NOSYS.raw_os_error());
    assert_eq!(answers(&tried, NEEDED), all(NEEDED, 0));
}

#[tokio::test]
async fn each_of_both_can_be_switched_off_alone() {
    let off = "\n[hardening]\nlandlock = \"off\"\n";
    let no_landlock = tried(|text| text + off).await;
    assert_eq!(answers(&no_landlock, PATHS), all(PATHS, 0));
    assert_eq!(answers(&no_landlock, CALLS), all(CALLS, Errno::PERM.raw_os_error()));

    let no_seccomp = tried(|text| text + "\n[hardening]\nseccomp = \"off\"\n").await;
    assert_eq!(answers(&no_seccomp, PATHS), all(PATHS, Errno::ACCESS.raw_os_error()));
    for name in CALLS.iter().filter(|name| !["execve", "ptrace", "signal_the_parent"].contains(name)) {
        assert_eq!(no_seccomp[*name], 0, "{name}");
    }
    // Nobody is there to be traced, no such program; and Landlock keeps signals to itself.
    assert_eq!(no_seccomp["ptrace"], Errno::SRCH.raw_os_error());
    assert_eq!(no_seccomp["signal_the_parent"], Errno::PERM.raw_os_error());
    assert_ne!(no_seccomp["execve"], 0);
}

#[tokio::test]
async fn the_port_of_the_metrics_alone_can_be_listened_on_and_more_can_be_read_where_it_is_said() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("policy.toml");
    let mut world = World::enrolled().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fs::rename(&world.files.policy, &file).unwrap();
    // A link on the way that is put elsewhere later: nobody can know that from the path.
    let link = world.files.root.join("current");
    std::os::unix::fs::symlink(outside.path(), &link).unwrap();
    let policy = link.join("policy.toml");
    let next = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(&file).unwrap().replace("max_live_grants = 50", "max_live_grants = 49");
    fs::write(next.path().join("policy.toml"), text).unwrap();
    let (old, read) = (world.files.policy.clone(), next.path().to_owned());
    world.rewrite_config(|text| {
        let text = text.replace(old.to_str().unwrap(), policy.to_str().unwrap());
        format!("{text}\n[telemetry]\nlisten = \"{free}\"\n[hardening]\nread = [{read:?}]\n")
    });
    world.agent.start();
    world.agent.ready().await;
    assert!(std::net::TcpStream::connect(free).is_ok(), "the metrics are served");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(next.path(), &link).unwrap();
    world.logs("\"key\":\"max_live_grants\"").await;
}
