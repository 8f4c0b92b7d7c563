//! The lock on the state directory, and the first creation of a ledger: under a temporary name,
//! synced, renamed, the directory synced. A power cut leaves either no ledger or a whole one.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};

use super::{LedgerError, io, schema};

const LEDGER: &str = "ledger.db";
const UNFINISHED: &str = "ledger.db.new";
const MARKER: &str = "ledger.created";
const LOCK: &str = "ledger.lock";
/// Freed when the disk is full, so that revocations can still be recorded.
pub(super) const BALLAST: &str = "ledger.ballast";
const BALLAST_BYTES: usize = 1024 * 1024;

/// A ledger's file.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) created: bool,
}

/// Takes the directory for this process; held as long as the file is open.
pub(super) fn lock(dir: &Path) -> Result<fs::File, LedgerError> {
    if !dir.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| io(dir, e))?;
    }
    let path = dir.join(LOCK);
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(|e| io(&path, e))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LedgerError::Locked(path)),
        Err(error) => Err(io(&path, error)),
    }
}

/// The ledger of the directory; created if there never was one.
pub(super) fn find_or_create(dir: &Path, now: i64) -> Result<Found, LedgerError> {
    let (path, marker) = (dir.join(LEDGER), dir.join(MARKER));
    let unfinished = dir.join(UNFINISHED);
    for leftover in [unfinished.clone(), dir.join(format!("{UNFINISHED}-journal"))] {
        if leftover.exists() {
            fs::remove_file(&leftover).map_err(|e| io(&leftover, e))?; // of an interrupted creation
        }
    }
    let created = !path.exists();
    if created {
        if marker.exists() {
            return Err(LedgerError::Missing { path, marker });
        }
        create(&unfinished, now)?;
        fs::rename(&unfinished, &path).map_err(|e| io(&path, e))?;
        sync_dir(dir)?;
    }
    if !marker.exists() {
        write_synced(&marker, b"This agent has a ledger. Do not delete this file.\n")?;
        sync_dir(dir)?;
    }
    ballast(dir);
    Ok(Found { path, created })
}

/// Puts the ballast back where there is room for it; without it the agent works all the same.
pub(super) fn ballast(dir: &Path) {
    let path = dir.join(BALLAST);
    if !path.exists() && write_synced(&path, &vec![0u8; BALLAST_BYTES]).is_err() {
        let _ = fs::remove_file(&path);
    }
}

fn create(path: &Path, now: i64) -> Result<(), LedgerError> {
    let failed = |e: rusqlite::Error| io(path, e);
    let mut db = Connection::open(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|e| io(path, e))?;
    db.pragma_update(None, "journal_mode", "DELETE").map_err(failed)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    schema::migrate(&mut db).map_err(failed)?;
    let mut id = [0u8; 16];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| io(path, "no entropy"))?;
    let id: String = id.iter().map(|b| format!("{b:02x}")).collect();
    let sql = "INSERT INTO meta VALUES ('ledger_id', ?1), ('created_at', ?2), ('epoch', '0')";
    db.execute(sql, (id, now.to_string())).map_err(failed)?;
    db.close().map_err(|(_, e)| failed(e))?;
    let file = fs::File::open(path).map_err(|e| io(path, e))?;
    file.sync_all().map_err(|e| io(path, e))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    let file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path);
    let mut file = file.map_err(|e| io(path, e))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| io(path, e))
}

fn sync_dir(dir: &Path) -> Result<(), LedgerError> {
    fs::File::open(dir).and_then(|d| d.sync_all()).map_err(|e| io(dir, e))
}
