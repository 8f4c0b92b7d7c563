//! `freeze` and `thaw`: the operator's stop for everything that gives access.
//!
//! Refuses to touch an ending. Who may thaw is the socket's to say: root alone.

use serde_json::json;

use super::{Exit, Failure, Output, output, reach::reach, revoke::Why};
use crate::{admin::command::Command, config::Config, engine::order::Deed};

/// Why.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    why: Why,
}

/// Raises nothing more, from now on and after restarts.
pub(super) async fn freeze(config: &Config, args: &Args, form: Output) -> Result<Exit, Failure> {
    order(config, args, Deed::Freeze, form).await
}

/// Lets raises go on.
pub(super) async fn thaw(config: &Config, args: &Args, form: Output) -> Result<Exit, Failure> {
    order(config, args, Deed::Thaw, form).await
}

async fn order(config: &Config, args: &Args, deed: Deed, form: Output) -> Result<Exit, Failure> {
    let frozen = deed == Deed::Freeze;
    let command = Command { deed, remark: args.why.remark()? };
    let (hand, view) = reach(config, async |line| line.order(&command).await).await?;
    match form {
        Output::Json => output::json(&json!({
            "frozen": frozen, "recorded": view.recorded, "answered": view.answered, "by": hand.name(),
        }))?,
        Output::Human if frozen => output::folded(&format!(
            "Frozen: nothing is granted or extended until root says `ephemerald thaw`.\n{} waiting refused. What is granted ends on time.\n{}",
            view.answered,
            if view.recorded { "" } else { UNRECORDED }
        ))?,
        Output::Human => output::folded(&format!(
            "Thawed: raises go on.\n{}",
            if view.recorded { "" } else { UNRECORDED }
        ))?,
    }
    Ok(if view.recorded { Exit::Done } else { Exit::Transient })
}

const UNRECORDED: &str = "The journal cannot be written: this is in force now, and may not be once the journal\nis back or the daemon was restarted. Look at `ephemerald status` then.\n";
