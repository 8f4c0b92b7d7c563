//! Where a secret comes from, as the configuration names it, and the one way to read it.
//!
//! A client of a vault's own protocol would be one more kind here, and nothing else would change: whoever
//! reads a source does not ask which it is. Refuses what [`super::file`] and [`super::command`] refuse.

use std::{fmt, path::PathBuf};

use super::{Command, Secret, SecretError, credential, read_private};

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file that only the daemon may read.
    File(PathBuf),
    /// A credential of this name, in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// What a program prints.
    Command(Command),
}

impl Source {
    /// How the keys of the configuration call it: `…_file`, `…_credential`, `…_command`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Credential(_) => "credential",
            Self::Command(_) => "command",
        }
    }

    /// The file that it lies in, if it lies in one.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Credential(name) => credential(name).ok(),
            Self::Command(_) => None,
        }
    }

    /// Reads it now. Blocks: on a disk, or for as long as the program may take.
    ///
    /// # Errors
    /// [`SecretError`] names the source and the next step, never a part of the secret.
    pub fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::File(path) => read_private(path),
            Self::Credential(name) => read_private(&credential(name)?),
            Self::Command(command) => Ok(command.read()?),
        }
    }
}

/// For messages: the file, or the program without its arguments.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Credential(name) => match credential(name) {
                Ok(path) => path.display().fmt(f),
                Err(_) => write!(f, "credential {name}"),
            },
            Self::Command(command) => write!(f, "command {}", command.program()),
        }
    }
}
