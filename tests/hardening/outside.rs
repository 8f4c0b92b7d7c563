//! From outside: what the kernel says of the daemon's threads, what its log says, and a story with both in force.

use std::fs;

use serde_json::Value;

use crate::process::{World, asking::Ask};

/// The one line of the log.
fn line(world: &World) -> Value {
    let log = world.files.log_text();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("\"hardening: ")).collect();
    assert_eq!(lines.len(), 1, "one line at a start:\n{log}");
    serde_json::from_str(lines[0]).unwrap()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim_start_matches(':').trim()
}

#[tokio::test]
async fn every_thread_is_confined_while_access_is_given_and_ended() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 2)).await;
    world.about(&request, "grant_settled").await;
    world.sees("dmitri@example.com", Some("Help Desk")).await;

    let told = line(&world);
    assert_eq!((&told["level"], &told["msg"]), (&"info".into(), &"hardening: in force".into()), "{told}");
    assert!(told["seccomp"].as_str().unwrap().starts_with("enforced: "), "{told}");
    assert_eq!(told["landlock"], "enforced", "{told}");

    let process = format!("/proc/{}", world.agent.running.as_ref().unwrap().id().unwrap());
    let mut names = Vec::new();
    for thread in fs::read_dir(format!("{process}/task")).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        names.push(field(&status, "Name").to_owned());
        assert_eq!((field(&status, "NoNewPrivs"), field(&status, "Seccomp")), ("1", "2"), "{status}");
    }
    assert!(names.iter().any(|name| name == "ledger") && names.len() >= 3, "{names:?}");
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
}

#[tokio::test]
async fn what_is_switched_off_is_said() {
    let world = World::enrolled().await;
    world.rewrite_config(|text| text + "\n[hardening]\nseccomp = \"off\"\nlandlock = \"off\"\n");
    let world = world.started().await;
    let told = line(&world);
    assert_eq!((&told["level"], &told["msg"]), (&"info".into(), &"hardening: in force".into()), "{told}");
    assert_eq!(
        (&told["seccomp"], &told["landlock"]),
        (&"off, as configured".into(), &"off, as configured".into())
    );
}
