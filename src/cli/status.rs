//! `status`: the running daemon at a glance.

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

/// Prints what the daemon answers.
pub(super) async fn run(config: &Config, form: Output) -> Result<Exit, Failure> {
    let status = client::status(&config.agent.control_socket).await?;
    match form {
        Output::Json => output::json(&status)?,
        Output::Human => output::text(&render(&status))?,
    }
    Ok(Exit::Done)
}

fn render(status: &StatusView) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<14} {}", cell(value, 65));
    };
    line("version", &status.version);
    line("agent", status.agent_id.as_deref().unwrap_or("not enrolled: run `ephemerald enroll`"));
    line("control plane", &control_plane(status));
    let grants = &status.grants;
    line(
        "grants",
        &format!(
            "{} live, {} ending, {} overdue, {} watched",
            grants.live, grants.ending, grants.overdue, grants.watched
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
    if status.frozen {
        line("frozen", "yes: nothing is raised until thawed");
    }
    for reason in &status.raises_paused {
        line("raises paused", reason);
    }
    for integration in &status.integrations {
        line("integration", &describe(integration));
        if let Some(reason) = &integration.raises_paused {
            line("", &format!("raises paused: {reason}"));
        }
    }
    text
}

fn control_plane(status: &StatusView) -> String {
    let plane = &status.control_plane;
    let url = plane.url.as_deref().unwrap_or("unknown");
    let state = if plane.connected { "connected" } else { "NOT CONNECTED" };
    let error = plane.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    let last = plane.last_contact_at.as_deref().unwrap_or("never");
    if plane.connected { format!("{state}, {url}") } else { format!("{state} (last {last}) {url}{error}") }
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
mod tests {
    use super::*;

    #[test]
    fn the_report_fits_eighty_columns_and_names_what_is_wrong() {
        let mut status = StatusView { frozen: true, ..StatusView::default() };
        status.policy.error = Some("x".repeat(200));
        status.ledger.head_hash = "ab".repeat(32);
        status.raises_paused = vec!["clock not trusted".into()];
        status.integrations = vec![IntegrationView { name: "main".into(), ..IntegrationView::default() }];
        let text = render(&status);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        for words in
            ["not enrolled", "NOT CONNECTED", "FAILING", "NOT TRUSTED", "NONE", "UNREACHABLE", "frozen"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
