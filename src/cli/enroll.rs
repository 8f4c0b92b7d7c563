//! `enroll`: trades the one-time agent token for an identity.
//!
//! Refuses: a token in an argument, where every user of the machine could read it.

use std::path::PathBuf;

use super::{Exit, Failure, Output};
use crate::config::Config;

/// Where the agent token comes from; standard input when neither is given.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(super) struct Args {
    /// File that holds the agent token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// systemd credential that holds the agent token
    #[arg(long, value_name = "NAME")]
    token_credential: Option<String>,
}

/// Enrols once.
pub(super) async fn run(_config: &Config, _args: &Args, _output: Output) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "enroll: not wired yet"))
}
