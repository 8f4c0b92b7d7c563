//! Who could change the policy. It bounds what the agent may raise, so the agent's own user must not be able to
//! widen it: neither by writing the file, nor by putting another one in its place.
//!
//! What is on a read-only mount (a `ConfigMap`, `-v …:ro`) cannot be changed from here, whoever owns it. Root can
//! change everything, and is trusted with the machine.
//!
//! Refuses to decide what follows from it: a file that everybody may write is no policy ([`load`](super::load)); what only
//! the agent's user may change is told, and counts all the same.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, AtFlags, CWD, StatVfsMountFlags, accessat, statvfs},
    process::geteuid,
};

const BY_OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// What makes this policy file one that the process which asks could change, with the command that mends it.
#[must_use]
pub fn exposed(path: &Path) -> Option<String> {
    Process::this().exposed(path)
}

/// Whether everybody may write an open file.
pub(super) fn is_open_to_all(path: &Path, found: &Metadata) -> bool {
    found.mode() & BY_OTHERS != 0 && !is_fixed(path)
}

/// Whether it lies on a mount that nobody can write.
fn is_fixed(path: &Path) -> bool {
    statvfs(path).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Who asks; tests ask as somebody else.
struct Process {
    user: u32,
    may_write: fn(&Path) -> bool,
    is_fixed: fn(&Path) -> bool,
}

impl Process {
    fn this() -> Self {
        let may_write = |path: &Path| accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
        Self { user: geteuid().as_raw(), may_write, is_fixed }
    }

    fn exposed(&self, path: &Path) -> Option<String> {
        let real = fs::canonicalize(path).ok()?;
        let mut places = vec![real.clone()];
        // A link can be put elsewhere where it lies, and its target be replaced where that lies.
        places.extend([real.parent(), path.parent()].into_iter().flatten().map(PathBuf::from));
        places.dedup();
        let problem = places.iter().find_map(|place| Some((place, self.problem(place)?)));
        problem.map(|(place, problem)| {
            let place = place.display();
            format!("{place} {problem}; run: chown root {place} && chmod go-w {place}")
        })
    }

    fn problem(&self, place: &Path) -> Option<&'static str> {
        let found = fs::metadata(place).ok()?;
        if (self.is_fixed)(place) {
            return None;
        }
        let guarded = found.is_dir() && found.mode() & STICKY != 0;
        if found.mode() & BY_OTHERS != 0 && !guarded {
            return Some("may be written by everybody");
        }
        if self.user == 0 {
            return None;
        }
        if found.uid() == self.user {
            return Some("belongs to the agent's own user");
        }
        (!guarded && (self.may_write)(place)).then_some("may be written by the agent's own user")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A policy file in a directory of its own, both of whoever runs this test.
    fn file(dir: &Path) -> PathBuf {
        let dir = dir.join("etc");
        fs::create_dir(&dir).unwrap();
        mode(&dir, 0o755);
        let file = dir.join("policy.toml");
        fs::write(&file, "").unwrap();
        mode(&file, 0o644);
        file
    }

    fn somebody(user: u32) -> Process {
        Process { user, may_write: |_| false, is_fixed: |_| false }
    }

    #[test]
    fn whoever_owns_or_may_write_it_could_widen_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        // Root can give it away; for anybody else it is his own.
        let _ = chown(&path, Some(4711), None);
        let owner = fs::metadata(&path).unwrap().uid();
        assert!(somebody(owner).exposed(&path).unwrap().contains("belongs to the agent's own user"));
        let stranger = owner + 1;
        assert_eq!(somebody(stranger).exposed(&path), None);
        let by_group = Process { may_write: |path| path.ends_with("policy.toml"), ..somebody(stranger) };
        let said = by_group.exposed(&path).unwrap();
        let mend = format!("run: chown root {0} && chmod go-w {0}", path.canonicalize().unwrap().display());
        assert!(said.contains("may be written by the agent's own user") && said.ends_with(&mend), "{said}");
        let by_directory = Process { may_write: |path| path.ends_with("etc"), ..somebody(stranger) };
        assert!(by_directory.exposed(&path).unwrap().contains("/etc may be written by the agent"));
        let on_a_read_only_mount = Process { is_fixed: |_| true, ..by_group };
        assert_eq!(on_a_read_only_mount.exposed(&path), None);
    }

    #[test]
    fn a_link_is_looked_at_where_it_lies_and_a_sticky_directory_guards_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, links) = (file(dir.path()), dir.path().join("links"));
        fs::create_dir(&links).unwrap();
        mode(&links, 0o777);
        symlink(&path, links.join("policy.toml")).unwrap();
        let said = somebody(u32::MAX - 1).exposed(&links.join("policy.toml")).unwrap();
        assert!(said.contains("links may be written by everybody"), "{said}");
        mode(&links, 0o1777);
        assert_eq!(somebody(u32::MAX - 1).exposed(&links.join("policy.toml")), None);
    }

    #[test]
    fn root_is_trusted_but_not_what_everybody_may_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path());
        assert_eq!(Process { may_write: |_| true, ..somebody(0) }.exposed(&path), None);
        mode(&path, 0o666);
        assert!(somebody(0).exposed(&path).is_some());
        assert!(is_open_to_all(&path, &fs::metadata(&path).unwrap()));
        let said = super::super::load(&path).unwrap_err().to_string();
        assert!(said.contains("everybody may write it") && said.contains("chmod o-w"), "{said}");
        mode(&path, 0o664);
        assert!(!is_open_to_all(&path, &fs::metadata(&path).unwrap()));
        assert!(super::super::load(&path).is_ok());
    }
}
