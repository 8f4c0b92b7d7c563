//! Ledgers in every state of a grant's life, as builds of one schema wrote them (`tests/corpus/ledgers/`):
//! this build opens each, knows what it holds, and ends it.
//!
//! A new schema gets a directory of its own, written by `cargo test --test disk writes_the_corpus --
//! --ignored`; what is there is never written again. The first schema was never released: its ledgers are
//! those of the second without what the second added.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ephemerald::{
    engine::{
        action::Entry,
        grant::Grant,
        ids::AccountId,
        record,
        settings::RoleMode,
        state::State,
        time::{BootId, BootTime, Timestamp},
    },
    ledger::{Batch, Event, Keying, Ledger, OnLoss, Opened, Options, Seq, codec},
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::{
    lives::{self, Life},
    world::{Admin, START, World, email, role},
};

/// The schema that this build writes.
pub(crate) const NEWEST: i64 = 3;
const DAY: u64 = 24 * 60 * 60_000;

/// What a ledger's file does not say: JumpCloud at that moment, and how it must be at the end.
#[derive(Debug, Serialize, Deserialize)]
struct Scene {
    /// The wall clock, in UTC milliseconds.
    at: i64,
    several_roles: bool,
    /// Grants, their phases and their ends.
    grants: BTreeMap<String, String>,
    accounts: BTreeMap<String, (String, Vec<String>)>,
    /// The accounts' roles after a day; who is not here is gone.
    after: BTreeMap<String, Vec<String>>,
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/ledgers")
}

pub(crate) type Parts = (Ledger<()>, Opened, mpsc::Receiver<Event<()>>);

pub(crate) async fn open(dir: &Path, on_loss: OnLoss) -> Result<Parts, ephemerald::ledger::LedgerError> {
    Ledger::open(dir, Options { created_at: START - 60_000, on_loss, key: Keying::None }).await
}

/// Writes the records of a world into a new ledger.
pub(crate) async fn written(dir: &Path, entries: &[Entry]) {
    let (ledger, _, mut events) = open(dir, OnLoss::Refuse).await.unwrap();
    let (mut state, mut rows) = (State::default(), Vec::new());
    for entry in entries {
        state.apply(entry.seq, entry.at, &entry.record);
        rows.push(codec::row(entry, &state));
    }
    ledger.submit(Batch { rows, raises: vec![] }).unwrap();
    assert!(matches!(events.recv().await, Some(Event::Durable { .. })));
    ledger.close().await;
}

fn phases(state: &State) -> BTreeMap<String, String> {
    let told = |grant: &Grant| format!("{:?} until {}", grant.phase, grant.end.at.0);
    state.grants.iter().map(|(id, grant)| (id.to_string(), told(grant))).collect()
}

fn accounts(world: &World) -> BTreeMap<String, (String, Vec<String>)> {
    let roles = |admin: &Admin| admin.roles.iter().map(ToString::to_string).collect();
    let one = |(id, admin): (&AccountId, &Admin)| (id.to_string(), (admin.email.to_string(), roles(admin)));
    world.cloud.admins.iter().map(one).collect()
}

fn by_address(accounts: BTreeMap<String, (String, Vec<String>)>) -> BTreeMap<String, Vec<String>> {
    accounts.into_values().collect()
}

#[tokio::test]
#[ignore = "writes what the corpus of this build's schema lacks"]
async fn writes_the_corpus_of_this_schema() {
    let place = corpus().join(format!("v{NEWEST}"));
    fs::create_dir_all(&place).unwrap();
    for Life { name, mode, live, after } in lives::all() {
        if place.join(format!("{name}.db")).exists() {
            as_the_first_schema(name);
            continue;
        }
        let mut world = World::new(mode);
        world.start();
        world.run(1_000);
        live(&mut world);
        while world.is_unsynced() {
            let next = world.now.boot.0 + 1;
            world.run(next - world.now.boot.0);
        }
        let mut state = State::default();
        for entry in &world.durable {
            state.apply(entry.seq, entry.at, &entry.record);
        }
        let mut expected = by_address(accounts(&world));
        expected.retain(|address, _| !address.contains("+tag"));
        expected.extend(after.iter().map(|(who, role)| ((*who).to_owned(), vec![(*role).to_owned()])));
        let scene = Scene {
            at: world.now.wall.0,
            several_roles: mode == RoleMode::Multiple,
            grants: phases(&state),
            accounts: accounts(&world),
            after: expected,
        };
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), &world.durable).await;
        fs::copy(dir.path().join("ledger.db"), place.join(format!("{name}.db"))).unwrap();
        let text = serde_json::to_string_pretty(&scene).unwrap() + "\n";
        fs::write(place.join(format!("{name}.json")), text).unwrap();
        as_the_first_schema(name);
    }
}

/// The same ledger without the columns and the seal that came with the second schema.
fn as_the_first_schema(name: &str) {
    let place = corpus().join("v1");
    if place.join(format!("{name}.db")).exists() {
        return;
    }
    fs::create_dir_all(&place).unwrap();
    for end in ["db", "json"] {
        let file = format!("{name}.{end}");
        fs::copy(corpus().join("v2").join(&file), place.join(&file)).unwrap();
    }
    let db = rusqlite::Connection::open(place.join(format!("{name}.db"))).unwrap();
    db.pragma_update(None, "journal_mode", "DELETE").unwrap();
    db.execute_batch(
        "ALTER TABLE seen DROP COLUMN checksum; ALTER TABLE outbox DROP COLUMN checksum;
         DELETE FROM meta WHERE key = 'seal'; PRAGMA user_version = 1; VACUUM",
    )
    .unwrap();
    db.close().unwrap();
}

#[tokio::test]
async fn ledgers_of_every_schema_in_every_state_open_and_what_they_hold_ends() {
    let mut opened: BTreeMap<String, usize> = BTreeMap::new();
    for version in fs::read_dir(corpus()).unwrap() {
        let version = version.unwrap().path();
        for file in fs::read_dir(&version).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_some_and(|end| end == "db") {
                holds_and_ends(&file).await;
                *opened.entry(version.file_name().unwrap().to_string_lossy().into_owned()).or_default() += 1;
            }
        }
    }
    println!("opened: {opened:?}");
    let whole = lives::all().len();
    assert_eq!(opened, every(whole), "not whole");
}

fn every(whole: usize) -> BTreeMap<String, usize> {
    (1..=NEWEST).map(|version| (format!("v{version}"), whole)).collect()
}

async fn holds_and_ends(file: &Path) {
    let told = file.display();
    let scene: Scene = serde_json::from_slice(&fs::read(file.with_extension("json")).unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::copy(file, dir.path().join("ledger.db")).unwrap();
    let (ledger, opened, _) = open(dir.path(), OnLoss::Refuse).await.unwrap();
    let (restored, unreadable) = codec::restore(&ledger.load_open().await.unwrap(), &opened);
    assert_eq!((restored.findings.as_slice(), unreadable.as_slice()), (&[][..], &[][..]), "{told}");
    let mut open = scene.grants.clone();
    open.retain(|id, _| restored.state.grants.keys().any(|found| found.to_string() == *id));
    assert_eq!(phases(&restored.state), open, "{told}");
    let lives = |told: &String| !told.starts_with("Ended");
    let alive = |grants: &BTreeMap<String, String>| grants.values().filter(|told| lives(told)).count();
    assert_eq!(alive(&open), alive(&scene.grants), "{told}: a grant is not in the open streams");

    let mut world = world_of(&scene);
    for row in ledger.read_range(Seq(1), usize::MAX).await.unwrap() {
        let record = codec::record(&row).unwrap_or_else(|error| panic!("{told}: {error}"));
        world.durable.push(Entry { seq: record::Seq(row.seq.0), at: Timestamp(row.at), record });
    }
    ledger.close().await;
    world.start();
    world.run(2 * DAY);
    let left = world.engine.as_ref().unwrap().state();
    assert!(left.grants.is_empty(), "{told}: {:?}\n{}", phases(left), world.story());
    assert_eq!(by_address(accounts(&world)), scene.after, "{told}\n{}", world.story());
}

/// JumpCloud as it was, and a machine that was started again.
fn world_of(scene: &Scene) -> World {
    let mode = if scene.several_roles { RoleMode::Multiple } else { RoleMode::Single };
    let mut world = World::new(mode);
    world.cloud.admins.clear();
    world.cloud.made = 1_000;
    for (id, (address, roles)) in &scene.accounts {
        let admin = Admin {
            email: email(address),
            roles: roles.iter().map(|name| role(name)).collect(),
            suspended: false,
            tagged: address.contains("+tag"),
            org: None,
        };
        world.cloud.admins.insert(AccountId::new(id).unwrap(), admin);
    }
    world.now.wall = Timestamp(scene.at + 1_000);
    (world.now.boot, world.now.boot_id) = (BootTime(5_000), BootId(99));
    world
}

#[tokio::test]
async fn a_ledger_of_a_newer_schema_is_refused_and_not_a_byte_of_it_changes() {
    for on_loss in [OnLoss::Refuse, OnLoss::BeginAnew] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ledger.db");
        fs::copy(corpus().join(format!("v{NEWEST}/active.db")), &file).unwrap();
        let db = rusqlite::Connection::open(&file).unwrap();
        db.pragma_update(None, "user_version", NEWEST + 1).unwrap();
        db.close().unwrap();
        let before = fs::read(&file).unwrap();
        let error = open(dir.path(), on_loss).await.unwrap_err();
        assert!(error.to_string().contains("run the newer version"), "{error}");
        assert_eq!(fs::read(&file).unwrap(), before);
        let begun = ["ledger.created", "ledger.ballast"].iter().any(|name| dir.path().join(name).exists());
        assert!(!begun, "nothing was begun in its place");
    }
}
