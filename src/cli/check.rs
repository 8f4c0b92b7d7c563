//! `check`: proves each thing that the agent needs, apart.

use super::{Exit, Failure, Output};
use crate::config::Config;

/// Runs all steps.
pub(super) async fn run(_config: &Config, _output: Output) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "check: not wired yet"))
}
