//! What an enrolled agent keeps on disk: `agent.key` (its seed) and `identity.json` (who it is and
//! whom it trusts), both 0600, both written beside their place, synced and renamed.
//!
//! Refuses files that others can read, and never overwrites a key: the key is durable before the
//! one-time secret is spent, and the same key presents itself again until it has been accepted.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    keys::{KeyError, KeyPair, KeySet},
    wire::{Jwk, Utc},
};
use crate::engine::ids::AgentId;

const KEY_FILE: &str = "agent.key";
const IDENTITY_FILE: &str = "identity.json";
const MAX_BYTES: u64 = 64 * 1024;

/// Who this agent is and whom it trusts. No secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The format of this file: 1.
    pub format: u32,
    /// The agent's id.
    pub agent_id: AgentId,
    /// The control plane's origin.
    pub url: String,
    /// Thumbprint of the agent's own key.
    pub key: String,
    /// The root key.
    pub root: Jwk,
    /// Its thumbprint, from the agent token.
    pub root_thumbprint: String,
    /// The newest job-signing key set, as the root signed it.
    pub key_set: String,
    /// When the agent enrolled.
    pub enrolled_at: Utc,
}

impl Identity {
    /// Reads the identity of a directory; `None` if the agent has not enrolled.
    ///
    /// # Errors
    /// [`IdentityError`] names the file.
    pub fn load(dir: &Path) -> Result<Option<Self>, IdentityError> {
        let path = dir.join(IDENTITY_FILE);
        let Some(bytes) = read_private(&path)? else { return Ok(None) };
        let identity: Self = serde_json::from_slice(&bytes)
            .map_err(|error| IdentityError::Damaged { path: path.clone(), problem: error.to_string() })?;
        if identity.format != 1 {
            let problem = format!("has format {}, this version reads format 1", identity.format);
            return Err(IdentityError::Damaged { path, problem });
        }
        Ok(Some(identity))
    }

    /// Writes the identity; also after a new key set.
    ///
    /// # Errors
    /// [`IdentityError::Io`].
    pub fn store(&self, dir: &Path) -> Result<(), IdentityError> {
        let json = serde_json::to_vec_pretty(self).expect("an identity serialises");
        write_private(&dir.join(IDENTITY_FILE), &json)
    }

    /// The pinned keys, verified anew.
    ///
    /// # Errors
    /// [`KeyError`] if the file was changed.
    pub fn keys(&self) -> Result<KeySet, KeyError> {
        KeySet::verify(&self.key_set, &self.root, &self.root_thumbprint)
    }

    /// Takes a newer key set that the control plane has announced. The caller stores the identity.
    ///
    /// # Errors
    /// [`KeyError`]; the set in force stays.
    pub fn adopt(&mut self, key_set: &str) -> Result<KeySet, KeyError> {
        let next = self.keys()?.successor(key_set, &self.root, &self.root_thumbprint)?;
        key_set.clone_into(&mut self.key_set);
        Ok(next)
    }
}

/// The agent's key of a directory; `None` if there is none.
///
/// # Errors
/// [`IdentityError`] names the file.
pub fn load_key(dir: &Path) -> Result<Option<KeyPair>, IdentityError> {
    let path = dir.join(KEY_FILE);
    let Some(text) = read_private(&path)? else { return Ok(None) };
    let damaged = || IdentityError::Damaged {
        path: path.clone(),
        problem: "is not 43 characters of base64url; enrol again with a new agent token".to_owned(),
    };
    let seed = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim_ascii()).map_err(|_| damaged())?);
    let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| damaged())?;
    Ok(Some(KeyPair::from_seed(seed)))
}

/// The agent's key of a directory, made and durable if there was none. `entropy` is 32 random bytes.
///
/// # Errors
/// [`IdentityError`] names the file.
pub fn load_or_create_key(dir: &Path, entropy: &Zeroizing<[u8; 32]>) -> Result<KeyPair, IdentityError> {
    if let Some(key) = load_key(dir)? {
        return Ok(key);
    }
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(**entropy));
    write_private(&dir.join(KEY_FILE), text.as_bytes())?;
    load_key(dir)?.ok_or_else(|| IdentityError::Io {
        path: dir.join(KEY_FILE),
        source: io::Error::from(io::ErrorKind::NotFound),
    })
}

/// Why a file of the identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The system said no.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read or change it.
    #[error("{path} has mode {mode:04o}, expected 0600: run `chmod 600 {path}`", path = .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Its content is not what we wrote.
    #[error("{path} {problem}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

fn read_private(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityError> {
    let io = |source| IdentityError::Io { path: path.to_owned(), source };
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = match fs::OpenOptions::new().read(true).custom_flags(nofollow).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let meta = file.metadata().map_err(io)?;
    if !meta.is_file() || meta.mode() & 0o077 != 0 {
        return Err(IdentityError::Open { path: path.to_owned(), mode: meta.mode() & 0o7777 });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    Ok(Some(bytes))
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let beside = path.with_extension("new");
    let write = || {
        // A torn file of an earlier crash is ours to remove; `create_new` then sets the mode.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        fs::File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
    };
    write().map_err(|source| IdentityError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_same_key_presents_itself_again_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_create_key(dir.path(), &Zeroizing::new([1; 32])).unwrap();
        let again = load_or_create_key(dir.path(), &Zeroizing::new([2; 32])).unwrap();
        assert_eq!(first.public(), again.public());
        let mode = fs::metadata(dir.path().join(KEY_FILE)).unwrap().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn a_crash_while_writing_leaves_no_torn_key() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("agent.new"), b"torn").unwrap();
        let key = load_or_create_key(dir.path(), &Zeroizing::new([1; 32])).unwrap();
        assert_eq!(key.public(), KeyPair::from_seed(&[1; 32]).public());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create_key(dir.path(), &Zeroizing::new([1; 32])).unwrap();
        let path = dir.path().join(KEY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_key(dir.path()).unwrap_err().to_string();
        assert!(error.contains("0640") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        assert!(matches!(load_key(dir.path()), Err(IdentityError::Damaged { .. })));
    }
}
