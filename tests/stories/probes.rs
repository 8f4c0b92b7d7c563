//! What machines are told: probes, Prometheus, the service manager.

use std::{collections::BTreeSet, os::unix::net::UnixDatagram, time::Duration};

use ephemerald::{
    http::{Answer, Door, DoorOptions, Request},
    sandbox::control_plane::RequestView,
};
use reqwest::Method;

use crate::process::{PATIENCE, World, asking::Ask};

const PERSON: &str = "dmitri@example.com";

/// An agent with probes at a port of its own.
async fn probed() -> (World, Door) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::enrolled().await;
    world.rewrite_config(|text| format!("{text}\n[telemetry]\nlisten = \"{free}\"\n"));
    world.rewrite_connection(|connection| connection["expires_at"] = "2099-01-31".into());
    let door = Door::new(DoorOptions {
        origin: format!("http://{free}"),
        extra_ca_pem: None,
        only_extra_ca: false,
        proxy: None,
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(10),
        max_body: 1 << 20,
        user_agent: "prometheus".to_owned(),
    });
    (world.started().await, door.unwrap())
}

async fn granted(world: &World, account: &str) -> RequestView {
    let request = world.approved(Ask::role(account, "Manager", 300)).await;
    world.about(&request, "granted").await;
    request
}

async fn asked(door: &Door, method: Method, path: &str) -> Answer {
    let request = Request { method, path: path.to_owned(), headers: vec![], body: None, total_timeout: None };
    door.send(request).await.unwrap()
}

async fn page(door: &Door) -> String {
    let answer = asked(door, Method::GET, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    String::from_utf8(answer.body).unwrap()
}

/// The value of a line of the page.
fn figure(page: &str, series: &str) -> f64 {
    let line = page.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{page}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn probes_tell_what_is_so_and_name_nobody() {
    let (mut world, door) = probed().await;
    for (path, words) in [("/live", "live"), ("/ready", "ready")] {
        let answer = asked(&door, Method::GET, path).await;
        assert_eq!((answer.status, answer.body.starts_with(words.as_bytes())), (200, true), "{path}");
    }
    for (method, path, status) in
        [(Method::POST, "/live", 405), (Method::GET, "/v1/grants", 404), (Method::POST, "/v1/deed", 404)]
    {
        assert_eq!(asked(&door, method, path).await.status, status, "{path}");
    }

    let request = granted(&world, PERSON).await;
    let before = page(&door).await;
    assert_eq!(figure(&before, "ephemerald_grants{state=\"active\"}"), 1.0);
    assert_eq!(figure(&before, "ephemerald_reports_total{code=\"granted\"}"), 1.0);
    assert!(figure(&before, "ephemerald_next_expiry_timestamp_seconds") > 1.7e9);
    assert!(figure(&before, "ephemerald_ledger_commit_seconds_count") > 0.0);
    assert!(figure(&before, "ephemerald_last_contact_timestamp_seconds{peer=\"control_plane\"}") > 1.7e9);
    world.agent.command(&["revoke", request.grant_id.as_ref().unwrap().as_str()]).await;
    let after = page(&door).await;
    assert_eq!(figure(&after, "ephemerald_grants_live"), 0.0);
    assert_eq!(figure(&after, "ephemerald_revocation_lateness_seconds_count"), 1.0);
    for secret in [PERSON, request.grant_id.as_ref().unwrap().as_str(), world.api_key.as_str()] {
        assert!(!before.contains(secret) && !after.contains(secret), "{secret}");
    }

    // Away from the control plane it is not ready and lives on.
    world.stop_control_plane().await;
    world.logs("out of contact").await;
    let answer = asked(&door, Method::GET, "/ready").await;
    let why = String::from_utf8(answer.body).unwrap();
    assert!(answer.status == 503 && why.contains("the control plane does not answer"), "{why}");
    assert_eq!(asked(&door, Method::GET, "/live").await.status, 200);
    let (ready, live) =
        (world.agent.command(&["health"]).await, world.agent.command(&["health", "--live"]).await);
    assert_eq!((ready.code, live.code), (Some(5), Some(0)), "{} {}", ready.text, live.text);
}

#[tokio::test]
async fn every_metric_is_in_its_document_and_the_reverse() {
    let (world, door) = probed().await;
    granted(&world, PERSON).await;
    let page = page(&door).await;
    let served: BTreeSet<(String, String)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, kind)| {
            (if kind == "counter" { format!("{name}_total") } else { name.to_owned() }, kind.to_owned())
        })
        .collect();
    let document = include_str!("../../docs/metrics.md");
    let told: BTreeSet<(String, String)> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `ephemerald_"))
        .map(|row| {
            let mut cells = row.split(" | ");
            let name = format!("ephemerald_{}", cells.next().unwrap().trim_end_matches('`'));
            (name, cells.next().unwrap().to_owned())
        })
        .collect();
    assert!(served.len() > 20, "{page}");
    assert_eq!(served, told);
}

#[tokio::test]
async fn a_port_that_is_taken_costs_the_probes_and_nothing_else() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let world = World::enrolled().await;
    let address = taken.local_addr().unwrap();
    world.rewrite_config(|text| format!("{text}\n[telemetry]\nlisten = \"{address}\"\n"));
    let world = world.started().await;
    world.logs("probes: cannot listen").await;
    granted(&world, PERSON).await;
}

/// What the service manager hears until `words` came.
fn heard(socket: &UnixDatagram, words: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length =
            socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no {words:?} ({error}): {all:?}"));
        all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        if all.last().unwrap().contains(words) {
            return all;
        }
    }
}

#[tokio::test]
async fn the_service_manager_hears_of_the_start_each_turn_a_reload_and_the_stop() {
    let mut world = World::enrolled().await;
    let path = world.files.root.join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    world.agent.environment =
        vec![("NOTIFY_SOCKET".into(), path.into()), ("WATCHDOG_USEC".into(), "2000000".into())];
    let mut world = world.started().await;
    let all = heard(&manager, "WATCHDOG=1");
    assert!(all[0].contains("READY=1"), "ready comes first: {all:?}");
    // More than one turn feeds it.
    heard(&manager, "WATCHDOG=1");
    granted(&world, PERSON).await;
    heard(&manager, "STATUS=1 live, 0 ending, next end ");

    let pid = world.agent.running.as_ref().and_then(tokio::process::Child::id).unwrap().to_string();
    let hangup = std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap();
    assert!(hangup.success());
    let reload = heard(&manager, "RELOADING=1");
    assert!(reload.last().unwrap().contains("MONOTONIC_USEC="), "{reload:?}");
    heard(&manager, "READY=1");

    // A process that stands still feeds nothing.
    let signal = |name: &str| {
        assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success())
    };
    signal("-STOP");
    manager.set_nonblocking(true).unwrap();
    while manager.recv(&mut [0; 4096]).is_ok() {}
    manager.set_nonblocking(false).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    assert!(manager.recv(&mut [0; 4096]).is_err(), "a stopped process spoke");
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    signal("-CONT");
    heard(&manager, "WATCHDOG=1");
    signal("-TERM");
    heard(&manager, "STOPPING=1");
    world.agent.kill().await;
}
