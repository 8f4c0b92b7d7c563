//! The hash chain over the stored bytes, and its verification from a file alone.
//!
//! ```text
//! genesis ── hash(1) ── hash(2) ── … ── hash(n) = head
//! hash(n) = SHA-256(hash(n-1) ‖ seq ‖ stream ‖ at ‖ kind ‖ SHA-256(body)), each with its length
//! ```
//!
//! Refuses to re-serialise: what is hashed is what lies in the file. Cannot see a cut at the end;
//! that is what the head that the control plane acknowledged is for.

use std::{fmt::Write as _, path::Path};

use aws_lc_rs::digest::{Context, SHA256, digest};
use rusqlite::{Connection, types::ValueRef};

use super::{Head, LedgerError, Seq, schema};

/// How many rows of a walk are told at once: a quarter of a second or so.
const TOLD_EACH: u64 = 65_536;
const GENESIS: &[u8] = b"ephemerald journal 1";

/// A row that does not fit the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLink {
    /// The first row that is wrong, or the number that is missing.
    pub seq: Seq,
    /// The hash that its content and its predecessor give, in hexadecimal; empty if it cannot be read.
    pub expected: String,
    /// The hash that is stored, in hexadecimal; empty if there is none.
    pub found: String,
    /// What is wrong, for people.
    pub problem: String,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// The ledger's id.
    pub ledger_id: String,
    /// How many rows fit, counted from the first.
    pub rows: u64,
    /// The end of the part that fits.
    pub head: Head,
    /// The first row that does not.
    pub bad: Option<BadLink>,
}

impl VerifyReport {
    /// Whether the whole journal fits.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.bad.is_none()
    }
}

/// Walks the whole chain of a ledger file without writing to it; a daemon may be running on it.
///
/// # Errors
/// [`LedgerError`] when the file cannot be read as a ledger at all. A chain that does not fit is not
/// an error but a report.
pub fn verify(file: &Path) -> Result<VerifyReport, LedgerError> {
    verify_telling(file, &mut |_| ())
}

/// As [`verify`]; `walked` hears every 65,536 rows how many there were.
///
/// # Errors
/// As [`verify`].
pub fn verify_telling(file: &Path, walked: &mut dyn FnMut(u64)) -> Result<VerifyReport, LedgerError> {
    let db = schema::open_reading(file)?;
    let ledger_id = schema::ledger_id(&db, file)?;
    let start = Head { seq: Seq(0), hash: genesis(&ledger_id) };
    let (head, bad) =
        walk(&db, start, false, walked).map_err(|source| schema::failed(file, "read the journal", source))?;
    Ok(VerifyReport { ledger_id, rows: head.seq.0, head, bad: bad.into_iter().next() })
}

/// The chain before the first row.
pub(super) fn genesis(ledger_id: &str) -> [u8; 32] {
    sum(&[GENESIS, ledger_id.as_bytes()])
}

/// The chain up to and including a row.
pub(super) fn link(prev: &[u8; 32], seq: Seq, stream: &[u8], at: i64, kind: &[u8], body: &[u8]) -> [u8; 32] {
    link_digest(prev, seq, stream, at, kind, &body_digest(body))
}

/// The same from the digest of the body, which is all that an export need hold of it.
pub(super) fn link_digest(
    prev: &[u8; 32],
    seq: Seq,
    stream: &[u8],
    at: i64,
    kind: &[u8],
    body: &[u8; 32],
) -> [u8; 32] {
    sum(&[prev, &seq.0.to_be_bytes(), stream, &at.to_be_bytes(), kind, body])
}

/// SHA-256 of a row's body.
pub(super) fn body_digest(body: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, body).as_ref());
    out
}

/// SHA-256 over fields with their lengths.
pub(super) fn sum(fields: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for field in fields {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// Follows the chain from `from` to the end: the last row that fits, and what does not. With `past_bad`
/// it goes on behind a bad row from the hash that is stored there. `walked` hears how far it is, now and then.
pub(super) fn walk(
    db: &Connection,
    from: Head,
    past_bad: bool,
    walked: &mut dyn FnMut(u64),
) -> rusqlite::Result<(Head, Vec<BadLink>)> {
    let sql = "SELECT seq, stream, at, kind, body, hash FROM journal WHERE seq > ?1 ORDER BY seq";
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([i64::try_from(from.seq.0).unwrap_or(i64::MAX)])?;
    let (mut head, mut bad) = (from, Vec::new());
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => {
                bad.push(unreadable(Seq(head.seq.0 + 1), &error));
                break;
            }
        };
        let seq = Seq(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0));
        let next = Seq(head.seq.0 + 1);
        let (stream, kind, body) = (bytes(row.get_ref(1)?), bytes(row.get_ref(3)?), bytes(row.get_ref(4)?));
        let (at, found) = (row.get_ref(2)?.as_i64().unwrap_or(0), bytes(row.get_ref(5)?));
        let expected = link(&head.hash, seq, stream, at, kind, body);
        if seq == next && found == expected.as_slice() {
            head = Head { seq, hash: expected };
            if seq.0.is_multiple_of(TOLD_EACH) {
                walked(seq.0);
            }
            continue;
        }
        bad.push(broken(next, seq, &expected, found));
        let Ok(hash) = found.try_into() else { break };
        if !past_bad {
            break;
        }
        head = Head { seq, hash };
    }
    Ok((head, bad))
}

fn unreadable(seq: Seq, error: &rusqlite::Error) -> BadLink {
    let problem = format!("row {} cannot be read: {error}", seq.0);
    BadLink { seq, expected: String::new(), found: String::new(), problem }
}

fn broken(next: Seq, seq: Seq, expected: &[u8], found: &[u8]) -> BadLink {
    let (expected, found) = (hex(expected), hex(found));
    if seq != next {
        let problem = format!("row {} is missing; the next one is {}", next.0, seq.0);
        return BadLink { seq: next, expected: String::new(), found, problem };
    }
    let problem = format!("row {}: expected hash {expected}, found {found}", seq.0);
    BadLink { seq, expected, found, problem }
}

/// The bytes of a text or a blob; anything else is as good as empty, and does not fit the chain.
pub(super) fn bytes(value: ValueRef<'_>) -> &[u8] {
    value.as_bytes().unwrap_or_default()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
