//! The policy file under a running agent: it is taken as it changes, a bad one is not; approvers sign with
//! keys of their own; and what `policy` says of a job is what the agent does with it.

use std::fs;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ephemerald::{
    control::{approval, identity::Identity, keys::KeyPair, wire::JobClaims},
    sandbox::control_plane::JobSpec,
    secrets::AtRest,
};
use serde_json::{Value, json};

use crate::process::{
    World,
    asking::{Ask, grant_claims},
};

const PERSON: &str = "dmitri@example.com";

/// As editors and configuration management do it: another file takes its place.
fn replace_policy(world: &World, edit: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(&world.files.policy).unwrap();
    let fresh = world.files.policy.with_extension("new");
    fs::write(&fresh, edit(text)).unwrap();
    fs::rename(&fresh, &world.files.policy).unwrap();
}

#[tokio::test]
async fn a_changed_policy_is_taken_without_a_signal_and_the_log_says_what_changed() {
    let world = World::ready().await;
    replace_policy(&world, |text| text.replace("\"Manager\" = \"10m\"", "\"Manager\" = \"5s\""));
    world.logs("\"key\":\"roles.\\\"Manager\\\"\"").await;
    let log = world.files.log_text();
    let line = log.lines().find(|line| line.contains("policy: changed")).unwrap();
    let told: Value = serde_json::from_str(line).unwrap();
    assert_eq!((&told["from"], &told["to"]), (&json!("10m"), &json!("5s")), "{line}");

    let request = world.approved(Ask::role(PERSON, "Manager", 60)).await;
    let result = world.result(request.job_id.unwrap().as_str()).await;
    assert_eq!(result["rule"], "duration_too_long", "{result}");
    assert_eq!(result["policy_hash"], told["policy.hash"]);
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn a_bad_policy_is_not_taken_and_the_agent_goes_on_with_the_old_one() {
    let world = World::ready().await;
    replace_policy(&world, |text| format!("max_duraton = \"1h\"\n{text}"));
    world.logs("policy: cannot be read; the one in force before stays in force").await;
    world.logs("did you mean `max_duration`?").await;

    let request = world.approved(Ask::role(PERSON, "Manager", 2)).await;
    world.about(&request, "grant_settled").await;
    assert_eq!(world.results_of(&request).await, ["granted"]);

    replace_policy(&world, |text| text.replace("max_duraton = \"1h\"\n", "denied_roles = [\"Manager\"]\n"));
    world.logs("\"key\":\"denied_roles\"").await;
    let request = world.approved(Ask::role(PERSON, "Manager", 2)).await;
    let result = world.result(request.job_id.unwrap().as_str()).await;
    assert_eq!(result["rule"], "role_not_grantable", "{result}");
}

#[tokio::test]
async fn without_the_approvers_own_signature_nothing_is_raised() {
    let approver = KeyPair::from_seed(&[9; 32]);
    let key = URL_SAFE_NO_PAD.encode(approver.public().as_bytes());
    let world = World::enrolled().await;
    let world =
        world.with_policy(|text| format!("{text}\n[approval_keys]\n\"grace@example.com\" = {key:?}\n"));
    let world = world.started().await;
    let agent = Identity::load(&world.files.state, &AtRest::Plain).unwrap().unwrap().agent_id;

    let claims = |job: &str, grant: &str| {
        let mut claims = grant_claims(grant, PERSON, "Manager", 2);
        claims["job_id"] = json!(job);
        claims
    };
    let sign = |claims: &Value| {
        let now = jiff::Timestamp::now().as_second();
        let mut whole = claims.clone();
        let usual = [("v", json!(1)), ("iss", json!("any")), ("aud", json!(agent)), ("iat", json!(now))];
        usual.into_iter().for_each(|(name, value)| whole[name] = value);
        whole["start_by"] = json!(now + 60);
        let whole: JobClaims = serde_json::from_value(whole).unwrap();
        approval::approve(&whole, &approver, now, now + 600)
    };
    let unsigned = claims("job-unsigned", "grant-unsigned");
    let job = world.sent(JobSpec { claims: unsigned.clone(), ..JobSpec::default() }).await;
    assert_eq!(world.result(&job).await["rule"], "approval_required");

    // The approval of one job does not serve another.
    let mut stolen = claims("job-stolen", "grant-stolen");
    stolen["job"]["request"]["approvals"] = json!([sign(&unsigned)]);
    let job = world.sent(JobSpec { claims: stolen, ..JobSpec::default() }).await;
    assert_eq!(world.result(&job).await["rule"], "approval_required");
    assert_eq!(world.writes(), 0);

    let mut signed = claims("job-signed", "grant-signed");
    signed["job"]["request"]["approvals"] = json!([sign(&signed)]);
    let job = world.sent(JobSpec { claims: signed, ..JobSpec::default() }).await;
    assert_eq!(world.result(&job).await["code"], "granted");
    world.event("grant-signed", "grant_settled").await;
}

#[tokio::test]
async fn the_command_says_what_the_agent_would_do_with_a_job_and_its_exit_code_says_so_too() {
    let world = World::enrolled().await;
    let file = world.files.root.join("job.json");
    let said = async |edit: fn(&mut Value), args: &[&str]| {
        let mut claims = grant_claims("grant-1", PERSON, "Manager", 60);
        let usual = json!({"v": 1, "iss": "https://cp.example.com", "aud": "agent-1", "job_id": "job-1",
            "iat": 1_795_500_000, "start_by": 1_795_500_300});
        usual.as_object().unwrap().iter().for_each(|(name, value)| claims[name] = value.clone());
        edit(&mut claims);
        fs::write(&file, claims.to_string()).unwrap();
        let args = [&["policy"], args, &[file.to_str().unwrap()]].concat();
        world.agent.command(&args).await
    };
    let passes = said(|_| {}, &["test"]).await;
    assert_eq!(passes.code, Some(0), "{}", passes.text);
    assert!(passes.text.contains("allowed: no rule refuses"), "{}", passes.text);

    let refused = said(|c| c["job"]["duration_s"] = json!(3_600), &["test"]).await;
    assert_eq!(refused.code, Some(4), "{}", refused.text);
    assert!(
        refused.text.contains("rejected, duration_too_long: the rule \"duration\" decides"),
        "{}",
        refused.text
    );

    let elsewhere = said(|c| c["integration"] = json!("elsewhere"), &["test"]).await;
    assert!(elsewhere.text.contains("unknown_integration"), "{}", elsewhere.text);

    let whole = said(|c| c["job"]["request"] = json!({}), &["--output", "json", "explain"]).await;
    let told: Value = serde_json::from_str(&whole.text).unwrap();
    assert_eq!(told["job"]["rule"], "request_number_required");
    assert_eq!(told["rules"][0]["verdict"], "passes");
    assert_eq!(told["rules"].as_array().unwrap().len(), 15);

    let no_job = said(|c| *c = json!({"v": 1}), &["test"]).await;
    assert_eq!(no_job.code, Some(2), "{}", no_job.text);

    let extension = |c: &mut Value| {
        let request = c["job"]["request"].clone();
        c["job"] = json!({"type": "extend", "grant_id": "grant-1", "duration_s": 60, "request": request});
    };
    assert_eq!(said(extension, &["test"]).await.code, Some(2), "which grant?");
    let more = ["test", "--role", "Manager", "--account", "breakglass@example.com"];
    let protected = said(extension, &more).await;
    assert!(protected.text.contains("protected_account"), "{}", protected.text);
    let ending = said(|c| c["job"] = json!({"type": "revoke", "grant_id": "grant-1"}), &["test"]).await;
    assert!(ending.code == Some(0) && ending.text.contains("not gated"), "{}", ending.text);

    fs::write(&world.files.policy, "[roles").unwrap();
    assert_eq!(said(|_| {}, &["test"]).await.code, Some(3));
}

#[tokio::test]
async fn without_a_job_the_command_says_the_rules_in_words() {
    let world = World::enrolled().await;
    let all = world.agent.command(&["policy", "explain"]).await;
    assert_eq!(all.code, Some(0));
    assert!(all.text.contains("Nothing in a policy stops an ending."), "{}", all.text);
    assert!(
        all.text.lines().all(|line| line.chars().count() <= 80 || line.starts_with("policy ")),
        "{}",
        all.text
    );
}
