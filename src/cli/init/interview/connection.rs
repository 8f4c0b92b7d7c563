//! Questions about the JumpCloud organization: where it is, and what the agent signs in with.
//!
//! Refuses: to show a secret, or to go on without one.

use std::io::{BufRead, Write};

use super::{
    super::{
        answers::{self, USUAL_INTEGRATION},
        draft::Draft,
        given::Region,
        prompt::{Prompt, Stopped},
    },
    pem,
};
use crate::{engine::ids::OrgId, secrets::Secret};

/// Name, address and credential of the organization.
pub(in super::super) fn connection<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
) -> Result<(), Stopped> {
    prompt.say("\nThe JumpCloud organization")?;
    if draft.given.integration.is_none() {
        let name = |text: &str| answers::integration(text).map(|name| name.to_string());
        draft.given.integration = Some(prompt.ask("Its name in jobs and logs", USUAL_INTEGRATION, name)?);
    }
    if draft.given.url.is_none() && draft.given.region.is_none() {
        address(prompt, draft)?;
    }
    if !draft.has_credential() {
        credential(prompt, draft)?;
    }
    Ok(())
}

/// Region or URL, and the authority that vouches for it.
pub(in super::super) fn address<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
) -> Result<(), Stopped> {
    let region = prompt.choose(
        "Where is it?",
        &[
            (Some(Region::Us), "United States, console.jumpcloud.com"),
            (Some(Region::Eu), "European Union, console.eu.jumpcloud.com"),
            (Some(Region::In), "India, console.in.jumpcloud.com"),
            (None, "another address, such as the sandbox's"),
        ],
    )?;
    (draft.given.region, draft.given.url) = (region, None);
    if region.is_none() {
        let url = |text: &str| match reqwest::Url::parse(text) {
            Ok(url) if url.has_host() => Ok(text.trim_end_matches('/').to_owned()),
            _ => Err("a URL such as https://127.0.0.1:8443".to_owned()),
        };
        draft.given.url = Some(prompt.ask("Its address", "", url)?);
        certificate_authority(prompt, draft)?;
    }
    Ok(())
}

/// A private certificate authority.
pub(in super::super) fn certificate_authority<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
) -> Result<(), Stopped> {
    draft.ca_pem = prompt.ask("PEM file of its certificate authority, if that is a private one", "", pem)?;
    Ok(())
}

/// An API key or a service account.
pub(in super::super) fn credential<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
) -> Result<(), Stopped> {
    (draft.api_key, draft.client_secret) = (None, None);
    let mut ways =
        [(false, "the API key of an administrator"), (true, "a service account (client id and secret)")];
    if draft.given.client_id.is_some() {
        ways.reverse();
    }
    let service_account = prompt.choose("What does the agent sign in with?", &ways)?;
    if service_account {
        let usual = draft.given.client_id.clone().unwrap_or_default();
        let some = |text: &str| if text.is_empty() { Err("an id".to_owned()) } else { Ok(text.to_owned()) };
        draft.given.client_id = Some(prompt.ask("Client id", &usual, some)?);
        draft.client_secret = Some(needed(prompt, "Client secret")?);
    } else {
        draft.given.client_id = None;
        draft.api_key = Some(needed(prompt, "API key")?);
    }
    Ok(())
}

fn needed<R: BufRead, W: Write>(prompt: &mut Prompt<R, W>, question: &str) -> Result<Secret, Stopped> {
    loop {
        if let Some(secret) = prompt.secret(question)? {
            return Ok(secret);
        }
        prompt.say("  it is needed; Ctrl-C stops, and nothing is written")?;
    }
}

/// The id of the organization that is meant.
pub(in super::super) fn organization<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
) -> Result<(), Stopped> {
    let id = |text: &str| match OrgId::new(text) {
        _ if text.is_empty() => Ok(None),
        Ok(id) => Ok(Some(id.to_string())),
        Err(bad) => Err(bad.to_string()),
    };
    draft.given.org_id = prompt.ask("Organization id (empty: that of the credential)", "", id)?;
    Ok(())
}

/// One of those that the credential has.
pub(in super::super) fn choose_organization<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
    all: &[OrgId],
) -> Result<(), Stopped> {
    let things: Vec<(&OrgId, &str)> = all.iter().map(|id| (id, id.as_str())).collect();
    prompt.say("The credential has several organizations. The agent works in one of them:")?;
    draft.given.org_id = Some(prompt.choose("Which one?", &things)?.to_string());
    Ok(())
}
