//! A disk that is really full: a small tmpfs. Without the right to mount one the tests say so loudly
//! and show nothing.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use ephemerald::ledger::{Batch, LedgerError, Row, Seq, verify};

use crate::support::{Book, opening, row};

#[tokio::test]
async fn a_full_disk_stops_raises_and_the_ballast_lets_endings_be_recorded() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    let mut book = Book::open(&disk.0).await;
    assert!(book.opened.ballast);
    book.write(vec![opening(1, "grant/a")]).await;

    let filler = disk.fill();
    let (error, first) = until_full(&mut book, 2).await;
    assert!(matches!(error, LedgerError::DiskFull { .. }), "{error}");
    let rows = vec![row(first.0, "grant/a")];
    book.ledger.submit(Batch { rows, raises: vec![1] }).expect("taken, and dropped");

    let opened = book.ledger.reopen().await.expect("the ballast made room");
    assert_eq!((opened.head.seq, opened.ballast), (Seq(first.0 - 1), false));
    book.write(vec![row(first.0, "grant/a")]).await;

    fs::remove_file(filler).unwrap();
    assert!(book.ledger.reopen().await.unwrap().ballast, "made again once there is room");
    book.write(vec![row(first.0 + 1, "grant/a")]).await;
    book.ledger.close().await;
    let walked = verify(&disk.0.join("ledger.db")).unwrap();
    assert_eq!((walked.is_intact(), walked.rows), (true, first.0 + 1));
}

#[tokio::test]
async fn without_ballast_it_fails_until_space_returns_and_lives() {
    let Some(disk) = SmallDisk::mount("2m") else { return };
    let mut book = Book::open(&disk.0).await;
    assert!(!book.opened.ballast, "too little room for it");
    book.write(vec![opening(1, "grant/a")]).await;
    let filler = disk.fill();
    let (_, first) = until_full(&mut book, 2).await;

    fs::remove_file(filler).unwrap();
    assert_eq!(book.ledger.reopen().await.unwrap().head.seq, Seq(first.0 - 1));
    book.write(vec![row(first.0, "grant/a")]).await;
    book.ledger.close().await;
    let again = Book::open(&disk.0).await;
    assert_eq!(again.opened.quarantined, []);
    assert_eq!(again.ledger.load_open().await.unwrap().rows.len() as u64, first.0);
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_start_still_opens_what_it_holds() {
    let Some(disk) = SmallDisk::mount("4m") else { return };
    let mut book = Book::open(&disk.0).await;
    book.write(vec![opening(1, "grant/a")]).await;
    book.ledger.close().await;
    let _filler = disk.fill();

    let mut again = Book::open(&disk.0).await;
    assert!(!again.opened.ballast, "it was given up");
    assert_eq!(again.ledger.load_open().await.unwrap().rows.len(), 1);
    again.write(vec![row(2, "grant/a")]).await;
}

/// Writes until the disk says no: why, and the first row that was not stored. No raise of the failed
/// batch comes out.
async fn until_full(book: &mut Book, mut next: u64) -> (LedgerError, Seq) {
    loop {
        let big = Row { body: vec![b'x'; 32 << 10], ..row(next, "grant/a") };
        let raise = u32::try_from(next).unwrap();
        book.ledger.submit(Batch { rows: vec![big], raises: vec![raise] }).unwrap();
        match book.events.recv().await.unwrap() {
            ephemerald::ledger::Event::Durable { upto, raises } => {
                assert_eq!((upto, raises.len()), (Seq(next), 1));
                next += 1;
                assert!(next < 1_000, "the small disk never fills");
            }
            ephemerald::ledger::Event::Failed { error, first } => {
                assert_eq!(first, Seq(next));
                return (error, first);
            }
        }
    }
}

/// A tmpfs of its own, gone with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap().keep();
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&dir).status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        eprintln!("SKIPPED: cannot mount a tmpfs here (not root?); nothing about a full disk was shown");
        fs::remove_dir(&dir).unwrap();
        None
    }

    /// Takes all the space that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

fn unmount(dir: &Path) {
    // Lazily: the ledger's threads may still be closing their files.
    let _ = Command::new("umount").arg("--lazy").arg(dir).status();
    let _ = fs::remove_dir(dir);
}
