//! Putting a ledger back from a backup.
//!
//! ```text
//! everything is copied beside its place and synced
//! ledger.restoring      from here on nothing is opened until this was run again
//! what was there        moved into lost-…
//! the copies            renamed to their places
//! ledger.restoring      removed
//! ```
//!
//! Refuses to put an older ledger in the place of a newer one, or of another one, unless told to; to delete
//! anything; and a backup that does not verify. What was put back says so in itself ([`Opened::restored_at`]).
//!
//! [`Opened::restored_at`]: super::Opened::restored_at

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    FILE_NAME, Head, LedgerError, VerifyReport,
    chain::verify_telling,
    place::{Place, RESTORING, io_error, private, remove, replace, sync_dir},
    schema,
};

/// What to put back where.
#[derive(Clone, Copy, Debug)]
pub struct Restore<'a> {
    /// The directory that `ledger backup` made.
    pub backup: &'a Path,
    /// Now, in UTC milliseconds.
    pub at: i64,
    /// Also in the place of a newer ledger, or of another one.
    pub even_if_newer: bool,
    /// Files beside the ledger that are put back where they are missing.
    pub if_missing: &'a [&'a str],
    /// Files beside the ledger that are put back in any case.
    pub always: &'a [&'a str],
}

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    /// The ledger's id.
    pub ledger_id: String,
    /// Its end.
    pub head: Head,
    /// Where what was there lies now; `None` if nothing was.
    pub aside: Option<PathBuf>,
    /// Files beside the ledger that were put back.
    pub files: Vec<String>,
}

/// Why a restore is not done; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What is there has more records.
    #[error("{}: the ledger that is there ends at record {present}, the backup at {backup}: what happened since would be forgotten. Start the agent on what is there; if you are sure, say --even-if-newer", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its last record.
        present: u64,
        /// The backup's.
        backup: u64,
    },
    /// Another ledger is there.
    #[error("{}: ledger {present} is there, the backup is of ledger {backup}. If you are sure, say --even-if-newer: what is there is moved aside", path.display())]
    Another {
        /// The file.
        path: PathBuf,
        /// Its id.
        present: String,
        /// The backup's.
        backup: String,
    },
    /// The backup does not verify.
    #[error("{}: the backup's journal does not verify: {problem}; take another backup", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// Why nothing, or not everything, was put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A file cannot be used or written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Restore<'_> {
    /// Puts the backup into the state directory `dir`. Killed at any moment and run again, it comes to the
    /// same end. `walked` as in [`verify_telling`].
    ///
    /// # Errors
    /// [`RestoreError`]; [`LedgerError::Locked`] if a daemon runs there.
    pub fn run(&self, dir: &Path, walked: &mut dyn FnMut(u64)) -> Result<Shelf, RestoreError> {
        let place = Place::take(dir)?;
        let from = self.backup.join(FILE_NAME);
        let report = verify_telling(&from, walked)?;
        if let Some(bad) = &report.bad {
            return Err(Refusal::Broken { path: from, problem: bad.problem.clone() }.into());
        }
        self.compare(&place, &report, walked)?;
        let files = self.choose(dir)?;
        let draft = self.draft(dir, &from)?;
        for name in &files {
            copy(&self.backup.join(name), &beside(dir, name), dir)?;
        }
        let existed = place.file().exists();
        replace(&dir.join(RESTORING), report.ledger_id.as_bytes())?;
        let aside = place.set_aside(self.at)?;
        for name in &files {
            keep(&dir.join(name), &aside)?;
            rename(&beside(dir, name), &dir.join(name))?;
        }
        rename(&draft, &place.file())?;
        place.mark_anew(&report.ledger_id)?;
        own(&dir.join("ledger.created"), dir)?;
        own(&aside, dir)?;
        remove(&dir.join(RESTORING))?;
        sync_dir(dir)?;
        let aside = existed.then_some(aside);
        Ok(Shelf { ledger_id: report.ledger_id, head: report.head, aside, files })
    }

    /// Whether what is there may be moved aside.
    fn compare(
        &self,
        place: &Place,
        backup: &VerifyReport,
        walked: &mut dyn FnMut(u64),
    ) -> Result<(), Refusal> {
        let path = place.file();
        if self.even_if_newer || !path.exists() {
            return Ok(());
        }
        // A file that is no readable ledger is moved aside: it cannot be newer.
        let Ok(present) = verify_telling(&path, walked) else { return Ok(()) };
        if present.ledger_id != backup.ledger_id {
            return Err(Refusal::Another {
                path,
                present: present.ledger_id,
                backup: backup.ledger_id.clone(),
            });
        }
        let last = last_row(&path).unwrap_or(present.head.seq.0);
        if last > backup.head.seq.0 {
            return Err(Refusal::Newer { path, present: last, backup: backup.head.seq.0 });
        }
        Ok(())
    }

    /// The files beside the ledger that are put back.
    fn choose(&self, dir: &Path) -> Result<Vec<String>, LedgerError> {
        let mut chosen = Vec::new();
        for (names, always) in [(self.if_missing, false), (self.always, true)] {
            for name in names.iter().filter(|name| self.backup.join(name).exists()) {
                let there = dir.join(name);
                let same = || {
                    let read = |path: &Path| fs::read(path).map_err(io_error(path, "read it"));
                    Ok::<_, LedgerError>(read(&there)? == read(&self.backup.join(name))?)
                };
                if !there.exists() || (always && !same()?) {
                    chosen.push((*name).to_owned());
                }
            }
        }
        Ok(chosen)
    }

    /// The ledger, beside its place, saying that it was put back.
    fn draft(&self, dir: &Path, from: &Path) -> Result<PathBuf, LedgerError> {
        let draft = beside(dir, FILE_NAME);
        for leftover in ["ledger.db.restore-journal", "ledger.db.restore-wal", "ledger.db.restore-shm"] {
            remove(&dir.join(leftover))?;
        }
        copy(from, &draft, dir)?;
        let note = || -> rusqlite::Result<()> {
            let db = Connection::open_with_flags(&draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            db.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
            db.pragma_update(None, "synchronous", "FULL")?;
            schema::set(&db, "restored_at", &self.at)?;
            db.close().map_err(|(_, error)| error)
        };
        note().map_err(|source| schema::failed(&draft, "note that it was put back", source))?;
        Ok(draft)
    }
}

fn last_row(file: &Path) -> Option<u64> {
    let db = schema::open_reading(file).ok()?;
    let last: i64 = db.query_row("SELECT max(seq) FROM journal", [], |row| row.get(0)).ok()?;
    u64::try_from(last).ok()
}

fn beside(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.restore"))
}

fn copy(from: &Path, to: &Path, dir: &Path) -> Result<(), LedgerError> {
    remove(to)?;
    let mut source = fs::File::open(from).map_err(io_error(from, "read it"))?;
    let mut target = private(to, true).map_err(io_error(to, "create it"))?;
    io::copy(&mut source, &mut target).and_then(|_| target.sync_all()).map_err(io_error(to, "write it"))?;
    own(to, dir)
}

/// Files put back by root belong to whom the state directory belongs: the daemon must be able to read them.
fn own(path: &Path, dir: &Path) -> Result<(), LedgerError> {
    let owner = fs::metadata(dir).map_err(io_error(dir, "look at it"))?;
    let found = fs::metadata(path).map_err(io_error(path, "look at it"))?;
    if (owner.uid(), owner.gid()) == (found.uid(), found.gid()) {
        return Ok(());
    }
    chown(path, Some(owner.uid()), Some(owner.gid())).map_err(io_error(path, "give it to the daemon's user"))
}

/// Gives every file of a ledger to whom its directory belongs, after root has worked on it: the daemon must
/// be able to go on.
///
/// # Errors
/// [`LedgerError::Io`] names the file.
pub fn hand_over(dir: &Path) -> Result<(), LedgerError> {
    for entry in fs::read_dir(dir).map_err(io_error(dir, "look into it"))? {
        let path = entry.map_err(io_error(dir, "look into it"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("ledger.") && path.is_file() {
            own(&path, dir)?;
        }
    }
    Ok(())
}

/// A file that makes room for the backup's lies beside the old ledger.
fn keep(path: &Path, aside: &Path) -> Result<(), LedgerError> {
    let name = path.file_name().unwrap_or_default();
    match fs::rename(path, aside.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path, "move it aside")(error)),
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), LedgerError> {
    fs::rename(from, to).map_err(io_error(to, "put it in its place"))
}
