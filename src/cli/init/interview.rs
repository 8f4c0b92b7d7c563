//! The questions, for a person at a terminal.
//!
//! Refuses: to ask what was given already; to go on from an answer that cannot be right. What JumpCloud
//! says is asked for as soon as there is a credential, so that the later questions can propose answers.
//! Nothing is written here.

mod connection;
mod policy;

use std::{
    io::{BufRead, Write},
    path::Path,
};

use super::{
    super::Global,
    draft::{self, Draft},
    given::Given,
    place::{Host, Place},
    prompt::{Prompt, Stopped},
};
use crate::control::token::AgentToken;
pub(super) use {
    connection::{address, certificate_authority, choose_organization, connection, credential, organization},
    policy::policy,
};

/// Where to put things.
pub(super) fn place<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    given: &mut Given,
    global: &Global,
    host: &Host,
) -> Result<Place, Stopped> {
    loop {
        match Place::of(given, global, host) {
            Ok(place) => {
                prompt.say(&format!(
                    "Configuration goes to  {}\nThe agent's state to   {}",
                    place.config_dir.display(),
                    place.state_dir.display()
                ))?;
                if prompt.yes("Is that right?", true)? {
                    return Ok(place);
                }
            }
            Err(problem) => prompt.say(&problem)?,
        }
        let dir = |text: &str| match Path::new(text) {
            path if path.is_absolute() => Ok(Some(path.to_owned())),
            _ => Err("an absolute path, which starts with /".to_owned()),
        };
        if global.config.is_none() {
            given.config_dir = prompt.ask("Directory for the configuration", "/etc/ephemerald", dir)?;
        }
        if global.state_dir.is_none() {
            given.state_dir = prompt.ask("Directory for the state", "/var/lib/ephemerald", dir)?;
        }
    }
}

/// The control plane's agent token, now or later.
pub(super) fn agent_token<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
) -> Result<(), Stopped> {
    if draft.agent_token.is_some() {
        return Ok(());
    }
    prompt.say("\nThe control plane shows an agent token once. It can wait: `enroll` asks for it later.")?;
    while let Some(secret) = prompt.secret("Agent token, or Enter for later")? {
        match AgentToken::parse(secret.expose()) {
            Ok(token) => {
                prompt.say(&format!("  of {}, root key {}", token.url, token.root))?;
                draft.agent_token = Some(secret);
                break;
            }
            Err(error) => prompt.say(&format!("  {error}"))?,
        }
    }
    if draft.control_ca_pem.is_none() {
        let question = "PEM file of the control plane's certificate authority, if that is a private one";
        draft.control_ca_pem = prompt.ask(question, "", pem)?;
    }
    Ok(())
}

/// A file of certificates, or none.
fn pem(file: &str) -> Result<Option<String>, String> {
    if file.is_empty() {
        return Ok(None);
    }
    draft::pem("file", Path::new(file)).map(Some)
}
