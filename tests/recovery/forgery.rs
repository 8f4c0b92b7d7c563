//! Somebody who can write to the disk, and has this very program, invents records that chain as they should: a grant of a
//! role that an account really has, and a higher one that it displaced and that its end would give back.

use std::{path::Path, sync::Arc};

use ephemerald::{
    engine::{
        Restored,
        action::Entry,
        ids::AccountId,
        record::{Record, Seq},
        recovery::Cause,
        settings::RoleMode,
        state::State,
        time::{BootId, BootReading, BootTime},
    },
    ledger::{
        self, Batch, Event, JournalKey, Keying, Ledger, OnLoss, Opened, Options, Seal, Unsealable, codec,
    },
};
use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::world::{self, World, role};

const CREATED: i64 = world::START - 60_000;
const MINUTE: u64 = 60_000;

fn key(byte: u8) -> Keying {
    Keying::Known(Arc::new(JournalKey::new(&[byte; 32])))
}

type Parts = (Ledger<()>, Opened, mpsc::Receiver<Event<()>>);

async fn open(dir: &Path, key: Keying) -> Parts {
    Ledger::open(dir, Options { created_at: CREATED, on_loss: OnLoss::BeginAnew, key }).await.unwrap()
}

/// Appends records as the program does; with `Keying::None`, as somebody who does not have the key.
pub(super) async fn append(dir: &Path, key: Keying, records: &[(i64, Record)]) {
    let (ledger, opened, mut events) = open(dir, key).await;
    let (mut state, mut rows) = (State::default(), Vec::new());
    for (seq, (at, record)) in (opened.head.seq.0 + 1..).zip(records) {
        let entry =
            Entry { seq: Seq(seq), at: ephemerald::engine::time::Timestamp(*at), record: record.clone() };
        state.apply(entry.seq, entry.at, &entry.record);
        rows.push(codec::row(&entry, &state));
    }
    ledger.submit(Batch { rows, raises: vec![] }).unwrap();
    assert!(matches!(events.recv().await, Some(Event::Durable { .. })));
    ledger.close().await;
}

pub(super) fn records(entries: &[Entry]) -> Vec<(i64, Record)> {
    entries.iter().map(|entry| (entry.at.0, entry.record.clone())).collect()
}

/// Ada, who helps at the desk, manages for an hour; Mallory sees bills and Nora manages, of their own right.
fn life() -> World {
    let mut world = World::new(RoleMode::Single);
    world.hire("ada@example.com", &["Help Desk"]);
    world.hire("mallory@example.com", &["Billing Only"]);
    world.hire("nora@example.com", &["Manager"]);
    world.start();
    world.run(1_000);
    world.grant("ada@example.com", "Manager", 60);
    world.run(5_000);
    assert_eq!(of(&world, "ada@example.com"), ["Manager"]);
    world
}

/// What the journal would hold had Mallory and Nora been administrators and been granted what they have for a minute.
fn invented() -> Vec<(i64, Record)> {
    let mut all = invented_of("mallory@example.com", "Billing Only", "666");
    all.extend(invented_of("nora@example.com", "Manager", "667"));
    all
}

fn invented_of(address: &str, has: &str, number: &str) -> Vec<(i64, Record)> {
    let mut world = World::new(RoleMode::Single);
    for address in ["ada@example.com", "mallory@example.com", "nora@example.com"] {
        world.hire(address, &["Read Only"]);
    }
    world.start();
    world.run(1_000);
    world.grant(address, "Manager", 1);
    world.run(5_000);
    let of_it = |entry: &&Entry| {
        let stream = entry.record.stream();
        stream.starts_with("grant/") || stream.starts_with("account/")
    };
    let forged = |entry: &Entry| {
        let text = serde_json::to_string(&entry.record).unwrap();
        let text = text.replace("Read Only", "Administrator").replace("Manager", has);
        let text =
            text.replace("\"g1\"", &format!("\"g{number}\"")).replace("\"j1\"", &format!("\"j{number}\""));
        (entry.at.0, serde_json::from_str(&text).unwrap())
    };
    let records: Vec<(i64, Record)> = world.durable.iter().filter(of_it).map(forged).collect();
    let displaces = |(_, record): &(i64, Record)| {
        let text = serde_json::to_string(record).unwrap();
        matches!(record, Record::AttemptStarted { .. }) && text.contains(r#""displaces":["Administrator"]"#)
    };
    assert!(records.iter().any(displaces), "{records:?}");
    records
}

fn of(world: &World, address: &str) -> Vec<String> {
    let found = world.cloud.admins.values().find(|admin| admin.email.as_str() == address).unwrap();
    found.roles.iter().map(ToString::to_string).collect()
}

pub(super) async fn restored(dir: &Path, key: Keying) -> Restored {
    let (ledger, opened, _) = open(dir, key).await;
    let (restored, _) = codec::restore(&ledger.load_open().await.unwrap(), &opened);
    ledger.close().await;
    restored
}

/// The world goes on for some hours on what the ledger gives; what each account was seen with, in order.
async fn afterwards(mut world: World, dir: &Path, key: Keying) -> (World, Restored) {
    let found = restored(dir, key.clone()).await;
    world.durable.clear();
    (world.now.boot, world.now.boot_id) = (BootTime(5_000), BootId(99));
    world.start_on(restored(dir, key).await, 7);
    let was: Vec<(AccountId, Vec<_>)> =
        world.cloud.admins.iter().map(|(id, admin)| (id.clone(), admin.roles.clone())).collect();
    let administrator = [role("Administrator"), role("Administrator With Billing")];
    for _ in 0..3 * 60 * 60 {
        world.run(1_000);
        for (id, before) in &was {
            let now = &world.cloud.admins[id].roles;
            let higher = now.iter().any(|role| administrator.contains(role) && !before.contains(role));
            if higher {
                return (world, found); // the test says whether that may be
            }
        }
    }
    (world, found)
}

fn sql(dir: &Path, text: &str) {
    Connection::open(dir.join("ledger.db")).unwrap().execute_batch(text).unwrap();
}

async fn kept(dir: &Path, key: Keying) -> World {
    let world = life();
    append(dir, key, &records(&world.durable)).await;
    world
}

#[tokio::test]
async fn without_a_key_records_that_chain_are_believed_and_an_invented_baseline_is_written_back() {
    let dir = tempfile::tempdir().unwrap();
    let world = kept(dir.path(), Keying::None).await;
    append(dir.path(), Keying::None, &invented()).await;
    assert!(ledger::verify(&dir.path().join("ledger.db")).unwrap().is_intact());
    let (world, found) = afterwards(world, dir.path(), Keying::None).await;
    assert_eq!(found.findings, []);
    assert_eq!(of(&world, "mallory@example.com"), ["Administrator"], "the threat is real");
}

/// What somebody does to hide that the key does not vouch for what he has written.
const HIDING: [(&str, &str, &str); 9] = [
    ("nothing", "", "Help Desk"),
    ("takes the statement away", "DELETE FROM meta WHERE key = 'keyed'", "Read Only"),
    ("takes both statements away", "DELETE FROM meta WHERE key IN ('keyed', 'tables')", "Read Only"),
    (
        "says that it is authenticated from later on",
        "UPDATE meta SET value = replace(value, '1:', '9999:') WHERE key = 'keyed'",
        "Read Only",
    ),
    ("takes all the words of the key away", "UPDATE journal SET mac = NULL", "Read Only"),
    (
        "makes an old ledger of it",
        "ALTER TABLE journal DROP COLUMN mac; DELETE FROM meta WHERE key IN ('keyed', 'tables'); PRAGMA user_version = 2",
        "Read Only",
    ),
    ("only says that it is an old one", "PRAGMA user_version = 2", "Help Desk"),
    (
        "lends another row's word",
        "UPDATE journal SET mac = (SELECT mac FROM journal WHERE seq = 2) WHERE mac IS NULL",
        "Help Desk",
    ),
    ("writes any word", "UPDATE journal SET mac = randomblob(32) WHERE mac IS NULL", "Help Desk"),
];

#[tokio::test]
async fn a_forged_record_never_raises_whatever_is_done_to_hide_it() {
    for (what, hiding, hers) in HIDING {
        let dir = tempfile::tempdir().unwrap();
        let world = kept(dir.path(), key(1)).await;
        append(dir.path(), Keying::None, &invented()).await;
        sql(dir.path(), hiding);
        assert!(ledger::verify(&dir.path().join("ledger.db")).unwrap().is_intact(), "{what}: it chains");
        let (world, found) = afterwards(world, dir.path(), key(1)).await;
        assert!(found.findings.iter().any(|f| f.cause == Cause::Damaged), "{what}: no doubt");
        assert!(world.engine.as_ref().unwrap().state().recovery.is_revoke_only(), "{what}");
        assert_eq!(of(&world, "mallory@example.com"), ["Billing Only"], "{what}: no floor is below that");
        assert_eq!(of(&world, "nora@example.com"), ["Read Only"], "{what}: it takes away, to the floor");
        // Ada's access ends whatever is believed: with what was hers, as long as her records are vouched for.
        assert_eq!(of(&world, "ada@example.com"), [hers], "{what}");
    }
}

#[tokio::test]
async fn a_forged_record_beside_authentic_ones_costs_the_others_nothing_but_their_raises() {
    let dir = tempfile::tempdir().unwrap();
    let world = kept(dir.path(), key(1)).await;
    let before = restored(dir.path(), key(1)).await;
    assert_eq!(before.findings, []);
    // One word is taken from a record of Ada's account: nothing of it decides what she gets back.
    let stripped = "UPDATE journal SET mac = NULL WHERE kind = 'attempt_started'";
    sql(dir.path(), stripped);
    let found = restored(dir.path(), key(1)).await;
    let grant = found.state.grants.values().next().unwrap();
    let account = &found.state.accounts[&grant.account_ref()];
    assert!(account.baseline.is_empty() && account.displaced.is_empty());
    assert!(found.findings.iter().any(|f| f.mark.starts_with("mac:")), "{:?}", found.findings);
    let (world, _) = afterwards(world, dir.path(), key(1)).await;
    assert_eq!(of(&world, "ada@example.com"), ["Read Only"], "the floor");
}

#[tokio::test]
async fn a_grant_of_which_one_record_is_not_authentic_ends_at_once_and_gives_back_what_the_account_had() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = kept(dir.path(), key(1)).await;
    sql(dir.path(), "UPDATE journal SET mac = NULL WHERE kind = 'grant_active'");
    let found = restored(dir.path(), key(1)).await;
    world.durable.clear();
    (world.now.boot, world.now.boot_id) = (BootTime(5_000), BootId(99));
    world.start_on(found, 7);
    world.run(5 * MINUTE);
    assert_eq!(of(&world, "ada@example.com"), ["Help Desk"], "long before its hour is over");

    // A record from a time to come does not let it last.
    append(
        dir.path(),
        Keying::None,
        &[(world::START + 50 * 60_000, Record::TimeSeen(BootReading::default()))],
    )
    .await;
    let found = restored(dir.path(), key(1)).await;
    let ends_at = found.state.grants.values().next().unwrap().end.at;
    assert!(ends_at.0 < world::START + 60_000, "{ends_at:?}");
}

#[tokio::test]
async fn without_the_key_or_with_another_one_nothing_is_given_back_and_what_is_due_ends() {
    for (what, other, mark) in [
        ("another key", key(2), "unkeyed:"),
        ("a key that cannot be read", Keying::Unreadable("the vault is down".to_owned()), "keyless:"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let world = kept(dir.path(), key(1)).await;
        append(dir.path(), Keying::None, &invented()).await;
        let (world, found) = afterwards(world, dir.path(), other).await;
        assert!(found.findings.iter().any(|f| f.mark.starts_with(mark)), "{what}: {:?}", found.findings);
        assert_eq!(of(&world, "mallory@example.com"), ["Billing Only"], "{what}");
        assert_eq!(of(&world, "nora@example.com"), ["Read Only"], "{what}");
        assert_eq!(of(&world, "ada@example.com"), ["Read Only"], "{what}");
    }
    // No key is asked for any more: all is as it was without one, and that is doubted.
    let dir = tempfile::tempdir().unwrap();
    let world = kept(dir.path(), key(1)).await;
    let (world, found) = afterwards(world, dir.path(), Keying::None).await;
    assert!(found.findings.iter().any(|f| f.mark.starts_with("keyless:")), "{:?}", found.findings);
    assert_eq!(of(&world, "ada@example.com"), ["Help Desk"]);
}

#[tokio::test]
async fn what_lies_beside_the_journal_cannot_be_changed_either() {
    for change in [
        "DELETE FROM seen",
        "UPDATE open SET snapshot = snapshot + 1, rows = rows - 1 WHERE stream LIKE 'account/%'",
        "DELETE FROM open WHERE stream LIKE 'grant/%'",
        "UPDATE meta SET value = value - 86400000 WHERE key = 'created_at'",
        // A record that is missing: nobody knows what it said.
        "DELETE FROM journal WHERE kind = 'account_opened'; DELETE FROM open WHERE stream LIKE 'account/%'",
        "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let world = kept(dir.path(), key(1)).await;
        sql(dir.path(), change);
        let found = restored(dir.path(), key(1)).await;
        assert!(found.findings.iter().any(|f| f.cause == Cause::Damaged), "{change}");
        assert_eq!(found.state.grants.len(), 1, "{change}: nothing is forgotten");
        let (world, _) = afterwards(world, dir.path(), key(1)).await;
        let hers = if change.contains("created_at") || change.contains("journal") {
            "Read Only"
        } else {
            "Help Desk"
        };
        assert_eq!(of(&world, "ada@example.com"), [hers], "{change}");
    }
}

#[tokio::test]
async fn a_ledger_that_was_sealed_is_believed_and_gives_back_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let world = kept(dir.path(), Keying::None).await;
    let seal = |how: Seal, key: Keying| how.run(dir.path(), &key, |_, _| Ok(()));
    assert!(restored(dir.path(), key(1)).await.findings.iter().any(|f| f.mark.starts_with("unkeyed:")));
    let refused = Seal::Set { anew: false }.run(dir.path(), &key(1), |_, _| Err("no".to_owned()));
    assert!(matches!(refused, Err(Unsealable::Refused(_))));
    seal(Seal::Set { anew: false }, key(1)).unwrap();
    assert_eq!(restored(dir.path(), key(1)).await.findings, []);

    // To another key: by way of the old one, or without it on purpose.
    let other = seal(Seal::Set { anew: false }, key(2)).unwrap_err();
    assert!(matches!(other, Unsealable::OtherKey), "{other}");
    assert!(matches!(seal(Seal::Lift, key(2)).unwrap_err(), Unsealable::OtherKey));
    seal(Seal::Lift, key(1)).unwrap();
    assert_eq!(restored(dir.path(), Keying::None).await.findings, []);
    seal(Seal::Set { anew: false }, key(2)).unwrap();
    seal(Seal::Set { anew: true }, key(3)).unwrap();

    let (world, found) = afterwards(world, dir.path(), key(3)).await;
    assert_eq!(found.findings, []);
    assert_eq!(of(&world, "ada@example.com"), ["Help Desk"]);
}

#[tokio::test]
async fn a_broken_chain_is_never_sealed() {
    let dir = tempfile::tempdir().unwrap();
    kept(dir.path(), Keying::None).await;
    sql(dir.path(), "UPDATE journal SET at = at + 1 WHERE seq = 2");
    let refused = Seal::Set { anew: true }.run(dir.path(), &key(1), |_, _| Ok(()));
    assert!(matches!(refused, Err(Unsealable::Broken(_))), "{refused:?}");
}
