//! The engine's part: doubts as they are found, claims as they come in, the alarm that repeats itself.
//!
//! Refuses to raise anything while there is a doubt; endings do not ask this module.

use super::{Cannot, Cause, Claim, ClaimEnd, Deed, Fact, Finding, Heard, Held, Problem, Proof, Source};
use crate::engine::{
    Engine,
    account::{AccountKey, AccountRef},
    action::Warning,
    codes::{EndReason, ResultCode, Rule, WokenBy},
    grant::Grant,
    ids::{AccountId, Email, GrantId, IntegrationId, RoleName},
    record::Record,
    tenant::Errand,
    time::{BootTime, Millis},
};

/// A receipt whose end is longer ago than this is not believed without a person: whoever keeps old ones
/// could have a role that was given for good since taken away.
const OLD: Millis = Millis(30 * 24 * 60 * 60 * 1000);
/// Claims that may wait for an operator; a control plane cannot fill the disk with them.
const MOST_CLAIMS: usize = 1_000;
/// How often the alarm is repeated.
const REMIND: Millis = Millis(60_000);

/// What is going on; learnt again after a start.
#[derive(Debug, Default)]
pub(in crate::engine) struct Dealings {
    /// The control plane's newest journal head is in our journal.
    heads_agree: bool,
    /// It has said what it believes, in this process, and everything was known.
    nothing_new: bool,
    /// When the alarm was given last.
    reminded: Option<BootTime>,
}

/// What the control plane believes to be live, as far as the shell could verify it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Believed {
    /// Its claims.
    pub claims: Vec<Told>,
    /// Whether it has the call at all.
    pub answered: bool,
    /// Whether all pages were read.
    pub complete: bool,
}

/// One claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Its receipt is of our key and says the same.
    Proven(Box<Held>),
    /// It cannot be believed.
    Claimed(Box<Claim>),
    /// This journal has seen the grant come and go.
    Over(GrantId),
}

impl Engine {
    /// What was found when the ledger was opened, and a reminder of what was found before.
    pub(in crate::engine) fn start_recovery(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            self.doubt(finding);
        }
        if self.state.recovery.is_revoke_only() {
            self.remind();
            self.survey_all();
        }
    }

    /// Something speaks against the ledger.
    pub(in crate::engine) fn doubt(&mut self, finding: Finding) {
        if self.state.recovery.marks.contains(&finding.mark) {
            return;
        }
        self.dealings.heads_agree = false;
        self.dealings.nothing_new = false;
        self.write(Record::Recovery(Fact::LedgerDoubted(finding)));
        self.take_extensions_back();
        self.survey_all();
    }

    /// The control plane's newest journal head is in our journal.
    pub(in crate::engine) fn heads_agree(&mut self) {
        self.dealings.heads_agree = true;
        self.believe_again();
    }

    /// The control plane has said what it believes to be live.
    pub(in crate::engine) fn believed(&mut self, believed: Believed) {
        let mut heard =
            Heard { answered: believed.answered, complete: believed.complete, ..Heard::default() };
        for told in believed.claims {
            match told {
                Told::Over(_) => heard.known += 1,
                Told::Proven(held) if self.is_known(&held.grant) => heard.known += 1,
                Told::Proven(held) => match self.unbelievable(&held) {
                    None => {
                        self.take_over(*held, Proof::Receipt);
                        heard.adopted += 1;
                    }
                    Some(problem) => self.open(claim_of(&held, problem), &mut heard),
                },
                Told::Claimed(claim) if self.is_known(&claim.grant) => heard.known += 1,
                Told::Claimed(claim) => self.open(*claim, &mut heard),
            }
        }
        self.write(Record::Recovery(Fact::RecoveryHeard(heard)));
        if heard.adopted + heard.opened > 0 {
            self.disbelieve_for_claims(heard);
        }
        self.dealings.nothing_new = heard.complete && heard.adopted + heard.opened == 0;
        self.believe_again();
    }

    /// Accounts with a tag of our key that a listing shows: those without a grant are of a forgotten life.
    pub(in crate::engine) fn tagged(
        &mut self,
        integration: &IntegrationId,
        found: Vec<(AccountId, Email, Vec<RoleName>)>,
    ) {
        if !self.state.recovery.is_revoke_only() {
            return;
        }
        for (id, email, roles) in found {
            let at = AccountRef {
                integration: integration.clone(),
                account: AccountKey::Ephemeral(email.clone()),
            };
            let by_id = |a: &crate::engine::account::Account| a.id.as_ref() == Some(&id);
            let known = self.state.accounts.contains_key(&at) || self.state.accounts.values().any(by_id);
            let Ok(grant) = GrantId::new(&format!("tagged-{id}")) else { continue };
            if known || self.state.recovery.claims.contains_key(&grant) || self.is_decided(&grant) {
                continue;
            }
            let claim = Claim {
                grant,
                integration: integration.clone(),
                account: Some(id),
                email: Some(email),
                role: roles.first().cloned(),
                ends_at: None,
                source: Source::Tag,
                problem: Problem::NoEnd,
            };
            self.open(claim, &mut Heard::default());
        }
    }

    /// The kinds of the records that an operator's decision would come to.
    ///
    /// # Errors
    /// [`Cannot`].
    pub fn would_decide(&self, deed: &Deed) -> Result<Vec<&'static str>, Cannot> {
        let records = self.state.deed(deed, "", "", self.now.wall)?;
        Ok(records.iter().map(Record::kind).collect())
    }

    /// Records that an operator's deed came to.
    pub(in crate::engine) fn operator_deed(&mut self, deed: &Deed, by: &str, why: &str) {
        let Ok(records) = self.state.deed(deed, by, why, self.now.wall) else { return };
        for record in records {
            self.note_and_act(record);
        }
        self.dealings.reminded = None;
    }

    /// The verdict on every raise while there is a doubt.
    pub(in crate::engine) fn revoke_only_gate(&self) -> Result<(), (ResultCode, Option<Rule>)> {
        if self.state.recovery.is_revoke_only() {
            return Err((ResultCode::Rejected, Some(Rule::RevokeOnly)));
        }
        Ok(())
    }

    /// What the receipt of a grant authenticates.
    pub(in crate::engine) fn held(&self, grant: &GrantId) -> Option<Held> {
        let found = self.state.grants.get(grant)?;
        self.held_as(found, self.id_of(&found.account_ref()).as_ref())
    }

    /// The same, where the account's id has just been read.
    pub(in crate::engine) fn held_as(&self, grant: &Grant, id: Option<&AccountId>) -> Option<Held> {
        let terms = &grant.terms;
        let account = self.state.accounts.get(&grant.account_ref())?;
        Some(Held {
            grant: terms.grant.clone(),
            job: terms.job.clone(),
            integration: terms.integration.clone(),
            org: Some(self.state.organizations.get(&terms.integration)?.clone()),
            account: terms.account.clone(),
            id: id?.clone(),
            email: terms.email.clone(),
            role: terms.role.clone(),
            baseline: account.baseline.clone(),
            plural: account.plural,
            ends_at: grant.end.at,
        })
    }

    /// Whether what an account shows may come from a grant that this ledger has forgotten.
    pub(in crate::engine) fn may_be_forgotten(&self, at: &AccountRef) -> bool {
        let recovery = &self.state.recovery;
        self.state.accounts.get(at).is_some_and(|account| {
            (recovery.is_revoke_only() || recovery.bar.is_some())
                && recovery.is_unexplained(&at.integration, account.id.as_ref(), &account.email)
        })
    }

    /// Repeats the alarm, now and then, as long as there is a reason.
    pub(in crate::engine) fn remind_if_due(&mut self) {
        let due = self.dealings.reminded.is_none_or(|last| self.now.boot.since(last) >= REMIND);
        if self.state.recovery.is_revoke_only() && due {
            self.remind();
        }
    }

    fn remind(&mut self) {
        self.dealings.reminded = Some(self.now.boot);
        let Some(doubt) = &self.state.recovery.doubt else { return };
        let causes: Vec<&str> = doubt.causes.keys().map(|cause| cause.as_str()).collect();
        let claims = self.state.recovery.claims.len();
        self.warn(Warning::RevokeOnly { causes: causes.join(", "), claims });
    }

    fn survey_all(&mut self) {
        for integration in self.tenants.keys().cloned().collect::<Vec<_>>() {
            self.want(&integration, Errand::Survey);
        }
    }

    /// A ledger from a backup that turned out to be the newest there is.
    pub(in crate::engine) fn believe_again(&mut self) {
        let restored_only = |causes: Vec<&Cause>| causes == [&Cause::Restored];
        let doubt = self.state.recovery.doubt.as_ref();
        // Jobs of before that moment are refused from then on: a clock that is ahead would have all of them refused.
        if self.clock.is_trusted()
            && self.dealings.heads_agree
            && self.dealings.nothing_new
            && doubt.is_some_and(|doubt| restored_only(doubt.causes.keys().collect()))
        {
            self.write(Record::Recovery(Fact::LedgerCompared));
        }
    }

    /// Grants that this ledger does not know: there was a life that it has forgotten.
    fn disbelieve_for_claims(&mut self, heard: Heard) {
        let causes = self.state.recovery.doubt.as_ref().map(|doubt| doubt.causes.clone()).unwrap_or_default();
        let explained = causes.keys().any(|cause| *cause != Cause::Restored);
        if explained {
            return;
        }
        let detail = format!(
            "the control plane claims grants that are not known here: {} proven by a receipt, {} not",
            heard.adopted, heard.opened
        );
        let mark = format!("claims:{}", self.next_seq.0);
        self.doubt(Finding { cause: Cause::Claimed, mark, detail, base: 0 });
        // What was just heard stands: the doubt is about it.
        self.write(Record::Recovery(Fact::RecoveryHeard(Heard { adopted: 0, opened: 0, ..heard })));
    }

    fn is_known(&self, grant: &GrantId) -> bool {
        self.state.grants.contains_key(grant) || self.is_decided(grant)
    }

    fn is_decided(&self, grant: &GrantId) -> bool {
        self.state.recovery.decided.contains(grant)
    }

    /// Why a claim is not adopted although its receipt is of our key.
    fn unbelievable(&self, held: &Held) -> Option<Problem> {
        let pinned = self.state.organizations.get(&held.integration);
        if !self.tenants.contains_key(&held.integration) {
            return Some(Problem::UnknownIntegration);
        }
        if held.org.is_none() || pinned.is_some_and(|pinned| Some(pinned) != held.org.as_ref()) {
            return Some(Problem::OtherOrganization);
        }
        (self.now.wall.since(held.ends_at) > OLD).then_some(Problem::OldReceipt)
    }

    fn take_over(&mut self, held: Held, proof: Proof) {
        if let Some(org) =
            held.org.clone().filter(|_| !self.state.organizations.contains_key(&held.integration))
        {
            // Our own key vouches for the organization: another one's credential is noticed at once.
            self.write(Record::OrganizationPinned { integration: held.integration.clone(), org });
        }
        let superseded = self.claims_of(&held);
        for record in self.state.adopt(held, proof) {
            self.note_and_act(record);
        }
        for grant in superseded {
            let (by, why) = ("the receipt".to_owned(), "it says whose grant this is".to_owned());
            self.write(Record::Recovery(Fact::ClaimClosed { grant, how: ClaimEnd::Proven, by, why }));
        }
    }

    /// Claims that a proven grant answers.
    fn claims_of(&self, held: &Held) -> Vec<GrantId> {
        let same = |c: &&Claim| {
            c.grant == held.grant
                || (c.source == Source::Tag
                    && c.integration == held.integration
                    && c.account.as_ref() == Some(&held.id))
        };
        self.state.recovery.claims.values().filter(same).map(|c| c.grant.clone()).collect()
    }

    fn open(&mut self, claim: Claim, heard: &mut Heard) {
        if self.state.recovery.claims.contains_key(&claim.grant) {
            heard.opened += 1;
        } else if self.state.recovery.claims.len() < MOST_CLAIMS {
            heard.opened += 1;
            self.write(Record::Recovery(Fact::ClaimOpened(Box::new(claim))));
        } else {
            heard.complete = false; // the rest is asked for again once these are decided
        }
    }

    /// Writes a record and begins what follows from it.
    fn note_and_act(&mut self, record: Record) {
        let adopted = match &record {
            Record::Recovery(Fact::GrantAdopted(adoption)) => Some(adoption.held.clone()),
            _ => None,
        };
        self.write(record);
        let Some(held) = adopted else { return };
        let at = held.at();
        self.desks.entry(at.clone()).or_default();
        if self.state.grants.get(&held.grant).is_some_and(|g| g.end.is_due(self.now)) {
            self.end(&held.grant, EndReason::Expired, WokenBy::Start);
        } else {
            self.anchor(&held.grant);
            self.arm(&held.grant);
        }
        self.dirty.insert(at);
    }
}

fn claim_of(held: &Held, problem: Problem) -> Claim {
    Claim {
        grant: held.grant.clone(),
        integration: held.integration.clone(),
        account: Some(held.id.clone()),
        email: Some(held.email.clone()),
        role: Some(held.role.clone()),
        ends_at: Some(held.ends_at),
        source: Source::ControlPlane,
        problem,
    }
}
