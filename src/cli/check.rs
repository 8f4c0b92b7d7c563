//! `check`: proves each thing that the agent needs, apart, and says what to do about each failure.
//!
//! Refuses: to change anything, here or at the other side; to speak as the agent while a daemon runs;
//! to stop at the first failure, as long as the next step does not depend on it.

mod control_plane;
mod credential;
mod integration;
mod local;
mod network;
mod proxy;
mod report;

use std::collections::BTreeMap;

use super::{Exit, Failure, Output, output};
use crate::{
    admin::{client, view::StatusView},
    config::Loaded,
    engine::ids::OrgId,
};
use report::{Report, Verdict};
pub(super) use {credential::token_advice, integration::advice};

/// Runs all steps; a configuration that cannot be loaded is the first and last of them.
pub(super) async fn run(loaded: Result<Loaded, Failure>, form: Output) -> Result<Exit, Failure> {
    let mut report = Report::default();
    match loaded {
        Err(failure) => report.part("agent").step("configuration", Verdict::config(failure.to_string(), "")),
        Ok(loaded) => all(&loaded, &mut report).await,
    }
    match form {
        Output::Json => output::json(&report.json())?,
        Output::Human => output::folded(&report.render())?,
    }
    Ok(report.exit())
}

/// All steps, for somebody else's eyes.
pub(super) async fn told(loaded: &Loaded) -> serde_json::Value {
    let mut report = Report::default();
    all(loaded, &mut report).await;
    report.json()
}

async fn all(loaded: &Loaded, report: &mut Report) {
    let config = &loaded.config;
    let mut part = report.part("agent");
    part.step("configuration", local::configuration(loaded));
    let policy = local::policy(&config.policy_file, &mut part);
    part.step("state directory", local::state_dir(&config.agent.state_dir));
    if let Some(source) = &config.agent.state_key {
        part.step("state key", local::state_key(source, &config.agent.state_dir));
    }
    let daemon = client::status(&config.agent.control_socket).await;
    part.step("daemon", local::daemon(&daemon));
    let daemon: Option<StatusView> = daemon.ok();
    part.step("ledger", local::ledger(&config.agent.state_dir, daemon.as_ref()));
    let mut dates = Vec::new();
    let mut part = report.part("control plane");
    dates.extend(control_plane::check(config, daemon.as_ref(), &mut part).await);
    let mut orgs: BTreeMap<OrgId, Vec<String>> = BTreeMap::new();
    for integration in &config.integrations {
        let name = integration.settings.id.to_string();
        let mut part = report.part(&format!("integration {name}"));
        let seen = integration::check(config, integration, policy.as_ref(), &mut part).await;
        dates.extend(seen.date);
        if let Some(org) = seen.org {
            orgs.entry(org).or_default().push(name);
        }
    }
    for (org, names) in orgs.into_iter().filter(|(_, names)| names.len() > 1) {
        let found = format!("{} are one organization ({org})", names.join(" and "));
        let advice = "an account that one of them holds is refused to the others: keep one integration for each organization";
        report.part("integrations").step("organizations", Verdict::config(found, advice));
    }
    if config.integrations.is_empty() {
        let advice = "add an [[integration]] with a connection_file";
        report.part("integrations").step("configured", Verdict::warn("none", advice));
    }
    report.part("clock").step("wall clock", local::clock(&dates));
}
