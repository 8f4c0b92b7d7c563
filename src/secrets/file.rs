//! Secrets from files: systemd credentials, container secrets, plain files of mode 0600.
//!
//! Refuses a symbolic link, with one exception: in the credentials directory, whose owner vouches for what is
//! in it, a link that the kernel can follow without ever leaving that directory. Kubernetes mounts each key of
//! a Secret so (`key -> ..data/key`), because that is how a new value comes in at one stroke.

use std::{
    fs::File,
    io::Read as _,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};
use zeroize::Zeroizing;

use super::{CommandError, Secret};

/// The largest secret that is read.
pub(super) const MAX_BYTES: u64 = 64 * 1024;

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
    #[error("{path} is {found}, expected a regular file (a symbolic link only within $CREDENTIALS_DIRECTORY)", path = path.display())]
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
    /// A program gave none.
    #[error(transparent)]
    Command(#[from] CommandError),
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
    read_beside(path, credentials().as_deref())
}

/// Reads a file that may lie in this credentials directory.
fn read_beside(path: &Path, credentials: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let failed = |problem: String| SecretError::Read { path: path.to_owned(), problem };
    let vouched = credentials.filter(|dir| lies_in(path, dir));
    let mut file = File::from(open(path, vouched)?);
    judge(path, &file.metadata().map_err(|e| failed(e.to_string()))?, vouched.is_some())?;
    let mut bytes = Zeroizing::new(Vec::new());
    (&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| failed(e.to_string()))?;
    match bytes.len() as u64 {
        0 => Err(SecretError::Size { path: path.to_owned(), found: "nothing" }),
        n if n > MAX_BYTES => Err(SecretError::Size { path: path.to_owned(), found: "more than 64 KiB" }),
        _ => Ok(bytes),
    }
}

/// Opens a file, which is judged afterwards: no window between the two. A link is not followed, except within
/// a credentials directory and not out of it.
fn open(path: &Path, vouched: Option<&Path>) -> Result<OwnedFd, SecretError> {
    let failed = |error: Errno| SecretError::Read { path: path.to_owned(), problem: error.to_string() };
    let link = |found| SecretError::NotAFile { path: path.to_owned(), found };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match rustix::fs::open(path, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::LOOP) => {}
        opened => return opened.map_err(failed),
    }
    let Some((dir, within)) = vouched.and_then(|dir| Some((dir, path.strip_prefix(dir).ok()?))) else {
        return Err(link("a symbolic link"));
    };
    let base = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let base = rustix::fs::open(dir, base, Mode::empty()).map_err(failed)?;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(base, within, flags, Mode::empty(), how) {
        Err(Errno::XDEV) => Err(link("a symbolic link that leads out of $CREDENTIALS_DIRECTORY")),
        Err(Errno::LOOP) => Err(link("a symbolic link that leads nowhere")),
        Err(Errno::NOSYS | Errno::PERM) => {
            Err(link("a symbolic link, which this kernel or sandbox cannot follow safely (openat2)"))
        }
        opened => opened.map_err(failed),
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

/// Where a credential lies.
///
/// # Errors
/// [`SecretError::NoCredentials`] outside a unit that loads credentials.
pub fn credential(name: &str) -> Result<PathBuf, SecretError> {
    let dir = credentials();
    dir.map(|dir| dir.join(name)).ok_or_else(|| SecretError::NoCredentials { name: name.to_owned() })
}

fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// `vouched`: it lies in the credentials directory, which systemd or the container's author guards as a whole;
/// its files may be 0440.
fn judge(path: &Path, meta: &std::fs::Metadata, vouched: bool) -> Result<(), SecretError> {
    if !meta.is_file() {
        let found = if meta.is_dir() { "a directory" } else { "not a regular file" };
        return Err(SecretError::NotAFile { path: path.to_owned(), found });
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 && !vouched {
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
    fn a_file_of_another_user_is_refused_whatever_its_mode() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("NOT TESTED: only root can give a file away");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let theirs = write(dir.path(), "theirs", 0o600, "s3cret");
        std::os::unix::fs::chown(&theirs, Some(4242), None).unwrap();
        let error = read_private(&theirs).unwrap_err().to_string();
        assert!(error.contains("belongs to uid 4242") && error.contains("chown 0"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
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

    /// As the kubelet writes it: `main.json -> ..data/main.json`, `..data -> ..2026_11_26`.
    fn mounted_secret(dir: &Path) -> PathBuf {
        let version = dir.join("..2026_11_26");
        std::fs::create_dir(&version).unwrap();
        write(&version, "main.json", 0o440, "s3cret\n");
        symlink("..2026_11_26", dir.join("..data")).unwrap();
        symlink("..data/main.json", dir.join("main.json")).unwrap();
        dir.join("main.json")
    }

    #[test]
    fn a_key_of_a_mounted_kubernetes_secret_is_read_in_the_credentials_directory_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = mounted_secret(dir.path());
        assert_eq!(read_beside(&path, Some(dir.path())).unwrap().as_slice(), b"s3cret\n");
        // The same mount without somebody who vouches for it: the link and, behind it, the mode.
        assert!(matches!(read_beside(&path, None), Err(SecretError::NotAFile { .. })));
        let behind = dir.path().join("..data/main.json");
        assert!(matches!(read_beside(&behind, None), Err(SecretError::Mode { .. })));
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(matches!(read_beside(&path, Some(elsewhere.path())), Err(SecretError::NotAFile { .. })));
    }

    #[test]
    fn a_link_out_of_the_credentials_directory_is_refused_whichever_way_it_leads_out() {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let target = write(outside.path(), "other", 0o600, "s3cret");
        let name = outside.path().file_name().unwrap();
        let climbing = Path::new("..").join(name).join("other");
        symlink(outside.path(), dir.path().join("folder")).unwrap();
        for (link, target) in
            [("absolute", target.as_path()), ("climbing", &climbing), ("by", Path::new("folder/other"))]
        {
            symlink(target, dir.path().join(link)).unwrap();
            let error = read_beside(&dir.path().join(link), Some(dir.path())).unwrap_err().to_string();
            assert!(error.contains("leads out of") && !error.contains("s3cret"), "{link}: {error}");
        }
        symlink("round", dir.path().join("round")).unwrap();
        let error = read_beside(&dir.path().join("round"), Some(dir.path())).unwrap_err().to_string();
        assert!(error.contains("leads nowhere"), "{error}");
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
