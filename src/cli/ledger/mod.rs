//! `ledger`: looks it over, backs it up, puts it back, and decides what is in doubt.
//!
//! Refuses: to write beside a daemon that holds the ledger, to decide anything for anybody but root, and to make a
//! ledger where there is none.

mod check;
mod copies;
mod doubts;

pub(super) use check::told;

use std::path::PathBuf;

use super::{Exit, Failure, Output, output};
use crate::{
    agent::keying,
    config::Config,
    ledger::{self, CheckReport, Keying, LedgerError},
    secrets::AtRest,
};

/// What to do with the ledger.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Look it over: chain, indexes, size, doubts; says what to do
    Check,
    /// Copy it, with the keys that belong to it, into a new directory; the daemon may run
    Backup {
        /// The directory; must not exist
        dir: PathBuf,
    },
    /// Put a backup into the state directory; the daemon must not run
    Restore {
        /// The directory that `ledger backup` made
        dir: PathBuf,
        /// Also in the place of a newer ledger, or of another one; it is moved aside
        #[arg(long)]
        even_if_newer: bool,
    },
    /// Believe the ledger as it is, and end the revoke-only mode (root)
    Acknowledge {
        /// Why; kept in the journal
        #[arg(long)]
        why: String,
        /// Although the control plane has not said what it believes to be live
        #[arg(long)]
        unheard: bool,
    },
    /// List the claims that wait for a decision
    Claims,
    /// Decide a claim (root)
    #[command(group = clap::ArgGroup::new("how").required(true))]
    Claim {
        /// The claim's grant
        grant: String,
        /// It is nothing of ours
        #[arg(long, group = "how")]
        dismiss: bool,
        /// Take it away
        #[arg(long, group = "how")]
        revoke: bool,
        /// Why; kept in the journal
        #[arg(long)]
        why: String,
    },
    /// Say that accounts show what they should have, after a doubt was acknowledged (root)
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Explain {
        /// The integration
        #[arg(long)]
        integration: String,
        /// One account, by address or id
        #[arg(long, group = "which")]
        account: Option<String>,
        /// All accounts of the integration
        #[arg(long, group = "which")]
        all: bool,
        /// Why; kept in the journal
        #[arg(long)]
        why: String,
    },
}

/// Does it.
pub(super) async fn run(config: &Config, command: Command, form: Output) -> Result<Exit, Failure> {
    let dir = &config.agent.state_dir;
    match command {
        Command::Check => check::run(config, form),
        Command::Claims => doubts::claims(config, form),
        Command::Backup { dir: to } => copies::backup(config, &to, form),
        Command::Restore { dir: from, even_if_newer } => copies::restore(dir, &from, even_if_newer, form),
        command => doubts::decide(config, command, form).await,
    }
}

/// What authenticates the ledger, for somebody who only looks: a key that cannot be read here is not looked with.
fn looking(config: &Config) -> (Keying, Option<String>) {
    match keying(&AtRest::read(config.agent.state_key.as_ref())) {
        Keying::Unreadable(why) => (Keying::None, Some(why)),
        key => (key, None),
    }
}

/// What a look at it finds.
fn look(config: &Config) -> Result<(CheckReport, Option<String>), LedgerError> {
    let (key, why) = looking(config);
    let mut report = output::told_of_rows(|walked| ledger::check(&config.agent.state_dir, &key, walked))?;
    if why.is_some() {
        report.opened.unproven.clear(); // it is not looked at
    }
    Ok((report, why))
}

/// The ledger must be there: nothing here makes one.
fn must_exist(dir: &std::path::Path) -> Result<(), Failure> {
    let file = dir.join(ledger::FILE_NAME);
    if file.exists() {
        return Ok(());
    }
    let problem = format!(
        "{}: no ledger here; is --config or --state-dir the right one? If it is lost: `ephemerald ledger restore`",
        file.display()
    );
    Err(Failure::new(Exit::Config, problem))
}

/// A file that cannot be read as a ledger is a state directory to be put in order.
fn failure(error: LedgerError) -> Failure {
    let exit = match error {
        LedgerError::Locked { .. } => Exit::Locked,
        LedgerError::Database { .. } | LedgerError::Lost { .. } => Exit::Verification,
        LedgerError::Io { .. } | LedgerError::DiskFull { .. } => Exit::Failed,
        _ => Exit::Config,
    };
    Failure::new(exit, error)
}
