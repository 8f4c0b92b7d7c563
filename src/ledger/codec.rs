//! Between the engine's records and the ledger's rows.
//!
//! The ledger stores bytes and marks; what a record means for streams, reports and job memory is
//! decided here and nowhere else. Refuses to drop a row it cannot read: that row is named.

use std::collections::BTreeSet;

use super::{Loaded, Marks, Open, Opened, Row, SeenJob, StoredRow, Trust};
use crate::engine::{
    Restored,
    account::{AccountKey, AccountRef},
    action::Entry,
    grant::Terms,
    ids::{Email, IntegrationId, JobId},
    job::Digest,
    orphans,
    record::{Record, Seq},
    recovery::Fact,
    state::{self, RevokePrefix, State},
    time::Timestamp,
};

/// Turns a record into a row. `state` is the fold up to and including the record.
#[must_use]
pub fn row(entry: &Entry, state: &State) -> Row {
    let body = serde_json::to_vec(&entry.record).expect("records hold only strings, numbers and lists");
    Row {
        seq: super::Seq(entry.seq.0),
        stream: entry.record.stream(),
        at: entry.at.0,
        kind: entry.record.kind(),
        body,
        marks: Marks {
            report: is_reported(&entry.record),
            open: open(&entry.record, state),
            snapshot: matches!(
                entry.record,
                Record::AccountOpened { .. }
                    | Record::GrantAccepted(_)
                    | Record::AccessCounted(_)
                    | Record::TimeSeen(_)
                    | Record::Recovery(Fact::GrantAdopted(_))
            ),
            close: matches!(
                entry.record,
                Record::GrantClosed { .. }
                    | Record::AccountClosed { .. }
                    | Record::AccessForgotten { .. }
                    | Record::OrphanOver { .. }
            ),
            seen_job: seen_job(&entry.record, state),
        },
    }
}

/// Reads a stored row's record.
///
/// # Errors
/// What serde says; the caller quarantines the row and goes on.
pub fn record(row: &StoredRow) -> Result<Record, serde_json::Error> {
    serde_json::from_slice(&row.body)
}

/// The fold of what the ledger holds, and the rows that hold no record of this version.
#[must_use]
pub fn restore(loaded: &Loaded, opened: &Opened) -> (Restored, Vec<super::Seq>) {
    let newest = (opened.head.seq.0 > 0).then_some(Timestamp(opened.newest_at));
    let mut restored = Restored { last: Seq(opened.head.seq.0), newest, ..Restored::default() };
    for job in &loaded.seen {
        if let Ok(id) = JobId::new(&job.job_id) {
            let answer = job.answer.map(|s| Seq(s.0));
            let forget_at = Timestamp(job.forget_at);
            let memory = state::SeenJob { digest: Digest(job.digest), answer, forget_at };
            restored.state.jobs.insert(id, memory);
        }
    }
    restored.state.ended = loaded.closed_accounts.iter().filter_map(|stream| ephemeral(stream)).collect();
    let unreadable = fold(&mut restored.state, loaded);
    let unproven = loaded.trust != Trust::Chain && loaded.index_damaged;
    // A grant whose acceptance cannot be read is still ended, from its own checksummed prefix.
    for prefix in loaded.open.iter().filter(|o| o.intact).filter_map(|o| o.entry.revoke.as_ref()) {
        match serde_json::from_slice::<RevokePrefix>(prefix) {
            // An index that nobody vouches for has no account deleted: one of ours is found by its tag.
            Ok(prefix) if unproven && !prefix.is_of_a_standing_account() => {}
            Ok(prefix) => restored.state.adopt_unreadable(&prefix),
            Err(_) => {}
        }
    }
    distrust(&mut restored.state, loaded);
    restored.findings = super::doubts::findings(opened, loaded, &unreadable);
    (restored, unreadable)
}

/// Applies the rows in their order; the numbers of those that hold no record of this version.
fn fold(state: &mut State, loaded: &Loaded) -> Vec<super::Seq> {
    let mut unreadable = Vec::new();
    let apart = loaded.quarantined.iter().filter_map(|bad| bad.unproven.as_ref()).map(|row| (row, false));
    let mut rows: Vec<_> = loaded.rows.iter().map(|row| (row, true)).chain(apart).collect();
    rows.sort_by_key(|(row, _)| row.seq);
    for (row, proven) in rows {
        match record(row) {
            // A stop holds, whoever wrote it.
            Ok(record) if proven || matches!(record, Record::RaisesFrozen(_)) => {
                state.apply(Seq(row.seq.0), Timestamp(row.at), &record);
            }
            Ok(_) => {}
            Err(_) if proven => unreadable.push(row.seq),
            Err(_) => {}
        }
    }
    unreadable
}

/// What nobody vouches for may take away, and decides nothing else; every account that a grant needs is held.
fn distrust(state: &mut State, loaded: &Loaded) {
    for row in loaded.quarantined.iter().filter_map(|bad| bad.unproven.as_ref()) {
        if let Some(prefix) = record(row).ok().and_then(|record| record.takes_away()) {
            state.adopt_unreadable(&prefix);
        }
    }
    state.hold_missing_accounts();
    if loaded.trust == Trust::Chain {
        return;
    }
    let doubtful: BTreeSet<&str> = loaded.quarantined.iter().map(|bad| bad.stream.as_str()).collect();
    // The time of the last row that is believed: one that is not could name any.
    let last = loaded.rows.iter().map(|row| Timestamp(row.at)).max().unwrap_or_default();
    state.end_unproven(&doubtful, last);
    state.give_nothing_back(Some(&doubtful).filter(|_| loaded.trust == Trust::Authentic));
}

/// The ephemeral account of a stream's name.
fn ephemeral(stream: &str) -> Option<AccountRef> {
    let (integration, address) = stream.strip_prefix("account/")?.split_once('/')?;
    let account = AccountKey::Ephemeral(Email::new(address).ok()?);
    Some(AccountRef { integration: IntegrationId::new(integration).ok()?, account })
}

/// Whether the control plane is told of it. It knows nothing of an orphan, which is the operator's matter.
fn is_reported(record: &Record) -> bool {
    if record.stream().starts_with(&format!("grant/{}", orphans::PREFIX)) {
        return false;
    }
    match record {
        Record::JobAnswered(_)
        | Record::JobRefused(_)
        | Record::GrantActive(_)
        | Record::GrantExtended(_)
        | Record::ExtensionDropped(_)
        | Record::GrantGone(_)
        | Record::GrantSettled { .. }
        | Record::GrantReappeared { .. }
        | Record::GrantForgotten(_)
        | Record::RevocationOverdue { .. } => true,
        Record::GrantEnding(ending) => ending.answers().is_some(),
        Record::Recovery(fact) => matches!(
            fact,
            Fact::LedgerDoubted(_)
                | Fact::LedgerCompared
                | Fact::LedgerAcknowledged { .. }
                | Fact::ClaimOpened(_)
                | Fact::GrantAdopted(_)
        ),
        _ => false,
    }
}

fn open(record: &Record, state: &State) -> Option<Open> {
    let terms = |grant| state.grants.get(grant).map(|g| &g.terms);
    match record {
        Record::GrantAccepted(terms) => Some(open_grant(terms, terms.ends_at)),
        Record::GrantExtended(ext) => Some(open_grant(terms(&ext.about.grant)?, ext.end.at)),
        Record::ExtensionDropped(ext) => Some(open_grant(terms(&ext.about.grant)?, ext.end.at)),
        Record::AccountOpened { at, .. } => {
            Some(Open { account: Some(at.account.as_str().to_owned()), ends_at: None, revoke: None })
        }
        Record::Recovery(Fact::GrantAdopted(adoption)) => {
            let terms = terms(&adoption.held.grant)?;
            Some(open_grant(terms, terms.ends_at))
        }
        Record::OrganizationPinned { .. }
        | Record::OrphanFound { .. }
        | Record::RaisesFrozen(_)
        | Record::AccessCounted(_)
        | Record::TimeSeen(_)
        | Record::Recovery(_) => Some(Open { account: None, ends_at: None, revoke: None }),
        _ => None,
    }
}

/// What an ending needs beside the rows of the grant, with the end in force.
fn open_grant(terms: &Terms, ends_at: Timestamp) -> Open {
    let prefix = RevokePrefix {
        grant: terms.grant.clone(),
        job: terms.job.clone(),
        integration: terms.integration.clone(),
        account: terms.account.clone(),
        role: terms.role.clone(),
        ends_at,
    };
    Open {
        account: Some(terms.account.as_str().to_owned()),
        ends_at: Some(ends_at.0),
        revoke: serde_json::to_vec(&prefix).ok(),
    }
}

/// The job whose memory this record makes or completes.
fn seen_job(record: &Record, state: &State) -> Option<SeenJob> {
    let job = match record {
        Record::JobAnswered(answer) => &answer.job,
        Record::GrantAccepted(terms) => &terms.job,
        Record::GrantActive(active) => &active.about.grant_job,
        Record::GrantEnding(ending) => &ending.about.grant_job,
        Record::RevokeRequested { job, .. } => job,
        Record::ExtensionAccepted(extension) => &extension.job,
        Record::GrantExtended(extended) => &extended.job,
        Record::ExtensionDropped(dropped) => &dropped.job,
        _ => return None,
    };
    let seen = state.jobs.get(job)?;
    Some(SeenJob {
        job_id: job.as_str().to_owned(),
        digest: seen.digest.0,
        answer: seen.answer.map(|s| super::Seq(s.0)),
        forget_at: seen.forget_at.0,
    })
}

#[cfg(test)]
mod tests;
