//! What the journal says of doubts, claims and adoptions. Refuses free text of other people: details are
//! ours, an operator's words are kept as he wrote them.

use serde::{Deserialize, Serialize};

use crate::engine::{
    account::AccountKey,
    ids::{AccountId, Email, GrantId, IntegrationId, JobId, OrgId, RoleName},
    time::Timestamp,
};

/// Why a ledger is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It was missing, unreadable or another one; this one stands in its place.
    Lost,
    /// A later record than its last was acknowledged, or another one in the same place.
    RolledBack,
    /// Another process of this agent goes on elsewhere.
    Copied,
    /// A row does not fit its hash, or cannot be read.
    Damaged,
    /// It was put back from a backup and has not been compared with the control plane yet.
    Restored,
    /// The control plane claims grants that this ledger does not know.
    Claimed,
}

impl Cause {
    /// Every cause, in order.
    pub const ALL: [Self; 6] =
        [Self::Lost, Self::RolledBack, Self::Copied, Self::Damaged, Self::Restored, Self::Claimed];

    /// The word in the journal, the log and the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::RolledBack => "rolled_back",
            Self::Copied => "copied",
            Self::Damaged => "damaged",
            Self::Restored => "restored",
            Self::Claimed => "claimed",
        }
    }
}

/// Something that speaks against the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is.
    pub cause: Cause,
    /// Tells this finding from others: the same mark is doubted once.
    pub mark: String,
    /// For people.
    pub detail: String,
    /// What has to be added to the journal's numbers where they are told from now on; 0: nothing more.
    #[serde(default)]
    pub base: u64,
}

/// What a receipt authenticates: everything that the ending of a grant needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The grant.
    pub grant: GrantId,
    /// The job that asked for it.
    pub job: JobId,
    /// Where, by its name here.
    pub integration: IntegrationId,
    /// The organization behind that name; `None` only in an operator's own adoption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgId>,
    /// Whose, under which key the agent holds it.
    pub account: AccountKey,
    /// JumpCloud's id.
    pub id: AccountId,
    /// The account's address.
    pub email: Email,
    /// The granted role.
    pub role: RoleName,
    /// The roles that the account has when no grant of ours touches it.
    pub baseline: Vec<RoleName>,
    /// Whether JumpCloud shows several roles for it.
    pub plural: bool,
    /// The end.
    pub ends_at: Timestamp,
}

/// Why a grant was adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Its receipt verifies.
    Receipt,
    /// An operator vouches for it: it may only be taken away, down to the floor role.
    Operator,
}

/// A grant that is taken over to be ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// What is known of it.
    #[serde(flatten)]
    pub held: Held,
    /// Why it is believed.
    pub proof: Proof,
}

/// Where a claim comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The control plane said so.
    ControlPlane,
    /// An account with a tag of our key is there, and no grant for it.
    Tag,
}

/// Why a claim is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// No receipt came with it.
    NoReceipt,
    /// Our key did not make its receipt, or the claim says something else than the receipt.
    BadReceipt,
    /// The receipt is of another organization than the pinned one.
    OtherOrganization,
    /// No integration of that name is configured.
    UnknownIntegration,
    /// The receipt's end is long past: it may be an old one, shown again.
    OldReceipt,
    /// Nobody says until when the account may be there.
    NoEnd,
}

impl Problem {
    /// The word in the journal and in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoReceipt => "no_receipt",
            Self::BadReceipt => "bad_receipt",
            Self::OtherOrganization => "other_organization",
            Self::UnknownIntegration => "unknown_integration",
            Self::OldReceipt => "old_receipt",
            Self::NoEnd => "no_end",
        }
    }
}

/// A grant that somebody claims to be live and that nothing authenticates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The grant; for an account found by its tag a name made from the account's id.
    pub grant: GrantId,
    /// Where.
    pub integration: IntegrationId,
    /// The account's id, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Its address, if it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// The role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// The end as claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Who claims it.
    pub source: Source,
    /// Why it is not believed.
    pub problem: Problem,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimEnd {
    /// Nothing is to be taken away.
    Dismissed,
    /// It is taken away.
    Revoked,
    /// A receipt came after all.
    Proven,
}

/// What the control plane's answer came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Whether it has the call at all.
    pub answered: bool,
    /// Whether all pages were read and everything in them was taken in.
    pub complete: bool,
    /// Claims that were proven and adopted.
    pub adopted: u32,
    /// Claims that wait for an operator from now on.
    pub opened: u32,
    /// Claims about grants that are known here.
    pub known: u32,
}

/// One fact of the recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// Something speaks against the ledger: from now on nothing is raised.
    LedgerDoubted(Finding),
    /// A ledger from a backup is as new as what the control plane knows: it is believed again.
    LedgerCompared,
    /// The control plane said what it believes to be live.
    RecoveryHeard(Heard),
    /// A claim waits for an operator.
    ClaimOpened(Box<Claim>),
    /// A claim was decided.
    ClaimClosed {
        /// Which.
        grant: GrantId,
        /// How.
        how: ClaimEnd,
        /// By whom.
        by: String,
        /// Why.
        why: String,
    },
    /// A grant of a forgotten life is held again, to be ended.
    GrantAdopted(Box<Adoption>),
    /// An operator believes the ledger as it is.
    LedgerAcknowledged {
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
    /// An operator vouches that an account shows what it should have.
    AccountExplained {
        /// Where.
        integration: IntegrationId,
        /// Which, by address or id; `None`: all of the integration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// Who.
        by: String,
        /// Why.
        why: String,
    },
}

impl Fact {
    /// Its kind, as the journal and the log name it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::LedgerDoubted(_) => "ledger_doubted",
            Self::LedgerCompared => "ledger_compared",
            Self::RecoveryHeard(_) => "recovery_heard",
            Self::ClaimOpened(_) => "claim_opened",
            Self::ClaimClosed { .. } => "claim_closed",
            Self::GrantAdopted(_) => "grant_adopted",
            Self::LedgerAcknowledged { .. } => "ledger_acknowledged",
            Self::AccountExplained { .. } => "account_explained",
        }
    }

    /// Which stream of the journal it belongs to.
    #[must_use]
    pub fn stream(&self) -> String {
        match self {
            Self::GrantAdopted(adoption) => format!("grant/{}", adoption.held.grant),
            // Never closed.
            _ => "ledger".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::Record;

    fn facts() -> Vec<Fact> {
        let (grant, integration) = (GrantId::new("g").unwrap(), IntegrationId::new("jc").unwrap());
        let (by, why) = ("uid 0".to_owned(), "a test".to_owned());
        let id = AccountId::new("5f01").unwrap();
        let email = Email::new("ada@example.com").unwrap();
        let role = RoleName::new("Help Desk").unwrap();
        let held = Held {
            grant: grant.clone(),
            job: JobId::new("j").unwrap(),
            integration: integration.clone(),
            org: Some(OrgId::new("5f02").unwrap()),
            account: AccountKey::Standing(id.clone()),
            id: id.clone(),
            email: email.clone(),
            role: role.clone(),
            baseline: vec![role.clone()],
            plural: true,
            ends_at: Timestamp(7),
        };
        let claim = Claim {
            grant: grant.clone(),
            integration: integration.clone(),
            account: Some(id),
            email: Some(email),
            role: Some(role),
            ends_at: None,
            source: Source::Tag,
            problem: Problem::NoEnd,
        };
        let finding = |cause| Finding { cause, mark: "m".to_owned(), detail: "d".to_owned(), base: u64::MAX };
        let mut facts: Vec<Fact> =
            Cause::ALL.into_iter().map(|cause| Fact::LedgerDoubted(finding(cause))).collect();
        facts.extend([
            Fact::LedgerCompared,
            Fact::RecoveryHeard(Heard { answered: true, adopted: 3, ..Heard::default() }),
            Fact::ClaimOpened(Box::new(claim)),
            Fact::ClaimClosed { grant, how: ClaimEnd::Proven, by: by.clone(), why: why.clone() },
            Fact::GrantAdopted(Box::new(Adoption { held, proof: Proof::Receipt })),
            Fact::LedgerAcknowledged { by: by.clone(), why: why.clone() },
            Fact::AccountExplained { integration, account: None, by, why },
        ]);
        facts
    }

    #[test]
    fn every_fact_reads_back_from_the_journal_as_it_was_written_and_keeps_its_kind() {
        for fact in facts() {
            let record = Record::Recovery(fact);
            let text = serde_json::to_string(&record).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value["kind"], record.kind(), "{text}");
            assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record, "{text}");
        }
        let unknown = r#"{"kind":"from_a_newer_version","grant":"g"}"#;
        assert!(serde_json::from_str::<Record>(unknown).is_err(), "and no other kind is taken for one");
    }
}
