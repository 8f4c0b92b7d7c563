//! `run`: the daemon itself.

use super::{Exit, Failure};
use crate::{config::Config, telemetry};

/// Sets up the log and hands over to the agent loop.
pub(super) async fn run(config: Config) -> Result<Exit, Failure> {
    telemetry::init(&config.log).map_err(|error| Failure::new(Exit::Config, error))?;
    Err(Failure::new(Exit::Failed, "run: not wired yet"))
}
