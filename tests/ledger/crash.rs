//! `kill -9` in the middle of commits. It proves order and atomicity as other processes see them; that
//! a sync reaches the platter is the power-cut test's business, in a machine of its own.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use ephemerald::ledger::{Batch, Event, Seq, verify};

use crate::support::{Book, opening, report};

const VICTIM_DIR: &str = "EPHEMERALD_TEST_LEDGER_DIR";
const KILLS: u64 = 12;

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut in_the_middle = 0;
    for round in 0..KILLS {
        let (acknowledged, submitted) = kill_after(dir.path(), 1 + round * 7 % 31);
        let file = dir.path().join(ephemerald::ledger::FILE_NAME);
        let walked = verify(&file).unwrap();
        assert!(walked.is_intact(), "{walked:?}");

        let book = Book::open(dir.path()).await;
        let head = book.opened.head.seq;
        assert!(head >= Seq(acknowledged), "acknowledged {acknowledged}, stored {head:?}");
        in_the_middle += u64::from(submitted > acknowledged);
        assert_eq!(head.0 % 3, 0, "a batch has three rows and is stored whole or not at all");
        let stored = book.ledger.read_range(Seq(1), usize::MAX).await.unwrap();
        assert!(stored.iter().zip(1..).all(|(row, n)| row.body == format!("{{\"n\":{n}}}").into_bytes()));
        assert_eq!((stored.len() as u64, book.ledger.outbox_depth().await.unwrap()), (head.0, head.0 / 3));
        assert_eq!(book.ledger.load_open().await.unwrap().quarantined, []);
        book.ledger.close().await;
    }
    assert!(in_the_middle > 0, "no kill met a batch on its way: the test shows nothing");
}

/// Runs the victim until it has acknowledged so many times, kills it, and says up to which row it had
/// acknowledged and submitted by its own word.
fn kill_after(dir: &Path, acknowledgements: u64) -> (u64, u64) {
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::victim", "--ignored", "--nocapture"])
        .env(VICTIM_DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut words = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let (mut acknowledged, mut submitted, mut heard) = (0, 0, 0);
    while heard < acknowledgements {
        hear(
            &words.next().expect("the victim writes until it is killed"),
            &mut acknowledged,
            &mut submitted,
            &mut heard,
        );
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    for word in words {
        hear(&word, &mut acknowledged, &mut submitted, &mut heard);
    }
    (acknowledged, submitted)
}

fn hear(line: &str, acknowledged: &mut u64, submitted: &mut u64, heard: &mut u64) {
    if let Some(n) = line.strip_prefix("durable ").and_then(|n| n.parse().ok()) {
        *acknowledged = n;
        *heard += 1;
    } else if let Some(n) = line.strip_prefix("submitted ").and_then(|n| n.parse().ok()) {
        *submitted = n;
    }
}

#[tokio::test]
#[ignore = "the process that the crash test kills"]
async fn victim() {
    let Some(dir) = env::var_os(VICTIM_DIR) else { return };
    let mut book = Book::open(Path::new(&dir)).await;
    let mut next = book.opened.head.seq.0 + 1;
    let say = |word: &str, n: u64| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{word} {n}").unwrap();
        out.flush().unwrap();
    };
    loop {
        for _ in 0..4 {
            let rows =
                vec![opening(next, "grant/a"), report(next + 1, "grant/a"), opening(next + 2, "grant/b")];
            book.ledger.submit(Batch { rows, raises: vec![] }).unwrap();
            next += 3;
            say("submitted", next - 1);
        }
        match book.events.recv().await.unwrap() {
            Event::Durable { upto, .. } => say("durable", upto.0),
            Event::Failed { error, .. } => panic!("{error}"),
        }
    }
}
