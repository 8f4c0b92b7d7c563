//! The directory a ledger lives in: its lock, its files, the marker that one existed, the ballast.
//!
//! ```text
//! ledger.lock      held for life; one daemon
//! ledger.db        the ledger, with -wal and -shm beside it while it is open
//! ledger.db.new    a creation that was interrupted; removed
//! ledger.created   the ledger's id: from now on an empty directory is a loss, not a beginning
//! ledger.ballast   1 MiB that is given up when the disk is full
//! ledger.head      the newest record that the control plane has acknowledged
//! ledger.restoring a restore that was interrupted; nothing is opened until it was run again
//! lost-…/          what was there when a new ledger had to be begun; kept as evidence
//! ```
//!
//! Refuses to open `ledger.db` as a file: closing any handle of the process would drop SQLite's locks.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::rand;
use rustix::{
    fs::{FlockOperation, flock, statvfs},
    io::Errno,
};

use super::LedgerError;

const BALLAST: u64 = 1 << 20;
/// There while a restore is putting files in their places.
pub(super) const RESTORING: &str = "ledger.restoring";

/// A locked state directory.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    lock: File,
}

impl Place {
    /// Makes the directory if need be, and takes it for this process.
    pub(super) fn take(dir: &Path) -> Result<Self, LedgerError> {
        ensure_dir(dir)?;
        let path = dir.join("ledger.lock");
        let lock = private(&path, false).map_err(io_error(&path, "open the lock file"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir: dir.to_owned(), lock }),
            Err(Errno::WOULDBLOCK) => Err(LedgerError::Locked { path }),
            Err(errno) => Err(io_error(&path, "lock it")(errno.into())),
        }
    }

    /// The ledger file.
    pub(super) fn file(&self) -> PathBuf {
        self.dir.join("ledger.db")
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts what is left of a ledger that cannot be used into a directory of its own, `stamp` in its name.
    /// The directory; whatever was interrupted is finished by doing it again.
    pub(super) fn set_aside(&self, stamp: i64) -> Result<PathBuf, LedgerError> {
        let aside = self.dir.join(format!("lost-{stamp}"));
        ensure_dir(&aside)?;
        // The file first: as long as one of the others is left, a new beginning is noticed as a loss.
        for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal", "ledger.created"] {
            let (from, to) = (self.dir.join(name), aside.join(name));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error(&from, "move it aside")(error));
                }
                _ => {}
            }
        }
        sync_dir(&aside)?;
        self.sync()?;
        Ok(aside)
    }

    /// The id of the ledger that lived here, if the marker says so.
    pub(super) fn marked(&self) -> Option<String> {
        let text = fs::read_to_string(self.dir.join("ledger.created")).ok()?;
        Some(text.trim_end().to_owned()).filter(|id| !id.is_empty())
    }

    /// Says from now on that this ledger lives here.
    pub(super) fn mark_anew(&self, ledger_id: &str) -> Result<(), LedgerError> {
        let path = self.dir.join("ledger.created");
        replace(&path, format!("{ledger_id}\n").as_bytes())
    }

    /// Where a new ledger is built before it gets its name.
    pub(super) fn draft(&self) -> Result<PathBuf, LedgerError> {
        let path = self.dir.join("ledger.db.new");
        private(&path, true).map_err(io_error(&path, "create it"))?;
        Ok(path)
    }

    /// Whether a ledger is there. Removes what an interrupted creation left behind.
    pub(super) fn has_ledger(&self) -> Result<bool, LedgerError> {
        let sign = self.dir.join(RESTORING);
        if sign.try_exists().map_err(io_error(&sign, "look for it"))? {
            return Err(LedgerError::Interrupted { path: sign });
        }
        for leftover in ["ledger.db.new", "ledger.db.new-journal", "ledger.created.new", "ledger.head.new"] {
            remove(&self.dir.join(leftover))?;
        }
        let path = self.file();
        if path.try_exists().map_err(io_error(&path, "look for it"))? {
            return Ok(true);
        }
        // A log without its ledger would be replayed into the next file of that name.
        for sign in ["ledger.created", "ledger.db-wal", "ledger.db-journal"] {
            let sign = self.dir.join(sign);
            if sign.try_exists().map_err(io_error(&sign, "look for it"))? {
                return Err(LedgerError::Missing { path, sign });
            }
        }
        Ok(false)
    }

    /// Gives the finished draft its name. After this the ledger exists, also after a power cut.
    pub(super) fn publish(&self, draft: &Path) -> Result<(), LedgerError> {
        File::open(draft).and_then(|file| file.sync_all()).map_err(io_error(draft, "sync it"))?;
        let path = self.file();
        fs::rename(draft, &path).map_err(io_error(&path, "rename the new ledger to it"))?;
        self.sync()
    }

    /// Compares the marker with the ledger's id, or leaves it if a power cut came before it.
    pub(super) fn mark(&self, ledger_id: &str) -> Result<(), LedgerError> {
        let path = self.dir.join("ledger.created");
        match fs::read_to_string(&path) {
            Ok(text) if text.trim_end() == ledger_id => return Ok(()),
            Ok(text) => {
                let expected = text.trim_end().to_owned();
                return Err(LedgerError::Foreign {
                    path: self.file(),
                    expected,
                    found: ledger_id.to_owned(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error(&path, "read it")(error)),
        }
        self.mark_anew(ledger_id)
    }

    /// Makes the ballast if the disk has room for it twice over; whether it is there.
    pub(super) fn ensure_ballast(&self) -> bool {
        let path = self.dir.join("ledger.ballast");
        if fs::metadata(&path).is_ok_and(|file| file.len() == BALLAST) {
            return true;
        }
        // Random, so that a compressing file system keeps real blocks for it.
        let mut bytes = vec![0; usize::try_from(BALLAST).unwrap_or(0)];
        if self.free() < 2 * BALLAST || rand::fill(&mut bytes).is_err() {
            return false;
        }
        let made = write_private(&path, &bytes).is_ok();
        if !made {
            self.drop_ballast();
        }
        made
    }

    /// Gives the ballast's space back to the disk; whether there was any to give.
    pub(super) fn drop_ballast(&self) -> bool {
        fs::remove_file(self.dir.join("ledger.ballast")).is_ok()
    }

    /// Whether the disk is so full that SQLite cannot even make its side files, which it reports as
    /// other errors than a full disk.
    pub(super) fn is_starved(&self) -> bool {
        self.free() < 128 << 10
    }

    fn free(&self) -> u64 {
        statvfs(&self.dir).map_or(u64::MAX, |fs| fs.f_bavail.saturating_mul(fs.f_frsize))
    }

    /// Makes the names in the directory safe.
    pub(super) fn sync(&self) -> Result<(), LedgerError> {
        sync_dir(&self.dir)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Not left to closing the file: a child that is just being started still holds a copy of it.
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

pub(super) fn ensure_dir(dir: &Path) -> Result<(), LedgerError> {
    match fs::metadata(dir) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(LedgerError::NotADirectory { path: dir.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_error(dir, "look at it")(error)),
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).map_err(io_error(dir, "create the directory"))?;
    match dir.parent() {
        Some(parent) if parent != Path::new("") => sync_dir(parent),
        _ => Ok(()),
    }
}

/// Writes a small file beside its place and renames it there; durable when this returns.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), LedgerError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    write_private(&new, bytes).map_err(io_error(&new, "write it"))?;
    fs::rename(&new, path).map_err(io_error(path, "write it"))?;
    sync_dir(path.parent().unwrap_or_else(|| Path::new(".")))
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), LedgerError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error(dir, "sync the directory"))
}

pub(super) fn remove(path: &Path) -> Result<(), LedgerError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path, "remove it")(error)),
        _ => Ok(()),
    }
}

pub(super) fn private(path: &Path, new: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).create_new(new).truncate(false);
    let file = options.mode(0o600).open(path)?;
    // The umask may have taken more away than is ours to work with.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private(path, false)?;
    file.set_len(0)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn io_error(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> LedgerError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::StorageFull => LedgerError::DiskFull { path },
        _ => LedgerError::Io { path, what, source },
    }
}
