//! One flipped byte, in each column of each row of each table: it is noticed, and every grant is still ended.

use std::{fs, path::Path};

use ephemerald::{
    engine::{action::Entry, recovery::Cause, settings::RoleMode, state::State},
    ledger::{Batch, Event, Keying, Ledger, OnLoss, Opened, Options, codec},
};
use rusqlite::{Connection, types::Value};
use tokio::sync::mpsc;

use crate::{
    process,
    world::{self, World},
};

const CREATED: i64 = world::START - 60_000;

/// Two live grants, one that is over, in the engine's own records.
fn entries() -> Vec<Entry> {
    let mut w = World::new(RoleMode::Single);
    w.start();
    w.run(1_000);
    for (who, minutes) in [("ada@example.com", 60), ("bob@example.com", 90), ("cid@example.com", 1)] {
        w.hire(who, &["Read Only"]);
        w.grant(who, "Manager", minutes);
        w.run(3_000);
    }
    w.run(2 * 60_000);
    w.durable.clone()
}

async fn open(dir: &Path, on_loss: OnLoss) -> (Ledger<()>, Opened, mpsc::Receiver<Event<()>>) {
    Ledger::open(dir, Options { created_at: CREATED, on_loss, key: Keying::None }).await.unwrap()
}

async fn written(dir: &Path, entries: &[Entry]) {
    let (ledger, _, mut events) = open(dir, OnLoss::Refuse).await;
    let mut state = State::default();
    let mut rows = Vec::new();
    for entry in entries {
        state.apply(entry.seq, entry.at, &entry.record);
        rows.push(codec::row(entry, &state));
    }
    ledger.submit(Batch { rows, raises: vec![] }).unwrap();
    assert!(matches!(events.recv().await, Some(Event::Durable { .. })));
    ledger.close().await;
}

/// A value with one bit changed, at the beginning, in the middle and at the end.
fn flips(value: &Value) -> Vec<Value> {
    let bytes = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let places = [0, bytes.len() / 2, bytes.len().saturating_sub(1)];
        let flip = |at: usize| {
            let mut other = bytes.to_vec();
            other[at] ^= 1;
            other
        };
        if bytes.is_empty() { vec![] } else { places.into_iter().map(flip).collect() }
    };
    match value {
        Value::Integer(number) => vec![Value::Integer(number ^ 1), Value::Integer(number ^ (1 << 20))],
        Value::Text(text) => bytes(text.as_bytes())
            .into_iter()
            .filter_map(|text| String::from_utf8(text).ok())
            .map(Value::Text)
            .collect(),
        Value::Blob(blob) => bytes(blob).into_iter().map(Value::Blob).collect(),
        Value::Null | Value::Real(_) => vec![],
    }
}

/// Every change of one byte: table, its key column, the key, the column, the new value.
fn changes(file: &Path) -> Vec<(&'static str, &'static str, Value, String, Value)> {
    let db = Connection::open(file).unwrap();
    let mut found = Vec::new();
    for (table, key) in
        [("meta", "key"), ("journal", "seq"), ("open", "stream"), ("outbox", "seq"), ("seen", "job_id")]
    {
        let mut rows = db.prepare(&format!("SELECT {key}, * FROM {table}")).unwrap();
        let columns: Vec<String> = rows.column_names().skip(1).map(str::to_owned).collect();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let name: Value = row.get(0).unwrap();
            for (at, column) in columns.iter().enumerate() {
                let value: Value = row.get(at + 1).unwrap();
                found.extend(
                    flips(&value).into_iter().map(|other| (table, key, name.clone(), column.clone(), other)),
                );
            }
        }
    }
    found
}

#[tokio::test]
async fn a_flipped_byte_anywhere_is_noticed_and_every_grant_is_still_held_to_its_end() {
    let entries = entries();
    let dir = tempfile::tempdir().unwrap();
    written(dir.path(), &entries).await;
    let intact = fs::read(dir.path().join("ledger.db")).unwrap();
    let (ledger, opened, _) = open(dir.path(), OnLoss::BeginAnew).await;
    let (truth, _) = codec::restore(&ledger.load_open().await.unwrap(), &opened);
    ledger.close().await;
    assert_eq!(truth.findings, []);
    let live: Vec<_> = truth.state.grants.values().filter(|grant| grant.phase.is_live()).collect();
    assert_eq!(live.len(), 2);
    assert!(fs::metadata(dir.path().join("ledger.db-wal")).is_err(), "one file");

    let changes = changes(&dir.path().join("ledger.db"));
    let (mut tried, mut impossible) = (0, 0);
    for (table, key, name, column, value) in changes {
        fs::write(dir.path().join("ledger.db"), &intact).unwrap();
        fs::write(dir.path().join("ledger.created"), &opened.ledger_id).unwrap();
        let db = Connection::open(dir.path().join("ledger.db")).unwrap();
        let sql = format!("UPDATE {table} SET {column} = ?1 WHERE {key} = ?2");
        let changed = db.execute(&sql, (&value, &name));
        db.close().unwrap();
        if changed.is_err() {
            impossible += 1; // a number that another row has
            continue;
        }
        tried += 1;
        let what = format!("{table}.{column} of {name:?} became {value:?}");
        let (ledger, opened, _) = open(dir.path(), OnLoss::BeginAnew).await;
        let loaded = ledger.load_open().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let (restored, _) = codec::restore(&loaded, &opened);
        ledger.close().await;
        assert!(
            restored.findings.iter().any(|f| matches!(f.cause, Cause::Damaged | Cause::Lost)),
            "{what}: nobody noticed"
        );
        for grant in &live {
            let found = restored.state.grants.get(&grant.terms.grant);
            let found = found.unwrap_or_else(|| panic!("{what}: {} is forgotten", grant.terms.grant));
            assert!(found.end.at <= grant.end.at, "{what}: it would last longer");
            let account = restored.state.accounts.get(&found.account_ref());
            assert!(account.is_some(), "{what}: nobody holds its account");
        }
    }
    println!("{tried} flipped bytes, {impossible} that the table does not allow");
    assert!(tried > 500);
}

#[tokio::test]
async fn a_damaged_row_of_one_grant_leaves_the_others_their_time_and_the_agent_raises_nothing() {
    use process::asking::Ask;
    let mut world = process::World::ready().await;
    let hit = world.approved(Ask::role("amara@example.com", "Help Desk", 60)).await;
    let other = world.approved(Ask::role("bruno@example.com", "Help Desk", 15)).await;
    world.about(&hit, "granted").await;
    world.about(&other, "granted").await;
    world.agent.kill().await;
    let grant = hit.grant_id.clone().unwrap();
    let db = Connection::open(world.files.state.join("ledger.db")).unwrap();
    let changed = db
        .execute(
            "UPDATE journal SET body = CAST(replace(CAST(body AS TEXT), 'Help Desk', 'Help Desc') AS BLOB)
             WHERE stream = ?1 AND kind = 'grant_accepted'",
            [format!("grant/{grant}")],
        )
        .unwrap();
    assert_eq!(changed, 1);
    drop(db);
    let (code, check) = world.checked().await;
    assert_eq!(code, Some(7), "{check}");
    assert!(
        check["quarantined"].as_array().unwrap().iter().any(|bad| bad["raw"].as_str().unwrap().len() > 20)
    );

    world.agent.start();
    // What can be read of it is ended at once; the other one has its time.
    world.sees("amara@example.com", Some("Read Only")).await;
    let ended = world.about(&other, "grant_ended").await;
    assert_eq!((&ended["reason"], &ended["evidence"]["woken_by"]), (&"expired".into(), &"wheel".into()));
    world.sees("bruno@example.com", Some("Read Only")).await;
    world.tells("revoke-only", |status| status["revoke_only"] == true).await;
    let doubted = world.reports().await.into_iter().find(|r| r["code"] == "ledger_doubted").unwrap();
    assert!(doubted["detail"].as_str().unwrap().starts_with("damaged: "), "{doubted}");
}
