//! `revoke`: ends grants here and now, whatever the control plane thinks, and waits for the proof.
//!
//! Refuses to end everything unless that is said.

use std::time::Duration;

use super::{
    Exit, Failure, Output,
    proof::{self, Patience, Proof},
    reach::reach,
};
use crate::{
    admin::command::Command,
    config::Config,
    engine::{
        ids::{BadName, Email, GrantId, IntegrationId, Remark, RoleName},
        order::{Deed, Selection},
    },
};

/// Which grants, why, and how long to wait.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true)
    .args(["grant", "account", "role", "integration", "all", "unit"]))]
pub(super) struct Args {
    /// One grant
    #[arg(value_name = "GRANT", conflicts_with_all = ["account", "role", "integration", "all"])]
    grant: Option<String>,
    /// Every grant of this account; of the person, for an ephemeral account
    #[arg(long, value_name = "EMAIL", conflicts_with = "all")]
    account: Option<String>,
    /// Every grant of this role
    #[arg(long, value_name = "ROLE", conflicts_with = "all")]
    role: Option<String>,
    /// Every grant in this integration
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    integration: Option<String>,
    /// Every grant
    #[arg(long)]
    all: bool,
    /// The systemd unit's instance: `all`, or a grant
    #[arg(long, hide = true, value_name = "INSTANCE", conflicts_with_all = ["grant", "account", "role", "integration", "all"])]
    unit: Option<String>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    wait: Wait,
}

/// Why.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Why {
    /// Why; kept in the journal and told to the control plane
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// How long.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Wait {
    /// Wait for the proof at most so long
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

impl Why {
    /// The reason, checked.
    pub(super) fn remark(&self) -> Result<Option<Remark>, Failure> {
        self.reason.as_deref().map(|text| named("--reason", text, Remark::new)).transpose()
    }
}

impl Wait {
    pub(super) const fn for_proof(self, proof: Proof) -> Patience {
        Patience { proof, at_most: self.timeout }
    }
}

/// Orders it, waits, prints.
pub(super) async fn run(config: &Config, args: &Args, form: Output) -> Result<Exit, Failure> {
    let which = args.selection()?;
    let command = Command { deed: Deed::Revoke(which.clone()), remark: args.why.remark()? };
    let patience = args.wait.for_proof(Proof::Gone);
    let (hand, ended) = reach(config, async |line| {
        let order = line.order(&command).await?;
        let known = match (&which.grant, order.grants.is_empty() && order.answered == 0) {
            (Some(grant), true) => line.grants().await?.iter().any(|g| g.grant_id == grant.as_str()),
            _ => true,
        };
        if known { proof::wait(&line, order, patience).await.map(Some) } else { Ok(None) }
    })
    .await?;
    match ended {
        Some(ended) => proof::report(&ended, hand, form),
        None => Err(Failure::new(
            Exit::Refused,
            "no grant of this id is known here (any more): `ephemerald grants list` shows those that are",
        )),
    }
}

impl Args {
    fn selection(&self) -> Result<Selection, Failure> {
        let unit = self.unit.as_deref().filter(|name| *name != "all");
        let grant = self.grant.as_deref().or(unit);
        Ok(Selection {
            grant: grant.map(|text| named("GRANT", text, GrantId::new)).transpose()?,
            account: self.account.as_deref().map(|text| named("--account", text, Email::new)).transpose()?,
            role: self.role.as_deref().map(|text| named("--role", text, RoleName::new)).transpose()?,
            integration: (self.integration.as_deref())
                .map(|text| named("--integration", text, IntegrationId::new))
                .transpose()?,
        })
    }
}

/// A name from the command line.
pub(super) fn named<T>(
    flag: &str,
    text: &str,
    new: impl Fn(&str) -> Result<T, BadName>,
) -> Result<T, Failure> {
    new(text).map_err(|bad| Failure::new(Exit::Usage, format!("{flag}: {bad}")))
}
