//! Every secret that the agent can hold, through everything that it does, and looked for wherever it could have left.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use ephemerald::sandbox::{control_plane::JobSpec, jumpcloud::Rule};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    outlets,
    process::{
        World,
        asking::Ask,
        secrets::{of_key_file, of_token},
    },
    scan::{Canary, Outlet, assert_clean},
    tiny::Tiny,
};

/// Made for this run alone.
fn fresh(what: &str) -> String {
    let number = || RandomState::new().hash_one(what);
    format!("canary/{what}+{:016x}{:016x}", number(), number())
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A port for the probes.
pub(crate) fn probed(world: &World) -> SocketAddr {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.rewrite_config(|text| format!("{text}\n[telemetry]\nlisten = \"{free}\"\n"));
    free
}

/// A password for each of two proxies, or none where there is no proxy.
async fn proxied(world: &World) -> Vec<(Tiny, Canary)> {
    let mut proxies = Vec::new();
    for (head, what) in [("[control_plane]\n", "plane"), ("name = \"main\"\n", "cloud")] {
        // What tinyproxy takes for one.
        let password = fresh(what).replace(['/', '+'], "-");
        let Some(proxy) = Tiny::start(Some(("agent", &password))).await else { return Vec::new() };
        let auth = world.files.root.join(format!("{what}-proxy.json"));
        private(&auth, &json!({"user": "agent", "password": password}).to_string());
        let lines = format!("{head}proxy = {:?}\nproxy_auth_file = {auth:?}\n", proxy.url());
        world.rewrite_config(|text| text.replace(head, &lines));
        proxies.push((proxy, Canary::text(&format!("password of the proxy to the {what}"), &password)));
    }
    proxies
}

/// Grants of both kinds to their end, and an inventory.
pub(crate) async fn work(world: &World, account: &str) {
    let grant = world.approved(Ask::role(account, "Manager", 2)).await;
    let made = world.approved(Ask::ephemeral("visitor@example.com", "Help Desk", 2)).await;
    let refused = world.approved(Ask::role("nobody@example.com", "Manager", 2)).await;
    world.about(&grant, "grant_settled").await;
    world.about(&made, "grant_settled").await;
    world.about(&refused, "rejected").await;
    let sync = json!({"integration": "main", "job": {"type": "sync"}});
    let job = world.sent(JobSpec { claims: sync, ..JobSpec::default() }).await;
    world.result(&job).await;
}

pub(crate) fn reads_its_files_again(world: &World) {
    let pid = i32::try_from(world.agent.running.as_ref().unwrap().id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
}

fn refuse_the_key() -> Rule {
    serde_json::from_value(json!({"fault": {"kind": "unauthorized"}})).unwrap()
}

#[tokio::test]
async fn nothing_that_an_agent_with_an_api_key_holds_is_seen_at_any_way_out() {
    let world = World::enrolled().await;
    let probes = probed(&world);
    let proxies = proxied(&world).await;
    let mut world = world.started().await;
    work(&world, "dmitri@example.com").await;
    let state = world.files.state.clone();
    let mut canaries = of_token(&world.files.root.join("agent-token"));
    canaries.push(Canary::text("API key", &world.api_key));
    canaries.extend(of_key_file("first agent key", &state.join("agent.key")));
    let said = world.agent.command(&["rotate-key"]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    canaries.extend(of_key_file("second agent key", &state.join("agent.key")));
    canaries.extend(of_key_file("tag key", &state.join("tag.key")));
    world.agent.kill().await;

    // From here on the same keys lie sealed, under a key that is a secret, too.
    let hex = fresh("").bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))[..64].to_owned();
    let file = world.files.root.join("state.key");
    private(&file, &hex);
    world.rewrite_config(|text| text.replace("[agent]\n", &format!("[agent]\nstate_key_file = {file:?}\n")));
    let said = world.agent.command(&["state", "seal", "--yes"]).await;
    assert_eq!(said.code, Some(0), "{}", said.text);
    let bytes: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    canaries.extend([Canary::text("state key", &hex), Canary::new("state key: its bytes", &bytes)]);
    let mut world = world.started().await;
    work(&world, "elif@example.com").await;
    reads_its_files_again(&world);
    let mut outlets = outlets::of_a_running_agent(&world, probes, None).await;
    // A key that is refused is the likeliest to be quoted.
    world.cloud.set_faults(vec![refuse_the_key()], 2);
    world.approved(Ask::role("farid@example.com", "Manager", 2)).await;
    world.logs("is not accepted (401)").await;
    outlets.push(Outlet::new("`check` of a dead key", world.agent.command(&["check"]).await.text, "401"));
    world.agent.kill().await;

    outlets.extend(outlets::of_an_agent_that_has_ended(&world).await);
    for (proxy, password) in proxies {
        let dialled = proxy.dialled();
        assert_eq!(dialled.len(), 1, "each is the way to one: {dialled:?}");
        outlets.push(Outlet::new("the proxy's log", proxy.log(), "CONNECT"));
        canaries.push(password);
    }
    assert_clean(&outlets, &canaries);
}

#[tokio::test]
async fn nothing_that_an_agent_with_a_service_account_holds_is_seen_at_any_way_out() {
    let world = World::enrolled_at(|cloud| {
        cloud.service_account = true;
        cloud.switches = serde_json::from_value(json!({"token_lifetime_s": 60})).unwrap();
    })
    .await;
    let probes = probed(&world);
    let mut world = world.started().await;
    work(&world, "dmitri@example.com").await;
    let mut outlets = outlets::of_a_running_agent(&world, probes, None).await;
    let mut tokens = world.cloud.tokens();
    world.cloud.revoke_tokens();
    let grant = world.approved(Ask::role("elif@example.com", "Manager", 2)).await;
    world.about(&grant, "grant_settled").await;
    tokens.extend(world.cloud.tokens());
    world.agent.kill().await;

    let connection: Value = serde_json::from_slice(&fs::read(&world.files.connection).unwrap()).unwrap();
    let mut canaries = vec![Canary::text("client secret", connection["client_secret"].as_str().unwrap())];
    assert!(tokens.len() >= 2, "one before they were revoked, one after");
    canaries.extend(tokens.iter().map(|token| Canary::text("access token", token)));
    outlets.extend(outlets::of_an_agent_that_has_ended(&world).await);
    assert_clean(&outlets, &canaries);
}
