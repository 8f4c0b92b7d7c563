//! From a draft to whole, checked answers.
//!
//! Pure. Refuses to fill in what only a person can know: a credential, and which roles may be granted;
//! names everything that is missing or wrong at once. Each value is judged by the parser that will read
//! it later.

use super::{
    draft::{ConnectionText, Draft},
    given::{Mode, RoleMode, RoleTime},
    tenant::Findings,
    texts,
};
use crate::{
    config::policy_file,
    control::token::AgentToken,
    engine::{
        ids::{Email, IntegrationId},
        policy::Policy,
    },
    jumpcloud::Connection,
    secrets::Secret,
};

/// What an integration is called when nobody says.
pub(super) const USUAL_INTEGRATION: &str = "main";
/// How long a grant may last when nobody says.
pub(super) const USUAL_DURATION: &str = "4h";

/// Everything that the files are made of.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) name: Option<String>,
    pub(super) integration: IntegrationId,
    pub(super) connection: ConnectionText,
    pub(super) role_mode: RoleMode,
    pub(super) policy: PolicyAnswers,
    pub(super) agent_token: Option<Secret>,
    pub(super) control_ca_pem: Option<String>,
    /// What a person should know.
    pub(super) notes: Vec<String>,
}

/// The part that becomes the policy.
#[derive(Clone, Debug)]
pub(super) struct PolicyAnswers {
    pub(super) mode: Mode,
    pub(super) max_duration: String,
    pub(super) protected: Vec<String>,
    pub(super) allowed: Vec<String>,
    pub(super) roles: Vec<RoleTime>,
    pub(super) ephemeral_domains: Vec<String>,
}

/// Completes and checks a draft; what JumpCloud said fills in what nobody answered.
///
/// # Errors
/// Everything that is missing or wrong, a line each.
pub(super) fn resolve(draft: Draft, findings: Option<&Findings>) -> Result<Answers, Vec<String>> {
    let mut problems = Vec::new();
    if !draft.has_credential() {
        problems.push("missing: api_key_file (or client_id and client_secret_file)".to_owned());
    }
    let connection = draft.connection();
    if draft.has_credential()
        && let Err(error) = Connection::parse(&connection.text, "from your answers")
    {
        problems.push(error.to_string());
    }
    let integration = integration(draft.given.integration.as_deref().unwrap_or(USUAL_INTEGRATION));
    let policy = policy_answers(&draft, findings);
    problems.extend(checked(&policy).err());
    problems.extend(policy.roles.iter().filter_map(|role| unknown_role(&role.role, findings)));
    if let Some(token) = &draft.agent_token {
        problems.extend(
            AgentToken::parse(token.expose()).err().map(|error| format!("agent_token_file: {error}")),
        );
    }
    let integration = match integration {
        Ok(integration) if problems.is_empty() => integration,
        Ok(_) => return Err(problems),
        Err(problem) => {
            problems.push(problem);
            return Err(problems);
        }
    };
    let suggested = findings.map_or(RoleMode::Single, Findings::role_mode);
    let role_mode = draft.given.role_mode.unwrap_or(suggested);
    let notes = notes(&policy, role_mode, findings);
    Ok(Answers {
        name: draft.given.name,
        integration,
        connection,
        role_mode,
        policy,
        agent_token: draft.agent_token,
        control_ca_pem: draft.control_ca_pem,
        notes,
    })
}

/// The policy as far as it is answered.
pub(super) fn policy_answers(draft: &Draft, findings: Option<&Findings>) -> PolicyAnswers {
    let given = &draft.given;
    let proposed =
        || findings.map_or_else(Vec::new, |f| f.protected().iter().map(Email::to_string).collect());
    let roles = given.roles.clone().unwrap_or_default();
    PolicyAnswers {
        mode: given.mode.unwrap_or(Mode::DryRun),
        max_duration: given.max_duration.clone().unwrap_or_else(|| longest(&roles)),
        protected: given.protected_accounts.clone().unwrap_or_else(proposed),
        allowed: given.allowed_accounts.clone().unwrap_or_default(),
        roles,
        ephemeral_domains: given.ephemeral_domains.clone().unwrap_or_default(),
    }
}

/// What the policy's own parser makes of it.
///
/// # Errors
/// Its words.
pub(super) fn checked(policy: &PolicyAnswers) -> Result<Policy, String> {
    policy_file::parse(&texts::policy(policy), "your answers").map_err(|error| error.to_string())
}

/// Checks the name of an integration.
///
/// # Errors
/// What is wrong with it.
pub(super) fn integration(name: &str) -> Result<IntegrationId, String> {
    IntegrationId::new(name)
        .map_err(|bad| format!("integration: expected a name that {}, found {name:?}", bad.problem))
}

/// What to say about a role that the organization does not have.
pub(super) fn unknown_role(role: &str, findings: Option<&Findings>) -> Option<String> {
    let findings = findings.filter(|findings| !findings.has_role(role))?;
    let offers = findings.offers();
    let likeness = |name: &str| strsim::jaro_winkler(&name.to_lowercase(), &role.to_lowercase());
    let nearest = offers.iter().max_by(|a, b| likeness(&a.role).total_cmp(&likeness(&b.role)));
    let nearest = nearest.filter(|offer| likeness(&offer.role) > 0.75);
    let hint = nearest.map_or_else(String::new, |offer| format!(" (did you mean {:?}?)", offer.role));
    let names: Vec<&str> = offers.iter().map(|offer| offer.role.as_str()).collect();
    Some(format!("roles: the organization has no role {role:?}{hint}; it has {}", names.join(", ")))
}

/// The longest of the roles' durations, so that no second limit surprises.
fn longest(roles: &[RoleTime]) -> String {
    let length = |role: &&RoleTime| humantime::parse_duration(&role.longest).unwrap_or_default();
    roles.iter().max_by_key(length).map_or_else(|| USUAL_DURATION.to_owned(), |role| role.longest.clone())
}

fn notes(policy: &PolicyAnswers, role_mode: RoleMode, findings: Option<&Findings>) -> Vec<String> {
    let mut notes = findings.map_or_else(Vec::new, Findings::notes);
    if policy.roles.is_empty() {
        notes.push("no role is named: nothing can be granted until policy.toml names one".to_owned());
    }
    if policy.protected.is_empty() {
        notes.push(
            "no account is protected: name the owner and the break-glass account in policy.toml".to_owned(),
        );
    }
    let Some(findings) = findings else {
        notes.push("JumpCloud was not asked (--offline): `check` asks it".to_owned());
        return notes;
    };
    if role_mode == RoleMode::Single && !findings.with_several_roles().is_empty() {
        notes.push("role_mode is single: administrators who have several roles are refused".to_owned());
    }
    let known =
        |email: &str| findings.listing.accounts.iter().any(|a| a.email.as_str().eq_ignore_ascii_case(email));
    for email in policy.protected.iter().filter(|email| !known(email)) {
        notes.push(format!("protected: {email} is no administrator of the organization: check the spelling"));
    }
    for offer in findings.offers() {
        if let Some(warning) =
            offer.warning.filter(|_| policy.roles.iter().any(|role| role.role == offer.role))
        {
            notes.push(format!("{} {warning}", offer.role));
        }
    }
    notes
}
