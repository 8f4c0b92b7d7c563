//! Walks the whole chain over the stored bytes. Needs only the file, not the daemon.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{Head, LedgerError, Seq, chain, io, schema};

/// What verifying found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// The ledger's id.
    pub ledger_id: String,
    /// Rows that were checked.
    pub rows: u64,
    /// The last row whose hash holds.
    pub head: Head,
    /// The first row that does not fit, if there is one.
    pub bad: Option<BadRow>,
}

/// The first row that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Its number.
    pub seq: u64,
    /// What is wrong with it.
    pub problem: String,
}

/// Verifies a ledger file, read only.
///
/// # Errors
/// [`LedgerError`] if it cannot be read at all; a broken chain is a finding, not an error.
pub fn verify(path: &Path) -> Result<VerifyReport, LedgerError> {
    let failed = |e: rusqlite::Error| io(path, e);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(failed)?;
    let ledger_id = schema::meta(&db, "ledger_id").map_err(failed)?;
    let ledger_id = ledger_id.ok_or_else(|| io(path, "it has no ledger id"))?;
    let mut report = VerifyReport {
        rows: 0,
        head: Head { seq: Seq(0), hash: chain::genesis(&ledger_id) },
        bad: None,
        ledger_id,
    };
    let mut statement =
        db.prepare("SELECT seq, stream, at, kind, body, hash FROM journal ORDER BY seq").map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while report.bad.is_none() {
        match rows.next() {
            Ok(None) => break,
            Ok(Some(row)) => report.bad = check(row, &mut report.head).err(),
            Err(error) => {
                report.bad = Some(BadRow { seq: report.head.seq.0 + 1, problem: error.to_string() })
            }
        }
        report.rows += u64::from(report.bad.is_none());
    }
    Ok(report)
}

fn check(row: &rusqlite::Row<'_>, head: &mut Head) -> Result<(), BadRow> {
    let expected_seq = head.seq.0 + 1;
    let unreadable =
        |e: rusqlite::Error| BadRow { seq: expected_seq, problem: format!("cannot be read: {e}") };
    let seq: u64 = row.get(0).map_err(unreadable)?;
    if seq != expected_seq {
        return Err(BadRow { seq: expected_seq, problem: format!("is missing: the next row is {seq}") });
    }
    let (stream, at, kind): (String, i64, String) =
        (row.get(1).map_err(unreadable)?, row.get(2).map_err(unreadable)?, row.get(3).map_err(unreadable)?);
    let (body, hash): (Vec<u8>, Vec<u8>) = (row.get(4).map_err(unreadable)?, row.get(5).map_err(unreadable)?);
    let expected = chain::link(&head.hash, seq, &stream, at, &kind, &body);
    if hash != expected {
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        return Err(BadRow {
            seq,
            problem: format!("hash expected {}, found {}", hex(&expected), hex(&hash)),
        });
    }
    *head = Head { seq: Seq(seq), hash: expected };
    Ok(())
}
