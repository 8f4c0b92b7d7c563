//! What the ledger refuses: a second daemon, a newer schema, a silent fresh start, a bad row's word.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use ephemerald::ledger::{LedgerError, Seq};

use crate::support::{Book, opening, row, tamper};

#[tokio::test]
async fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Book::open(dir.path()).await;
    let refusal = refused(dir.path()).await;
    assert!(matches!(&refusal, LedgerError::Locked { path } if path.ends_with("ledger.lock")), "{refusal}");
    first.write(vec![row(1, "agent")]).await;
    first.ledger.close().await;
    assert_eq!(Book::open(dir.path()).await.opened.head.seq, Seq(1));
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_not_one_byte_changes() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    tamper(dir.path(), "PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)");
    let before = fs::read(dir.path().join("ledger.db")).unwrap();
    let refusal = refused(dir.path()).await;
    assert!(matches!(refusal, LedgerError::NewerSchema { found: 99, supported: 3, .. }), "{refusal}");
    assert_eq!(fs::read(dir.path().join("ledger.db")).unwrap(), before);
}

#[tokio::test]
async fn a_ledger_that_is_gone_is_never_replaced_by_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    fs::remove_file(dir.path().join("ledger.db")).unwrap();
    for _ in 0..2 {
        let refusal = refused(dir.path()).await;
        assert!(matches!(refusal, LedgerError::Missing { .. }), "{refusal}");
        assert!(!dir.path().join("ledger.db").exists());
    }
    // Without the marker a log that was left behind says the same.
    fs::remove_file(dir.path().join("ledger.created")).unwrap();
    fs::write(dir.path().join("ledger.db-wal"), "frames").unwrap();
    assert!(matches!(refused(dir.path()).await, LedgerError::Missing { .. }));
}

#[tokio::test]
async fn a_partial_file_under_the_real_name_is_left_as_it_is() {
    for content in [&b""[..], b"SQLite format 3\0 and then the power went", &[0xee; 8192]] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ledger.db"), content).unwrap();
        let refusal = refused(dir.path()).await;
        assert!(matches!(refusal, LedgerError::Unreadable { .. }), "{refusal}");
        assert_eq!(fs::read(dir.path().join("ledger.db")).unwrap(), content);
        assert!(!dir.path().join("ledger.created").exists());
    }
}

#[tokio::test]
async fn an_interrupted_creation_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["ledger.db.new", "ledger.db.new-journal", "ledger.created.new"] {
        fs::write(dir.path().join(name), "half a ledger").unwrap();
    }
    assert!(Book::open(dir.path()).await.opened.created);
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains(".new")), "{names:?}");
}

#[tokio::test]
async fn a_power_cut_between_ledger_and_marker_is_made_good() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    fs::remove_file(dir.path().join("ledger.created")).unwrap();
    let book = Book::open(dir.path()).await;
    let marker = fs::read_to_string(dir.path().join("ledger.created")).unwrap();
    assert_eq!(marker.trim_end(), book.opened.ledger_id);
}

#[tokio::test]
async fn another_ledger_in_its_place_is_refused() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    written(ours.path()).await;
    written(theirs.path()).await;
    fs::copy(theirs.path().join("ledger.db"), ours.path().join("ledger.db")).unwrap();
    assert!(matches!(refused(ours.path()).await, LedgerError::Foreign { .. }));
}

#[tokio::test]
async fn the_state_directory_must_be_one_and_everything_in_it_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(refused(&file).await, LedgerError::NotADirectory { .. }));

    let state = dir.path().join("a/b");
    let mut book = Book::open(&state).await;
    book.write(vec![row(1, "agent")]).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn one_bad_row_is_set_apart_with_what_a_revocation_needs() {
    for (change, seq) in [
        ("UPDATE journal SET body = x'7b7d' WHERE seq = 3", Some(Seq(3))),
        ("UPDATE journal SET stream = CAST(x'ff' AS TEXT) WHERE seq = 3", None),
        ("DELETE FROM journal WHERE seq = 3", None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut book = Book::open(dir.path()).await;
        book.write(vec![opening(1, "grant/a"), opening(2, "grant/b"), row(3, "grant/b"), row(4, "agent")])
            .await;
        book.ledger.close().await;
        tamper(dir.path(), change);

        let mut again = Book::open(dir.path()).await;
        assert_eq!(again.opened.quarantined[0].seq, Seq(3), "{change}");
        let loaded = again.ledger.load_open().await.unwrap();
        assert_eq!(loaded.rows.iter().map(|row| row.seq.0).collect::<Vec<_>>(), [1, 2], "{change}");
        assert_eq!(loaded.quarantined.len(), 1, "{:?}", loaded.quarantined);
        let apart = &loaded.quarantined[0];
        assert_eq!((apart.seq, apart.stream.as_str()), (seq, "grant/b"), "{change}");
        assert_eq!(apart.revoke.as_deref(), Some(&b"revoke grant/b"[..]));
        again.write(vec![row(5, "agent")]).await;
    }
}

#[tokio::test]
async fn a_changed_revocation_prefix_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path()).await;
    book.write(vec![opening(1, "grant/a"), opening(2, "grant/b")]).await;
    book.ledger.close().await;
    tamper(dir.path(), "UPDATE open SET revoke = CAST('revoke grant/a' AS BLOB) WHERE stream = 'grant/b'");
    let loaded = Book::open(dir.path()).await.ledger.load_open().await.unwrap();
    assert_eq!(loaded.rows.len(), 2, "the rows themselves fit the chain");
    assert_eq!(loaded.quarantined.len(), 1);
    assert_eq!((loaded.quarantined[0].stream.as_str(), &loaded.quarantined[0].revoke), ("grant/b", &None));
}

#[tokio::test]
async fn reopening_refuses_a_file_that_lost_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path()).await;
    book.write(vec![row(1, "agent"), row(2, "agent")]).await;
    tamper(dir.path(), "DELETE FROM journal WHERE seq = 2");
    let refusal = book.ledger.reopen().await.unwrap_err();
    assert!(matches!(refusal, LedgerError::Lost { seq: Seq(2), .. }), "{refusal}");
}

async fn refused(dir: &Path) -> LedgerError {
    match Book::try_open(dir).await {
        Ok(_) => panic!("the ledger opened"),
        Err(error) => error,
    }
}

async fn written(dir: &Path) {
    let mut book = Book::open(dir).await;
    book.write(vec![row(1, "agent")]).await;
    book.ledger.close().await;
}
