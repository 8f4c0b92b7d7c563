//! How the agent's own keys lie in its state directory: sealed with the state key where there is one, else as they are,
//! for the daemon's user alone.
//!
//! Refuses to write a key unsealed where a state key is asked for and cannot be read; to take a sealed file for anything
//! else than one; and to change a file that it cannot read.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown},
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use super::{Source, StateKey, forms::hex, state_key::is_sealed};

/// What a proof is made for.
const PROOF: &[u8] = b"ephemerald proof v1";

/// What seals the files.
#[derive(Clone, Debug, Default)]
pub enum AtRest {
    /// Nothing.
    #[default]
    Plain,
    /// The state key.
    Sealed(Arc<StateKey>),
    /// The state key, which cannot be read; why.
    Unreadable(String),
}

/// Why a file's content cannot be had, or not be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is no state key.
    #[error("is sealed, and the configuration names no state key: set agent.state_key_…")]
    NoKey,
    /// It cannot be read.
    #[error("needs the state key, which cannot be read: {0}")]
    Unreadable(String),
    /// Nothing shows that we wrote it.
    #[error(
        "is not authenticated with the state key: if nobody has changed it, run `ephemerald state seal`; else restore it from a backup, or enrol again"
    )]
    Unproven,
    /// It does not fit.
    #[error(
        "is sealed with another state key, or was changed: name the key that it was sealed with, or restore it from a backup"
    )]
    Wrong,
}

impl AtRest {
    /// Reads the state key that the configuration names. Blocks as its source does.
    #[must_use]
    pub fn read(source: Option<&Source>) -> Self {
        let Some(source) = source else { return Self::Plain };
        let read = source.read().map_err(|error| error.to_string());
        match read.and_then(|text| StateKey::parse(&text).map_err(|error| format!("{source}: {error}"))) {
            Ok(key) => Self::Sealed(Arc::new(key)),
            Err(why) => Self::Unreadable(why),
        }
    }

    /// The key, if there is one.
    #[must_use]
    pub const fn key(&self) -> Option<&Arc<StateKey>> {
        if let Self::Sealed(key) = self { Some(key) } else { None }
    }

    /// The content as it is to be stored under this label.
    ///
    /// # Errors
    /// [`SealError::Unreadable`].
    pub fn seal(&self, label: &str, content: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        match self {
            Self::Plain => Ok(Zeroizing::new(content.to_vec())),
            Self::Sealed(key) => Ok(Zeroizing::new(key.seal(label, content))),
            Self::Unreadable(why) => Err(SealError::Unreadable(why.clone())),
        }
    }

    /// The content that was stored under this label, sealed or not.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn open(&self, label: &str, stored: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if !is_sealed(&stored) {
            return Ok(stored);
        }
        match self {
            Self::Plain => Err(SealError::NoKey),
            Self::Sealed(key) => key.unseal(label, &stored).map_err(|_| SealError::Wrong),
            Self::Unreadable(why) => Err(SealError::Unreadable(why.clone())),
        }
    }

    /// What shows that content which need not be hidden was written here, under this label; nothing without a key.
    ///
    /// # Errors
    /// [`SealError::Unreadable`].
    pub fn proof(&self, label: &str, content: &[u8]) -> Result<Option<String>, SealError> {
        match self {
            Self::Plain => Ok(None),
            Self::Sealed(key) => Ok(Some(hex(&key.mac(&[PROOF, label.as_bytes(), content])))),
            Self::Unreadable(why) => Err(SealError::Unreadable(why.clone())),
        }
    }

    /// Holds content against what was shown for it.
    ///
    /// # Errors
    /// [`SealError::Unproven`], [`SealError::Unreadable`].
    pub fn hold(&self, label: &str, content: &[u8], shown: Option<&str>) -> Result<(), SealError> {
        let Some(expected) = self.proof(label, content)? else { return Ok(()) };
        let shown = shown.unwrap_or_default().as_bytes();
        verify_slices_are_equal(expected.as_bytes(), shown).map_err(|_| SealError::Unproven)
    }

    /// Stores a file that is there as it should be: sealed, if there is a key. Whether it was changed.
    ///
    /// # Errors
    /// What is wrong, with the file; it is as it was then.
    pub fn settle(&self, label: &str, path: &Path) -> Result<bool, String> {
        let Self::Sealed(key) = self else { return Ok(false) };
        restore_as(path, |stored| (!is_sealed(stored)).then(|| Zeroizing::new(key.seal(label, stored))))
    }

    /// Stores a sealed file as it is without a key. Whether it was changed.
    ///
    /// # Errors
    /// As [`AtRest::settle`].
    pub fn lay_open(&self, label: &str, path: &Path) -> Result<bool, String> {
        let shown = path.display();
        let Some(stored) = read(path).map_err(|error| format!("{shown}: {error}"))? else { return Ok(false) };
        if !is_sealed(&stored) {
            return Ok(false);
        }
        let content = self.open(label, stored).map_err(|error| format!("{shown} {error}"))?;
        restore_as(path, |_| Some(content))
    }
}

/// Writes a file anew if `change` says so: beside it, synced, renamed, of the same owner.
fn restore_as(path: &Path, change: impl FnOnce(&[u8]) -> Option<Zeroizing<Vec<u8>>>) -> Result<bool, String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    let Some(stored) = read(path).map_err(failed)? else { return Ok(false) };
    let Some(content) = change(&stored) else { return Ok(false) };
    replace(path, &content).map_err(failed)?;
    Ok(true)
}

fn read(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Whoever reads the file for its content says what is wrong with it.
        Ok(meta) if !meta.is_file() || meta.len() > super::file::MAX_BYTES => return Ok(None),
        found => found.map(drop)?,
    }
    fs::read(path).map(|bytes| Some(Zeroizing::new(bytes)))
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".seal");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    let (was, is) = (fs::symlink_metadata(path)?, file.metadata()?);
    if (was.uid(), was.gid()) != (is.uid(), is.gid()) {
        chown(&beside, Some(was.uid()), Some(was.gid()))?;
    }
    file.sync_all()?;
    fs::rename(&beside, path)?;
    fs::File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::secrets::Secret;

    fn sealed(byte: &str) -> AtRest {
        AtRest::Sealed(Arc::new(StateKey::parse(&Secret::new(byte.repeat(32))).unwrap()))
    }

    fn plain(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(bytes.to_vec())
    }

    #[test]
    fn a_plain_file_is_read_with_a_key_and_sealed_in_place_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tag.key");
        let rest = sealed("ab");
        assert_eq!(rest.settle("l", &path), Ok(false), "none there");
        fs::write(&path, b"key").unwrap();
        assert_eq!(rest.open("l", plain(b"key")).unwrap().as_slice(), b"key");
        assert_eq!(rest.settle("l", &path), Ok(true));
        let stored = fs::read(&path).unwrap();
        assert!(is_sealed(&stored));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(rest.open("l", plain(&stored)).unwrap().as_slice(), b"key");
        assert_eq!(rest.settle("l", &path), Ok(false));
        assert_eq!(rest.lay_open("l", &path), Ok(true));
        assert_eq!(fs::read(&path).unwrap(), b"key");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_sealed_file_without_its_key_says_so_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tag.key");
        let stored = sealed("ab").seal("l", b"key").unwrap();
        fs::write(&path, &*stored).unwrap();
        let lost = AtRest::Unreadable("vault is down".to_owned());
        assert_eq!(AtRest::Plain.open("l", stored.clone()), Err(SealError::NoKey));
        assert_eq!(sealed("cd").open("l", stored.clone()), Err(SealError::Wrong));
        assert!(lost.open("l", stored.clone()).unwrap_err().to_string().contains("vault is down"));
        assert!(lost.seal("l", b"new").is_err(), "no key is written unsealed meanwhile");
        assert!(sealed("cd").lay_open("l", &path).unwrap_err().contains("tag.key is sealed with another"));
        for rest in [AtRest::Plain, lost, sealed("cd")] {
            assert_eq!(rest.settle("l", &path), Ok(false));
        }
        assert_eq!(fs::read(&path).unwrap(), *stored);
    }
}
