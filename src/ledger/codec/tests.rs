//! Every kind of record, to the row and back.

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
        policy_hash: None,
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
        Record::GrantForgotten(Forgotten { about: about(), order: order(), policy_hash: None }),
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
        rule: None,
        policy_hash: None,
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
        unproven: vec![],
        ballast: true,
    };
    let (restored, _) = restore(&loaded, &opened);
    let grant = restored.state.grants.values().next().unwrap();
    assert_eq!(grant.phase, crate::engine::grant::Phase::Revoking);
    assert_eq!(restored.state.accounts.len(), 1, "and its account is held until it is seen gone");
}

#[test]
fn every_record_reads_back_as_it_was_written_and_keeps_its_kind() {
    for record in records().into_iter().chain(extensions()).chain(found_and_counted()).chain(operators()) {
        let entry = Entry { seq: Seq(1), at: Timestamp(1), record: record.clone() };
        let stored = row(&entry, &State::default());
        let read: Record = serde_json::from_slice(&stored.body).unwrap_or_else(|e| panic!("{record:?}: {e}"));
        assert_eq!(read, record);
        let json: serde_json::Value = serde_json::from_slice(&stored.body).unwrap();
        assert_eq!(json["kind"], record.kind());
    }
}

#[test]
fn no_control_plane_is_told_of_an_orphan() {
    let grant = |name: &str| About { grant: GrantId::new(name).unwrap(), ..about() };
    let settled =
        |name: &str| Record::GrantSettled { about: grant(name), observed: Vec::new(), policy_hash: None };
    assert!(is_reported(&settled("g")));
    assert!(!is_reported(&settled("orphan-5f00c0de0000000000000007")));
}

#[test]
fn a_closed_stream_of_an_account_by_address_is_an_account_that_was_made_here() {
    let at = ephemeral("account/jc/ada+tag@example.com").unwrap();
    assert_eq!(account_stream(&at), "account/jc/ada+tag@example.com");
    assert!(ephemeral("account/jc/").is_none() && ephemeral("grant/jc/a@b").is_none());
}
