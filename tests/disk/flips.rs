//! One flipped bit in any byte of the ledger's file: every grant is still ended, or it does not open and
//! says so. Nothing panics, no grant is forgotten in silence, none lasts longer.

use std::{fs, path::Path};

use ephemerald::{
    engine::{grant::Grant, settings::RoleMode},
    ledger::{LedgerError, OnLoss, codec},
};

use crate::{
    corpus::{open, written},
    world::World,
};

#[derive(Debug, Default)]
struct Seen {
    unnoticed: usize,
    doubted: usize,
    refused: usize,
}

#[tokio::test]
async fn a_flipped_bit_in_the_file_forgets_no_grant_in_silence() {
    // A prime, so that all columns of all rows are met.
    flip(61).await;
}

#[tokio::test]
#[ignore = "the extended run"]
async fn a_flipped_bit_in_the_file_forgets_no_grant_in_silence_at_length() {
    flip(1).await;
}

async fn flip(stride: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(RoleMode::Single);
    w.start();
    w.run(1_000);
    for (who, minutes) in [("ada@example.com", 60), ("bob@example.com", 90), ("cid@example.com", 1)] {
        w.hire(who, &["Read Only"]);
        w.grant(who, "Manager", minutes);
        w.run(3_000);
    }
    w.run(2 * 60_000);
    written(dir.path(), &w.durable).await;
    let intact = fs::read(dir.path().join("ledger.db")).unwrap();
    let live: Vec<&Grant> =
        w.engine.as_ref().unwrap().state().grants.values().filter(|grant| grant.phase.is_live()).collect();
    assert_eq!(live.len(), 2);
    let (marker, mut seen) = (fs::read(dir.path().join("ledger.created")).unwrap(), Seen::default());
    let mut tried = 0;
    for at in (0..intact.len()).step_by(stride) {
        let mut bytes = intact.clone();
        bytes[at] ^= 1 << (at / 7 % 8);
        for name in ["ledger.db-wal", "ledger.db-shm", "ledger.db-journal"] {
            let _ = fs::remove_file(dir.path().join(name));
        }
        fs::write(dir.path().join("ledger.db"), bytes).unwrap();
        fs::write(dir.path().join("ledger.created"), &marker).unwrap();
        holds(dir.path(), &live, &format!("byte {at}"), &mut seen).await;
        tried += 1;
    }
    println!("{tried} flipped bits in a file of {} bytes: {seen:?}", intact.len());
    assert!(seen.doubted > tried / 20, "or this shows nothing");
}

async fn holds(dir: &Path, live: &[&Grant], what: &str, seen: &mut Seen) {
    let loaded = match open(dir, OnLoss::Refuse).await {
        Ok((ledger, opened, _)) => {
            let loaded = ledger.load_open().await.map(|loaded| codec::restore(&loaded, &opened).0);
            ledger.close().await;
            loaded
        }
        Err(error) => Err(error),
    };
    let restored = match loaded {
        Ok(restored) => restored,
        Err(error) => {
            seen.refused += 1;
            assert!(!matches!(error, LedgerError::Locked { .. } | LedgerError::Closed), "{what}: {error}");
            return;
        }
    };
    for grant in live {
        let id = &grant.terms.grant;
        let Some(found) = restored.state.grants.get(id) else {
            panic!("{what}: {id} is forgotten; findings {:?}", restored.findings)
        };
        assert!(found.end.at <= grant.end.at, "{what}: {id} would last longer");
        let held = restored.state.accounts.contains_key(&found.account_ref());
        assert!(held, "{what}: nobody holds the account of {id}");
    }
    if restored.findings.is_empty() { seen.unnoticed += 1 } else { seen.doubted += 1 }
}
