//! The local policy: what this agent may raise, whatever a control plane says.
//!
//! It gates raises only, when a job is accepted and again just before the raise is handed out.
//! Nothing here is ever asked about an ending. Without a policy there is no raise at all.

use std::collections::BTreeMap;

use super::{
    codes::Rule,
    ids::{Email, RoleName},
    job::{AccessRequest, GrantJob, Target},
    time::Millis,
};

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// SHA-256 of the policy file's bytes, in hexadecimal: named in every record of a decision.
    pub hash: String,
    /// Plan and report only, raise nothing.
    pub dry_run: bool,
    /// Roles that may be granted, each with its own longest duration. Empty grants nothing.
    pub roles: BTreeMap<RoleName, Millis>,
    /// The longest duration of any grant.
    pub max_duration: Millis,
    /// Accounts that may be raised; empty means every account that is not denied.
    pub accounts_allow: Vec<AccountPattern>,
    /// Accounts that are never raised; stronger than `accounts_allow`.
    pub accounts_deny: Vec<AccountPattern>,
    /// Accounts that are never raised and never suggested: break-glass, the owner.
    pub protected_accounts: Vec<Email>,
    /// Rules for ephemeral accounts; `None` means none may be created.
    pub ephemeral: Option<EphemeralPolicy>,
    /// What an access request must carry.
    pub require: Requirements,
    /// How many grants may be live at once.
    pub max_live_grants: u32,
}

/// An address (`ada@example.com`) or a whole domain (`*@example.com`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountPattern {
    /// Exactly this mailbox.
    Mailbox(Email),
    /// Every mailbox of this domain, in lower case.
    Domain(String),
}

/// Where ephemeral accounts may live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EphemeralPolicy {
    /// How the address is built, e.g. `{requester}+{tag}@{domain}`.
    pub template: String,
    /// Domains of requesters' mailboxes, in lower case.
    pub domains: Vec<String>,
    /// Whether accounts with our tag of which the ledger knows nothing are deleted, and not only told.
    pub delete_unknown: bool,
}

/// What the access request behind a grant must carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// A request number.
    pub request_number: bool,
    /// A justification.
    pub justification: bool,
    /// At least this many different approvers.
    pub approvers: u32,
    /// The requester must not be among the approvers.
    pub requester_not_approver: bool,
}

impl Policy {
    /// Judges everything that can be judged from the job alone.
    ///
    /// # Errors
    /// The rule that refuses it.
    pub fn judge_job(&self, grant: &GrantJob, request: &AccessRequest) -> Result<(), Rule> {
        self.judge_duration(&grant.role, grant.duration)?;
        match &grant.target {
            Target::Email(email) => self.judge_account(email)?,
            Target::Account(_) => {}
            Target::Ephemeral { requester, .. } => self.judge_ephemeral(requester)?,
        }
        self.require.judge(request)
    }

    /// Judges more time for a grant that is live: what is judged of a grant's job, but the account,
    /// and by the extension's own request.
    ///
    /// # Errors
    /// The rule that refuses it.
    pub fn judge_extension(
        &self,
        role: &RoleName,
        duration: Millis,
        request: &AccessRequest,
    ) -> Result<(), Rule> {
        self.judge_duration(role, duration)?;
        self.require.judge(request)
    }

    fn judge_duration(&self, role: &RoleName, duration: Millis) -> Result<(), Rule> {
        let longest = *self.roles.get(role).ok_or(Rule::RoleNotGrantable)?;
        if duration > longest.min(self.max_duration) || duration == Millis(0) {
            return Err(Rule::DurationTooLong);
        }
        Ok(())
    }

    /// Judges the account once its address is known.
    ///
    /// # Errors
    /// The rule that refuses it.
    pub fn judge_account(&self, email: &Email) -> Result<(), Rule> {
        if self.protected_accounts.iter().any(|p| p.same_mailbox(email)) {
            return Err(Rule::ProtectedAccount);
        }
        let listed = |list: &[AccountPattern]| list.iter().any(|p| p.matches(email));
        if listed(&self.accounts_deny) || (!self.accounts_allow.is_empty() && !listed(&self.accounts_allow)) {
            return Err(Rule::AccountNotAllowed);
        }
        Ok(())
    }

    /// Judges for whom an ephemeral account is made.
    ///
    /// # Errors
    /// The rule that refuses it.
    pub fn judge_ephemeral(&self, requester: &Email) -> Result<(), Rule> {
        let rules = self.ephemeral.as_ref().ok_or(Rule::EphemeralNotAllowed)?;
        if !rules.domains.contains(&requester.domain()) {
            return Err(Rule::DomainNotAllowed);
        }
        self.judge_account(requester)
    }
}

impl AccountPattern {
    /// Whether the address is covered.
    #[must_use]
    pub fn matches(&self, email: &Email) -> bool {
        match self {
            Self::Mailbox(mailbox) => mailbox.same_mailbox(email),
            Self::Domain(domain) => email.domain() == *domain,
        }
    }
}

impl Requirements {
    fn judge(&self, request: &AccessRequest) -> Result<(), Rule> {
        let blank = |text: &Option<String>| text.as_deref().is_none_or(|t| t.trim().is_empty());
        if self.request_number && blank(&request.number) {
            return Err(Rule::RequestNumberRequired);
        }
        if self.justification && blank(&request.justification) {
            return Err(Rule::JustificationRequired);
        }
        // A name of nothing is nobody.
        let named = request.approvers.iter().map(|a| a.trim().to_ascii_lowercase()).filter(|a| !a.is_empty());
        let mut approvers: Vec<String> = named.collect();
        approvers.sort();
        approvers.dedup();
        if approvers.len() < self.approvers as usize {
            return Err(Rule::ApproversRequired);
        }
        let requester = request.requester.as_deref().unwrap_or("").trim().to_ascii_lowercase();
        if self.requester_not_approver && (requester.is_empty() || approvers.contains(&requester)) {
            return Err(Rule::RequesterIsApprover);
        }
        Ok(())
    }
}
