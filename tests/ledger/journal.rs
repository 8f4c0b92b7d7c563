//! What is stored comes back: rows, indexes, outbox, job ids; and the chain over it.

use ephemerald::ledger::{Batch, Event, Full, Marks, Row, SeenJob, Seq, verify};

use crate::support::{Book, CREATED, opening, report, row, tamper};

#[tokio::test]
async fn reopening_gives_the_same_rows_and_the_same_head() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path()).await;
    assert!(book.opened.created);
    assert_eq!((book.opened.head.seq, book.opened.newest_at), (Seq(0), CREATED));
    book.write((1..=20).map(|n| opening(n, &format!("grant/{n}"))).collect()).await;
    let before = book.ledger.read_range(Seq(1), 100).await.unwrap();
    let head = book.ledger.head().await.unwrap();
    book.ledger.close().await;

    let again = Book::open(dir.path()).await;
    assert!(!again.opened.created);
    assert_eq!(again.opened.ledger_id, book.opened.ledger_id);
    assert_eq!((again.opened.head, again.opened.created_at), (head, CREATED));
    assert_eq!(again.opened.newest_at, CREATED + 20);
    assert_eq!(again.opened.quarantined, []);
    assert_eq!(again.ledger.read_range(Seq(1), 100).await.unwrap(), before);
    assert_eq!(before[6].body, b"{\"n\":7}");
    assert_eq!(again.ledger.load_open().await.unwrap().rows, before);
}

#[tokio::test]
async fn a_raise_is_released_only_with_the_event_that_says_durable() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path()).await;
    book.ledger.submit(Batch { rows: vec![row(1, "agent")], raises: vec![7, 8] }).unwrap();
    let Some(Event::Durable { upto, raises }) = book.events.recv().await else { panic!("not durable") };
    assert_eq!(upto, Seq(1));
    assert_eq!(raises.iter().map(|r| *r.get()).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(book.ledger.read_range(Seq(1), 9).await.unwrap().len(), 1);

    let bare = Batch { rows: vec![], raises: vec![9] };
    assert_eq!(book.ledger.submit(bare), Err(Full::Unexplained));
}

#[tokio::test]
async fn what_arrives_during_a_sync_shares_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path()).await;
    // A reader cannot hold the writer up, but a writer of another process can: an operator's shell.
    let shell = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    for n in 1..=500 {
        book.ledger.submit(Batch { rows: vec![row(n, "agent")], raises: vec![] }).unwrap();
    }
    shell.execute_batch("COMMIT").unwrap();
    let mut events = 1;
    while book.durable().await < Seq(500) {
        events += 1;
    }
    assert!(events <= 3, "500 batches took {events} transactions");
}

#[tokio::test]
async fn submitting_never_waits_and_says_when_the_queue_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path()).await;
    let shell = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let taken = (1..).take_while(|n| book.ledger.submit(one(*n)).is_ok()).count() as u64;
    assert!((1_024..=1_024 + 8_192).contains(&taken), "{taken} batches were taken");
    assert!(matches!(book.ledger.submit(one(taken + 1)), Err(Full::Waiting { .. })));
    shell.execute_batch("ROLLBACK").unwrap();
    while book.durable().await < Seq(taken) {}
    book.write(vec![row(taken + 1, "agent")]).await;
}

#[tokio::test]
async fn events_that_nobody_reads_stop_submitting_and_never_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let book = Book::open(dir.path()).await;
    let mut next = 1;
    let refused = loop {
        match book.ledger.submit(one(next)) {
            Ok(()) => next += 1,
            Err(full) => break full,
        }
        // One event a batch: each is written before the next one comes.
        book.ledger.ack(&[]).await.unwrap();
    };
    assert!(matches!(refused, Full::Waiting { .. }), "{refused}");
    assert_eq!(book.ledger.reopen().await.unwrap().head.seq, Seq(next - 1));
}

#[tokio::test]
async fn a_gap_or_a_repeat_is_refused_until_reopened() {
    for wrong in [1, 2, 4] {
        let dir = tempfile::tempdir().unwrap();
        let mut book = Book::open(dir.path()).await;
        book.write(vec![row(1, "agent"), row(2, "agent")]).await;
        book.ledger.submit(Batch { rows: vec![row(wrong, "agent")], raises: vec![1] }).unwrap();
        book.ledger.submit(Batch { rows: vec![row(3, "agent")], raises: vec![2] }).unwrap();
        let (error, first, released) = book.failure().await;
        assert_eq!(error.to_string(), format!("row {wrong} was submitted where row 3 is next"));
        assert_eq!((first, released), (Seq(3), vec![]));
        assert!(book.ledger.ack(&[Seq(1)]).await.is_err(), "nothing is taken while suspended");

        assert_eq!(book.ledger.reopen().await.unwrap().head.seq, Seq(2));
        book.write(vec![row(3, "agent")]).await;
        assert!(book.events.try_recv().is_err(), "a dropped batch makes no event");
    }
}

#[tokio::test]
async fn start_up_loads_open_streams_from_their_last_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path()).await;
    let mark = |marks, row| Row { marks, ..row };
    book.write(vec![
        opening(1, "grant/a"),
        opening(2, "grant/b"),
        row(3, "job/never-opened"),
        row(4, "grant/a"),
        mark(Marks { snapshot: true, ..Marks::default() }, row(5, "grant/a")),
        row(6, "grant/a"),
        mark(Marks { close: true, ..Marks::default() }, row(7, "grant/b")),
    ])
    .await;
    let loaded = book.ledger.load_open().await.unwrap();
    assert_eq!(loaded.rows.iter().map(|row| row.seq.0).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(loaded.open.len(), 1);
    assert_eq!((loaded.open[0].snapshot, loaded.open[0].intact), (Seq(5), true));
    assert_eq!(loaded.open[0].entry.revoke.as_deref(), Some(&b"revoke grant/a"[..]));
    assert_eq!(loaded.quarantined, []);

    // A stream that comes back starts over.
    book.write(vec![opening(8, "grant/b"), row(9, "grant/b")]).await;
    let loaded = book.ledger.load_open().await.unwrap();
    assert_eq!(loaded.rows.iter().map(|row| row.seq.0).collect::<Vec<_>>(), [5, 6, 8, 9]);
    assert_eq!(loaded.quarantined, []);
}

#[tokio::test]
async fn the_outbox_survives_a_restart_and_shrinks_and_grows_as_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path()).await;
    book.write(vec![report(1, "job/a"), row(2, "grant/a"), report(3, "grant/a"), report(4, "grant/b")]).await;
    book.ledger.ack(&[Seq(1), Seq(2), Seq(99)]).await.unwrap();
    book.ledger.close().await;

    let again = Book::open(dir.path()).await;
    let seqs = async |after| {
        let page = again.ledger.outbox_page(Seq(after), 2).await.unwrap();
        page.iter().map(|row| row.seq.0).collect::<Vec<_>>()
    };
    assert_eq!((seqs(0).await, again.ledger.outbox_depth().await.unwrap()), (vec![3, 4], 2));
    assert_eq!(seqs(3).await, [4]);
    again.ledger.requeue(Seq(1)).await.unwrap();
    again.ledger.requeue(Seq(1)).await.unwrap();
    again.ledger.requeue(Seq(99)).await.unwrap();
    assert_eq!((seqs(0).await, again.ledger.outbox_depth().await.unwrap()), (vec![1, 3], 3));
}

#[tokio::test]
async fn job_ids_are_remembered_and_the_first_digest_stands() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = Book::open(dir.path()).await;
    let seen = |seq, digest, answer, forget_at| {
        let job = SeenJob { job_id: "j".to_owned(), digest: [digest; 32], answer, forget_at };
        Row { marks: Marks { seen_job: Some(job), ..Marks::default() }, ..row(seq, "job/j") }
    };
    book.write(vec![seen(1, 1, None, 50), seen(2, 1, Some(Seq(2)), 40), seen(3, 9, Some(Seq(3)), 99)]).await;
    let stored = book.ledger.load_open().await.unwrap().seen;
    let first = SeenJob { job_id: "j".to_owned(), digest: [1; 32], answer: Some(Seq(2)), forget_at: 50 };
    assert_eq!(stored, [first]);
    book.ledger.forget_jobs(50).await.unwrap();
    assert_eq!(book.ledger.load_open().await.unwrap().seen.len(), 1);
    book.ledger.forget_jobs(51).await.unwrap();
    assert_eq!(book.ledger.load_open().await.unwrap().seen, []);
}

#[tokio::test]
async fn the_chain_holds_and_breaks_with_one_changed_value_in_any_column() {
    for (change, bad) in [
        ("UPDATE journal SET seq = 100 WHERE seq = 3", 3),
        ("UPDATE journal SET stream = 'grant/B' WHERE seq = 3", 3),
        ("UPDATE journal SET at = at + 1 WHERE seq = 3", 3),
        ("UPDATE journal SET kind = 'notes' WHERE seq = 3", 3),
        ("UPDATE journal SET body = CAST(replace(body, '3', '4') AS BLOB) WHERE seq = 3", 3),
        ("UPDATE journal SET hash = zeroblob(32) WHERE seq = 3", 3),
        ("UPDATE journal SET hash = x'00' WHERE seq = 3", 3),
        ("DELETE FROM journal WHERE seq = 3", 3),
        ("DELETE FROM journal WHERE seq = 1", 1),
        ("UPDATE meta SET value = 'other' WHERE key = 'ledger_id'", 1),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(ephemerald::ledger::FILE_NAME);
        let mut book = Book::open(dir.path()).await;
        book.write((1..=6).map(|n| opening(n, "grant/b")).collect()).await;
        let sound = verify(&file).unwrap();
        assert!(sound.is_intact() && sound.rows == 6, "{sound:?}, beside a running daemon");
        assert_eq!(sound.head, book.ledger.head().await.unwrap());
        book.ledger.close().await;

        tamper(dir.path(), change);
        let report = verify(&file).unwrap();
        let link = report.bad.expect(change);
        assert_eq!((link.seq, report.rows), (Seq(bad), bad - 1), "{change}");
        assert_ne!(link.expected, link.found, "{change}");
    }
}

fn one(seq: u64) -> Batch<u32> {
    Batch { rows: vec![row(seq, "agent")], raises: vec![] }
}
