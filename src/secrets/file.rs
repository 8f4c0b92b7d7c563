//! Secrets from files: systemd credentials, container secrets, plain files of mode 0600.

use std::{
    fs::File,
    io::Read as _,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::Secret;

/// The largest secret that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a secret cannot be used. Names the file, never its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be opened or read.
    #[error("{path}: {problem}: check that it exists and that the agent's user may read it", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// It is no plain file.
    #[error("{path} is {found}, expected a regular file (symbolic links are refused)", path = path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// Others may read or write it.
    #[error("{path} has mode {mode:04o}: others may use it; run: chmod 600 {path}", path = path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("{path} belongs to uid {owner}, expected {expected} or root: run: chown {expected} {path}", path = path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who we are.
        expected: u32,
    },
    /// Its size is wrong.
    #[error("{path} holds {found}, expected a secret of 1 byte to 64 KiB", path = path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: &'static str,
    },
    /// No credentials directory.
    #[error(
        "credential {name}: $CREDENTIALS_DIRECTORY is not set; use LoadCredential={name}:/path in the unit"
    )]
    NoCredentials {
        /// The credential.
        name: String,
    },
}

/// Reads a secret text from a file that only we (or root) can read; trailing line ends are dropped.
///
/// # Errors
/// [`SecretError`] names the file and the command that mends it.
pub fn read_private(path: &Path) -> Result<Secret, SecretError> {
    let bytes = read_private_bytes(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| SecretError::Size { path: path.to_owned(), found: "bytes that are not UTF-8 text" })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(SecretError::Size { path: path.to_owned(), found: "nothing" });
    }
    Ok(Secret::new(text.to_owned()))
}

/// As [`read_private`], the bytes as they are.
///
/// # Errors
/// [`SecretError`].
pub fn read_private_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let failed = |problem: String| SecretError::Read { path: path.to_owned(), problem };
    // Opened without following a link, then judged by the open file: no window between the two.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::LOOP) => {
            return Err(SecretError::NotAFile { path: path.to_owned(), found: "a symbolic link" });
        }
        opened => opened.map_err(|e| failed(e.to_string()))?,
    };
    let mut file = File::from(opened);
    judge(path, &file.metadata().map_err(|e| failed(e.to_string()))?)?;
    let mut bytes = Zeroizing::new(Vec::new());
    (&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| failed(e.to_string()))?;
    match bytes.len() as u64 {
        0 => Err(SecretError::Size { path: path.to_owned(), found: "nothing" }),
        n if n > MAX_BYTES => Err(SecretError::Size { path: path.to_owned(), found: "more than 64 KiB" }),
        _ => Ok(bytes),
    }
}

/// The user whose secrets root reads too.
static SERVICE_USER: OnceLock<u32> = OnceLock::new();

/// Lets root read what belongs to the daemon's user, who owns the state directory: an operator ends grants as
/// root when the daemon is down. Without effect for anybody else; the first call counts.
pub fn trust_owner_of(state_dir: &Path) {
    if let Ok(meta) = std::fs::symlink_metadata(state_dir)
        && meta.is_dir()
    {
        SERVICE_USER.get_or_init(|| meta.uid());
    }
}

/// Where a systemd credential lies.
///
/// # Errors
/// [`SecretError::NoCredentials`] outside a unit that loads credentials.
pub fn credential(name: &str) -> Result<PathBuf, SecretError> {
    let dir = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|d| !d.is_empty());
    dir.map(|dir| PathBuf::from(dir).join(name))
        .ok_or_else(|| SecretError::NoCredentials { name: name.to_owned() })
}

fn judge(path: &Path, meta: &std::fs::Metadata) -> Result<(), SecretError> {
    if !meta.is_file() {
        let found = if meta.is_dir() { "a directory" } else { "not a regular file" };
        return Err(SecretError::NotAFile { path: path.to_owned(), found });
    }
    // systemd guards its credentials directory itself; its files may be 0440.
    let by_systemd =
        std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|dir| lies_in(path, Path::new(&dir)));
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 && !by_systemd {
        return Err(SecretError::Mode { path: path.to_owned(), mode });
    }
    let me = rustix::process::geteuid().as_raw();
    let service = me == 0 && SERVICE_USER.get() == Some(&meta.uid());
    if meta.uid() != me && meta.uid() != 0 && !service {
        return Err(SecretError::Owner { path: path.to_owned(), owner: meta.uid(), expected: me });
    }
    Ok(())
}

/// An empty variable must not vouch for every file, nor a path that climbs out again.
fn lies_in(path: &Path, dir: &Path) -> bool {
    dir.is_absolute() && path.starts_with(dir) && path.components().all(|c| c != Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn write(dir: &Path, name: &str, mode: u32, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn only_a_private_regular_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let good = write(dir.path(), "good", 0o600, "s3cret\n");
        assert_eq!(read_private(&good).unwrap().expose(), "s3cret");
        let open = write(dir.path(), "open", 0o644, "s3cret");
        let error = read_private(&open).unwrap_err().to_string();
        assert!(
            error.contains("0644") && error.contains("chmod 600") && !error.contains("s3cret"),
            "{error}"
        );
        let link = dir.path().join("link");
        symlink(&good, &link).unwrap();
        assert!(matches!(read_private(&link), Err(SecretError::NotAFile { .. })));
        assert!(matches!(read_private(dir.path()), Err(SecretError::NotAFile { .. })));
        let empty = write(dir.path(), "empty", 0o600, "\n");
        assert!(matches!(read_private(&empty), Err(SecretError::Size { .. })));
        assert!(matches!(read_private(&dir.path().join("none")), Err(SecretError::Read { .. })));
    }

    #[test]
    fn only_the_credentials_directory_itself_excuses_an_open_mode() {
        let dir = Path::new("/run/credentials/ephemerald.service");
        assert!(lies_in(&dir.join("main"), dir));
        assert!(!lies_in(Path::new("/etc/main"), Path::new("")));
        assert!(!lies_in(Path::new("run/main"), Path::new("run")));
        assert!(!lies_in(&dir.join("../../../etc/main"), dir));
    }

    #[test]
    fn a_pipe_is_refused_without_waiting_for_a_writer() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(matches!(read_private(&pipe), Err(SecretError::NotAFile { .. })));
    }
}
