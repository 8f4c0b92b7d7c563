//! A job from a file, as the rules see it.
//!
//! Refuses: a file that holds no claims of a job, an extension of which nobody says what it extends.

use std::{fs, path::Path};

use super::{More, Step};
use crate::{
    cli::{Exit, Failure},
    clock,
    config::{Config, policy_file::span},
    control::{
        approval,
        wire::{JobBody, JobClaims, Target},
    },
    engine::{
        ids::{Email, RoleName},
        job::AccessRequest,
        policy::{Asked, Check, Facts, Policy, Verdict, Whose},
        roles::RoleOrder,
        settings::IntegrationSettings,
        time::{Millis, Timestamp},
    },
    strict,
};

/// A job, when it is judged, and what is known of it.
pub(super) struct Case {
    claims: JobClaims,
    /// What is gated in it; `None` for a job that raises nothing.
    raise: Option<Raise>,
    from: Timestamp,
    /// The integration that it names, if the configuration has it.
    here: Option<IntegrationSettings>,
}

struct Raise {
    role: RoleName,
    target: Target,
    duration: Millis,
    until: Timestamp,
    request: AccessRequest,
}

impl Case {
    pub(super) fn read(file: &Path, config: &Config, policy: &Policy, more: &More) -> Result<Self, Failure> {
        let bad = |problem: String| Failure::new(Exit::Usage, format!("{}: {problem}", file.display()));
        let text = fs::read(file).map_err(|error| bad(error.to_string()))?;
        strict::check(&text).map_err(|error| bad(error.to_string()))?;
        let claims: JobClaims = serde_json::from_slice(&text).map_err(|error| {
            bad(format!("not the claims of a job (docs/protocol/schemas/job-claims.json): {error}"))
        })?;
        let from = match &more.at {
            None => clock::now().wall,
            Some(text) => instant(text)?,
        };
        let raise = raise(&claims, policy, more, from)?;
        let settings = config.integrations.iter().map(|i| &i.settings);
        let here = settings.clone().find(|s| s.id == claims.integration).cloned();
        Ok(Self { claims, raise, from, here })
    }

    pub(super) fn job_id(&self) -> &str {
        self.claims.job_id.as_str()
    }

    /// Whether any rule is asked at all.
    pub(super) const fn is_gated(&self) -> bool {
        self.raise.is_some()
    }

    /// What the rule says; `None` if it is not asked.
    pub(super) fn ask(&self, check: Check, policy: &Policy) -> Option<Verdict> {
        let raise = self.raise.as_ref()?;
        let whose = match &raise.target {
            Target::Email(email) => Whose::Account(email),
            Target::AccountId(_) => Whose::Unresolved,
            Target::Ephemeral(person) => Whose::Ephemeral(&person.requester),
        };
        let order = RoleOrder::new(&[], None);
        let manages_admins = Some(order.is_known_to_manage(&raise.role));
        Some(check.ask(
            policy,
            &Asked {
                role: &raise.role,
                duration: raise.duration,
                whose,
                request: &raise.request,
                from: self.from,
                until: raise.until,
                // What the agent's journal would tell.
                facts: Facts { manages_admins, live: None, last_hour: None, continuous: None },
            },
        ))
    }

    /// What the configuration says beside the policy.
    pub(super) fn configured(&self) -> Option<Step> {
        let raise = self.raise.as_ref()?;
        let says = |text: &str| format!("{text} (ephemerald.toml: {})", self.claims.integration);
        let excluded = |email: &Email| {
            let here = self.here.as_ref();
            here.is_some_and(|s| s.exclude_accounts.iter().any(|e| e.same_mailbox(email)))
        };
        let (says, rule) = match (&self.here, &raise.target) {
            (None, _) => (says("no integration of this name"), Some("unknown_integration")),
            (Some(here), _) if !here.offers(&raise.role) => {
                (says("the integration does not offer the role"), Some("role_not_grantable"))
            }
            (Some(_), Target::Email(email)) if excluded(email) => {
                (says("the integration excludes the account"), Some("protected_account"))
            }
            (Some(_), _) => (says("the integration is there and offers the role"), None),
        };
        let verdict = Some(if rule.is_some() { "refuses" } else { "passes" });
        Some(Step { name: "integration", says, verdict, rule })
    }

    /// The job in a line.
    pub(super) fn asks(&self) -> String {
        let kind = match &self.claims.job {
            JobBody::Grant(_) => "grant",
            JobBody::Extend(_) => "extend",
            JobBody::Revoke(_) => "revoke",
            JobBody::Sync {} => "sync",
            JobBody::Test {} => "test",
        };
        let Some(raise) = &self.raise else { return format!("{kind} in {}", self.claims.integration) };
        let whose = match &raise.target {
            Target::Email(email) => email.to_string(),
            Target::AccountId(id) => format!("account {id}"),
            Target::Ephemeral(person) => format!("an ephemeral account for {}", person.requester),
        };
        let length = span(raise.duration);
        format!("{kind} {} to {whose} for {length} in {}", raise.role, self.claims.integration)
    }
}

fn raise(
    claims: &JobClaims,
    policy: &Policy,
    more: &More,
    from: Timestamp,
) -> Result<Option<Raise>, Failure> {
    let signed_by = approval::signers(claims, policy.approval_keys.values(), from);
    let asked = |request: &crate::control::wire::Request| AccessRequest {
        number: request.number.clone(),
        requester: request.requester.clone(),
        approvers: request.approvers.clone(),
        justification: request.justification.clone(),
        signed_by: signed_by.clone(),
    };
    Ok(match &claims.job {
        JobBody::Grant(body) => {
            let duration = Millis::from_secs(body.duration_s);
            let wanted = from + duration;
            let until = body.until.map_or(wanted, |s| Timestamp(s.saturating_mul(1000)).min(wanted));
            let (role, target) = (body.role.clone(), body.target.clone());
            Some(Raise { role, target, duration, until, request: asked(&body.request) })
        }
        JobBody::Extend(body) => {
            let (role, target) = extended(more)?;
            let duration = Millis::from_secs(body.duration_s);
            Some(Raise { role, target, duration, until: from + duration, request: asked(&body.request) })
        }
        JobBody::Revoke(_) | JobBody::Sync {} | JobBody::Test {} => None,
    })
}

/// What the grant is that an extension extends: its job does not say.
fn extended(more: &More) -> Result<(RoleName, Target), Failure> {
    let usage = |text: String| Failure::new(Exit::Usage, text);
    let (Some(role), Some(account)) = (&more.role, &more.account) else {
        let text = "an extension names a grant only: say --role and --account of that grant";
        return Err(usage(text.to_owned()));
    };
    let role = RoleName::new(role).map_err(|bad| usage(format!("--role: {bad}")))?;
    let account = Email::new(account).map_err(|bad| usage(format!("--account: {bad}")))?;
    Ok((role, Target::Email(account)))
}

fn instant(text: &str) -> Result<Timestamp, Failure> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed.map(|at| Timestamp(at.as_millisecond())).map_err(|error| {
        Failure::new(Exit::Usage, format!("--at: expected an instant such as 2026-11-24T10:00:00Z: {error}"))
    })
}
