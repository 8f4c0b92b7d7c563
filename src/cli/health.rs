//! `health`: whether the daemon lives and is ready; for probes.

use super::{Exit, Failure, Output, output};
use crate::{
    admin::{client, view::HealthView},
    config::Config,
};

/// What it is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ask only whether its loop goes round, whatever the network does: what a restart could mend
    #[arg(long)]
    live: bool,
}

/// Exits 0 when ready (or, if only that is asked, alive), [`Exit::Transient`] when it lives but is not ready.
pub(super) async fn run(config: &Config, args: &Args, form: Output) -> Result<Exit, Failure> {
    let health = client::health(&config.agent.control_socket).await?;
    match form {
        Output::Json => output::json(&health)?,
        Output::Human => output::folded(&said(&health))?,
    }
    Ok(if health.ready || (args.live && health.live) { Exit::Done } else { Exit::Transient })
}

fn said(health: &HealthView) -> String {
    if health.ready {
        return "live, ready\n".to_owned();
    }
    let why: String = health.why_not.iter().map(|reason| format!("  - {reason}\n")).collect();
    format!("live, not ready\n{why}")
}
