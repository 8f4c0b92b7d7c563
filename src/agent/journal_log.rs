//! One log line per journal record: the log is a view of the journal, it cannot say anything else.
//!
//! Field names are stable and documented in `docs/logs.md`. Refuses free text: every value comes from
//! a record, and no record holds a secret.

use tracing::{error, info, warn};

use crate::engine::{
    action::{Entry, Warning},
    codes::EndReason,
    ids::{IntegrationId, Remark},
    order::{Forgotten, Freeze, Order, Thaw},
    record::{About, GrantEnding, Record},
    recovery::Fact,
};

/// The alarm about a key, which is named by a part of its digest.
pub(super) fn key_refused(integration: &IntegrationId, key: Option<&str>) {
    error!(
        integration = %integration, key,
        "JumpCloud: the key is not accepted (401); raises pause, endings are tried on: put a working key where the connection comes from, it is taken from there"
    );
}

/// Logs one record.
pub(super) fn line(entry: &Entry) {
    let (seq, kind) = (entry.seq.0, entry.record.kind());
    match &entry.record {
        Record::GrantAccepted(terms) => info!(
            seq, kind, grant.id = %terms.grant, job.id = %terms.job, integration = %terms.integration,
            account.email = %terms.email, role = %terms.role, ends_at = terms.ends_at.0, request.number = terms.request.number.as_deref(),
            "grant accepted"
        ),
        Record::GrantActive(a) => about(seq, kind, &a.about, "grant active: the access was read back"),
        Record::GrantEnding(e) => ending(seq, kind, e),
        Record::GrantGone(g) => {
            let a = &g.about;
            info!(
                seq, kind, grant.id = %a.grant, job.id = %a.grant_job, integration = %a.integration, account.email = %a.email,
                role = %a.role, reason = %g.reason, woken_by = %g.woken_by, lateness_ms = g.lateness_ms,
                "grant ended: the access was read back as gone"
            );
            if g.reason == EndReason::Superseded {
                warn!(grant.id = %a.grant, account.email = %a.email, "a person changed the account beyond the grant; it was left as it is: look at it");
            }
        }
        Record::GrantSettled { about: a, .. } => about(seq, kind, a, "grant settled: still gone"),
        Record::GrantClosed { about: a } => about(seq, kind, a, "grant closed"),
        Record::GrantIndeterminate { about: a } => {
            about(seq, kind, a, "grant indeterminate: the raise may or may not have happened")
        }
        Record::RevokeRequested { about: a, .. } => about(seq, kind, a, "revocation requested"),
        Record::GrantReappeared { about: a, .. } => {
            warn!(seq, kind, grant.id = %a.grant, account.email = %a.email, role = %a.role, "access reappeared after its end; it is taken away again");
        }
        Record::RevocationOverdue { about: a, overdue_ms, attempts, .. } => error!(
            seq, kind, grant.id = %a.grant, account.email = %a.email, role = %a.role, overdue_ms, attempts,
            "revocation overdue: access outlives its grant; it is tried for ever, look at JumpCloud and the credential"
        ),
        Record::JobAnswered(_)
        | Record::JobRefused(_)
        | Record::JobEvidence { .. }
        | Record::JobEquivocated { .. }
        | Record::ExtensionAccepted(_)
        | Record::GrantExtended(_)
        | Record::ExtensionDropped(_)
        | Record::EndAnchored { .. } => job(seq, &entry.record),
        Record::RaisesFrozen(_) | Record::RaisesThawed(_) | Record::GrantForgotten(_) => {
            operator(seq, &entry.record);
        }
        other => account(seq, other),
    }
}

fn about(seq: u64, kind: &'static str, a: &About, message: &'static str) {
    info!(
        seq, kind, grant.id = %a.grant, job.id = %a.grant_job, integration = %a.integration, account.email = %a.email,
        role = %a.role, "{message}"
    );
}

fn ending(seq: u64, kind: &'static str, e: &GrantEnding) {
    let (a, order) = (&e.about, e.order.as_ref());
    info!(
        seq, kind, grant.id = %a.grant, job.id = %a.grant_job, integration = %a.integration, account.email = %a.email,
        role = %a.role, reason = %e.reason, woken_by = %e.woken_by, lateness_ms = e.lateness_ms,
        rule = e.rule.map(tracing::field::display), operator.uid = order.map(|o| o.by.uid), operator.remark = remark(order),
        "grant ending"
    );
}

fn remark(order: Option<&Order>) -> Option<&str> {
    order.and_then(|order| order.remark.as_ref()).map(Remark::as_str)
}

fn operator(seq: u64, record: &Record) {
    let kind = record.kind();
    match record {
        Record::RaisesFrozen(Freeze { order, draining }) => warn!(
            seq,
            kind,
            operator.uid = order.by.uid,
            operator.gid = order.by.gid,
            operator.pid = order.by.pid,
            operator.remark = remark(Some(order)),
            draining,
            "raises frozen: nothing is granted or extended until an operator thaws them; endings go on"
        ),
        Record::RaisesThawed(Thaw { order }) => warn!(
            seq,
            kind,
            operator.uid = order.by.uid,
            operator.gid = order.by.gid,
            operator.pid = order.by.pid,
            operator.remark = remark(Some(order)),
            "raises thawed"
        ),
        Record::GrantForgotten(Forgotten { about: a, order, .. }) => error!(
            seq, kind, grant.id = %a.grant, job.id = %a.grant_job, integration = %a.integration, account.email = %a.email,
            role = %a.role, operator.uid = order.by.uid, operator.gid = order.by.gid, operator.pid = order.by.pid,
            operator.remark = remark(Some(order)),
            "grant given up by an operator: its access may still be there; it is tried on, and the account gets no new grant"
        ),
        _ => {}
    }
}

fn extension(seq: u64, record: &Record) {
    let kind = record.kind();
    match record {
        Record::ExtensionAccepted(e) => info!(
            seq, kind, grant.id = %e.about.grant, job.id = %e.job, integration = %e.about.integration, account.email = %e.about.email,
            role = %e.about.role, ends_at = e.end.at.0, request.number = e.request.number.as_deref(), "extension accepted"
        ),
        Record::GrantExtended(e) => info!(
            seq, kind, grant.id = %e.about.grant, job.id = %e.job, integration = %e.about.integration, account.email = %e.about.email,
            role = %e.about.role, ends_at = e.end.at.0, "grant extended: the new end is in force"
        ),
        Record::ExtensionDropped(e) => info!(
            seq, kind, grant.id = %e.about.grant, job.id = %e.job, integration = %e.about.integration, account.email = %e.about.email,
            role = %e.about.role, ends_at = e.end.at.0, code = %e.code, rule = e.rule.map(tracing::field::display),
            "extension dropped: the old end stays"
        ),
        Record::EndAnchored { about: a, end } => info!(
            seq, kind, grant.id = %a.grant, job.id = %a.grant_job, integration = %a.integration, account.email = %a.email,
            role = %a.role, ends_at = end.at.0, "end bound to this boot's clock"
        ),
        _ => {}
    }
}

fn job(seq: u64, record: &Record) {
    let kind = record.kind();
    match record {
        Record::JobAnswered(a) | Record::JobRefused(a) => info!(
            seq, kind, job.id = %a.job, grant.id = a.grant.as_ref().map(tracing::field::display), code = %a.code,
            rule = a.rule.map(tracing::field::display), observed = a.observed.as_ref().map(tracing::field::debug),
            would_write = a.would_write.as_ref().map(tracing::field::debug), "job answered"
        ),
        Record::JobEvidence { job, .. } => {
            tracing::debug!(seq, kind, job.id = %job, "signed job kept as evidence")
        }
        Record::JobEquivocated { job, .. } => {
            error!(seq, kind, job.id = %job, "a job id came again with another body: the control plane contradicts itself");
        }
        other => extension(seq, other),
    }
}

fn account(seq: u64, record: &Record) {
    let kind = record.kind();
    match record {
        Record::OrganizationPinned { integration, org } => {
            info!(seq, kind, integration = %integration, org.id = %org, "organization pinned");
        }
        Record::AttemptStarted { at, attempt } => info!(
            seq, kind, integration = %at.integration, account = at.account.as_str(), attempt = attempt.n,
            raise = attempt.effect.is_raise(), "write handed out"
        ),
        Record::AttemptEnded { at, n, end } => info!(
            seq, kind, integration = %at.integration, account = at.account.as_str(), attempt = n, end = ?end, "write answered"
        ),
        Record::BaselineMoved { at, from, to } => warn!(
            seq, kind, integration = %at.integration, account = at.account.as_str(), ?from, ?to,
            "a person changed the account; what will be restored follows"
        ),
        Record::AccountOpened { at, .. }
        | Record::AccountFound { at, .. }
        | Record::AccountWatched { at, .. }
        | Record::AccountClosed { at } => {
            info!(seq, kind, integration = %at.integration, account = at.account.as_str(), "account");
        }
        Record::OrphanFound { integration, id, email, roles } => warn!(
            seq, kind, integration = %integration, account = %id, account.email = %email, ?roles,
            "an account with this agent's tag, of which its ledger knows nothing: look whose it is"
        ),
        Record::OrphanOver { integration, id } => {
            info!(seq, kind, integration = %integration, account = %id, "no orphan any more");
        }
        Record::SecretWithheld { outlet, secret } => withheld(seq, kind, outlet, secret),
        Record::TimeSeen(_) => tracing::debug!(seq, kind, "time seen"),
        Record::AccessCounted(u) => tracing::debug!(
            seq,
            kind,
            account.email = u.who,
            used_ms = u.used.0,
            ends_at = u.until.0,
            "access counted"
        ),
        Record::AccessForgotten { who } => {
            tracing::debug!(seq, kind, account.email = who, "access too long ago to count");
        }
        Record::Recovery(fact) => recovery(seq, fact),
        _ => info!(seq, kind, "journal"),
    }
}

fn withheld(seq: u64, kind: &'static str, outlet: &str, secret: &str) {
    error!(
        seq,
        kind,
        outlet,
        secret.sha256 = secret,
        "egress: something that held a secret was stopped on its way out: find out what wanted to send it"
    );
}

fn recovery(seq: u64, fact: &Fact) {
    let kind = fact.kind();
    match fact {
        Fact::LedgerDoubted(finding) => error!(
            seq,
            kind,
            cause = finding.cause.as_str(),
            detail = finding.detail,
            "ledger: from now on nothing is raised, endings go on: an operator must look"
        ),
        Fact::LedgerCompared => {
            info!(seq, kind, "ledger: as new as what the control plane knows; believed again")
        }
        Fact::RecoveryHeard(heard) => info!(
            seq,
            kind,
            adopted = heard.adopted,
            opened = heard.opened,
            known = heard.known,
            complete = heard.complete,
            answered = heard.answered,
            "ledger: the control plane said what it believes to be live"
        ),
        Fact::ClaimOpened(claim) => error!(
            seq, kind, grant.id = %claim.grant, integration = %claim.integration,
            account.email = claim.email.as_ref().map(tracing::field::display), problem = claim.problem.as_str(),
            "ledger: a claim is not proven; an operator must decide it (`ephemerald ledger claims`)"
        ),
        Fact::ClaimClosed { grant, by, .. } => {
            info!(seq, kind, grant.id = %grant, by, "ledger: a claim was decided")
        }
        Fact::GrantAdopted(adoption) => warn!(
            seq, kind, grant.id = %adoption.held.grant, integration = %adoption.held.integration,
            account.email = %adoption.held.email, role = %adoption.held.role, ends_at = adoption.held.ends_at.0,
            "ledger: a grant that it had forgotten is held again, to be ended"
        ),
        Fact::LedgerAcknowledged { by, why } => {
            warn!(seq, kind, by, why, "ledger: acknowledged; accounts are barred until they are explained");
        }
        Fact::AccountExplained { integration, account, by, .. } => {
            info!(seq, kind, integration = %integration, account = account.as_deref(), by, "ledger: explained");
        }
    }
}

/// Logs a warning of the engine.
pub(super) fn warning(warning: &Warning) {
    match warning {
        Warning::ClockUntrusted { jumped_ms } => error!(
            jumped_ms,
            "clock: the wall clock disagrees with the boot-time clock or the journal; raises pause until the control plane's time agrees: check NTP"
        ),
        Warning::ClockTrusted => info!("clock: a second witness agrees; raises go on"),
        Warning::WrongOrganization(integration) => error!(
            integration = %integration, "JumpCloud: the key belongs to another organization than the pinned one; nothing is done there: put the right key back"
        ),
        Warning::CredentialRefused(integration) => key_refused(integration, None),
        Warning::ListingCut(integration) => error!(
            integration = %integration, "JumpCloud: a listing that should be complete shows less than half of the administrators of the one before; for ten minutes it proves nobody gone: look at the list in the console"
        ),
        Warning::Escalated(at) => error!(
            integration = %at.integration, account = at.account.as_str(),
            "an ending needs a person: something of ours is there and no permitted write takes it away without giving something new"
        ),
        Warning::FloorInstead(at) => error!(
            integration = %at.integration, account = at.account.as_str(),
            "the role that the account should have could not be written for long, so that the floor role is: give it back in the console"
        ),
        Warning::GuardsFell(at) => error!(
            integration = %at.integration, account = at.account.as_str(),
            "after our write of a role the account requires no MFA any more, or may own an API key: JumpCloud may reset what a write leaves out, or a person changed it; look at the account"
        ),
        Warning::Forgotten(at) => error!(
            integration = %at.integration, account = at.account.as_str(),
            "a grant that was given up may still carry access: take it away in JumpCloud's console"
        ),
        Warning::Stranger(at) => warn!(
            integration = %at.integration, account = at.account.as_str(),
            "an account with our address has another id than the one we made: left alone"
        ),
        Warning::Unconfigured(at) => error!(
            integration = %at.integration, account = at.account.as_str(),
            "a grant is held in an integration that is not configured any more; it cannot be ended: put the integration back"
        ),
        Warning::RevokeOnly { causes, claims } => error!(
            causes,
            claims,
            "ledger: in doubt, so that nothing is raised; endings go on. See `ephemerald ledger check` and docs/ledger.md"
        ),
        Warning::WheelMiss(at) => error!(
            integration = %at.integration, account = at.account.as_str(),
            "the sweep found a due grant that the timer wheel had missed: this is a bug, please report it"
        ),
    }
}
