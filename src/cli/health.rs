//! `health`: whether the daemon lives and is ready; for probes.

use super::{Exit, Failure, Output, output};
use crate::{admin::client, config::Config};

/// Exits 0 when ready, [`Exit::Transient`] when it lives but is not ready.
pub(super) async fn run(config: &Config, form: Output) -> Result<Exit, Failure> {
    let health = client::health(&config.agent.control_socket).await?;
    match form {
        Output::Json => output::json(&health)?,
        Output::Human if health.ready => output::text("live, ready\n")?,
        Output::Human => {
            let why: String = health.why_not.iter().map(|reason| format!("  - {reason}\n")).collect();
            output::text(&format!("live, not ready\n{why}"))?;
        }
    }
    Ok(if health.ready { Exit::Done } else { Exit::Transient })
}
