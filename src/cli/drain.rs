//! `drain`: for taking an agent out of service. Raises nothing more, ends everything, proves it twice.
//!
//! Refuses to be undone by itself: root may thaw.

use super::{
    Exit, Failure, Output,
    proof::{self, Proof},
    reach::reach,
    revoke::{Wait, Why},
};
use crate::{admin::command::Command, config::Config, engine::order::Deed};

/// Why, and how long to wait.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    wait: Wait,
}

/// Orders it, waits for the second look at each account, prints.
pub(super) async fn run(config: &Config, args: &Args, form: Output) -> Result<Exit, Failure> {
    let command = Command { deed: Deed::Drain, remark: args.why.remark()? };
    let patience = args.wait.for_proof(Proof::Settled);
    let (hand, ended) = reach(config, async |line| {
        let mut order = line.order(&command).await?;
        // Ended before, and not looked at a second time yet.
        let settling = line.grants().await?.into_iter().filter(|grant| grant.state == "settling");
        for grant in settling {
            if order.grants.iter().all(|known| known.grant_id != grant.grant_id) {
                order.grants.push(grant);
            }
        }
        proof::wait(&line, order, patience).await
    })
    .await?;
    proof::report(&ended, hand, form)
}
