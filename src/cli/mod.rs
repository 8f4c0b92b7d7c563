//! The command line: one file a subcommand, one table of exit codes.
//!
//! Refuses: secrets as arguments (they come from files, credentials or standard input), and
//! colours: output is plain text or JSON.

mod audit;
mod check;
mod config_show;
mod connection;
mod drain;
mod enroll;
pub mod exit;
mod forget;
mod freeze;
mod grants;
mod health;
mod init;
mod ledger;
mod output;
mod pages;
mod policy;
mod proof;
mod reach;
mod revoke;
mod rotate_key;
mod run;
#[cfg(feature = "sandbox")]
mod sandbox;
mod state;
mod status;
mod support;
mod version;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    columns,
    config::{Config, Loaded, Override, Sources},
    secrets,
};
pub use exit::{Exit, Failure};
pub use output::complain;

/// What was asked on the command line.
#[derive(Debug, Parser)]
#[command(
    name = "ephemerald",
    about = "Just-in-time JumpCloud administrator access, given and taken back by a local agent",
    disable_version_flag = true,
    after_help = exit::HELP
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Default, clap::Args)]
struct Global {
    /// Main configuration file; conf.d/*.toml beside it is read too
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print
    #[arg(long, global = true, value_name = "FORM", default_value = "human")]
    output: Output,
    /// Overrides `agent.state_dir`
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<String>,
    /// Overrides `agent.control_socket`
    #[arg(long, global = true, value_name = "PATH")]
    control_socket: Option<String>,
    /// Overrides log.level
    #[arg(long, global = true, value_name = "FILTER")]
    log_level: Option<String>,
    /// Overrides log.format: auto, json, human
    #[arg(long, global = true, value_name = "FORM")]
    log_format: Option<String>,
}

/// The form of what a command prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For eyes, at most 80 columns.
    #[default]
    Human,
    /// JSON.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the files that an agent needs: asks, checks, shows, writes
    Init(Box<init::Args>),
    /// Run the agent
    Run,
    /// Enrol this agent with its control plane, once
    Enroll(enroll::Args),
    /// Test everything the agent needs, step by step
    Check,
    /// Show the running daemon at a glance
    Status,
    /// See the grants of the running daemon: list, show, watch
    Grants(grants::Args),
    /// End grants now and wait until JumpCloud shows them gone; works without a daemon too
    Revoke(revoke::Args),
    /// Grant and extend nothing more; endings go on
    Freeze(freeze::Args),
    /// Let raises go on after a freeze (root)
    Thaw(freeze::Args),
    /// Give up on a grant whose end cannot be proven here (root)
    Forget(forget::Args),
    /// End everything, prove it, and grant nothing more: for taking the agent out of service
    Drain(drain::Args),
    /// Say whether the running daemon lives and is ready
    Health(health::Args),
    /// Change the key by which the control plane knows this agent
    RotateKey,
    /// Test the keys of JumpCloud, or take new ones into use
    #[command(subcommand)]
    Connection(connection::Command),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask the policy file, offline
    #[command(subcommand)]
    Policy(policy::Command),
    /// Look at the journal
    #[command(subcommand)]
    Audit(audit::Command),
    /// Check, back up and restore the ledger; decide what is in doubt
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Have the state key vouch for the ledger and seal the keys beside it, or take that back
    #[command(subcommand)]
    State(state::Command),
    /// Play the main job against a simulated JumpCloud, on this machine only
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::Args),
    /// Write a file that tells how this agent stands, without secrets, to send to somebody who helps
    SupportBundle(support::Args),
    /// Print a shell's completions
    Completions(pages::Completions),
    /// Write the manual pages
    Manual(pages::Manual),
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the effective configuration, each value with its origin
    Show,
}

impl Cli {
    /// Answers what was no command to be run: with help, which is output, or with what is wrong.
    pub fn refuse(answer: &clap::Error) -> Exit {
        let text = columns::fold(&answer.render().to_string());
        if answer.use_stderr() {
            complain(text.trim_end());
            return Exit::Usage;
        }
        output::text(&text).map_or_else(|failure| failure.exit, |()| Exit::Done)
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// [`Failure`] carries the exit code and the error to print.
    pub async fn run(self) -> Result<Exit, Failure> {
        let global = &self.global;
        if !matches!(self.command, Command::Run) {
            secrets::guard::forget_nothing();
        }
        match self.command {
            Command::Init(args) => init::run(*args, global).await,
            Command::Run => run::run(global.load()?.config).await,
            Command::Enroll(args) => enroll::run(&global.load()?.config, &args, global.output).await,
            Command::Check => check::run(global.load(), global.output).await,
            Command::Status => status::run(&global.load()?.config, global.output).await,
            Command::Grants(args) => grants::run(&global.load()?.config, &args, global.output).await,
            Command::Revoke(args) => revoke::run(&global.load()?.config, &args, global.output).await,
            Command::Freeze(args) => freeze::freeze(&global.load()?.config, &args, global.output).await,
            Command::Thaw(args) => freeze::thaw(&global.load()?.config, &args, global.output).await,
            Command::Forget(args) => forget::run(&global.load()?.config, &args, global.output).await,
            Command::Drain(args) => drain::run(&global.load()?.config, &args, global.output).await,
            Command::Health(args) => health::run(&global.load()?.config, &args, global.output).await,
            Command::RotateKey => rotate_key::run(&global.load()?.config, global.output).await,
            Command::Connection(command) => {
                connection::run(&global.load()?.config, &command, global.output).await
            }
            Command::Config(ConfigCommand::Show) => config_show::run(&global.load()?, global.output),
            Command::Policy(command) => policy::run(&global.load()?.config, &command, global.output),
            Command::Audit(command) => audit::run(&global.load()?.config, &command, global.output),
            Command::Ledger(command) => ledger::run(&global.load()?.config, command, global.output).await,
            Command::State(command) => state::run(&global.load()?.config, &command, global.output),
            #[cfg(feature = "sandbox")]
            Command::Sandbox(args) => sandbox::run(args, global.output).await,
            Command::SupportBundle(args) => support::run(global, &args).await,
            Command::Completions(args) => pages::completions(&args),
            Command::Manual(args) => pages::manual(&args),
            Command::Version => version::run(global.output),
        }
    }
}

impl Global {
    fn load(&self) -> Result<Loaded, Failure> {
        let flags = [
            ("agent.state_dir", "--state-dir", &self.state_dir),
            ("agent.control_socket", "--control-socket", &self.control_socket),
            ("log.level", "--log-level", &self.log_level),
            ("log.format", "--log-format", &self.log_format),
        ];
        let overrides = flags
            .into_iter()
            .filter_map(|(key, flag, value)| Some(Override { key, value: value.clone()?, flag }))
            .collect();
        let sources = Sources::of_process(self.config.clone(), overrides);
        let loaded = Config::load(&sources).map_err(|error| Failure::new(Exit::Config, error))?;
        secrets::trust_owner_of(&loaded.config.agent.state_dir);
        Ok(loaded)
    }
}
