//! The shipped program behind a proxy that cuts every connection, to JumpCloud and to the control plane,
//! at a random byte while grants are live: when the wire heals, everything has ended, each job has one
//! result, and the key is nowhere.
//!
//! `EPHEMERALD_WIRE_SEED` plays another seed.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use ephemerald::{admin::client, sandbox::jumpcloud::State};
use tokio::time::{Instant, sleep};

use crate::{
    agent_side::assert_clean,
    process::{PATIENCE, World, asking::Ask},
    tunnel::Tunnel,
    wild::find,
};

/// Connections that must have been cut before the wire heals.
const CUTS: usize = 24;

#[tokio::test]
async fn grants_end_and_results_arrive_when_the_wire_was_cut_at_any_byte_meanwhile() {
    let seed = std::env::var("EPHEMERALD_WIRE_SEED").map_or(20_261_126, |text| text.parse().unwrap());
    let tunnel = Tunnel::start(seed).await;
    let world = World::enrolled().await;
    let way = format!("[control_plane]\nproxy = \"http://{}\"", tunnel.addr);
    world.rewrite_config(|text| text.replace("[control_plane]", &way));
    let before = roles(&world.cloud.state());
    let mut world = world.started().await;

    let mut requests = Vec::new();
    for (account, role, seconds) in [
        ("dmitri@example.com", "Manager", 2),
        ("chiara@example.com", "Manager", 3),
        ("amara@example.com", "Help Desk", 4),
        ("elif@example.com", "Manager", 5),
    ] {
        requests.push(world.approved(Ask::role(account, role, seconds)).await);
    }
    requests.push(world.approved(Ask::ephemeral("guest@example.com", "Read Only", 3)).await);
    world.about(&requests[3], "granted").await;
    tunnel.set_broken(true);
    for account in ["bruno@example.com", "farid@example.com"] {
        requests.push(world.approved(Ask::role(account, "Manager", 3)).await);
    }
    let deadline = Instant::now() + PATIENCE;
    while tunnel.cuts() < CUTS {
        assert!(Instant::now() < deadline, "{} cuts\n{}", tunnel.cuts(), world.agent.tail());
        sleep(Duration::from_millis(50)).await;
    }
    let cuts = tunnel.cuts();
    tunnel.set_broken(false);

    world.over(&before).await;
    println!("seed {seed}: {cuts} connections cut");
    for request in &requests {
        assert_eq!(world.results_of(request).await.len(), 1, "{}", request.number);
    }
    let verified = world.agent.command(&["audit", "verify"]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.text);
    world.agent.kill().await;
    assert_key_is_nowhere(&world, &tunnel).await;
}

impl World {
    /// Waits until JumpCloud is as before, nothing is held and every request has its result.
    async fn over(&self, before: &BTreeMap<String, Vec<String>>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let held = client::grants(&self.files.socket).await;
            let mut silent = 0;
            for request in self.operator.requests().await.unwrap() {
                silent += usize::from(self.results_of(&request).await.is_empty());
            }
            let shown = roles(&self.cloud.state());
            if shown == *before && silent == 0 && held.as_ref().is_ok_and(Vec::is_empty) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "shown: {shown:?}\nwithout a result: {silent}\nheld: {held:#?}\n{}",
                self.agent.tail()
            );
            sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn assert_key_is_nowhere(world: &World, tunnel: &Tunnel) {
    let key = world.api_key.as_bytes();
    let absent = |what: &str, bytes: &[u8]| assert_eq!(find(bytes, key), None, "the key is in {what}");
    absent("a report", serde_json::to_string(&world.operator.results().await.unwrap()).unwrap().as_bytes());
    absent("the log", world.files.log_text().as_bytes());
    absent("what the proxy was told", &tunnel.told());
    assert_clean("what the proxy was told", &tunnel.told());
    let looked_at = look(&world.files.state, &absent);
    assert!(looked_at >= 3, "the ledger, the keys and the identity were looked at, not {looked_at} files");
    assert!(find(&fs::read(&world.files.connection).unwrap(), key).is_some(), "it is where it belongs");
}

fn look(dir: &Path, absent: &impl Fn(&str, &[u8])) -> usize {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let look_at = |path: std::path::PathBuf| {
        if path.is_dir() {
            return look(&path, absent);
        }
        absent(&path.display().to_string(), &fs::read(&path).unwrap_or_default());
        1
    };
    entries.map(look_at).sum()
}

fn roles(state: &State) -> BTreeMap<String, Vec<String>> {
    state.accounts.iter().map(|account| (account.email.clone(), account.roles.clone())).collect()
}
