//! The log: one line a record, on standard output (a command's on standard error). JSON for machines, text for a terminal.
//!
//! Field names are an interface: `ts`, `level`, `msg`, then flat dotted names such as `grant.id`,
//! `job.id`, `integration`, `account.email`, `role`. Refuses: nested objects, colours outside a
//! terminal or under `NO_COLOR`.

mod line;
mod outlet;
pub mod panics;
pub mod service;

use std::{
    io::{self, IsTerminal},
    os::fd::AsFd,
};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};
use line::{Human, JsonLine};
use outlet::Outlet;

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log.level` is no filter.
    #[error("`log.level`: expected a level or a filter such as \"info,ephemerald=debug\", found {0:?}")]
    Level(String),
    /// Standard output or error.
    #[error("the log's output cannot be used: {0}")]
    Output(#[from] io::Error),
    /// Somebody has set up a log in this process already.
    #[error("the log is already set up in this process")]
    Twice,
}

/// Sets up the log of a command that does an agent's work: warnings and errors, for eyes, on standard error.
///
/// # Errors
/// [`TelemetryError`] when the log is already set up, or standard error cannot be used.
pub fn init_for_a_command() -> Result<(), TelemetryError> {
    let outlet = outlet(&io::stderr(), true)?;
    let layer = fmt::layer().with_writer(outlet).with_ansi(false).event_format(Human);
    let registry = tracing_subscriber::registry().with(EnvFilter::new("warn"));
    registry.with(layer).try_init().map_err(|_| TelemetryError::Twice)
}

/// Sets up the log of this process.
///
/// # Errors
/// [`TelemetryError`] when the filter is wrong, the log is already set up, or standard output cannot be used.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let filter =
        EnvFilter::builder().parse(&log.level).map_err(|_| TelemetryError::Level(log.level.clone()))?;
    let terminal = io::stdout().is_terminal();
    let registry = tracing_subscriber::registry().with(filter);
    let human = match log.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => terminal,
    };
    let outlet = outlet(&io::stdout(), human)?;
    let done = if human {
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let layer = fmt::layer().with_writer(outlet).with_ansi(colour).event_format(Human);
        registry.with(layer).try_init()
    } else {
        let layer = fmt::layer().with_writer(outlet).with_ansi(false).event_format(JsonLine);
        registry.with(layer).try_init()
    };
    done.map_err(|_| TelemetryError::Twice)
}

fn outlet(file: &impl AsFd, human: bool) -> io::Result<Outlet> {
    Ok(Outlet::new(file.as_fd().try_clone_to_owned()?, human))
}
