//! The rules of a policy, in the order in which they are asked. Each says yes, no and why, or that it
//! cannot tell from what is known.
//!
//! Refuses to guess: a fact that is not known leaves its rule open, and the engine knows every fact
//! before it raises.

use super::{Asked, Policy, Whose};
use crate::engine::{
    codes::Rule,
    ids::Email,
    planted::{self, Planted},
};

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It lets this pass.
    Passes,
    /// It refuses.
    Refuses(Rule),
    /// It needs to know more.
    Open,
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The role is named and not denied.
    Role,
    /// Not longer than the role or any grant may be.
    Duration,
    /// The account is not protected.
    Protected,
    /// The account is allowed and not denied.
    Account,
    /// Ephemeral accounts are allowed, for this person's domain.
    Ephemeral,
    /// The request has a number.
    RequestNumber,
    /// The request has a justification.
    Justification,
    /// The request has enough approvers.
    Approvers,
    /// The requester did not approve himself.
    Requester,
    /// Enough approvers' keys have signed exactly this.
    Signatures,
    /// It is the time of the week for it.
    Hours,
    /// Not too many live grants.
    LiveGrants,
    /// Not too many grants within an hour.
    GrantsPerHour,
    /// Not too long without a rest.
    Continuous,
}

impl Check {
    /// Every rule, in the order in which they are asked.
    pub const ALL: [Self; 14] = [
        Self::Role,
        Self::Duration,
        Self::Protected,
        Self::Account,
        Self::Ephemeral,
        Self::RequestNumber,
        Self::Justification,
        Self::Approvers,
        Self::Requester,
        Self::Signatures,
        Self::Hours,
        Self::LiveGrants,
        Self::GrantsPerHour,
        Self::Continuous,
    ];

    /// Asks this rule alone.
    #[must_use]
    pub fn ask(self, policy: &Policy, asked: &Asked<'_>) -> Verdict {
        let (require, request) = (&policy.require, asked.request);
        let missing = |text: &Option<String>| text.as_deref().is_none_or(|t| t.trim().is_empty());
        match self {
            Self::Role => role(policy, asked),
            Self::Duration => match policy.longest(asked.role) {
                Some(longest) => {
                    refuse(asked.duration > longest || asked.duration.0 == 0, Rule::DurationTooLong)
                }
                None => Verdict::Open,
            },
            Self::Protected => person(asked, |email| protected(policy, asked, email)),
            Self::Account => person(asked, |email| account(policy, asked, email)),
            Self::Ephemeral => ephemeral(policy, asked),
            Self::RequestNumber => {
                refuse(require.request_number && missing(&request.number), Rule::RequestNumberRequired)
            }
            Self::Justification => {
                refuse(require.justification && missing(&request.justification), Rule::JustificationRequired)
            }
            Self::Approvers => {
                refuse(approvers(asked).len() < require.approvers as usize, Rule::ApproversRequired)
            }
            Self::Requester => {
                let requester = requester(asked);
                let unclear = requester.is_empty() || approvers(asked).contains(&requester);
                refuse(require.requester_not_approver && unclear, Rule::RequesterIsApprover)
            }
            Self::Signatures => {
                refuse(signatures(policy, asked) < policy.signatures() as usize, Rule::ApprovalRequired)
            }
            Self::Hours => {
                let open = policy.hours.as_ref().is_none_or(|h| h.allow(asked.from, asked.until));
                refuse(!open, Rule::OutsideHours)
            }
            Self::LiveGrants => {
                known(asked.facts.live, |live| refuse(live >= policy.max_live_grants as usize, Rule::Quota))
            }
            Self::GrantsPerHour => known(asked.facts.last_hour, |count| {
                refuse(count >= policy.max_grants_per_hour as usize, Rule::GrantsPerHour)
            }),
            Self::Continuous => known(asked.facts.continuous, |length| {
                let long = length > policy.max_continuous && !planted::is(Planted::NoMaxContinuous);
                refuse(long, Rule::MaxContinuous)
            }),
        }
    }
}

impl Policy {
    /// Asks every rule; the first refusal decides.
    ///
    /// # Errors
    /// The rule that refuses.
    pub fn judge(&self, asked: &Asked<'_>) -> Result<(), Rule> {
        Check::ALL.iter().try_for_each(|check| match check.ask(self, asked) {
            Verdict::Refuses(rule) => Err(rule),
            Verdict::Passes | Verdict::Open => Ok(()),
        })
    }

    /// Judges an address alone.
    ///
    /// # Errors
    /// The rule that refuses it.
    pub fn judge_account(&self, email: &Email) -> Result<(), Rule> {
        if self.protected_accounts.iter().any(|p| p.same_mailbox(email)) {
            return Err(Rule::ProtectedAccount);
        }
        if allows(self, email) { Ok(()) } else { Err(Rule::AccountNotAllowed) }
    }
}

const fn refuse(refuses: bool, rule: Rule) -> Verdict {
    if refuses { Verdict::Refuses(rule) } else { Verdict::Passes }
}

fn known<T>(fact: Option<T>, judge: impl FnOnce(T) -> Verdict) -> Verdict {
    fact.map_or(Verdict::Open, judge)
}

fn role(policy: &Policy, asked: &Asked<'_>) -> Verdict {
    if policy.longest(asked.role).is_some() {
        return Verdict::Passes;
    }
    let manages = asked.facts.manages_admins == Some(true) && !policy.roles.contains_key(asked.role);
    Verdict::Refuses(if manages { Rule::RoleManagesAdmins } else { Rule::RoleNotGrantable })
}

/// Judges the address that is known: the account's, or that of the person behind an ephemeral one.
fn person(asked: &Asked<'_>, judge: impl FnOnce(&Email) -> Verdict) -> Verdict {
    match asked.whose {
        Whose::Account(email) | Whose::Ephemeral(email) => judge(email),
        Whose::Unresolved => Verdict::Open,
    }
}

fn protected(policy: &Policy, asked: &Asked<'_>, email: &Email) -> Verdict {
    let behind = mailbox(asked);
    let is = |p: &Email| p.same_mailbox(email) || behind.as_ref().is_some_and(|b| p.same_mailbox(b));
    refuse(policy.protected_accounts.iter().any(is), Rule::ProtectedAccount)
}

fn account(policy: &Policy, asked: &Asked<'_>, email: &Email) -> Verdict {
    let denied = mailbox(asked).is_some_and(|mailbox| is_denied(policy, &mailbox));
    refuse(denied || !allows(policy, email), Rule::AccountNotAllowed)
}

/// The person behind an ephemeral account: whatever follows a plus, the mail goes to the same mailbox.
fn mailbox(asked: &Asked<'_>) -> Option<Email> {
    let Whose::Ephemeral(email) = asked.whose else { return None };
    without_plus(email)
}

fn without_plus(email: &Email) -> Option<Email> {
    let plain = email.local().split('+').next().unwrap_or_default();
    Email::new(&format!("{plain}@{}", email.domain())).ok()
}

fn allows(policy: &Policy, email: &Email) -> bool {
    let allowed = || policy.accounts_allow.iter().any(|p| p.matches(email));
    !is_denied(policy, email) && (policy.accounts_allow.is_empty() || allowed())
}

fn is_denied(policy: &Policy, email: &Email) -> bool {
    policy.accounts_deny.iter().any(|p| p.matches(email))
}

fn ephemeral(policy: &Policy, asked: &Asked<'_>) -> Verdict {
    let Whose::Ephemeral(requester) = asked.whose else { return Verdict::Passes };
    match &policy.ephemeral {
        None => Verdict::Refuses(Rule::EphemeralNotAllowed),
        Some(rules) => refuse(!rules.domains.contains(&requester.domain()), Rule::DomainNotAllowed),
    }
}

/// Different approvers by name. A name of nothing is nobody.
fn approvers(asked: &Asked<'_>) -> Vec<String> {
    let named = asked.request.approvers.iter().map(|a| name(a)).filter(|a| !a.is_empty());
    let mut approvers: Vec<String> = named.collect();
    approvers.sort();
    approvers.dedup();
    approvers
}

fn requester(asked: &Asked<'_>) -> String {
    name(asked.request.requester.as_deref().unwrap_or_default())
}

fn name(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

/// How many of the policy's keys have signed; the requester's own does not count, nor that of whoever would have
/// the access: who the requester is, the control plane says.
fn signatures(policy: &Policy, asked: &Asked<'_>) -> usize {
    let whose = match asked.whose {
        Whose::Account(email) | Whose::Ephemeral(email) => without_plus(email),
        Whose::Unresolved => None,
    };
    let gets = |who: &str| {
        let named = Email::new(who.trim()).ok().and_then(|email| without_plus(&email));
        named.zip(whose.as_ref()).is_some_and(|(named, whose)| named.same_mailbox(whose))
    };
    let own =
        |who: &str| policy.require.requester_not_approver && (name(who) == requester(asked) || gets(who));
    let mut keys: Vec<&String> = policy
        .approval_keys
        .iter()
        .filter(|(who, key)| !own(who) && asked.request.signed_by.contains(key))
        .map(|(_, key)| key)
        .collect();
    keys.sort();
    keys.dedup();
    keys.len()
}
