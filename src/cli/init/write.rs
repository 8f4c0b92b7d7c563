//! Puts a plan on the disk, all of it or nothing.
//!
//! Each file is written whole beside its place, synced, and put there in one step that cannot replace
//! another one. Refuses what is there already, unless it is the same or may be kept as a backup; and
//! calls nothing done that the agent's own loader does not read.

#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use super::{
    place::Owner,
    plan::{Plan, PlannedDir, PlannedFile},
};

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// Other files are in the way.
    #[error(
        "nothing was written, because these exist with another content or mode:\n{}\n\
         Keep them, and edit them instead; or give --force, which keeps each as a backup beside the new one.",
        lines(.0)
    )]
    Exists(Vec<PathBuf>),
    /// The system refused a step. What had been done is undone.
    #[error("{what} {path}: {problem}; nothing was left behind", path = .path.display())]
    Failed {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// What was written does not load. It was taken away again.
    #[error("what was written does not load, and was taken away again: {0}")]
    Unloadable(String),
}

fn lines(paths: &[PathBuf]) -> String {
    let lines: Vec<String> = paths.iter().map(|path| format!("  {}", path.display())).collect();
    lines.join("\n")
}

/// What became of a plan.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) new: Vec<PathBuf>,
    /// There before, exactly as planned.
    pub(super) same: Vec<PathBuf>,
    /// What was there before, under its new name.
    pub(super) backups: Vec<PathBuf>,
}

/// Files of the plan that are there already, otherwise than planned.
pub(super) fn in_the_way(plan: &Plan) -> Vec<PathBuf> {
    plan.files
        .iter()
        .filter(|file| exists(&file.path) && !is_there(file))
        .map(|file| file.path.clone())
        .collect()
}

/// Directories that are there and left alone, although the daemon could not use them, or others could.
pub(super) fn odd_dirs(plan: &Plan) -> Vec<String> {
    let odd = |dir: &PlannedDir| {
        let found = fs::metadata(&dir.path).ok()?;
        let (path, owner) = (dir.path.display(), dir.owner.filter(|owner| owner.uid != found.uid()));
        if let Some(Owner { uid, gid }) = owner {
            return Some(format!(
                "{path} exists and belongs to uid {}: chown {uid}:{gid} {path}",
                found.uid()
            ));
        }
        let open = found.mode() & 0o7777 & !dir.mode;
        (open & 0o077 != 0)
            .then(|| format!("{path} exists and is open to others: chmod {:04o} {path}", dir.mode))
    };
    plan.dirs.iter().filter_map(odd).collect()
}

/// Carries the plan out; `loads` is asked whether the result can be used.
///
/// # Errors
/// [`WriteError`]; the disk is then as it was.
pub(super) fn carry_out(
    plan: &Plan,
    force: bool,
    loads: impl FnOnce() -> Result<(), String>,
) -> Result<Written, WriteError> {
    let in_the_way = in_the_way(plan);
    if !force && !in_the_way.is_empty() {
        return Err(WriteError::Exists(in_the_way));
    }
    let mut steps = Steps::default();
    let written = steps.all(plan)?;
    loads().map_err(WriteError::Unloadable)?;
    steps.undo.clear();
    Ok(written)
}

/// What was done, to be undone in reverse unless everything came about.
#[derive(Default)]
struct Steps {
    undo: Vec<Undo>,
}

enum Undo {
    Dir(PathBuf),
    File(PathBuf),
    Restore { backup: PathBuf, path: PathBuf },
}

impl Drop for Steps {
    fn drop(&mut self) {
        for step in self.undo.drain(..).rev() {
            // The error that led here is the one to tell.
            let _ = match step {
                Undo::Dir(path) => fs::remove_dir(path),
                Undo::File(path) => fs::remove_file(path),
                // Two names of one file are left alone by a rename: then the second one goes.
                Undo::Restore { backup, path } => fs::rename(&backup, path)
                    .and_then(|()| if exists(&backup) { fs::remove_file(backup) } else { Ok(()) }),
            };
        }
    }
}

impl Steps {
    fn all(&mut self, plan: &Plan) -> Result<Written, WriteError> {
        for dir in &plan.dirs {
            self.dir(dir)?;
        }
        let mut written = Written::default();
        let mut ready = Vec::new();
        for file in &plan.files {
            if is_there(file) {
                written.same.push(file.path.clone());
            } else {
                ready.push((self.beside(file)?, &file.path));
            }
        }
        for (beside, path) in ready {
            written.backups.extend(self.put(&beside, path)?);
            written.new.push(path.clone());
        }
        for dir in plan.files.iter().filter_map(|file| file.path.parent()) {
            let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
            synced.map_err(|error| failed("sync", dir, &error))?;
        }
        Ok(written)
    }

    fn dir(&mut self, dir: &PlannedDir) -> Result<(), WriteError> {
        let missing: Vec<&Path> = dir.path.ancestors().take_while(|path| !path.exists()).collect();
        for path in missing.into_iter().rev() {
            let own = path == dir.path;
            let made = fs::DirBuilder::new().mode(if own { 0o700 } else { 0o755 }).create(path);
            made.map_err(|error| failed("create the directory", path, &error))?;
            self.undo.push(Undo::Dir(path.to_owned()));
            if own {
                give(path, dir.mode, dir.owner)?;
            }
        }
        if dir.path.is_dir() {
            return Ok(());
        }
        Err(failed("use the directory", &dir.path, &io::Error::from(io::ErrorKind::NotADirectory)))
    }

    /// The file, whole and synced, under a name that nothing reads.
    fn beside(&mut self, file: &PlannedFile) -> Result<PathBuf, WriteError> {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let beside = file.path.with_file_name(format!(".{name}.init-{}", std::process::id()));
        let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
        let mut open = opened.map_err(|error| failed("write", &beside, &error))?;
        self.undo.push(Undo::File(beside.clone()));
        open.write_all(file.content.bytes()).map_err(|error| failed("write", &beside, &error))?;
        give(&beside, file.mode, file.owner)?;
        open.sync_all().map_err(|error| failed("sync", &beside, &error))?;
        Ok(beside)
    }

    /// Puts the file in its place; the backup if something was there.
    fn put(&mut self, beside: &Path, path: &Path) -> Result<Option<PathBuf>, WriteError> {
        let backup = if exists(path) { Some(self.back_up(path)?) } else { None };
        if backup.is_some() {
            fs::rename(beside, path).map_err(|error| failed("replace", path, &error))?;
        } else {
            // Unlike a rename, a link does not replace what came there in the meantime.
            fs::hard_link(beside, path).map_err(|error| failed("write", path, &error))?;
            self.undo.push(Undo::File(path.to_owned()));
            fs::remove_file(beside).map_err(|error| failed("remove", beside, &error))?;
        }
        Ok(backup)
    }

    fn back_up(&mut self, path: &Path) -> Result<PathBuf, WriteError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let numbered = (1..1000).map(|n| path.with_file_name(format!("{name}.bak-{n}")));
        let mut error = io::Error::from(io::ErrorKind::AlreadyExists);
        for backup in numbered {
            match fs::hard_link(path, &backup) {
                Ok(()) => {
                    self.undo.push(Undo::Restore { backup: backup.clone(), path: path.to_owned() });
                    return Ok(backup);
                }
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
                Err(other) => {
                    error = other;
                    break;
                }
            }
        }
        Err(failed("back up", path, &error))
    }
}

fn give(path: &Path, mode: u32, owner: Option<Owner>) -> Result<(), WriteError> {
    if let Some(owner) = owner {
        chown(path, Some(owner.uid), Some(owner.gid))
            .map_err(|error| failed("change the owner of", path, &error))?;
    }
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, mode).map_err(|error| failed("change the mode of", path, &error))
}

/// Also a link that leads nowhere is there.
fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether exactly the planned file is there.
pub(super) fn is_there(file: &PlannedFile) -> bool {
    let Ok(found) = fs::symlink_metadata(&file.path) else { return false };
    let owned = file.owner.is_none_or(|owner| (found.uid(), found.gid()) == (owner.uid, owner.gid));
    let moded = found.mode() & 0o7777 == file.mode;
    let same = || {
        fs::read(&file.path)
            .is_ok_and(|bytes| zeroize::Zeroizing::new(bytes).as_slice() == file.content.bytes())
    };
    found.is_file() && owned && moded && same()
}

fn failed(what: &'static str, path: &Path, error: &io::Error) -> WriteError {
    WriteError::Failed { what, path: path.to_owned(), problem: error.to_string() }
}
