//! The agent's key on disk: `agent.key`, in force; `agent-next.key`, made and not yet proven to work;
//! `agent-old.key`, on its way out. All 0600, and sealed where there is a state key ([`AtRest`]).
//!
//! Whatever the moment of a crash, `agent.key` is whole and holds the old key or the new one, and the
//! other one is still there until the new one has worked. Refuses to erase a key that is in force.
//! Erasing means overwriting, syncing and unlinking; what a disk or a snapshot keeps below that is
//! beyond us.
//!
//! ```text
//! key                    nothing is going on
//! key next               announced or not; taken or not: both are tried at the next start
//! key old(=key) next     about to change
//! key(new) old           changed; the old one is erased at once, or at the next start
//! ```

use std::{
    fs,
    io::{self, Seek as _, SeekFrom, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{
    identity::{IdentityError, read_private, sync_dir, write_private},
    keys::KeyPair,
};
use crate::secrets::{AtRest, SealError};

/// The key in force.
pub const KEY: &str = "agent.key";
/// The key that is to follow.
pub const NEXT: &str = "agent-next.key";
/// Under which label they are sealed: one, since a key that is to follow becomes the one in force by its name.
pub const LABEL: &str = "agent key";
const OLD: &str = "agent-old.key";

/// The agent's key of a directory; `None` if there is none.
///
/// # Errors
/// [`IdentityError`] names the file.
pub fn load_key(dir: &Path, rest: &AtRest) -> Result<Option<KeyPair>, IdentityError> {
    load(&dir.join(KEY), "enrol again with a new agent token", rest)
}

/// The agent's key of a directory, made and durable if there was none. `entropy` is 32 random bytes.
///
/// # Errors
/// [`IdentityError`] names the file.
pub fn load_or_create_key(
    dir: &Path,
    entropy: &Zeroizing<[u8; 32]>,
    rest: &AtRest,
) -> Result<KeyPair, IdentityError> {
    load_or_create(&dir.join(KEY), "enrol again with a new agent token", entropy, rest)
}

/// The key of a change that has not come to its end; `None` if there is none.
///
/// # Errors
/// [`IdentityError`] names the file.
pub fn load_next(dir: &Path, rest: &AtRest) -> Result<Option<KeyPair>, IdentityError> {
    load(&dir.join(NEXT), REMOVE, rest)
}

/// The key that is to follow, made and durable if there was none. `entropy` is 32 random bytes.
///
/// # Errors
/// [`IdentityError`] names the file.
pub fn prepare_next(
    dir: &Path,
    entropy: &Zeroizing<[u8; 32]>,
    rest: &AtRest,
) -> Result<KeyPair, IdentityError> {
    load_or_create(&dir.join(NEXT), REMOVE, entropy, rest)
}

const REMOVE: &str = "remove it: the key in force is agent.key";

/// Puts the key that was to follow into force, after it has worked, and erases the old one.
///
/// # Errors
/// [`IdentityError`] names the file; the directory is as before, or changed and not yet tidy.
pub fn promote_next(dir: &Path) -> Result<(), IdentityError> {
    tidy(dir)?;
    let (key, next, old) = (dir.join(KEY), dir.join(NEXT), dir.join(OLD));
    at(&old, fs::hard_link(&key, &old))?;
    at(&next, fs::rename(&next, &key))?;
    at(&key, sync_dir(&key))?;
    tidy(dir)
}

/// Erases the key that was to follow, after the control plane has refused it.
///
/// # Errors
/// [`IdentityError`] names the file.
pub fn forget_next(dir: &Path) -> Result<(), IdentityError> {
    let next = dir.join(NEXT);
    at(&next, erase(&next))
}

/// Erases what a change that was interrupted after its turning point left behind.
///
/// # Errors
/// [`IdentityError`] names the file.
pub fn tidy(dir: &Path) -> Result<(), IdentityError> {
    let (key, old) = (dir.join(KEY), dir.join(OLD));
    let Some(ours) = identity_of(&key)? else { return Ok(()) }; // never erase the last key there is
    match identity_of(&old)? {
        None => Ok(()),
        // Two names of one file: erasing its content would erase the key in force.
        Some(theirs) if theirs == ours => at(&old, fs::remove_file(&old).and_then(|()| sync_dir(&old))),
        Some(_) => at(&old, erase(&old)),
    }
}

fn load(path: &Path, advice: &str, rest: &AtRest) -> Result<Option<KeyPair>, IdentityError> {
    let Some(stored) = read_private(path)? else { return Ok(None) };
    let text = rest.open(LABEL, stored).map_err(|problem| unsealed(path, problem))?;
    let damaged = || IdentityError::Damaged {
        path: path.to_owned(),
        problem: format!("is not 43 characters of base64url; {advice}"),
    };
    let seed = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim_ascii()).map_err(|_| damaged())?);
    let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| damaged())?;
    Ok(Some(KeyPair::from_seed(seed)))
}

fn load_or_create(
    path: &Path,
    advice: &str,
    entropy: &Zeroizing<[u8; 32]>,
    rest: &AtRest,
) -> Result<KeyPair, IdentityError> {
    if let Some(key) = load(path, advice, rest)? {
        return Ok(key);
    }
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(**entropy));
    let stored = rest.seal(LABEL, text.as_bytes()).map_err(|problem| unsealed(path, problem))?;
    write_private(path, &stored)?;
    load(path, advice, rest)?.ok_or_else(|| IdentityError::Io {
        path: path.to_owned(),
        source: io::Error::from(io::ErrorKind::NotFound),
    })
}

fn unsealed(path: &Path, problem: SealError) -> IdentityError {
    IdentityError::Sealed { path: path.to_owned(), problem }
}

/// Which file a name stands for.
fn identity_of(path: &Path) -> Result<Option<(u64, u64)>, IdentityError> {
    match fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(IdentityError::Io { path: path.to_owned(), source }),
    }
}

fn erase(path: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&vec![0; usize::try_from(length).unwrap_or(0)])?;
    file.sync_all()?;
    fs::remove_file(path)?;
    sync_dir(path)
}

fn at<T>(path: &Path, done: io::Result<T>) -> Result<T, IdentityError> {
    done.map_err(|source| IdentityError::Io { path: PathBuf::from(path), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn entropy(byte: u8) -> Zeroizing<[u8; 32]> {
        Zeroizing::new([byte; 32])
    }

    fn public(key: Option<KeyPair>) -> Option<super::super::keys::PublicKey> {
        key.map(|key| key.public().clone())
    }

    fn of(byte: u8) -> Option<super::super::keys::PublicKey> {
        Some(KeyPair::from_seed(&[byte; 32]).public().clone())
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_same_key_presents_itself_again_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_create_key(dir.path(), &entropy(1), &AtRest::Plain).unwrap();
        let again = load_or_create_key(dir.path(), &entropy(2), &AtRest::Plain).unwrap();
        assert_eq!(first.public(), again.public());
        let mode = fs::metadata(dir.path().join(KEY)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn a_crash_while_writing_leaves_no_torn_key() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("agent.new"), b"torn").unwrap();
        fs::write(dir.path().join("agent-next.new"), b"torn").unwrap();
        load_or_create_key(dir.path(), &entropy(1), &AtRest::Plain).unwrap();
        prepare_next(dir.path(), &entropy(2), &AtRest::Plain).unwrap();
        assert_eq!(public(load_key(dir.path(), &AtRest::Plain).unwrap()), of(1));
        assert_eq!(public(load_next(dir.path(), &AtRest::Plain).unwrap()), of(2));
        assert_eq!(names(dir.path()), [NEXT, KEY]);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create_key(dir.path(), &entropy(1), &AtRest::Plain).unwrap();
        let path = dir.path().join(KEY);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_key(dir.path(), &AtRest::Plain).unwrap_err().to_string();
        assert!(error.contains("0640") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(matches!(load_key(dir.path(), &AtRest::Plain), Err(IdentityError::Damaged { .. })));
    }

    #[test]
    fn a_new_key_takes_the_place_of_the_old_one_of_which_nothing_stays() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create_key(dir.path(), &entropy(1), &AtRest::Plain).unwrap();
        prepare_next(dir.path(), &entropy(2), &AtRest::Plain).unwrap();
        assert_eq!(
            public(Some(prepare_next(dir.path(), &entropy(3), &AtRest::Plain).unwrap())),
            of(2),
            "not made anew"
        );
        let mut old = fs::File::open(dir.path().join(KEY)).unwrap();

        promote_next(dir.path()).unwrap();

        assert_eq!(public(load_key(dir.path(), &AtRest::Plain).unwrap()), of(2));
        assert_eq!(names(dir.path()), [KEY]);
        let mut left = Vec::new();
        io::Read::read_to_end(&mut old, &mut left).unwrap();
        assert_eq!(left, vec![0; 43], "the old file's content is overwritten, not only unlinked");
    }

    #[test]
    fn a_refused_key_is_erased_and_the_old_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create_key(dir.path(), &entropy(1), &AtRest::Plain).unwrap();
        prepare_next(dir.path(), &entropy(2), &AtRest::Plain).unwrap();
        forget_next(dir.path()).unwrap();
        assert_eq!(public(load_key(dir.path(), &AtRest::Plain).unwrap()), of(1));
        assert_eq!(names(dir.path()), [KEY]);
    }

    /// The states that a crash inside `promote_next` can leave.
    #[test]
    fn every_state_that_a_crash_can_leave_has_a_whole_key_and_can_be_finished() {
        for (crash_after, in_force) in [("link", 1), ("rename", 2)] {
            let dir = tempfile::tempdir().unwrap();
            let path = |name: &str| dir.path().join(name);
            load_or_create_key(dir.path(), &entropy(1), &AtRest::Plain).unwrap();
            prepare_next(dir.path(), &entropy(2), &AtRest::Plain).unwrap();
            fs::hard_link(path(KEY), path(OLD)).unwrap();
            if crash_after == "rename" {
                fs::rename(path(NEXT), path(KEY)).unwrap();
            }

            tidy(dir.path()).unwrap();

            assert_eq!(public(load_key(dir.path(), &AtRest::Plain).unwrap()), of(in_force), "{crash_after}");
            assert!(!path(OLD).exists(), "{crash_after}");
            if crash_after == "link" {
                promote_next(dir.path()).unwrap();
            }
            assert_eq!(public(load_key(dir.path(), &AtRest::Plain).unwrap()), of(2), "{crash_after}");
            assert_eq!(names(dir.path()), [KEY], "{crash_after}");
        }
    }

    #[test]
    fn an_old_key_without_a_key_in_force_is_left_for_a_person() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(OLD), "precious").unwrap();
        tidy(dir.path()).unwrap();
        assert_eq!(names(dir.path()), [OLD]);
    }
}
