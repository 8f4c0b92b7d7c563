//! A long journal is followed before the eyes of whoever waits, and of nobody else.

use ephemerald::ledger::{
    Seq,
    export::{body_digest, link},
};

use crate::{process::World, terminal::Seen};

/// More than are told at once.
const ROWS: u64 = 70_000;

/// Lengthens the journal of a stopped agent by records that fit.
fn lengthen(world: &World) {
    let mut db = rusqlite::Connection::open(world.files.state.join("ledger.db")).unwrap();
    let (last, hash): (u64, Vec<u8>) = db
        .query_row("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    let mut hash: [u8; 32] = hash.try_into().unwrap();
    let (stream, kind, body) = ("job/long-ago", "job_evidence", b"{}");
    let digest = body_digest(body);
    let all = db.transaction().unwrap();
    {
        let sql = "INSERT INTO journal (seq, stream, at, kind, body, hash) VALUES (?1, ?2, 0, ?3, ?4, ?5)";
        let mut insert = all.prepare(sql).unwrap();
        for seq in last + 1..=last + ROWS {
            hash = link(&hash, Seq(seq), stream, 0, kind, &digest);
            insert.execute((seq, stream, kind, body, hash)).unwrap();
        }
    }
    all.commit().unwrap();
}

#[tokio::test]
async fn whoever_waits_for_a_long_journal_sees_how_far_it_is_and_a_program_does_not() {
    let mut world = World::ready().await;
    world.agent.kill().await;
    lengthen(&world);
    let (one, two) = (world.files.root.join("one"), world.files.root.join("two"));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    let restore = ["ledger", "restore", one];
    for (seen, piped) in [
        (&["audit", "verify"][..], &["audit", "verify"][..]),
        (&["ledger", "check"], &["ledger", "check"]),
        (&["check"], &["check"]),
        (&["ledger", "backup", one], &["ledger", "backup", two]),
        (&restore, &restore),
    ] {
        let mut command = world.agent.program();
        command.args(seen);
        let (code, screen) = Seen::by(command).whole().await;
        assert_eq!(code, Some(0), "{seen:?}: {screen}");
        assert!(screen.contains("\r\u{1b}[K65536 records fit"), "{seen:?}: {screen:?}");
        let left = screen.rsplit("records fit").next().unwrap();
        assert!(left.starts_with("\r\u{1b}[K") && !left[4..].contains('\u{1b}'), "it stays: {left:?}");

        let output = world.agent.program().args(["--output", "json"]).args(piped).output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{piped:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.is_empty(), "{piped:?}: {said}");
    }
}
