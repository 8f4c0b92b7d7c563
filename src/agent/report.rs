//! From journal records to the reports that the control plane reads.
//!
//! A report is derived from the stored record at the moment it is sent: there is no second copy that
//! could say something else. Refuses records that are nobody's business outside.

use crate::{
    control::wire::{AccountRef, Code, Evidence, Report, Utc},
    engine::{
        codes::{EndReason, EventCode, ResultCode},
        extension::{ExtensionDropped, GrantExtended},
        order::Forgotten,
        record::{About, Answer, GrantActive, GrantEnding, GrantGone, Record},
        recovery::{Adoption, Claim, Fact, Held},
        time::Timestamp,
    },
};

/// JumpCloud's portal sessions last up to one hour (help page "give a user an admin role"); whether a
/// role change ends them for ordinary administrators is not documented.
const SESSION_MS: i64 = 60 * 60 * 1000;

/// The report of a record, or `None` if it is not reported.
#[must_use]
pub(super) fn of(
    seq: u64,
    at: i64,
    record: &Record,
    receipt: impl Fn(&Held) -> Option<String>,
) -> Option<Report> {
    let base = |code: Code| blank(seq, at, code);
    match record {
        Record::JobAnswered(answer) | Record::JobRefused(answer) => Some(answered(base, answer)),
        Record::GrantActive(active) => {
            let report = about(base(Code::Result(ResultCode::Granted)), &active.about);
            Some(granted(report, active, active.held.as_deref().and_then(receipt)))
        }
        Record::GrantExtended(extended) => Some(self::extended(base, extended, receipt)),
        Record::ExtensionDropped(dropped) => Some(not_extended(base, dropped)),
        Record::GrantEnding(ending) => never_active(base, ending),
        Record::GrantGone(gone) => {
            Some(ended(about(base(Code::Event(EventCode::GrantEnded)), &gone.about), gone, at))
        }
        Record::GrantForgotten(given_up) => Some(abandoned(base, given_up)),
        Record::GrantSettled { about: grant, observed, policy_hash } => {
            let evidence = Evidence {
                roles_after: Some(observed.clone()),
                verified_by_read: Some(true),
                ..Evidence::default()
            };
            Some(Report {
                evidence: Some(evidence),
                policy_hash: policy_hash.clone(),
                ..about(base(Code::Event(EventCode::GrantSettled)), grant)
            })
        }
        Record::GrantReappeared { about: grant, observed, policy_hash } => {
            let evidence = Evidence { observed: Some(observed.clone()), ..Evidence::default() };
            Some(Report {
                evidence: Some(evidence),
                policy_hash: policy_hash.clone(),
                ..about(base(Code::Event(EventCode::GrantReappeared)), grant)
            })
        }
        Record::RevocationOverdue { about: grant, overdue_ms, attempts, policy_hash, .. } => {
            let evidence =
                Evidence { lateness_ms: Some(*overdue_ms), attempts: Some(*attempts), ..Evidence::default() };
            Some(Report {
                evidence: Some(evidence),
                policy_hash: policy_hash.clone(),
                ..about(base(Code::Event(EventCode::RevocationOverdue)), grant)
            })
        }
        Record::Recovery(fact) => recovered(base, fact, receipt),
        _ => None,
    }
}

fn blank(seq: u64, at: i64, code: Code) -> Report {
    Report {
        seq,
        at: Utc(Timestamp(at)),
        kind: code.kind(),
        job_id: None,
        grant_id: None,
        code,
        rule: None,
        reason: None,
        detail: None,
        integration: None,
        account: None,
        role: None,
        evidence: None,
        ends_at: None,
        receipt: None,
        session_may_persist_until: None,
        policy_hash: None,
    }
}

fn about(report: Report, about: &About) -> Report {
    let result = matches!(report.code, Code::Result(_));
    Report {
        job_id: result.then(|| about.grant_job.clone()),
        grant_id: Some(about.grant.clone()),
        integration: Some(about.integration.clone()),
        account: Some(AccountRef { id: None, email: Some(about.email.clone()) }),
        role: Some(about.role.clone()),
        ..report
    }
}

fn answered(base: impl Fn(Code) -> Report, answer: &Answer) -> Report {
    let evidence = Evidence {
        observed: answer.observed.clone(),
        roles_after: answer.would_write.clone(),
        inventory: answer.inventory,
        ..Evidence::default()
    };
    Report {
        job_id: Some(answer.job.clone()),
        grant_id: answer.grant.clone(),
        rule: answer.rule,
        detail: answer.fault.as_ref().map(describe),
        integration: answer.integration.clone(),
        evidence: Some(evidence).filter(|e| *e != Evidence::default()),
        policy_hash: answer.policy_hash.clone(),
        ..base(Code::Result(answer.code))
    }
}

fn granted(report: Report, active: &GrantActive, receipt: Option<String>) -> Report {
    Report {
        account: Some(AccountRef {
            id: Some(active.account.clone()),
            email: Some(active.about.email.clone()),
        }),
        evidence: Some(Evidence {
            roles_before: Some(active.before.clone()),
            roles_after: Some(active.after.clone()),
            attempts: Some(active.attempts),
            verified_by_read: Some(true),
            awaiting_activation: active.awaiting_activation,
            ..Evidence::default()
        }),
        ends_at: Some(Utc(active.ends_at)),
        receipt,
        policy_hash: Some(active.policy_hash.clone()),
        ..report
    }
}

fn extended(
    base: impl Fn(Code) -> Report,
    extended: &GrantExtended,
    receipt: impl Fn(&Held) -> Option<String>,
) -> Report {
    let GrantExtended { about: grant, account, .. } = extended;
    let ends_at = extended.end.at;
    Report {
        job_id: Some(extended.job.clone()),
        account: Some(AccountRef { id: account.clone(), email: Some(grant.email.clone()) }),
        ends_at: Some(Utc(ends_at)),
        receipt: extended.held.as_deref().and_then(receipt),
        policy_hash: Some(extended.policy_hash.clone()),
        ..about(base(Code::Result(ResultCode::Extended)), grant)
    }
}

fn not_extended(base: impl Fn(Code) -> Report, dropped: &ExtensionDropped) -> Report {
    Report {
        job_id: Some(dropped.job.clone()),
        rule: dropped.rule,
        ends_at: Some(Utc(dropped.end.at)),
        policy_hash: dropped.policy_hash.clone(),
        ..about(base(Code::Result(dropped.code)), &dropped.about)
    }
}

fn never_active(base: impl Fn(Code) -> Report, ending: &GrantEnding) -> Option<Report> {
    let code = ending.answers()?;
    let report = about(base(Code::Result(code)), &ending.about);
    let detail =
        ending.fault.as_ref().map(describe).or_else(|| ending.order.as_ref().map(ToString::to_string));
    let policy_hash = ending.policy_hash.clone();
    Some(Report { rule: ending.rule, detail, policy_hash, ..report })
}

fn ended(report: Report, gone: &GrantGone, at: i64) -> Report {
    let left = matches!(gone.reason, EndReason::Superseded | EndReason::RevokedExternally);
    let evidence = Evidence {
        roles_before: Some(gone.baseline.clone()),
        roles_after: Some(gone.observed.clone().unwrap_or_default()),
        verified_by_read: Some(true),
        lateness_ms: Some(gone.lateness_ms),
        woken_by: Some(gone.woken_by),
        observed: gone.observed.clone().filter(|_| left),
        ..Evidence::default()
    };
    let found =
        gone.found_email.as_ref().map(|found| format!("the account's address had been changed to {found}"));
    let order = gone.order.as_ref().map(ToString::to_string);
    let detail: Vec<String> = order.into_iter().chain(found).collect();
    let detail = Some(detail.join("; ")).filter(|text| !text.is_empty());
    Report {
        reason: Some(gone.reason),
        policy_hash: gone.policy_hash.clone(),
        detail,
        evidence: Some(evidence),
        session_may_persist_until: gone
            .observed
            .is_some()
            .then_some(Utc(Timestamp(at.saturating_add(SESSION_MS)))),
        ..report
    }
}

/// Nobody has read that it is gone: the evidence says so.
fn abandoned(base: impl Fn(Code) -> Report, given_up: &Forgotten) -> Report {
    let evidence = Evidence { verified_by_read: Some(false), ..Evidence::default() };
    Report {
        reason: Some(EndReason::Abandoned),
        detail: Some(given_up.order.to_string()),
        policy_hash: given_up.policy_hash.clone(),
        evidence: Some(evidence),
        ..about(base(Code::Event(EventCode::GrantEnded)), &given_up.about)
    }
}

fn describe(fault: &crate::engine::observed::Fault) -> String {
    let class = serde_json::to_value(fault.class)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default();
    fault.status.map_or_else(|| class.clone(), |status| format!("{class} (HTTP {status})"))
}

/// What concerns the ledger itself, and grants of a life that it has forgotten.
fn recovered(
    base: impl Fn(Code) -> Report,
    fact: &Fact,
    receipt: impl Fn(&Held) -> Option<String>,
) -> Option<Report> {
    let event = |code| base(Code::Event(code));
    let said = |code, detail: String| Report { detail: Some(detail), ..event(code) };
    Some(match fact {
        Fact::LedgerDoubted(finding) => {
            said(EventCode::LedgerDoubted, format!("{}: {}", finding.cause.as_str(), finding.detail))
        }
        Fact::LedgerCompared => {
            said(EventCode::LedgerBelieved, "compared: it is as new as what is known here".to_owned())
        }
        Fact::LedgerAcknowledged { by, why } => {
            said(EventCode::LedgerBelieved, format!("acknowledged by {by}: {why}"))
        }
        Fact::ClaimOpened(claim) => claimed(event(EventCode::ClaimOpened), claim),
        Fact::GrantAdopted(adoption) => {
            let report = adopted(event(EventCode::GrantAdopted), adoption);
            Report { receipt: receipt(&adoption.held), ..report }
        }
        Fact::RecoveryHeard(_) | Fact::ClaimClosed { .. } | Fact::AccountExplained { .. } => return None,
    })
}

fn claimed(report: Report, claim: &Claim) -> Report {
    Report {
        grant_id: Some(claim.grant.clone()),
        integration: Some(claim.integration.clone()),
        account: Some(AccountRef { id: claim.account.clone(), email: claim.email.clone() }),
        role: claim.role.clone(),
        detail: Some(claim.problem.as_str().to_owned()),
        ..report
    }
}

fn adopted(report: Report, adoption: &Adoption) -> Report {
    let held = &adoption.held;
    Report {
        grant_id: Some(held.grant.clone()),
        integration: Some(held.integration.clone()),
        account: Some(AccountRef { id: Some(held.id.clone()), email: Some(held.email.clone()) }),
        role: Some(held.role.clone()),
        ends_at: Some(Utc(held.ends_at)),
        ..report
    }
}
