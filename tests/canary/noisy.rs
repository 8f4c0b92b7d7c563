//! Others say the agent's secrets to it: JumpCloud in its errors, the control plane in its jobs, a person in a file where they
//! do not belong. None of them is said again.

use ephemerald::sandbox::{
    control_plane::JobSpec,
    jumpcloud::{Fault, Rule},
};
use serde_json::{Value, json};

use crate::{
    outlets,
    process::{
        PATIENCE, World,
        asking::{Ask, grant_claims},
    },
    scan::assert_clean,
    stories::{probed, reads_its_files_again, work},
};

/// Of each class that the agent tells apart.
const STATUSES: [u16; 8] = [400, 401, 403, 404, 409, 429, 500, 502];

fn quoting(status: u16) -> Vec<Rule> {
    let rule = json!({"fault": {"kind": "echo", "status": status}});
    vec![serde_json::from_value(rule).unwrap()]
}

/// Waits until so many requests were answered so: one of each command, and the daemon's own.
async fn quoted_at_least(world: &World, times: u32) {
    let quoted = || {
        let rules = world.cloud.faults().into_iter();
        rules.filter(|rule| matches!(rule.fault, Fault::Echo { .. })).map(|rule| rule.fired).sum::<u32>()
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while quoted() < times {
        assert!(tokio::time::Instant::now() < deadline, "quoted {} times\n{}", quoted(), world.agent.tail());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Every call that the agent knows meets an error that quotes what it proved itself with.
async fn is_quoted(world: World) {
    let probes = probed(&world);
    let mut world = world.started().await;
    work(&world, "dmitri@example.com").await;
    let mut canaries = world.secrets();
    for status in STATUSES {
        world.cloud.set_faults(quoting(status), 1);
        for command in [["check"].as_slice(), &["connection", "test"]] {
            let said = world.agent.command(command).await;
            assert_ne!(said.code, Some(0), "{command:?} at {status}: {}", said.text);
        }
        // A listing goes on until it is whole, and so is not waited for.
        let sync = json!({"integration": "main", "job": {"type": "sync"}});
        world.sent(JobSpec { claims: sync, ..JobSpec::default() }).await;
        quoted_at_least(&world, 3).await;
    }
    // An access token that is refused makes way for a new one.
    world.cloud.set_faults(Vec::new(), 1);
    let grant = world.approved(Ask::role("elif@example.com", "Manager", 2)).await;
    world.about(&grant, "grant_settled").await;
    canaries.extend(world.secrets());
    let mut outlets = outlets::of_a_running_agent(&world, probes, None).await;
    world.agent.kill().await;
    outlets.extend(outlets::of_an_agent_that_has_ended(&world).await);
    assert_clean(&outlets, &canaries);
}

#[tokio::test]
async fn a_jumpcloud_that_quotes_the_key_in_its_errors_does_not_get_the_agent_to_say_it() {
    is_quoted(World::enrolled().await).await;
}

#[tokio::test]
async fn a_jumpcloud_that_quotes_a_client_secret_and_tokens_in_its_errors_does_not_get_the_agent_to_say_them()
{
    is_quoted(World::enrolled_at(|cloud| cloud.service_account = true).await).await;
}

/// A grant job with the text in one field; the name of the field.
fn jobs_that_say(text: &str) -> Vec<(&'static str, Value)> {
    let with = |pointer: &str, value: Value| {
        let mut claims = grant_claims("g-canary", "dmitri@example.com", "Manager", 300);
        *claims.pointer_mut(pointer).unwrap() = value;
        claims
    };
    let mut unknown = grant_claims("g-canary", "dmitri@example.com", "Manager", 300);
    unknown["job"][text] = json!(text);
    vec![
        ("integration", with("/integration", json!(text))),
        ("type", with("/job/type", json!(text))),
        ("role", with("/job/role", json!(text))),
        ("duration", with("/job/duration_s", json!(text))),
        ("requester", with("/job/request/requester", json!(text))),
        ("an unknown field", unknown),
    ]
}

#[tokio::test]
async fn a_control_plane_that_names_every_secret_in_its_jobs_does_not_hear_one() {
    let world = World::enrolled().await;
    let probes = probed(&world);
    let mut world = world.started().await;
    work(&world, "dmitri@example.com").await;
    let canaries = world.secrets();
    let texts = canaries.iter().filter_map(|canary| {
        let (_, secret) = canary.forms.iter().find(|(form, _)| form == "as it is")?;
        String::from_utf8(secret.clone()).ok()
    });
    for text in texts {
        for (field, claims) in jobs_that_say(&text) {
            let job = world.sent(JobSpec { claims, ..JobSpec::default() }).await;
            let result = world.result(&job).await;
            assert_ne!(result["code"], "granted", "{field}: {result}");
        }
    }
    let mut outlets = outlets::of_a_running_agent(&world, probes, None).await;
    world.agent.kill().await;
    outlets.extend(outlets::of_an_agent_that_has_ended(&world).await);
    // It holds its own jobs; what it was told by the agent is `reports`.
    outlets.retain(|outlet| !outlet.name.starts_with("what the control plane keeps"));
    assert_clean(&outlets, &canaries);
}

#[tokio::test]
async fn a_key_that_was_pasted_where_it_does_not_belong_is_not_shown_when_the_file_is_refused() {
    let world = World::enrolled().await;
    let probes = probed(&world);
    let mut world = world.started().await;
    work(&world, "dmitri@example.com").await;
    let canaries = world.secrets();
    let good = std::fs::read_to_string(&world.files.config).unwrap();
    let key = world.api_key.clone();
    for (at, line) in [
        ("name = \"main\"\n", format!("token = {key:?}\n")),
        ("name = \"main\"\n", format!("rate_limit = {key:?}\n")),
        ("name = \"main\"\n", format!("role_mode = {key:?}\n")),
        ("[agent]\n", format!("command_timeout = {key:?}\n")),
        ("[agent]\n", format!("{key} = 1\n")),
        ("[control_plane]\n", format!("proxy = \"http://agent:{key}@127.0.0.1:1\"\n")),
        ("[log]\n", format!("{key}\n")),
    ] {
        let bad = good.replace(at, &format!("{at}{line}"));
        std::fs::write(&world.files.config, bad).unwrap();
        for command in [["check"].as_slice(), &["config", "show"], &["connection", "test"], &["run"]] {
            let said = world.agent.command(command).await;
            let may_succeed = line.starts_with("proxy") && command != ["check"];
            assert!(may_succeed || said.code != Some(0), "{line}{command:?}: {}", said.text);
            assert!(canaries.iter().all(|canary| !canary.is_in(said.text.as_bytes())), "SEEN: {}", said.text);
        }
        reads_its_files_again(&world);
    }
    std::fs::write(&world.files.config, &good).unwrap();
    let policy = std::fs::read_to_string(&world.files.policy).unwrap();
    for (text, words) in
        [(format!("{key} = {key:?}\n{policy}"), "the policy file is refused"), (policy, "All is well")]
    {
        std::fs::write(&world.files.policy, text).unwrap();
        reads_its_files_again(&world);
        says(&world, words).await;
    }
    let mut outlets = outlets::of_a_running_agent(&world, probes, None).await;
    world.agent.kill().await;
    outlets.extend(outlets::of_an_agent_that_has_ended(&world).await);
    assert_clean(&outlets, &canaries);
}

/// Waits until `status` says so.
async fn says(world: &World, words: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let said = world.agent.command(&["status"]).await;
        if said.prose().contains(words) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "not {words:?}: {}", said.text);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
