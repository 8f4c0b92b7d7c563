//! What is played so that every command has something to print: for docs/output.md.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio};

use ephemerald::sandbox::{control_plane::RequestView, jumpcloud::Edit};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

use crate::{
    process::{
        Agent, Files, PATIENCE, World,
        asking::{Ask, grant_claims},
    },
    shapes::Page,
};

const NEW_KEY: &str = "jca_canary_of_a_new_key";

/// Everything. The story runs beside the rest: it waits most of the time.
pub(crate) async fn all(page: &mut Page) {
    let mut story = program(&["--output", page.form(), "sandbox", "--once"]);
    // Killed, it would leave its agent behind; it ends by itself.
    let story = story.kill_on_drop(false).stdout(Stdio::piped()).spawn().unwrap();
    let mut world = with_a_state_key().await;
    let request = granted(&world, "dmitri@example.com").await;
    let grant = request.grant_id.clone().unwrap().to_string();
    written(page, &world).await;
    looked_at(page, &world, &grant).await;
    connected(page, &world).await;
    listening(page, &world.files.root.join("parts")).await;
    asked_for(page, &world).await;
    proved(page, &world).await;
    ordered(page, &world, &request).await;
    world.agent.kill().await;
    page.show(&world.agent, &["check"], "check").await;
    page.order(&world.agent, &["state", "unseal", "--yes"], "state seal, state unseal").await;
    put_back(page, &mut world).await;
    drop(world);
    doubted(page).await;
    let told = story.wait_with_output().await.unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{text}");
    page.told("sandbox --once", &text);
}

fn program(args: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_ephemerald"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// With everything that may be configured, so that everything is shown.
async fn with_a_state_key() -> World {
    let world = World::enrolled().await;
    let file = world.files.root.join("state.key");
    private(&file, &"a1".repeat(32));
    let line = format!("[agent]\nstate_key_file = \"{}\"\n", file.display());
    world.rewrite_config(|text| text.replace("[agent]\n", &line));
    let sealed = world.agent.command(&["state", "seal", "--yes"]).await;
    assert_eq!(sealed.code, Some(0), "{}", sealed.text);
    world.started().await
}

fn private(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

async fn granted(world: &World, account: &str) -> RequestView {
    let request = world.approved(Ask::role(account, "Manager", 300)).await;
    world.about(&request, "granted").await;
    request
}

/// An agent's files by `init`: new, over older ones, and only shown.
async fn written(page: &mut Page, world: &World) {
    let root = world.files.root.join("init");
    fs::create_dir(&root).unwrap();
    private(&root.join("api-key"), &world.api_key);
    let at = |name: &str| root.join(name);
    let text = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let newcomer = Agent::of(&Files {
        root: root.clone(),
        config: at("ephemerald.toml"),
        policy: at("policy.toml"),
        connection: at("main.json"),
        state: at("state"),
        socket: at("control.sock"),
        log: at("agent.log"),
    });
    let connection: Value = serde_json::from_slice(&fs::read(&world.files.connection).unwrap()).unwrap();
    fs::write(at("ca.pem"), fs::read(world.files.root.join("jumpcloud-tls/ca.pem")).unwrap()).unwrap();
    let (state, key, ca) = (text("state"), text("api-key"), text("ca.pem"));
    let url = connection["url"].as_str().unwrap();
    let given = ["init", "--non-interactive", "--layout", "user", "--state-dir", &state, "--url", url];
    let given = [&given[..], &["--api-key-file", &key, "--ca-file", &ca]].concat();
    page.order(&newcomer, &given, "init --non-interactive").await;
    let another = [&given[..], &["--force", "--role", "Help Desk=4h"]].concat();
    page.order(&newcomer, &another, "init --non-interactive").await;
    page.order(&newcomer, &[&given[..], &["--show"]].concat(), "init --non-interactive --show").await;
}

async fn looked_at(page: &mut Page, world: &World, grant: &str) {
    let agent = &world.agent;
    page.order(agent, &["version"], "version").await;
    page.order(agent, &["enroll", "--if-needed"], "enroll").await;
    page.order(agent, &["check"], "check").await;
    page.order(agent, &["status"], "status").await;
    page.show(agent, &["grants", "list"], "grants, grants list").await;
    page.show(agent, &["grants", "show", grant], "grants show GRANT").await;
    page.show(agent, &["config", "show"], "config show").await;
    let job = world.files.root.join("job.json");
    let mut claims = grant_claims("g-1", "dmitri@example.com", "Help Desk", 60);
    for (name, value) in [("v", 1), ("iat", 1_800_000_000), ("start_by", 1_800_000_600)] {
        claims[name] = value.into();
    }
    for (name, value) in [("iss", "https://jit.example.com"), ("aud", "agent-1"), ("job_id", "job-1")] {
        claims[name] = value.into();
    }
    fs::write(&job, claims.to_string()).unwrap();
    let job = job.to_str().unwrap();
    page.order(agent, &["policy", "test", job], "policy test JOB.json").await;
    page.order(agent, &["policy", "explain", job], "policy explain JOB.json").await;
}

/// The connection as it is, with a key that is new, and with a file that nobody can read.
async fn connected(page: &mut Page, world: &World) {
    let (test, rotate) = (["connection", "test"], ["connection", "rotate"]);
    page.order(&world.agent, &test, "connection test").await;
    let edit = Edit { api_key: Some(NEW_KEY.to_owned()), ..Edit::default() };
    world.cloud.change("owner@example.com", &edit).unwrap();
    world.rewrite_connection(|connection| connection["token"] = json!(NEW_KEY));
    page.order(&world.agent, &rotate, "connection rotate").await;
    let good = fs::read(&world.files.connection).unwrap();
    // The daemon may have found the new key by itself before it was told to. One that JumpCloud refuses is never taken, and
    // what stays in use is named.
    world.rewrite_connection(|connection| connection["token"] = json!("jca_canary_of_nobody"));
    page.order(&world.agent, &rotate, "connection rotate").await;
    world.misspell_token();
    page.order(&world.agent, &test, "connection test").await;
    page.order(&world.agent, &rotate, "connection rotate").await;
    fs::write(&world.files.connection, good).unwrap();
}

/// The other side, by the sandbox's commands.
async fn asked_for(page: &mut Page, world: &World) {
    let data = world.files.root.join("control-plane");
    let data = data.to_str().unwrap();
    let sandbox = |args: &[&'static str]| [&["sandbox", args[0], "--data-dir", data], &args[1..]].concat();
    let agent = &world.agent;
    let asked = sandbox(&[
        "request",
        "--account",
        "amara@example.com",
        "--role",
        "Help Desk",
        "--integration",
        "main",
    ]);
    page.order(agent, &asked, "sandbox request").await;
    page.order(agent, &sandbox(&["approve", "AR-1002", "--by", "boss@example.com"]), "sandbox approve").await;
    let request = world.operator.show("AR-1002").await.unwrap();
    world.about(&request, "granted").await;
    let more = sandbox(&["extend", "AR-1002", "--duration", "5m", "--by", "boss@example.com"]);
    page.order(agent, &more, "sandbox extend").await;
    page.order(agent, &sandbox(&["sync", "--integration", "main"]), "sandbox sync").await;
    page.show(agent, &sandbox(&["inventory"]), "sandbox inventory").await;
    page.show(agent, &sandbox(&["requests"]), "sandbox requests").await;
    page.show(agent, &sandbox(&["keys"]), "sandbox keys").await;
    let me = world.operator.agents().await.unwrap().pop().unwrap().id.to_string();
    page.show(agent, &sandbox(&["agents"]), "sandbox agents").await;
    page.show(agent, &["sandbox", "new-key", "--data-dir", data, &me], "sandbox new-key AGENT").await;
}

/// Each part of the sandbox as a process of its own, until it says where it listens.
async fn listening(page: &mut Page, root: &Path) {
    for (part, shown, given) in [
        ("jumpcloud", "sandbox jumpcloud", "--write-connection"),
        ("control-plane", "sandbox control-plane", "--write-token"),
    ] {
        let mut command = program(&["sandbox", part, "--data-dir"]);
        command.arg(root.join(part)).arg("--write-ca").arg(root.join(format!("{part}.pem")));
        let mut running =
            command.arg(given).arg(root.join(format!("{part}.json"))).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
        page.add(shown, &until(&mut lines, |_| true).await);
    }
}

async fn proved(page: &mut Page, world: &World) {
    let agent = &world.agent;
    page.show(agent, &["audit", "verify"], "audit verify").await;
    page.show(agent, &["audit", "export"], "audit export").await;
    let exported = agent.command(&["audit", "export"]).await;
    let file = world.files.root.join("export.jsonl");
    fs::write(&file, exported.printed).unwrap();
    page.order(agent, &["audit", "verify", "--file", file.to_str().unwrap()], "audit verify --file FILE")
        .await;
    page.order(agent, &["ledger", "check"], "ledger check").await;
    let copy = world.files.root.join("copy");
    page.order(agent, &["ledger", "backup", copy.to_str().unwrap()], "ledger backup DIR").await;
    let bundle = world.files.root.join("bundle.json");
    page.order(agent, &["support-bundle", "--to", bundle.to_str().unwrap()], "support-bundle").await;
}

async fn ordered(page: &mut Page, world: &World, request: &RequestView) {
    let agent = &world.agent;
    page.order(agent, &["rotate-key"], "rotate-key").await;
    let (_watch, mut lines) = watching(world);
    let grant = request.grant_id.as_ref().unwrap().as_str();
    let change = until(&mut lines, |change| change["grant"]["grant_id"] == grant).await;
    page.add("grants watch", &change);
    page.order(agent, &["revoke", grant], "revoke").await;
    page.add("grants watch", &until(&mut lines, |change| change["was"].is_string()).await);
    let stuck = granted(world, "bruno@example.com").await;
    let stuck = stuck.grant_id.as_ref().unwrap().as_str();
    let path = format!("/api/users/{}", world.cloud.id_of("bruno@example.com").unwrap());
    let refuses =
        json!({"method": "PUT", "path_prefix": path, "fault": {"kind": "error_before", "status": 400}});
    world.cloud.set_faults(vec![serde_json::from_value(refuses).unwrap()], 1);
    page.order(agent, &["revoke", stuck, "--timeout", "5s"], "revoke").await;
    page.order(agent, &["freeze", "--reason", "to be seen"], "freeze, thaw").await;
    page.show(agent, &["status"], "status").await;
    page.show(agent, &["health"], "health").await;
    if is_root() {
        page.order(agent, &["forget", stuck, "--confirm", "--reason", "to be seen"], "forget GRANT").await;
        page.order(agent, &["thaw"], "freeze, thaw").await;
    } else {
        page.keep("forget GRANT");
    }
    page.order(agent, &["drain", "--timeout", "20s"], "drain").await;
    world.cloud.set_faults(Vec::new(), 1);
    world.event(stuck, "grant_settled").await;
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn watching(world: &World) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = program(&["--output", "json", "grants", "watch", "--config"]);
    let mut watch = command.arg(&world.files.config).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    (watch, lines)
}

async fn until(lines: &mut Lines<BufReader<ChildStdout>>, is_it: impl Fn(&Value) -> bool) -> Value {
    let look = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it watches on");
            let change = serde_json::from_str(&line).unwrap();
            if is_it(&change) {
                return change;
            }
        }
    };
    timeout(PATIENCE, look).await.expect("a change is seen")
}

/// An older ledger in the place of a newer one, which the control plane notices.
async fn put_back(page: &mut Page, world: &mut World) {
    let copy = world.files.root.join("copy");
    let restore = ["ledger", "restore", copy.to_str().unwrap(), "--even-if-newer"];
    page.order(&world.agent, &restore, "ledger restore DIR").await;
    world.agent.start();
    let data = world.files.root.join("control-plane");
    page.show(&world.agent, &["sandbox", "alarms", "--data-dir", data.to_str().unwrap()], "sandbox alarms")
        .await;
}

/// A grant whose ledger is lost together with the key that vouches for its receipt: nobody believes it.
async fn doubted(page: &mut Page) {
    let mut world = World::ready().await;
    let request = granted(&world, "dmitri@example.com").await;
    world.agent.kill().await;
    for entry in fs::read_dir(&world.files.state).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("ledger") || name == "tag.key" {
            fs::remove_file(&path).unwrap();
        }
    }
    world.agent.start();
    let grant = request.grant_id.clone().unwrap().to_string();
    world.event(&grant, "claim_opened").await;
    let agent = &world.agent;
    page.show(agent, &["ledger", "check"], "ledger check").await;
    page.show(agent, &["ledger", "claims"], "ledger claims").await;
    let shown = "ledger claim GRANT, ledger acknowledge, ledger explain";
    if !is_root() {
        return page.keep(shown);
    }
    page.order(agent, &["ledger", "claim", &grant, "--dismiss", "--why", "to be seen"], shown).await;
    page.order(agent, &["ledger", "acknowledge", "--why", "to be seen"], shown).await;
    let all = ["ledger", "explain", "--integration", "main", "--all", "--why", "to be seen"];
    page.order(agent, &all, shown).await;
}
