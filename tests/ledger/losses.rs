//! What opening does where a ledger is lost, for a caller who can live with that; copies of a ledger that is
//! written to; and a ledger of the first version.

use std::{fs, path::Path};

use ephemerald::ledger::{self, Batch, Event, Keying, LedgerError, OnLoss, Seq, backup, check, verify};

use crate::support::{Book, opening, report, row, tamper};

async fn written(dir: &Path) -> String {
    let mut book = Book::open(dir).await;
    book.write(vec![opening(1, "grant/a"), report(2, "grant/a"), row(3, "agent")]).await;
    book.ledger.close().await;
    book.opened.ledger_id
}

async fn is_behind(dir: &Path) -> bool {
    let book = Book::open(dir).await;
    book.ledger.close().await;
    book.opened.is_behind
}

fn aside(dir: &Path) -> Vec<std::path::PathBuf> {
    let dirs = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    dirs.collect()
}

#[tokio::test]
async fn a_ledger_that_is_gone_is_replaced_by_one_that_says_whose_place_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let lost = written(dir.path()).await;
    fs::remove_file(dir.path().join("ledger.db")).unwrap();
    for _ in 0..2 {
        let book = Book::open_after(dir.path(), OnLoss::BeginAnew).await.unwrap();
        assert_eq!(book.opened.replaces.as_ref(), Some(&lost));
        assert_ne!(book.opened.ledger_id, lost);
        book.ledger.close().await;
    }
    // Also for somebody who would not have begun anew.
    assert_eq!(Book::open(dir.path()).await.opened.replaces, Some(lost));
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_kept_beside_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    fs::write(dir.path().join("ledger.db"), [0xee; 8192]).unwrap();
    let book = Book::open_after(dir.path(), OnLoss::BeginAnew).await.unwrap();
    assert!(book.opened.replaces.is_some());
    let aside = aside(dir.path());
    assert_eq!(fs::read(aside[0].join("ledger.db")).unwrap(), [0xee; 8192]);
}

#[tokio::test]
async fn another_ledger_in_its_place_is_opened_and_says_so_from_then_on() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (lost, found) = (written(ours.path()).await, written(theirs.path()).await);
    fs::copy(theirs.path().join("ledger.db"), ours.path().join("ledger.db")).unwrap();
    for on_loss in [OnLoss::BeginAnew, OnLoss::Refuse] {
        let book = Book::open_after(ours.path(), on_loss).await.unwrap();
        assert_eq!((&book.opened.ledger_id, book.opened.replaces.as_ref()), (&found, Some(&lost)));
        assert_eq!(book.ledger.load_open().await.unwrap().open.len(), 1, "its grants can be ended");
        book.ledger.close().await;
    }
}

#[tokio::test]
async fn a_move_aside_that_was_interrupted_is_finished_at_the_next_opening() {
    for gone in [
        &["ledger.db"][..],
        &["ledger.db", "ledger.db-wal"],
        &["ledger.db", "ledger.db-wal", "ledger.db-shm"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let lost = written(dir.path()).await;
        fs::write(dir.path().join("ledger.db-wal"), "frames").unwrap();
        for name in gone {
            let _ = fs::remove_file(dir.path().join(name));
        }
        let book = Book::open_after(dir.path(), OnLoss::BeginAnew).await.unwrap();
        assert_eq!(book.opened.replaces, Some(lost), "{gone:?}");
        assert!(verify(&dir.path().join("ledger.db")).unwrap().is_intact());
    }
}

#[tokio::test]
async fn a_newer_schema_is_no_loss() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    tamper(dir.path(), "PRAGMA user_version = 99");
    let refused = Book::open_after(dir.path(), OnLoss::BeginAnew).await.err().unwrap();
    assert!(matches!(refused, LedgerError::NewerSchema { .. }), "{refused}");
    assert!(aside(dir.path()).is_empty());
}

#[tokio::test]
async fn what_was_acknowledged_is_remembered_outside_of_the_file_and_missed_in_an_older_one() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let old = fs::read(dir.path().join("ledger.db")).unwrap();
    let mut book = Book::open(dir.path()).await;
    assert!(!book.opened.is_behind && book.opened.acknowledged.is_none());
    book.write(vec![row(4, "agent")]).await;
    let head = book.ledger.head().await.unwrap();
    book.ledger.acknowledge_head(head, 1_000_004).await.unwrap();
    book.ledger.close().await;
    assert!(!is_behind(dir.path()).await);

    fs::write(dir.path().join("ledger.db"), old).unwrap();
    let mut book = Book::open(dir.path()).await;
    assert!(book.opened.is_behind);
    assert_eq!(book.opened.acknowledged.as_ref().map(|noted| (noted.seq, noted.told)), Some((4, 1_000_004)));
    // Another record in the same place is not that record.
    book.write(vec![opening(4, "grant/b")]).await;
    book.ledger.close().await;
    assert!(is_behind(dir.path()).await);
    fs::write(dir.path().join("ledger.head"), "torn").unwrap();
    assert!(!is_behind(dir.path()).await, "a file that says nothing says nothing");
}

#[tokio::test]
async fn a_copy_taken_while_it_is_written_to_is_one_moment_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path()).await;
    let file = dir.path().join(ledger::FILE_NAME);
    let mut next = 1;
    for copy in 0..10 {
        let mut last = next;
        for _ in 0..50 {
            let rows = vec![report(next, "agent"), row(next + 1, "agent"), row(next + 2, "agent")];
            book.ledger.submit(Batch { rows, raises: vec![] }).unwrap();
            (last, next) = (next + 2, next + 3);
        }
        let to = dir.path().join(format!("copy-{copy}"));
        let copied = backup(&file, &to, &mut |_| ()).unwrap();
        assert_eq!(copied.head.seq.0 % 3, 0, "a batch is copied whole or not at all");
        assert!(copied.head.seq <= Seq(last));
        assert!(verify(&to).unwrap().is_intact());
        assert!(!dir.path().join(format!("copy-{copy}-wal")).exists(), "one file");
    }
    while book.durable().await < Seq(next - 1) {}
    let to = dir.path().join("copy-0");
    let refused = backup(&file, &to, &mut |_| ()).unwrap_err();
    assert!(matches!(refused, LedgerError::Io { .. }), "never over another one: {refused}");
}

#[tokio::test]
async fn a_copy_of_a_broken_chain_is_not_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    tamper(dir.path(), "UPDATE journal SET at = 1 WHERE seq = 2");
    let to = dir.path().join("copy");
    assert!(backup(&dir.path().join("ledger.db"), &to, &mut |_| ()).is_err());
    assert!(!to.exists());
}

#[tokio::test]
async fn a_ledger_of_the_first_version_is_taken_over_with_all_that_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    tamper(
        dir.path(),
        "ALTER TABLE journal DROP COLUMN mac; ALTER TABLE seen DROP COLUMN checksum; ALTER TABLE outbox DROP COLUMN checksum;
         DELETE FROM meta WHERE key = 'seal'; PRAGMA user_version = 1;
         INSERT INTO seen VALUES ('job-1', zeroblob(32), 2, 9000000000000)",
    );
    let looked = check(dir.path(), &Keying::None, &mut |_| ()).unwrap();
    assert_eq!((looked.schema.0, looked.opened.quarantined.len()), (1, 0), "looking changes nothing");
    for reports in 1..=2 {
        let mut book = Book::open(dir.path()).await;
        assert_eq!(book.opened.quarantined, []);
        let loaded = book.ledger.load_open().await.unwrap();
        assert_eq!((loaded.quarantined.len(), loaded.seen.len(), loaded.rows.len()), (0, 1, 2));
        assert_eq!(book.ledger.outbox_page(Seq(0), 9).await.unwrap().len(), reports);
        let next = book.opened.head.seq.0 + 1;
        book.write(vec![report(next, "agent")]).await;
        book.ledger.close().await;
    }
    assert_eq!(check(dir.path(), &Keying::None, &mut |_| ()).unwrap().schema.0, 3);
}

#[tokio::test]
async fn a_damaged_index_is_rebuilt_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    tamper(dir.path(), "UPDATE open SET stream = 'grant/b' WHERE stream = 'grant/a'");
    let loaded = Book::open(dir.path()).await.ledger.load_open().await.unwrap();
    let rows: Vec<_> = loaded.rows.iter().map(|row| row.stream.as_str()).collect();
    assert!(rows.contains(&"grant/a"), "{rows:?}");
    assert!(!loaded.quarantined.is_empty());
}

#[tokio::test]
async fn a_batch_that_fails_is_told_after_a_move_aside_too() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    fs::remove_file(dir.path().join("ledger.db")).unwrap();
    let mut book = Book::open_after(dir.path(), OnLoss::BeginAnew).await.unwrap();
    book.ledger.submit(Batch { rows: vec![row(2, "agent")], raises: vec![7] }).unwrap();
    assert!(
        matches!(book.events.recv().await, Some(Event::Failed { first: Seq(1), .. })),
        "numbers begin anew"
    );
}
