//! `forget`: the audited last resort for a grant whose ending can never be proven here.
//!
//! Refuses without `--confirm` and a reason, and for a grant that is live or was read back as gone. Gives
//! nothing up but the waiting: the agent tries on, alarms, and gives the account nothing more.

use serde_json::json;

use super::{
    Exit, Failure, Output, output,
    reach::reach,
    revoke::{Why, named},
};
use crate::{
    admin::command::Command,
    config::Config,
    engine::{ids::GrantId, order::Deed},
};

/// Which grant.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The grant
    #[arg(value_name = "GRANT")]
    grant: String,
    /// Yes: its access may remain, and the control plane is told `abandoned`
    #[arg(long)]
    confirm: bool,
    #[command(flatten)]
    why: Why,
}

/// Gives it up.
pub(super) async fn run(config: &Config, args: &Args, form: Output) -> Result<Exit, Failure> {
    let grant = named("GRANT", &args.grant, GrantId::new)?;
    let remark = args.why.remark()?;
    if !args.confirm || remark.is_none() {
        return Err(Failure::new(
            Exit::Usage,
            "forget gives up on an ending: the access may remain and must be taken away in JumpCloud's console. Say --confirm and --reason TEXT",
        ));
    }
    let command = Command { deed: Deed::Forget(grant.clone()), remark };
    let (hand, view) = reach(config, async |line| line.order(&command).await).await?;
    if let Some(why) = view.refused {
        return Err(Failure::new(Exit::Refused, format!("{grant}: {why}")));
    }
    match form {
        Output::Json => output::json(&json!({
            "grant": grant, "abandoned": true, "recorded": view.recorded, "by": hand.name(),
        }))?,
        Output::Human => output::folded(&format!(
            "{grant} is given up. Its access MAY REMAIN: take it away in JumpCloud's console.\nThe agent tries on, alarms every hour, and grants this account nothing more\nuntil a read shows the access gone.\n"
        ))?,
    }
    Ok(Exit::Done)
}
