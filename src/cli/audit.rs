//! `audit`: looks at the journal.

use super::{Exit, Failure, Output};
use crate::config::Config;

/// What to do with the journal.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Verify the hash chain of the whole journal
    Verify,
}

/// Does it; a broken chain is [`Exit::Verification`].
pub(super) async fn run(_config: &Config, _command: &Command, _output: Output) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "audit verify: not wired yet"))
}
