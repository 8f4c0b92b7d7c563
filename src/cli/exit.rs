//! Exit codes, an interface: scripts and service managers act on them.
//!
//! Refuses: a failure without a code.

use std::{error::Error, fmt, process::ExitCode};

use crate::{
    admin::client::AskError,
    secrets::guard::{self, Hit, Outlet},
};

/// The table of exit codes as `--help` prints it; `docs/exit-codes.md` says more.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  failed, or something unexpected
  2  wrong usage of the command line
  3  configuration or policy file refused
  4  refused by the other side or by policy
  5  unreachable or transient: try again
  6  the daemon is not running
  7  verification failed
  8  already running, or the ledger is locked
  9  access may remain: an ending is not proven";

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed, or something unexpected.
    Failed = 1,
    /// Wrong usage of the command line.
    Usage = 2,
    /// Configuration or policy file refused.
    Config = 3,
    /// Refused by the other side or by policy.
    Refused = 4,
    /// Unreachable or transient: try again.
    Transient = 5,
    /// The daemon is not running.
    NotRunning = 6,
    /// Verification failed.
    Verification = 7,
    /// Already running, or the ledger is locked.
    Locked = 8,
    /// Access may remain: an ending is not proven.
    Remains = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with the exit code it stands for; displays its whole chain of causes.
#[derive(Debug)]
pub struct Failure {
    /// The code to exit with.
    pub exit: Exit,
    error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// Joins an error and its exit code. It is looked over here, while the secrets that it might hold are alive: it is
    /// printed when the command is over.
    pub fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let error = error.into();
        match guard::judge(Outlet::Output, error.to_string().as_bytes(), None) {
            Ok(()) => Self { exit, error },
            Err(hit) => Self { exit, error: withheld(&hit).into() },
        }
    }
}

/// In place of what held a secret.
pub(super) fn withheld(hit: &Hit) -> String {
    format!("not printed: it held a secret (sha256 {}…)", hit.secret)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            write!(f, "\n  because: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        let exit = match error {
            AskError::NotRunning(_) => Exit::NotRunning,
            AskError::Forbidden(_) | AskError::Refused { .. } => Exit::Refused,
            AskError::Slow(_) => Exit::Transient,
            AskError::Stopped | AskError::Broken(..) | AskError::Unexpected { .. } => Exit::Failed,
        };
        Self::new(exit, error)
    }
}
