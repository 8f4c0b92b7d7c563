//! `sandbox`: everything simulated, on loopback, for trying and developing. Never for production.
//!
//! Refuses: an agent token on standard output, where terminals and logs keep it.

mod operator;
mod oversight;
mod part;

use super::{Exit, Failure, Output};
use crate::sandbox::story;

/// The whole story, or one part of it.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    /// End after the story; exit 0 only if every step was verified
    #[arg(long)]
    once: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Run only the simulated JumpCloud
    Jumpcloud(part::Jumpcloud),
    /// Run only the reference control plane
    ControlPlane(part::ControlPlane),
    /// File an access request with a sandbox's control plane
    Request(operator::Request),
    /// Approve an access request
    Approve(operator::Approve),
    /// Ask for more time for granted access, and approve it
    Extend(operator::Extend),
    /// Have an agent send its inventory
    Sync(operator::Sync),
    /// List access requests
    Requests(operator::Requests),
    /// Show the agents of a sandbox's control plane
    Agents(oversight::Look),
    /// Show what its operator must look at
    Alarms(oversight::Look),
    /// Show the inventories that it has received
    Inventory(oversight::Look),
    /// Show or change its job-signing keys
    Keys(oversight::Keys),
    /// Have it ask an agent to change its key
    NewKey(oversight::NewKey),
}

/// Starts what was asked for.
pub(super) async fn run(args: Args, form: Output) -> Result<Exit, Failure> {
    match args.part {
        None => tell(args.once, form).await,
        Some(Part::Jumpcloud(args)) => part::jumpcloud(args).await,
        Some(Part::ControlPlane(args)) => part::control_plane(args).await,
        Some(Part::Request(args)) => operator::request(&args, form).await,
        Some(Part::Approve(args)) => operator::approve(&args, form).await,
        Some(Part::Extend(args)) => operator::extend(&args, form).await,
        Some(Part::Sync(args)) => operator::sync(&args, form).await,
        Some(Part::Requests(args)) => operator::requests(&args, form).await,
        Some(Part::Agents(args)) => oversight::agents(&args, form).await,
        Some(Part::Alarms(args)) => oversight::alarms(&args, form).await,
        Some(Part::Inventory(args)) => oversight::inventory(&args, form).await,
        Some(Part::Keys(args)) => oversight::keys(&args, form).await,
        Some(Part::NewKey(args)) => oversight::new_key(&args, form).await,
    }
}

/// A story whose steps were not all seen has told why itself.
async fn tell(once: bool, form: Output) -> Result<Exit, Failure> {
    let all_seen = story::run(once, form == Output::Json).await;
    let all_seen = all_seen.map_err(|problem| Failure::new(Exit::Failed, problem))?;
    Ok(if all_seen { Exit::Done } else { Exit::Failed })
}
