//! Between the engine's records and the ledger's rows.
//!
//! The ledger stores bytes and marks; what a record means for streams, reports and job memory is
//! decided here and nowhere else. Refuses to drop a row it cannot read: that row is named.

use super::{Loaded, Marks, Open, Opened, Row, SeenJob, StoredRow};
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
    let mut unreadable = Vec::new();
    for row in &loaded.rows {
        match record(row) {
            Ok(record) => restored.state.apply(Seq(row.seq.0), Timestamp(row.at), &record),
            Err(_) => unreadable.push(row.seq),
        }
    }
    // A grant whose acceptance cannot be read is still ended, from its own checksummed prefix.
    for prefix in loaded.open.iter().filter(|o| o.intact).filter_map(|o| o.entry.revoke.as_ref()) {
        if let Ok(prefix) = serde_json::from_slice(prefix) {
            restored.state.adopt_unreadable(&prefix);
        }
    }
    restored.state.hold_missing_accounts();
    restored.findings = super::doubts::findings(opened, loaded, &unreadable);
    (restored, unreadable)
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
mod tests {
    use super::*;
    use crate::engine::{
        codes::{EndReason, ResultCode, Rule, WokenBy},
        extension::{Extension, ExtensionDropped, GrantExtended},
        grant::{End, GrantKind, Terms},
        ids::{AccountId, GrantId, Remark, RoleName},
        job::AccessRequest,
        order::{Forgotten, Freeze, Order, Peer, Thaw},
        record::{About, GrantEnding, GrantGone, account_stream},
        time::{BootId, BootTime, Millis},
        usage::Usage,
    };

    fn about() -> About {
        About {
            grant: GrantId::new("g").unwrap(),
            grant_job: JobId::new("j").unwrap(),
            integration: IntegrationId::new("jc").unwrap(),
            email: Email::new("ada@example.com").unwrap(),
            role: RoleName::new("Help Desk").unwrap(),
        }
    }

    fn records() -> Vec<Record> {
        let role = || RoleName::new("Help Desk").unwrap();
        let terms = Terms {
            grant: about().grant,
            job: about().grant_job,
            digest: Digest([7; 32]),
            integration: about().integration,
            account: AccountKey::Ephemeral(tagged()),
            email: about().email,
            kind: GrantKind::Ephemeral,
            role: role(),
            accepted_at: Timestamp(1),
            ends_at: Timestamp(2),
            start_by: Timestamp(3),
            boot_id: BootId(3),
            accepted_boot: BootTime(4),
            boot_ends: BootTime(5),
            request: AccessRequest { approvers: vec!["bob".to_owned()], ..AccessRequest::default() },
            requester: Some(about().email),
            policy_hash: "h".to_owned(),
            roles_before: vec![role()],
        };
        let ending = GrantEnding {
            about: about(),
            reason: EndReason::Failed,
            woken_by: WokenBy::Wheel,
            lateness_ms: 9,
            rule: Some(Rule::NotConfirmed),
            fault: None,
            policy_hash: Some("h".to_owned()),
            order: None,
        };
        vec![
            Record::AgentStarted { clock_was_dead: true },
            Record::GrantAccepted(Box::new(terms)),
            Record::GrantEnding(ending),
            Record::GrantGone(gone()),
            Record::GrantIndeterminate { about: about() },
        ]
    }

    fn gone() -> GrantGone {
        GrantGone {
            about: about(),
            reason: EndReason::Expired,
            woken_by: WokenBy::Wheel,
            lateness_ms: 1,
            observed: None,
            baseline: vec![],
            wrote: Some(vec![about().role]),
            found_email: None,
            order: Some(order()),
            at: Timestamp(3),
        }
    }

    fn order() -> Order {
        let by = Peer { uid: 1000, gid: 100, pid: Some(4711) };
        Order { by, remark: Some(Remark::new("incident 4711").unwrap()) }
    }

    fn operators() -> Vec<Record> {
        let freeze = |draining| Record::RaisesFrozen(Freeze { order: order(), draining });
        vec![
            freeze(false),
            freeze(true),
            Record::RaisesThawed(Thaw { order: Order { remark: None, ..order() } }),
            Record::GrantForgotten(Forgotten { about: about(), order: order() }),
        ]
    }

    fn tagged() -> Email {
        Email::new("ada+tag@example.com").unwrap()
    }

    fn found_and_counted() -> Vec<Record> {
        let who = || "ada@example.com".to_owned();
        let (since, used, until) = (Timestamp(1), Millis(2), Timestamp(3));
        let usage = Usage { who: who(), since, used, until, lately: vec![Timestamp(1)] };
        let account = AccountKey::Ephemeral(tagged());
        let at = AccountRef { integration: about().integration, account };
        let id = AccountId::new("5f01").unwrap();
        let found = Record::AccountFound { at, id };
        vec![found, Record::AccessCounted(usage), Record::AccessForgotten { who: who() }]
    }

    fn extensions() -> Vec<Record> {
        let end = End { at: Timestamp(9), boot_id: BootId(u64::MAX), boot: BootTime(10) };
        let extension = Extension {
            about: about(),
            job: JobId::new("k").unwrap(),
            digest: Digest([8; 32]),
            end,
            request: AccessRequest::default(),
            policy_hash: "h".to_owned(),
        };
        let extended = GrantExtended {
            about: about(),
            job: JobId::new("k").unwrap(),
            digest: Digest([8; 32]),
            account: None,
            before: vec![about().role],
            from: Timestamp(2),
            held: None,
            end,
            policy_hash: "h".to_owned(),
        };
        let dropped = ExtensionDropped {
            about: about(),
            job: JobId::new("k").unwrap(),
            digest: Digest([8; 32]),
            code: ResultCode::TooLate,
            end,
        };
        vec![
            Record::ExtensionAccepted(Box::new(extension)),
            Record::GrantExtended(Box::new(extended)),
            Record::ExtensionDropped(dropped),
        ]
    }

    #[test]
    fn a_grant_whose_acceptance_cannot_be_read_is_ended_at_once() {
        let Record::GrantAccepted(terms) = records().remove(1) else {
            panic!("the second record is an acceptance")
        };
        let entry = Entry { seq: Seq(1), at: Timestamp(1), record: Record::GrantAccepted(terms) };
        let mut damaged = row(&entry, &State::default());
        damaged.body = b"{".to_vec();
        let open = super::super::OpenStream {
            stream: damaged.stream.clone(),
            snapshot: damaged.seq,
            entry: damaged.marks.open.clone().unwrap(),
            intact: true,
        };
        let loaded = Loaded { open: vec![open], ..Loaded::default() };
        let head = super::super::Head { seq: damaged.seq, hash: [0; 32] };
        let opened = Opened {
            created: false,
            created_at: 0,
            ledger_id: String::new(),
            head,
            newest_at: 0,
            replaces: None,
            restored_at: None,
            acknowledged: None,
            is_behind: false,
            quarantined: vec![],
            ballast: true,
        };
        let (restored, _) = restore(&loaded, &opened);
        let grant = restored.state.grants.values().next().unwrap();
        assert_eq!(grant.phase, crate::engine::grant::Phase::Revoking);
        assert_eq!(restored.state.accounts.len(), 1, "and its account is held until it is seen gone");
    }

    #[test]
    fn every_record_reads_back_as_it_was_written_and_keeps_its_kind() {
        for record in records().into_iter().chain(extensions()).chain(found_and_counted()).chain(operators())
        {
            let entry = Entry { seq: Seq(1), at: Timestamp(1), record: record.clone() };
            let stored = row(&entry, &State::default());
            let read: Record =
                serde_json::from_slice(&stored.body).unwrap_or_else(|e| panic!("{record:?}: {e}"));
            assert_eq!(read, record);
            let json: serde_json::Value = serde_json::from_slice(&stored.body).unwrap();
            assert_eq!(json["kind"], record.kind());
        }
    }

    #[test]
    fn no_control_plane_is_told_of_an_orphan() {
        let grant = |name: &str| About { grant: GrantId::new(name).unwrap(), ..about() };
        let settled = |name: &str| Record::GrantSettled { about: grant(name), observed: Vec::new() };
        assert!(is_reported(&settled("g")));
        assert!(!is_reported(&settled("orphan-5f00c0de0000000000000007")));
    }

    #[test]
    fn a_closed_stream_of_an_account_by_address_is_an_account_that_was_made_here() {
        let at = ephemeral("account/jc/ada+tag@example.com").unwrap();
        assert_eq!(account_stream(&at), "account/jc/ada+tag@example.com");
        assert!(ephemeral("account/jc/").is_none() && ephemeral("grant/jc/a@b").is_none());
    }
}
