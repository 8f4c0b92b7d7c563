//! Reading the tables beside the journal, row by row: the open index, the outbox, the job memory.
//!
//! Refuses to let one row that cannot be read, or whose checksum does not hold, hide the others.

use rusqlite::{Connection, Row as SqlRow};

use super::{
    Loaded, Open, OpenStream, Quarantined, SeenJob, Seq,
    append::{checksum, outbox_sum, seen_sum},
    chain,
};

/// The open index; each entry with the number of rows that it counts.
pub(super) fn open(db: &Connection, loaded: &mut Loaded) -> rusqlite::Result<Vec<(OpenStream, i64)>> {
    let sql = "SELECT stream, account, ends_at, snapshot, rows, revoke, checksum FROM open";
    let mut entries = Vec::new();
    each(db, sql, |row| match open_entry(row) {
        Ok(entry) => entries.push(entry),
        Err(problem) => {
            loaded.index_damaged = true;
            loaded.quarantined.push(damaged("open", row, &problem));
        }
    })?;
    Ok(entries)
}

fn open_entry(row: &SqlRow<'_>) -> Result<(OpenStream, i64), String> {
    let entry = || -> rusqlite::Result<_> {
        let stream: String = row.get(0)?;
        let entry = Open { account: row.get(1)?, ends_at: row.get(2)?, revoke: row.get(5)? };
        let intact = chain::bytes(row.get_ref(6)?) == checksum(&stream, &entry).as_slice();
        let entry = if intact { entry } else { Open::default() };
        let snapshot = Seq(u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0));
        Ok((OpenStream { stream, snapshot, entry, intact }, row.get(4)?))
    };
    entry().map_err(|error| format!("an entry of the open index cannot be read: {error}"))
}

/// The remembered jobs. One whose checksum does not hold is remembered all the same.
pub(super) fn seen(db: &Connection, loaded: &mut Loaded) -> rusqlite::Result<()> {
    each(db, "SELECT job_id, digest, answer, forget_at, checksum FROM seen", |row| match seen_job(row) {
        Ok((job, true)) => loaded.seen.push(job),
        Ok((job, false)) => {
            let problem = "the checksum of a remembered job does not hold";
            loaded.quarantined.push(damaged("seen", row, problem));
            loaded.seen.push(job);
        }
        Err(error) => {
            let problem = format!("a remembered job cannot be read: {error}");
            loaded.quarantined.push(damaged("seen", row, &problem));
        }
    })
}

fn seen_job(row: &SqlRow<'_>) -> rusqlite::Result<(SeenJob, bool)> {
    let answer: Option<i64> = row.get(2)?;
    let stored: Option<Vec<u8>> = row.get(4)?;
    let (job_id, digest, forget_at): (String, [u8; 32], i64) = (row.get(0)?, row.get(1)?, row.get(3)?);
    let intact = stored.is_none_or(|sum| sum == seen_sum(&job_id, &digest, answer, forget_at));
    let answer = answer.and_then(|seq| u64::try_from(seq).ok()).map(Seq);
    Ok((SeenJob { job_id, digest, answer, forget_at }, intact))
}

/// Entries of the outbox that name another row than they were made for.
pub(super) fn outbox(db: &Connection, loaded: &mut Loaded) -> rusqlite::Result<()> {
    each(db, "SELECT seq, checksum FROM outbox", |row| {
        let seq = row.get::<_, i64>(0).ok().and_then(|seq| u64::try_from(seq).ok()).map(Seq);
        let sum = row.get_ref(1).map(|sum| chain::bytes(sum).to_vec()).unwrap_or_default();
        let old = row.get_ref(1).is_ok_and(|sum| sum == rusqlite::types::ValueRef::Null);
        if !old && seq.is_none_or(|seq| outbox_sum(seq).as_slice() != sum) {
            let problem = "an entry of the outbox does not hold: a report may be missing";
            loaded.quarantined.push(damaged("outbox", row, problem));
        }
    })
}

fn each(db: &Connection, sql: &str, mut take: impl FnMut(&SqlRow<'_>)) -> rusqlite::Result<()> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(row);
    }
    Ok(())
}

/// Which row it is, as far as its first column tells.
fn damaged(table: &str, row: &SqlRow<'_>, problem: &str) -> Quarantined {
    let raw = row.get_ref(0).map(|first| chain::bytes(first).to_vec()).unwrap_or_default();
    let number = row.get::<_, i64>(0).map(|seq| seq.to_string());
    let name = number.unwrap_or_else(|_| String::from_utf8_lossy(&raw).into_owned());
    Quarantined {
        seq: None,
        stream: format!("{table}: {}", name.escape_debug()),
        raw,
        problem: problem.to_owned(),
        revoke: None,
        unproven: None,
    }
}
