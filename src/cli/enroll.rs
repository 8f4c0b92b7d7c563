//! `enroll`: trades the one-time agent token for an identity.
//!
//! Refuses: a token in an argument, where every user of the machine could read it; a second
//! enrolment over a first.

use std::{fs, io::IsTerminal as _, os::unix::fs::DirBuilderExt as _, path::PathBuf, sync::Arc};

use serde_json::json;
use zeroize::Zeroizing;

use super::{Exit, Failure, Output, output};
use crate::{
    agent, clock,
    config::Config,
    control::{
        client::{Client, ControlError, Speaker},
        enroll::{self, About, EnrollError, TokenSource},
        identity::Identity,
    },
    secrets::{AtRest, Source},
};

/// Where the agent token comes from; standard input when neither is given.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File that holds the agent token
    #[arg(long, value_name = "FILE", conflicts_with = "token_credential")]
    token_file: Option<PathBuf>,
    /// systemd credential that holds the agent token
    #[arg(long, value_name = "NAME")]
    token_credential: Option<String>,
    /// Do nothing, successfully, if this agent is enrolled already; no token is read then
    #[arg(long)]
    if_needed: bool,
}

impl Args {
    fn source(&self) -> TokenSource {
        match (&self.token_file, &self.token_credential) {
            (Some(file), _) => TokenSource::From(Source::File(file.clone())),
            (None, Some(name)) => TokenSource::From(Source::Credential(name.clone())),
            (None, None) => TokenSource::Stdin,
        }
    }
}

/// Enrols once. Everything that can be wrong here is looked at before the one-time secret is sent.
pub(super) async fn run(config: &Config, args: &Args, form: Output) -> Result<Exit, Failure> {
    let dir = &config.agent.state_dir;
    let rest = AtRest::read(config.agent.state_key.as_ref());
    if let Some(found) = Identity::load(dir, &rest).map_err(|error| failure(error.into()))? {
        if args.if_needed {
            return say(&found, config, form, false);
        }
        let agent = found.agent_id.to_string();
        return Err(failure(EnrollError::Enrolled { url: found.url, agent }));
    }
    let source = args.source();
    if source == TokenSource::Stdin && std::io::stdin().is_terminal() {
        output::hint("Paste the agent token, press Enter, then Ctrl-D:");
    }
    let token = source.read().map_err(failure)?;
    let door =
        agent::control_door(config, &token.url).map_err(|problem| Failure::new(Exit::Config, problem))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        Failure::new(Exit::Config, format!("agent.state_dir: {}: cannot create it: {error}", dir.display()))
    })?;
    let key = enroll::prepare(dir, &random()?, &rest).map_err(failure)?;
    let instance = random::<8>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    // No ledger yet: the daemon's first start is a later epoch.
    let speaker = Speaker { instance, epoch: 0 };
    let client = Client::unenrolled(Arc::new(door), key.clone(), speaker, clock::now);
    let now = clock::now().wall;
    let about = About {
        name: config.agent.name.clone(),
        offers: Some(agent::offers(&agent::settings(config), true)),
    };
    let identity = enroll::enroll(&client, &key, &token, about, (dir, &rest), now).await;
    say(&identity.map_err(failure)?, config, form, true)
}

fn say(identity: &Identity, config: &Config, form: Output, new: bool) -> Result<Exit, Failure> {
    match form {
        Output::Json => output::json(&json!({
            "agent_id": identity.agent_id,
            "url": identity.url,
            "key": identity.key,
            "root": identity.root_thumbprint,
            "state_dir": config.agent.state_dir,
            "new": new,
        }))?,
        Output::Human if !new => output::folded(&format!(
            "Enrolled already as {} with {}: nothing to do.\n",
            identity.agent_id, identity.url
        ))?,
        Output::Human => output::folded(&format!(
            "Enrolled as {agent}\nwith        {url}\nroot key    {root}\nidentity    {dir}\n\n\
             The agent token is spent: delete it. Compare the root key with the one that the\n\
             control plane shows. Next: `ephemerald check`, then `ephemerald run`.\n",
            agent = identity.agent_id,
            url = identity.url,
            root = identity.root_thumbprint,
            dir = config.agent.state_dir.display(),
        ))?,
    }
    Ok(Exit::Done)
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Failure> {
    let mut bytes = Zeroizing::new([0; N]);
    aws_lc_rs::rand::fill(&mut *bytes)
        .map_err(|_| Failure::new(Exit::Failed, "the operating system gives no entropy"))?;
    Ok(bytes)
}

fn failure(error: EnrollError) -> Failure {
    let exit = match &error {
        EnrollError::Control(
            ControlError::Unreachable { .. } | ControlError::Busy { .. } | ControlError::Foreign { .. },
        ) => Exit::Transient,
        EnrollError::Enrolled { .. } | EnrollError::Control(_) => Exit::Refused,
        EnrollError::Keys(_) => Exit::Verification,
        EnrollError::Secret(_) | EnrollError::Stdin(_) | EnrollError::Token(_) | EnrollError::Identity(_) => {
            Exit::Config
        }
    };
    Failure::new(exit, error)
}
