//! Every way out of the agent's process, gathered while it runs and after it has ended.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
};

use crate::{process::World, scan::Outlet};

/// The commands that print something of the agent, and what they are known to print.
const COMMANDS: [(&[&str], &str); 15] = [
    (&["check"], "administrators"),
    (&["status"], "All is well"),
    (&["--output", "json", "status"], "\"integrations\""),
    (&["--output", "json", "grants"], "["),
    (&["health"], "ready"),
    (&["config", "show"], "state_dir"),
    (&["policy", "explain"], "Manager"),
    (&["connection", "test"], "accepted"),
    (&["connection", "rotate"], "main"),
    (&["audit", "verify"], "hash chain"),
    (&["audit", "export"], "grant_accepted"),
    (&["ledger", "check"], "ledger"),
    (&["ledger", "claims"], "claim"),
    (&["revoke", "no-such-grant"], "no grant of this id"),
    (&["enroll", "--token-file", "/nowhere/token"], "already enrolled"),
];

/// While it runs. `probes`: where Prometheus asks. `unasked`: a command that is not run.
pub(crate) async fn of_a_running_agent(
    world: &World,
    probes: SocketAddr,
    unasked: Option<&[&str]>,
) -> Vec<Outlet> {
    let mut outlets = Vec::new();
    for (command, marker) in COMMANDS.into_iter().filter(|(command, _)| Some(*command) != unasked) {
        let said = world.agent.command(command).await;
        outlets.push(Outlet::new(&format!("`{}`", command.join(" ")), said.text, marker));
    }
    let bundle = world.files.root.join("bundle.json");
    let said = world.agent.command(&["support-bundle", "--to", bundle.to_str().unwrap()]).await;
    outlets.push(Outlet::new("`support-bundle`", said.text, "bundle.json"));
    outlets.push(Outlet::new("the bundle", fs::read(&bundle).unwrap(), "\"version\""));

    let pid = world.agent.running.as_ref().unwrap().id().unwrap();
    for (name, marker) in
        [("cmdline", "--config"), ("environ", "PATH="), ("status", "Seccomp"), ("maps", "ephemerald")]
    {
        let shown = fs::read(format!("/proc/{pid}/{name}")).unwrap();
        outlets.push(Outlet::new(&format!("/proc/PID/{name}"), shown, marker));
    }
    for (path, marker) in [("live", "200"), ("ready", "200"), ("metrics", "ephemerald_build_info")] {
        let stream = TcpStream::connect(probes).unwrap();
        outlets.push(Outlet::new(&format!("probe /{path}"), get(stream, path), marker));
    }
    for (path, marker) in
        [("v1/status", "\"integrations\""), ("v1/grants", "200 OK"), ("v1/health", "\"ready\"")]
    {
        let stream = UnixStream::connect(&world.files.socket).unwrap();
        outlets.push(Outlet::new(&format!("control socket /{path}"), get(stream, path), marker));
    }
    outlets
}

fn get(mut stream: impl Read + Write, path: &str) -> Vec<u8> {
    write!(stream, "GET /{path} HTTP/1.0\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// What it has said to anybody, and what it leaves behind.
pub(crate) async fn of_an_agent_that_has_ended(world: &World) -> Vec<Outlet> {
    let reports = serde_json::to_vec(&world.operator.results().await.unwrap()).unwrap();
    let inventory = serde_json::to_vec(&world.operator.inventory().await.unwrap()).unwrap();
    let mut outlets = vec![
        Outlet::new("standard output and error", world.files.log_text(), "grant accepted"),
        Outlet::new("reports", reports, "grant_settled"),
        Outlet::new("inventory", inventory, "dmitri@example.com"),
    ];
    for (name, marker) in [("ledger.db", "SQLite format 3"), ("identity.json", "\"url\"")] {
        outlets.push(Outlet::new(name, fs::read(world.files.state.join(name)).unwrap(), marker));
    }
    outlets.extend(files_of("state directory", &world.files.state));
    outlets.extend(files_of("what the control plane keeps", &world.files.root.join("control-plane")));
    outlets
}

/// Every file that is no key, whatever else it is.
fn files_of(what: &str, dir: &Path) -> Vec<Outlet> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let others = files.filter(|path| path.is_file() && path.extension().is_none_or(|end| end != "key"));
    let named = |path: std::path::PathBuf| {
        Outlet::new(&format!("{what}: {}", path.display()), fs::read(path).unwrap(), "")
    };
    others.map(named).collect()
}
