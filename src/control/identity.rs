//! What an enrolled agent keeps on disk beside its key: `identity.json`, who it is and whom it trusts;
//! 0600, written beside its place, synced and renamed.
//!
//! Refuses files that others can read.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use super::key_file::{load_key, load_or_create_key};
use super::{
    keys::{KeyError, KeySet},
    wire::{Jwk, Utc},
};
use crate::{
    engine::ids::AgentId,
    secrets::{AtRest, SealError},
};

/// The file in the state directory.
pub const IDENTITY_FILE: &str = "identity.json";
const LABEL: &str = "identity";
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
    /// The id of its ledger, from its first start on: another one in its place is a loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<String>,
    /// What shows that this agent wrote it; where there is a state key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

impl Identity {
    /// Reads the identity of a directory; `None` if the agent has not enrolled. Where there is a state key, whoever
    /// can write to the disk must not say whom the agent trusts.
    ///
    /// # Errors
    /// [`IdentityError`] names the file.
    pub fn load(dir: &Path, rest: &AtRest) -> Result<Option<Self>, IdentityError> {
        let Some(identity) = Self::read(dir)? else { return Ok(None) };
        let problem = rest.hold(LABEL, &identity.proven(), identity.proof.as_deref());
        problem.map_err(|problem| IdentityError::Sealed { path: dir.join(IDENTITY_FILE), problem })?;
        Ok(Some(identity))
    }

    /// Writes the identity anew with its proof, whoever wrote it, or without one if there is no key: its operator vouches
    /// for it. Whether it was changed.
    ///
    /// # Errors
    /// [`IdentityError`] names the file.
    pub fn settle(dir: &Path, rest: &AtRest) -> Result<bool, IdentityError> {
        let Some(identity) = Self::read(dir)? else { return Ok(false) };
        let proof = identity.proof.clone();
        Ok(identity.store(dir, rest)? != proof)
    }

    fn read(dir: &Path) -> Result<Option<Self>, IdentityError> {
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

    /// Writes the identity; also after a new key set. Its proof, where there is a state key.
    ///
    /// # Errors
    /// [`IdentityError::Io`]; [`IdentityError::Sealed`] if the state key cannot be read.
    pub fn store(&self, dir: &Path, rest: &AtRest) -> Result<Option<String>, IdentityError> {
        let path = dir.join(IDENTITY_FILE);
        let proof = rest.proof(LABEL, &self.proven());
        let proof = proof.map_err(|problem| IdentityError::Sealed { path: path.clone(), problem })?;
        let whole = Self { proof: proof.clone(), ..self.clone() };
        let json = serde_json::to_vec_pretty(&whole).expect("an identity serialises");
        write_private(&path, &json)?;
        Ok(proof)
    }

    /// All of it but the proof, in the order of its fields.
    fn proven(&self) -> Vec<u8> {
        let bare = Self { proof: None, ..self.clone() };
        serde_json::to_vec(&bare).expect("an identity serialises")
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
    /// It is sealed, and cannot be opened; or cannot be sealed.
    #[error("{path} {problem}", path = .path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: SealError,
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

pub(super) fn read_private(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityError> {
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

pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
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
        sync_dir(path)
    };
    write().map_err(|source| IdentityError::Io { path: path.to_owned(), source })
}

/// Makes the names in the directory of `path` durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    fs::File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
}
