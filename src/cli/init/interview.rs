//! The questions, for a person at a terminal.
//!
//! Refuses: to ask what was given already; to go on from an answer that cannot be right. What JumpCloud
//! says is asked for as soon as there is a credential, so that the later questions can propose answers.
//! Nothing is written here.

use std::io::{BufRead, Write};

use super::{
    super::Global,
    answers::{self, PolicyAnswers, USUAL_DURATION, USUAL_INTEGRATION},
    draft::Draft,
    given::{Given, Mode, Region, RoleMode, RoleTime},
    place::{Host, Place},
    prompt::{Prompt, Stopped},
    tenant::Findings,
};
use crate::{control::token::AgentToken, engine::ids::Email};

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
        let dir = |text: &str| match std::path::Path::new(text) {
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

/// Name, address and credential of the organization.
pub(super) fn connection<R: BufRead, W: Write>(
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
pub(super) fn address<R: BufRead, W: Write>(
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
pub(super) fn certificate_authority<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
) -> Result<(), Stopped> {
    draft.ca_pem = prompt.ask("PEM file of its certificate authority, if that is a private one", "", pem)?;
    Ok(())
}

fn pem(file: &str) -> Result<Option<String>, String> {
    if file.is_empty() {
        return Ok(None);
    }
    super::draft::pem("file", std::path::Path::new(file)).map(Some)
}

/// An API key or a service account.
pub(super) fn credential<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
) -> Result<(), Stopped> {
    (draft.api_key, draft.client_secret) = (None, None);
    let service_account = draft.given.client_id.is_some()
        || prompt.choose(
            "What does the agent sign in with?",
            &[(false, "the API key of an administrator"), (true, "a service account (client id and secret)")],
        )?;
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

fn needed<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    question: &str,
) -> Result<crate::secrets::Secret, Stopped> {
    loop {
        if let Some(secret) = prompt.secret(question)? {
            return Ok(secret);
        }
        prompt.say("  it is needed; Ctrl-C stops, and nothing is written")?;
    }
}

/// The id of the organization that is meant.
pub(super) fn organization<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
) -> Result<(), Stopped> {
    let id = |text: &str| match crate::engine::ids::OrgId::new(text) {
        _ if text.is_empty() => Ok(None),
        Ok(id) => Ok(Some(id.to_string())),
        Err(bad) => Err(bad.to_string()),
    };
    draft.given.org_id = prompt.ask("Organization id (empty: that of the credential)", "", id)?;
    Ok(())
}

/// Everything that becomes the policy, and how roles are kept.
pub(super) fn policy<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    draft: &mut Draft,
    findings: Option<&Findings>,
) -> Result<(), Stopped> {
    prompt.say("\nWhat the agent may do")?;
    if draft.given.role_mode.is_none() {
        draft.given.role_mode = Some(role_mode(prompt, findings)?);
    }
    let known = answers::policy_answers(draft, findings);
    if draft.given.protected_accounts.is_none() {
        let usual = known.protected.join(", ");
        let question = "Never raise (owner, break-glass account; separated by commas)";
        let check = |list: Vec<String>| judged(&known, |policy| policy.protected = list);
        draft.given.protected_accounts =
            Some(prompt.ask(question, &usual, |text| check(words(text)))?.protected);
    }
    if draft.given.allowed_accounts.is_none() {
        let question = "May be raised: addresses or *@domain (empty: everybody else)";
        let check = |list: Vec<String>| judged(&known, |policy| policy.allowed = list);
        draft.given.allowed_accounts = Some(prompt.ask(question, "", |text| check(words(text)))?.allowed);
    }
    if draft.given.roles.is_none() {
        draft.given.roles = Some(roles(prompt, &known, findings)?);
    }
    if draft.given.ephemeral_domains.is_none() {
        draft.given.ephemeral_domains = Some(ephemeral(prompt, &known)?);
    }
    if draft.given.mode.is_none() {
        let dry = prompt.yes("Begin with a dry run, which plans and reports but changes nothing?", true)?;
        draft.given.mode = Some(if dry { Mode::DryRun } else { Mode::Enforce });
    }
    Ok(())
}

/// The policy with one change, if the policy's parser takes it.
fn judged(known: &PolicyAnswers, change: impl FnOnce(&mut PolicyAnswers)) -> Result<PolicyAnswers, String> {
    let mut policy = known.clone();
    change(&mut policy);
    answers::checked(&policy).map(|_| policy)
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn role_mode<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    findings: Option<&Findings>,
) -> Result<RoleMode, Stopped> {
    let several = findings.map_or_else(Vec::new, Findings::with_several_roles);
    let mut modes = [
        (RoleMode::Single, "one role each: a grant replaces it, its end restores it"),
        (RoleMode::Multiple, "several roles: a grant adds one, its end removes it"),
    ];
    if let Some(first) = several.first() {
        let (count, first) = (several.len(), Email::as_str(first));
        prompt.say(&format!("Several roles at once are held by {count} administrators, such as {first}."))?;
        modes.reverse();
    }
    prompt.choose("How do your administrators hold roles?", &modes)
}

fn roles<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    known: &PolicyAnswers,
    findings: Option<&Findings>,
) -> Result<Vec<RoleTime>, Stopped> {
    let offers = findings.map_or_else(Vec::new, Findings::offers);
    for (number, offer) in offers.iter().enumerate() {
        let warning = offer.warning.map_or_else(String::new, |warning| format!("  ({warning})"));
        prompt.say(&format!("  {}) {}{warning}", number + 1, offer.role))?;
    }
    let name = |word: String| {
        let numbered = word.parse::<usize>().ok().and_then(|n| offers.get(n.checked_sub(1)?));
        let role = numbered.map_or(word, |offer| offer.role.clone());
        answers::unknown_role(&role, findings).map_or(Ok(role), Err)
    };
    let question = "Roles that may be granted: numbers or names, separated by commas (empty: none yet)";
    let named =
        prompt.ask(question, "", |text| words(text).into_iter().map(name).collect::<Result<Vec<_>, _>>())?;
    let mut roles = known.roles.clone();
    for role in named {
        let question = format!("{role}: for how long at most?");
        let with = |longest: &str| {
            let mut policy = PolicyAnswers { max_duration: longest.to_owned(), ..known.clone() };
            policy.roles = vec![RoleTime { role: role.clone(), longest: longest.to_owned() }];
            answers::checked(&policy).map(|_| policy.roles)
        };
        roles.extend(prompt.ask(&question, USUAL_DURATION, with)?);
    }
    Ok(roles)
}

fn ephemeral<R: BufRead, W: Write>(
    prompt: &mut Prompt<R, W>,
    known: &PolicyAnswers,
) -> Result<Vec<String>, Stopped> {
    if !prompt.yes("May administrator accounts be made for one grant and deleted at its end?", false)? {
        return Ok(Vec::new());
    }
    prompt.say(
        "  The activation mail goes to requester+tag@domain: a catch-all mailbox there would own them all.",
    )?;
    let check = |list: Vec<String>| match list.is_empty() {
        true => Err("at least one domain".to_owned()),
        false => judged(known, |policy| policy.ephemeral_domains = list),
    };
    Ok(prompt.ask("In which domains (separated by commas)", "", |text| check(words(text)))?.ephemeral_domains)
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
