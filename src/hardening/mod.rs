//! What the daemon takes from itself once it knows its configuration and before it has a second thread: what is
//! not needed to give and end access, nobody who gets into the process shall have.
//!
//! | measure | what it takes | in |
//! |---|---|---|
//! | memory | core dumps; looking into the memory from another process of the same user | [`limits`] |
//! | privileges | gaining rights by starting a program | [`limits`] |
//! | files | every path but a short list; listening on ports; signals to other processes | `files` |
//! | calls | every system call but a list with reasons | `calls`, `filter` |
//!
//! The list of files and of calls are the kernel's to hold (Landlock, seccomp): they cannot be taken back while
//! the process lives, and whatever it starts has them too.
//!
//! Refuses to be a reason not to run: access must end, also on a kernel that offers none of this. What is not in
//! force is said in one line of the log, with the reason.

mod calls;
mod files;
mod filter;
pub mod limits;

use std::path::PathBuf;

pub use calls::{Call, GROUPS, Group, NEVER};

/// What the daemon needs, and what the operator has switched off.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Whether system calls are filtered.
    pub seccomp: bool,
    /// Whether paths and ports are.
    pub landlock: bool,
    /// Whether programs are started, which need more than we do: see `docs/hardening.md`.
    pub commands: bool,
    /// Directories and files that are read, beside those of the system.
    pub read: Vec<PathBuf>,
    /// Directories that are written.
    pub write: Vec<PathBuf>,
    /// Directories in which sockets are made.
    pub sockets: Vec<PathBuf>,
    /// The one TCP port that is listened on.
    pub listen: Option<u16>,
    /// Whether the service manager is told things over a socket without a path.
    pub abstract_sockets: bool,
}

/// How it stands with one measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In force, and how far.
    InForce(String),
    /// The operator wants it so.
    Off,
    /// It was wanted and cannot be had; why.
    Missing(String),
}

/// How it stands with all of them.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Core dumps, and looks into our memory.
    pub memory: Standing,
    /// Rights by starting programs.
    pub privileges: Standing,
    /// Paths and ports.
    pub files: Standing,
    /// System calls.
    pub calls: Standing,
}

/// Takes all of it away. Covers this thread and those that it starts later: to be called before there are others.
#[must_use]
pub fn apply(plan: &Plan) -> InForce {
    let (memory, privileges) = (limits::keep_memory_private(), limits::no_new_privileges());
    let files = if plan.landlock { files::confine(plan) } else { Standing::Off };
    // Last: the calls that the others need are not on the list.
    let calls = if plan.seccomp { filter::confine(plan.commands) } else { Standing::Off };
    InForce { memory, privileges, files, calls }
}

impl Standing {
    fn of(what: &str, done: Result<(), String>) -> Self {
        done.map_or_else(Self::Missing, |()| Self::InForce(what.to_owned()))
    }

    fn text(&self) -> String {
        match self {
            Self::InForce(how) => how.clone(),
            Self::Off => "off, as configured".to_owned(),
            Self::Missing(why) => format!("NOT IN FORCE: {why}"),
        }
    }
}

impl InForce {
    /// The one line of the log.
    pub fn log(&self) {
        let all = [&self.memory, &self.privileges, &self.files, &self.calls];
        let [memory, privileges, files, calls] = all.map(Standing::text);
        if all.iter().any(|one| matches!(one, Standing::Missing(_))) {
            tracing::warn!(
                memory,
                privileges,
                landlock = files,
                seccomp = calls,
                "hardening: not all that was wanted is in force; docs/hardening.md tells what it needs"
            );
        } else {
            tracing::info!(memory, privileges, landlock = files, seccomp = calls, "hardening: in force");
        }
    }
}
