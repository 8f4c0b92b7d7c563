//! Entry: parse, one TLS provider, one thread, dispatch, one error, one exit code.

use std::process::ExitCode;

use clap::Parser;
use ephemerald::{
    cli::{Cli, Exit, Failure, complain},
    hardening::limits,
    telemetry::panics,
};

fn main() -> ExitCode {
    panics::install();
    // A command does not say whether this could be had; the daemon does.
    let _ = limits::keep_memory_private();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return Cli::refuse(&answer).into(),
    };
    dispatch(cli).map_or_else(
        |failure| {
            complain(&format!("error: {failure}"));
            failure.exit.into()
        },
        ExitCode::from,
    )
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| Failure::new(Exit::Failed, "a TLS provider is already installed"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    runtime.block_on(cli.run())
}
