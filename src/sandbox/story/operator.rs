//! The act of the operator: two grants overlap, somebody is in the console, raises are frozen, everything is
//! revoked without a control plane, and the journal's export is judged.
//!
//! Refuses to freeze for somebody who could not thaw: only root can.

use std::{fs, process::Stdio};

use serde_json::{Value, json};

use super::{
    acts::{asked, email, reported, result_of, sees, standing},
    stage::{Stage, text},
    teller::Teller,
};
use crate::{control::wire::Target, sandbox::jumpcloud::Edit};

/// Plays the act.
pub(super) async fn play(stage: &mut Stage, teller: &mut Teller) -> Result<(), String> {
    teller.act("Act 5: two grants overlap, somebody is in the console, and an operator takes over");
    let person = standing(stage, "Read Only")?;
    overlap(stage, teller, &person).await?;
    frozen(stage, teller, &person).await?;
    revoked(stage, teller, &person).await
}

async fn overlap(stage: &mut Stage, teller: &mut Teller, person: &str) -> Result<(), String> {
    let target = || Ok::<_, String>(Target::Email(email(person)?));
    let lower = asked(stage, teller, target()?, "Help Desk", 120).await?;
    reported(stage, &lower, "granted").await?;
    let higher = asked(stage, teller, target()?, "Manager", 120).await?;
    let seen = reported(stage, &higher, "granted").await?;
    sees(stage, person, Some("Manager")).await?;
    teller.step(
        "overlap",
        &format!("two grants on one account: {person} has the higher role, Manager"),
        &seen,
    );
    let edit = Edit { roles: Some(vec!["Help Desk".to_owned()]), ..Edit::default() };
    stage.cloud.change(person, &edit).map_err(|refused| format!("the console: {refused:?}"))?;
    teller.aside("somebody sets Help Desk in the console; two looks agree before anybody concludes from it");
    let ended = reported(stage, &higher, "grant_ended").await?;
    if ended["reason"] != "revoked_externally" {
        return Err(format!("the grant ended as {}", ended["reason"]));
    }
    sees(stage, person, Some("Help Desk")).await?;
    teller.step(
        "revoked_externally",
        "that is respected: the Manager grant is over, the Help Desk grant lives on, nothing is raised again",
        &ended,
    );
    Ok(())
}

async fn frozen(stage: &mut Stage, teller: &mut Teller, person: &str) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        teller.aside("`ephemerald freeze` is left out: only root could thaw afterwards");
        return Ok(());
    }
    let seen = command(stage, &["freeze", "--reason", "the sandbox's story"], 0).await?;
    let number = asked(stage, teller, Target::Email(email(person)?), "Manager", 60).await?;
    let result = result_of(stage, &number).await?;
    if result["code"] != "frozen" {
        return Err(format!("a frozen agent answered {}", result["code"]));
    }
    teller.step("frozen", "an operator froze raises: the agent refuses the next job", &json!([seen, result]));
    command(stage, &["thaw"], 0).await.map(drop)
}

async fn revoked(stage: &mut Stage, teller: &mut Teller, person: &str) -> Result<(), String> {
    stage.stop_control_plane().await;
    let seen = command(stage, &["revoke", "--all", "--reason", "the sandbox's story"], 0).await?;
    sees(stage, person, Some("Read Only")).await?;
    let gone = seen["proven"].as_array().map_or(0, Vec::len);
    if gone == 0 {
        return Err("nothing was revoked".to_owned());
    }
    teller.step(
        "revoked_all",
        &format!(
            "the control plane is stopped: `revoke --all` ends and proves it, {person} is Read Only again"
        ),
        &seen,
    );
    stage.restart_control_plane().await
}

/// Exports the journal and judges it, whole and with one byte changed.
pub(super) async fn evidence(stage: &Stage, teller: &mut Teller) -> Result<(), String> {
    let export = stage.ephemerald()?.args(["audit", "export"]).output().await.map_err(text)?;
    let export = String::from_utf8(export.stdout).map_err(text)?;
    let file = stage.root().join("journal.jsonl");
    let shown = file.display().to_string();
    let verify = ["audit", "verify", "--file", &shown];
    fs::write(&file, &export).map_err(text)?;
    let seen = command(stage, &verify, 0).await?;
    teller.step("export_verified", "an export of it verifies with nothing else at hand", &seen);
    fs::write(&file, export.replacen("Manager", "Manages", 1)).map_err(text)?;
    command(stage, &verify, 7).await?;
    teller.step("change_noticed", "with one byte changed it does not: exit code 7", &json!({"file": file}));
    fs::write(&file, export).map_err(text)
}

/// Runs a command of the operator's; what it prints as JSON.
async fn command(stage: &Stage, args: &[&str], code: i32) -> Result<Value, String> {
    let mut command = stage.ephemerald()?;
    let said = command.args(args).args(["--output", "json"]).stderr(Stdio::piped()).output().await;
    let said = said.map_err(text)?;
    if said.status.code() != Some(code) {
        return Err(format!("{args:?}: {}: {}", said.status, String::from_utf8_lossy(&said.stderr)));
    }
    Ok(serde_json::from_slice(&said.stdout).unwrap_or_default())
}
