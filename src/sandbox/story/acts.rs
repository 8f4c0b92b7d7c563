//! The acts. Each waits for what it claims, on the other side.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Stdio, time::Duration};

use serde_json::{Value, json};

use super::{
    operator,
    stage::{Stage, text},
    teller::Teller,
};
use crate::{
    control::wire::{Ephemeral, Target},
    engine::ids::{Email, IntegrationId, RoleName},
    sandbox::control_plane::RequestSpec,
};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays all acts.
pub(super) async fn play(stage: &mut Stage, teller: &mut Teller) -> Result<(), String> {
    enrol(stage, teller).await?;
    borrowed_role(stage, teller).await?;
    ephemeral_account(stage, teller).await?;
    control_plane_away(stage, teller).await?;
    operator::play(stage, teller).await?;
    verify_journal(stage, teller).await?;
    operator::evidence(stage, teller).await?;
    within_contract(stage, teller)
}

async fn enrol(stage: &mut Stage, teller: &mut Teller) -> Result<(), String> {
    teller.act("Act 1: the agent enrols and reports for work");
    let token = stage.operator.token().await.map_err(text)?;
    let file = stage.root().join("agent-token");
    fs::write(&file, token).map_err(text)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(text)?;
    let mut enroll = stage.ephemerald()?;
    let enrolled = enroll.arg("enroll").arg("--token-file").arg(&file).output().await.map_err(text)?;
    if !enrolled.status.success() {
        return Err(format!("enroll: {}", String::from_utf8_lossy(&enrolled.stderr)));
    }
    let agents = stage.operator.agents().await.map_err(text)?;
    let agent = agents.first().ok_or("the control plane knows no agent after the enrolment")?;
    let seen = serde_json::to_value(agent).map_err(text)?;
    teller.step(
        "enrolled",
        "enrolled: a key made here, a one-time token spent, the signing keys pinned",
        &seen,
    );
    stage.start_agent()?;
    stage.agent_ready().await?;
    teller.step(
        "ready",
        "the agent runs: journal open, policy read, JumpCloud and control plane answer",
        &json!({"log": stage.agent_log}),
    );
    Ok(())
}

async fn borrowed_role(stage: &mut Stage, teller: &mut Teller) -> Result<(), String> {
    teller.act("Act 2: a role is borrowed, and time takes it back");
    let person = standing(stage, "Help Desk")?;
    let number = asked(stage, teller, Target::Email(email(&person)?), "Manager", 5).await?;
    let result = reported(stage, &number, "granted").await?;
    sees(stage, &person, Some("Manager")).await?;
    teller.step("granted", &format!("granted and read back: {person} is Manager, was Help Desk"), &result);
    teller.aside("the grant lasts five seconds; nobody tells the agent when they are over");
    let ended = reported(stage, &number, "grant_ended").await?;
    sees(stage, &person, Some("Help Desk")).await?;
    let (woken, late) = (&ended["evidence"]["woken_by"], &ended["evidence"]["lateness_ms"]);
    if woken != "wheel" {
        return Err(format!("the ending was woken by {woken}, not by the timer wheel"));
    }
    teller.step(
        "expired",
        &format!(
            "expired, woken_by: {}, {late} ms late; restored and read back: {person} is Help Desk again",
            woken.as_str().unwrap_or("?")
        ),
        &ended,
    );
    teller.aside("settling: a second look, in case a late request undid the first");
    let settled = reported(stage, &number, "grant_settled").await?;
    teller.step("settled", "still gone at the second look: settled", &settled);
    Ok(())
}

async fn ephemeral_account(stage: &mut Stage, teller: &mut Teller) -> Result<(), String> {
    teller.act("Act 3: an administrator account that exists for a few seconds");
    let people = stage.cloud.state().accounts.len();
    let person = Ephemeral { requester: email("visitor@example.com")?, firstname: None, lastname: None };
    let number = asked(stage, teller, Target::Ephemeral(person), "Help Desk", 5).await?;
    let result = reported(stage, &number, "granted").await?;
    let address = result["account"]["email"].as_str().unwrap_or("").to_owned();
    sees(stage, &address, Some("Help Desk")).await?;
    teller.step("ephemeral_created", &format!("created and read back: {address}"), &result);
    let ended = reported(stage, &number, "grant_ended").await?;
    sees(stage, &address, None).await?;
    if stage.cloud.state().accounts.len() != people {
        return Err("there are more or fewer accounts than before".to_owned());
    }
    teller.step("ephemeral_gone", "deleted, and two complete listings agree that it is gone", &ended);
    Ok(())
}

async fn control_plane_away(stage: &mut Stage, teller: &mut Teller) -> Result<(), String> {
    teller.act("Act 4: the control plane goes away while access is out");
    let person = standing(stage, "Read Only")?;
    let number = asked(stage, teller, Target::Email(email(&person)?), "Help Desk", 6).await?;
    reported(stage, &number, "granted").await?;
    stage.stop_control_plane().await;
    teller.step(
        "control_plane_stopped",
        &format!("{person} is Help Desk; the control plane is stopped"),
        &json!({"request": number}),
    );
    sees(stage, &person, Some("Read Only")).await?;
    teller.step(
        "revoked_alone",
        &format!("revoked all the same, by the agent alone: {person} is Read Only again"),
        &roles_over_time(stage, &person),
    );
    stage.restart_control_plane().await?;
    teller.aside("the control plane is back; the outbox finds it with its next try");
    let ended = reported(stage, &number, "grant_ended").await?;
    teller.step("reported_late", "the ending is reported now: nothing was lost", &ended);
    Ok(())
}

async fn verify_journal(stage: &mut Stage, teller: &mut Teller) -> Result<(), String> {
    teller.act("Act 6: the agent proves it");
    let verify = stage
        .ephemerald()?
        .args(["--output", "json", "audit", "verify"])
        .stderr(Stdio::piped())
        .output()
        .await;
    let verify = verify.map_err(text)?;
    if !verify.status.success() {
        return Err(format!("audit verify: {}", String::from_utf8_lossy(&verify.stderr)));
    }
    let seen: Value = serde_json::from_slice(&verify.stdout).map_err(text)?;
    let rows = seen["rows"].as_u64().unwrap_or(0);
    if rows == 0 {
        return Err("the journal is empty".to_owned());
    }
    teller.step(
        "journal_verified",
        &format!("journal verified: {rows} records, one unbroken hash chain"),
        &seen,
    );
    Ok(())
}

/// Nothing was sent or answered beyond what is known of JumpCloud's API.
fn within_contract(stage: &Stage, teller: &mut Teller) -> Result<(), String> {
    let seen = stage.cloud.contract();
    if let Some(first) = seen.violations.first() {
        return Err(first.violation.to_string());
    }
    let requests = seen.requests;
    teller.step(
        "within_contract",
        &format!("JumpCloud's API kept: {requests} requests, each as the API is described"),
        &serde_json::to_value(&seen).map_err(text)?,
    );
    Ok(())
}

/// Files a request and has it approved by somebody else.
pub(super) async fn asked(
    stage: &Stage,
    teller: &mut Teller,
    target: Target,
    role: &str,
    seconds: u64,
) -> Result<String, String> {
    let spec = RequestSpec {
        requester: email("visitor@example.com")?,
        integration: IntegrationId::new("jumpcloud").map_err(text)?,
        target,
        role: RoleName::new(role).map_err(text)?,
        duration_s: seconds,
        justification: Some("the sandbox's story".to_owned()),
        start_within_s: 60,
        agent: None,
    };
    let request = stage.operator.request(&spec).await.map_err(text)?;
    let approved =
        stage.operator.approve(&request.number, &[email("boss@example.com")?]).await.map_err(text)?;
    let seen = json!({"request": approved.number, "job_id": approved.job_id, "grant_id": approved.grant_id});
    teller.step(
        "approved",
        &format!(
            "{} asks for {role}, {seconds} s; boss@example.com approves; a signed job waits",
            approved.number
        ),
        &seen,
    );
    Ok(approved.number)
}

/// Waits until the control plane has a report with this code about the request's grant.
pub(super) async fn reported(stage: &Stage, number: &str, code: &str) -> Result<Value, String> {
    let grant =
        stage.operator.show(number).await.map_err(text)?.grant_id.ok_or("the request has no grant")?;
    let mut others = Vec::new();
    for _ in 0..PATIENCE.as_millis() / 100 {
        let results = stage.operator.results().await.map_err(text)?;
        let ours = results.into_iter().map(|r| r.report).filter(|r| r["grant_id"] == grant.as_str());
        let ours: Vec<Value> = ours.collect();
        if let Some(found) = ours.iter().find(|r| r["code"] == code) {
            return Ok(found.clone());
        }
        others = ours.iter().map(|r| format!("{} {}", r["code"], r["rule"])).collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("{number}: no report {code:?} within {} s; reported: {others:?}", PATIENCE.as_secs()))
}

/// The one result of the request's grant job; waits for it.
pub(super) async fn result_of(stage: &Stage, number: &str) -> Result<Value, String> {
    let job = stage.operator.show(number).await.map_err(text)?.job_id.ok_or("the request has no job")?;
    for _ in 0..PATIENCE.as_millis() / 100 {
        let results = stage.operator.results().await.map_err(text)?;
        let ours = |r: &Value| r["kind"] == "result" && r["job_id"] == job.as_str();
        if let Some(found) = results.into_iter().map(|r| r.report).find(ours) {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("{number}: no result within {} s", PATIENCE.as_secs()))
}

/// Waits until JumpCloud itself shows exactly this role, or no such account.
pub(super) async fn sees(stage: &Stage, address: &str, role: Option<&str>) -> Result<(), String> {
    let mut found = None;
    for _ in 0..PATIENCE.as_millis() / 50 {
        let state = stage.cloud.state();
        found = state.accounts.iter().find(|a| a.email == address).map(|a| a.roles.clone());
        if found.as_deref() == role.map(|r| [r.to_owned()]).as_ref().map(<[String; 1]>::as_slice) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("JumpCloud shows {address} with {found:?}, expected {role:?}"))
}

pub(super) fn standing(stage: &Stage, role: &str) -> Result<String, String> {
    let state = stage.cloud.state();
    let found = state.accounts.iter().find(|a| a.roles == [role]).map(|a| a.email.clone());
    found.ok_or_else(|| format!("nobody has {role}"))
}

fn roles_over_time(stage: &Stage, person: &str) -> Value {
    let state = stage.cloud.state();
    let id = state.accounts.iter().find(|a| a.email == person).map(|a| a.id.clone()).unwrap_or_default();
    json!(stage.cloud.roles_over_time(&id))
}

pub(super) fn email(address: &str) -> Result<Email, String> {
    Email::new(address).map_err(text)
}
