//! `status`: one screen that answers "is all well?".
//!
//! The verdict comes first, then what to do about what is not well, then the facts. Refuses more than 80
//! columns and 23 lines: a terminal's prompt has its place too. `--output json` has all of it.

mod verdict;

use std::fmt::Write as _;

use super::{
    Exit, Failure, Output,
    output::{self, cell},
};
use crate::{
    admin::{
        client,
        view::{IntegrationView, StatusView},
    },
    config::Config,
};

/// Problems that are told in full; each takes two lines.
const TOLD: usize = 4;
/// Integrations that are shown.
const SHOWN: usize = 3;

/// Prints what the daemon answers.
pub(super) async fn run(config: &Config, form: Output) -> Result<Exit, Failure> {
    let status = client::status(&config.agent.control_socket).await?;
    match form {
        Output::Json => output::json(&status)?,
        Output::Human => output::folded(&render(&status))?,
    }
    Ok(Exit::Done)
}

/// The screen.
fn render(status: &StatusView) -> String {
    let found = verdict::of(status);
    let mut text = found.headline() + "\n";
    for problem in found.all().take(TOLD) {
        let _ = writeln!(text, "! {}", cell(&problem.what, 78));
        let _ = writeln!(text, "  -> {}", cell(&problem.advice, 75));
    }
    let untold = found.all().count().saturating_sub(TOLD);
    if untold > 0 {
        let _ = writeln!(text, "  and {untold} more: `ephemerald status --output json`");
    }
    text.push('\n');
    facts(status, &mut text);
    text
}

fn facts(status: &StatusView, text: &mut String) {
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<14} {}", cell(value, 65));
    };
    let agent = status.agent_id.as_deref().unwrap_or("not enrolled");
    line("agent", &format!("{agent}, version {}", status.version));
    line("control plane", &control_plane(status));
    let grants = &status.grants;
    line(
        "grants",
        &format!(
            "{} live, {} ending, {} overdue, {} watched, {} given up",
            grants.live, grants.ending, grants.overdue, grants.watched, grants.abandoned
        ),
    );
    line("next expiry", status.next_expiry.as_deref().unwrap_or("none"));
    line("outbox", &format!("{} to be acknowledged", status.outbox_depth));
    let ledger = if status.ledger.ok { "ok" } else { "FAILING" };
    line("ledger", &format!("{ledger}, record {} {}", status.ledger.head_seq, status.ledger.head_hash));
    for doubt in &status.ledger.doubts {
        line("IN DOUBT", doubt);
    }
    if status.ledger.claims > 0 {
        line("claims", &format!("{} to be decided: `ephemerald ledger claims`", status.ledger.claims));
    }
    let trusted = if status.clock.trusted { "trusted" } else { "NOT TRUSTED" };
    line("clock", &format!("{trusted}, {} ms ahead of the control plane", status.clock.skew_ms));
    line("policy", &policy(status));
    for integration in status.integrations.iter().take(SHOWN) {
        line("integration", &describe(integration));
    }
    let hidden = status.integrations.len().saturating_sub(SHOWN);
    if hidden > 0 {
        line("", &format!("and {hidden} more"));
    }
}

fn control_plane(status: &StatusView) -> String {
    let plane = &status.control_plane;
    let url = plane.url.as_deref().unwrap_or("unknown");
    let last = plane.last_contact_at.as_deref().unwrap_or("never");
    if plane.connected { format!("connected, {url}") } else { format!("NOT CONNECTED (last {last}) {url}") }
}

fn policy(status: &StatusView) -> String {
    let policy = &status.policy;
    let state = if policy.loaded { "loaded" } else { "NONE, nothing is raised" };
    let error = policy.error.as_ref().map_or_else(String::new, |error| format!("; {error}"));
    format!("{state} {}{error}", policy.hash.as_deref().unwrap_or("").get(..12).unwrap_or(""))
}

fn describe(integration: &IntegrationView) -> String {
    let reachable = if integration.reachable { "reachable" } else { "UNREACHABLE" };
    let observed = integration.last_observed_at.as_deref().unwrap_or("never");
    format!("{}: {reachable}, {}/s, last read {observed}", integration.name, integration.rate)
}

#[cfg(test)]
mod tests;
