//! `completions` and `manual`: what shells and `man` know of the command line, made from it.
//!
//! Refuses to be written by hand: a flag that is new is in both.

use std::{io::Cursor, path::PathBuf};

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Exit, Failure, output};

/// For which shell.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Where the pages go.
#[derive(Debug, clap::Args)]
pub(super) struct Manual {
    /// An existing directory: ephemerald.1 and a page for each command
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Prints the script.
pub(super) fn completions(args: &Completions) -> Result<Exit, Failure> {
    let mut script = Cursor::new(Vec::new());
    clap_complete::generate(args.shell, &mut Cli::command(), "ephemerald", &mut script);
    output::text(&String::from_utf8_lossy(script.get_ref()))?;
    Ok(Exit::Done)
}

/// Writes the pages.
pub(super) fn manual(args: &Manual) -> Result<Exit, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Exit::Failed, format!("{}: {error}", args.to.display()));
    if !args.to.is_dir() {
        return Err(Failure::new(Exit::Usage, format!("{}: not a directory", args.to.display())));
    }
    // Every page names every flag, so that none for `help` itself is needed.
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, &args.to).map_err(failed)?;
    Ok(Exit::Done)
}
