//! The key of the connection: where it must work, and where it must never be seen.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
};

use ephemerald::{
    sandbox::control_plane::JobSpec,
    secrets::{
        Secret,
        guard::{self, Outlet},
    },
};
use serde_json::json;

use crate::process::{World, asking::Ask};

#[tokio::test]
async fn the_connections_key_is_never_seen_in_anything_that_the_agent_leaves_behind() {
    let mut world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 1)).await;
    let refused = world.approved(Ask::role("nobody@example.com", "Manager", 1)).await;
    world.about(&request, "grant_settled").await;
    world.about(&refused, "rejected").await;
    let commands: [&[&str]; 6] = [
        &["check"],
        &["status"],
        &["--output", "json", "status"],
        &["--output", "json", "grants"],
        &["health"],
        &["config", "show"],
    ];
    for command in commands {
        let said = world.agent.command(command).await;
        assert_eq!(said.code, Some(0), "{command:?}: {}", said.text);
    }
    // A key that is refused is the likeliest to be quoted.
    world.cloud.set_faults(vec![refuse_the_key()], 1);
    world.agent.command(&["check"]).await;
    world.agent.kill().await;

    let canary = world.api_key.clone();
    let reports = world.operator.results().await.unwrap();
    assert!(!serde_json::to_string(&reports).unwrap().contains(&canary), "in a report");
    assert!(!world.files.log_text().contains(&canary), "in the log or what a command printed");
    let looked_at = assert_absent(&world.files.state, canary.as_bytes());
    assert!(looked_at >= 3, "the ledger, the keys and the identity were looked at, not {looked_at} files");
    assert!(fs::read_to_string(&world.files.connection).unwrap().contains(&canary), "it is where it belongs");
}

/// Every way out at once, for every secret that the agent holds, in every usual encoding: what the door and the log
/// look for, looked for from outside.
#[tokio::test]
async fn no_way_out_of_the_process_shows_a_secret() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::enrolled().await;
    world.rewrite_config(|text| format!("{text}\n[telemetry]\nlisten = \"{free}\"\n"));
    let mut world = world.started().await;
    let grant = world.approved(Ask::role("dmitri@example.com", "Manager", 2)).await;
    let made = world.approved(Ask::ephemeral("visitor@example.com", "Help Desk", 2)).await;
    world.about(&grant, "grant_settled").await;
    world.about(&made, "grant_settled").await;
    let sync = json!({"integration": "main", "job": {"type": "sync"}});
    let job = world.sent(JobSpec { claims: sync, ..JobSpec::default() }).await;
    world.result(&job).await;
    world.cloud.set_faults(vec![refuse_the_key()], 2); // a key that is refused is the likeliest to be quoted
    let bundle = world.files.root.join("bundle.json");
    let printed = commands(&world, bundle.to_str().unwrap()).await;
    let pid = world.agent.running.as_ref().unwrap().id().unwrap();
    let mut leaves: Vec<(String, Vec<u8>)> = ["environ", "cmdline", "status"]
        .map(|name| (name.to_owned(), fs::read(format!("/proc/{pid}/{name}")).unwrap()))
        .into();
    for path in ["live", "ready", "metrics"] {
        leaves.push((path.to_owned(), plain_get(free, path)));
    }
    leaves.extend([
        ("printed".to_owned(), printed.into_bytes()),
        ("bundle".to_owned(), fs::read(&bundle).unwrap()),
        ("reports".to_owned(), serde_json::to_vec(&world.operator.results().await.unwrap()).unwrap()),
        ("inventory".to_owned(), serde_json::to_vec(&world.operator.inventory().await.unwrap()).unwrap()),
    ]);
    world.agent.kill().await;
    leaves.push(("log".to_owned(), world.files.log_text().into_bytes()));
    leaves.extend(files_without_keys(&world.files.state));
    assert!(leaves.len() >= 13, "{:?}", leaves.iter().map(|(name, _)| name).collect::<Vec<_>>());

    let agent = fs::read_to_string(world.files.state.join("agent.key")).unwrap();
    let token = fs::read_to_string(world.files.root.join("agent-token")).unwrap();
    let secrets = [world.api_key.clone(), agent, token].map(Secret::new);
    for (name, content) in &leaves {
        assert!(!content.is_empty(), "{name}");
        guard::judge(Outlet::Output, content, None).unwrap_or_else(|hit| panic!("{name}: {hit:?}"));
    }
    let shown = format!("…{}…", secrets[0].expose());
    assert!(guard::judge(Outlet::Output, shown.as_bytes(), None).is_err(), "the scan finds what is there");
}

async fn commands(world: &World, bundle: &str) -> String {
    let commands: [&[&str]; 9] = [
        &["check"],
        &["status"],
        &["--output", "json", "grants"],
        &["health"],
        &["config", "show"],
        &["policy", "explain"],
        &["audit", "export"],
        &["ledger", "check"],
        &["support-bundle", "--to", bundle],
    ];
    let mut printed = String::new();
    for command in commands {
        printed += &world.agent.command(command).await.text;
    }
    printed
}

/// Every file of the state directory that is no key: ledger, write-ahead log, identity, marks.
fn files_without_keys(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let others = files.filter(|path| path.is_file() && path.extension().is_none_or(|end| end != "key"));
    let named = |path: std::path::PathBuf| (path.display().to_string(), fs::read(path).unwrap());
    others.map(named).filter(|(_, content)| !content.is_empty()).collect()
}

fn plain_get(to: std::net::SocketAddr, path: &str) -> Vec<u8> {
    let mut stream = std::net::TcpStream::connect(to).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: probes\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn a_key_that_jumpcloud_does_not_accept_is_named_in_the_log_but_not_shown() {
    let mut world = World::enrolled().await;
    world.rewrite_connection(|connection| connection["token"] = json!("jca_wrong"));

    world.agent.start();

    world.logs("the key is not accepted").await;
    assert!(!world.files.log_text().contains("jca_wrong"));
}

#[tokio::test]
async fn an_unknown_key_of_the_connection_is_named_in_the_log_with_its_file() {
    let mut world = World::enrolled().await;
    world.misspell_token();

    world.agent.start();

    world.logs("main.json: unknown key `tokne`").await;
    assert!(!world.files.log_text().contains(&world.api_key));
}

/// How many files were searched.
fn assert_absent(dir: &Path, canary: &[u8]) -> usize {
    let mut searched = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            searched += assert_absent(&path, canary);
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(canary.len()).any(|window| window == canary), "in {}", path.display());
        searched += 1;
    }
    searched
}

fn refuse_the_key() -> ephemerald::sandbox::jumpcloud::Rule {
    serde_json::from_value(json!({"fault": {"kind": "unauthorized"}})).unwrap()
}
