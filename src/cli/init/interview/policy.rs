//! Questions about what the agent may do: they become the policy, and how roles are kept.
//!
//! Refuses: an answer that the policy's own parser would refuse later.

use std::io::{BufRead, Write};

use super::super::{
    answers::{self, PolicyAnswers, USUAL_DURATION},
    draft::Draft,
    given::{Mode, RoleMode, RoleTime},
    prompt::{Prompt, Stopped},
    tenant::Findings,
};
use crate::engine::ids::Email;

/// Everything that becomes the policy, and how roles are kept.
pub(in super::super) fn policy<R: BufRead, W: Write>(
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
