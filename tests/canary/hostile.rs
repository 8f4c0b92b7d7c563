//! A directory that has the agent say its own key: a role and an account have it for a name. Here nothing but the guard stands
//! between the secret and each way out.

use ephemerald::sandbox::{
    control_plane::JobSpec,
    jumpcloud::{Edit, NewRole},
};
use serde_json::{Value, json};

use crate::{
    outlets,
    process::{World, asking::Ask},
    scan::{Canary, Outlet, seen},
    stories::probed,
};

#[tokio::test]
async fn a_directory_that_names_a_role_and_an_account_by_the_key_does_not_get_the_agent_to_say_it() {
    let world = World::enrolled().await;
    let key = world.api_key.clone();
    world.cloud.add_role(NewRole { name: key.clone(), scopes: Vec::new() }).unwrap();
    let address = format!("{key}@example.com");
    let roles = Some(vec!["Help Desk".to_owned()]);
    let account = Edit { email: Some(address.clone()), roles, ..Edit::default() };
    world.cloud.create(&account).unwrap();
    // The key's own account has it for an address, too: that is what a command of its own asks JumpCloud.
    let owner = Edit { email: Some(format!("{key}@example.org")), ..Edit::default() };
    world.cloud.change("owner@example.com", &owner).unwrap();
    let probes = probed(&world);
    let mut world = world.started().await;
    let sync = json!({"integration": "main", "job": {"type": "sync"}});
    world.sent(JobSpec { claims: sync, ..JobSpec::default() }).await;
    world.approved(Ask::role(&address, "Manager", 300)).await;
    world.sees(&address, Some("Manager")).await;
    world.logs("egress: something that held a secret was stopped on its way out").await;

    let hit = |outlet: &Outlet| canary(&key).is_in(&outlet.bytes);
    // The journal says whom a grant was for, under whatever name, or it would prove nothing: an export of it is a person's own
    // deed (docs/threat-model.md).
    let export: &[&str] = &["audit", "export"];
    let outlets = outlets::of_a_running_agent(&world, probes, Some(export)).await;
    let quiet: Vec<_> = outlets.iter().filter(|outlet| !hit(outlet)).map(|outlet| &outlet.name).collect();
    let withheld =
        outlets.iter().filter(|outlet| outlet.bytes.windows(8).any(|text| text == b"withheld")).count();
    assert!(withheld >= 2, "nothing was withheld from anybody who asked: {quiet:?}");
    let mut seen = seen(&outlets, &[canary(&key)]);
    let untold = not_told_of(&world, &outlets).await;
    world.agent.kill().await;
    // Here alone the ledger holds it, which is what a world looks for when it ends.
    world.told.push(key.clone());
    // The control plane has the address from its own requester.
    let outlets = outlets::of_an_agent_that_has_ended(&world).await;
    let outlets: Vec<_> = outlets.into_iter().filter(|outlet| !is_told_to_it(&outlet.name)).collect();
    seen.extend(crate::scan::seen(&outlets, &[canary(&key)]));
    assert!(seen.is_empty(), "SEEN: {}", seen.join("; "));
    assert!(untold.is_empty(), "stopped, and not told: {untold:?}");
}

/// What was stopped at each way out of the daemon is in the journal and in the metrics, and what is missing there. The pages for
/// probes hold no word of a directory.
async fn not_told_of(world: &World, outlets: &[Outlet]) -> Vec<String> {
    let metrics = outlets.iter().find(|outlet| outlet.name == "probe /metrics").unwrap();
    let metrics = String::from_utf8_lossy(&metrics.bytes).into_owned();
    // Not with the other commands, whose words are looked at as a way out.
    let export = world.agent.program().args(["audit", "export"]).output().await.unwrap();
    let journal = String::from_utf8_lossy(&export.stdout).into_owned();
    let mut untold = Vec::new();
    for way in ["request", "log", "control_socket"] {
        let counter = format!("ephemerald_secrets_withheld_total{{outlet=\"{way}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&counter)?.parse::<u64>().ok());
        if count.is_none_or(|count| count == 0) {
            untold.push(format!("{way} in the metrics"));
        }
        let told = |line: &Value| {
            let body = serde_json::from_str(line["body"].as_str().unwrap_or("{}")).unwrap_or(Value::Null);
            line["kind"] == "secret_withheld" && body["outlet"] == way
        };
        if !journal.lines().filter_map(|line| serde_json::from_str(line).ok()).any(|line| told(&line)) {
            untold.push(format!("{way} in the journal"));
        }
    }
    untold
}

fn canary(key: &str) -> Canary {
    Canary::text("API key", key)
}

fn is_told_to_it(outlet: &str) -> bool {
    outlet.starts_with("ledger.db")
        || outlet.starts_with("state directory")
        || outlet.starts_with("what the control")
}
