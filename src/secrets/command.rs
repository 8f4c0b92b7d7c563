//! A secret that a program prints: the command line of a vault, or a script of the operator's own.
//!
//! The program is started without a shell, in `/`, with an environment of [`PATH`] and what [`KEPT`] names, in
//! a process group of its own; the group is killed when its time is over. What it prints is held in memory that
//! is wiped. Refuses: a program that others could change, more than 64 KiB, no end within the time, a failure
//! with output all the same, and to show anything that the program printed: its standard error is counted only,
//! because some programs print secrets there.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Secret, file::MAX_BYTES};

/// Where a program without a slash in its name is looked for, and what it finds others by.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a program is given of the daemon's own environment: where things are, who it is, how it gets out.
/// None of them holds a secret.
pub const KEPT: [&str; 23] = [
    "HOME",
    "LANG",
    "TMPDIR",
    "CREDENTIALS_DIRECTORY",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "VAULT_ADDR",
    "VAULT_CACERT",
    "VAULT_NAMESPACE",
    "BAO_ADDR",
    "BAO_CACERT",
    "BAO_NAMESPACE",
    "AWS_CONFIG_FILE",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "CLOUDSDK_CONFIG",
    "AZURE_CONFIG_DIR",
];

/// How long a killed program may take to be gone.
const REAP: Duration = Duration::from_secs(1);

/// A program, its arguments, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    program: String,
    arguments: Vec<String>,
    patience: Duration,
}

/// Why a program gave no secret. Names the program; its arguments and its words may hold secrets.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It is nowhere.
    #[error("command {program}: not found in {PATH}: install it there, or give its absolute path")]
    NotFound {
        /// The program.
        program: String,
    },
    /// Others could put another one in its place.
    #[error("command {path}: {found}, expected a program that only root or the agent's user can change", path = path.display())]
    Untrusted {
        /// The program's file, or a directory on the way to it.
        path: PathBuf,
        /// Who could change it.
        found: String,
    },
    /// It cannot be run.
    #[error("command {program}: cannot be run: {problem}: check that the agent's user may execute it")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        problem: String,
    },
    /// It failed.
    #[error(
        "command {program}: {status}, after {said} bytes on its standard error, which are not shown because they may hold secrets: run it by hand as the agent's user to see them"
    )]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// How much it said.
        said: u64,
    },
    /// It took too long.
    #[error(
        "command {program}: no end within {patience:?}, so it was killed: does it wait for an answer, or for a server? agent.command_timeout sets the limit"
    )]
    Late {
        /// The program.
        program: String,
        /// The limit.
        patience: Duration,
    },
    /// It printed something else.
    #[error("command {program}: printed {found}, expected a secret of 1 byte to 64 KiB and nothing else")]
    Output {
        /// The program.
        program: String,
        /// What it printed.
        found: &'static str,
    },
}

impl Command {
    /// Takes the program and its arguments; `None` without a program: an absolute path, or a bare name.
    #[must_use]
    pub fn new(argv: &[String], patience: Duration) -> Option<Self> {
        let (program, arguments) = argv.split_first()?;
        let fits = program.starts_with('/') || !(program.is_empty() || program.contains('/'));
        let whole = !argv.iter().any(|text| text.contains('\0'));
        (fits && whole).then(|| Self { program: program.clone(), arguments: arguments.to_vec(), patience })
    }

    /// The program, as it was named.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Runs it; what it prints, without line ends behind it.
    pub(super) fn read(&self) -> Result<Secret, CommandError> {
        let file = self.file()?;
        let start = |problem: io::Error| self.start(&problem);
        // A thread and a runtime of its own: whoever asks may be within one, which cannot be entered twice.
        let ran = thread::scope(|scope| {
            let work = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map_err(start)?.block_on(self.run(&file))
            };
            scope.spawn(work).join()
        });
        let bytes = ran.unwrap_or_else(|_| Err(start(io::Error::other("its thread was lost"))))?;
        let odd = |found| CommandError::Output { program: self.program.clone(), found };
        let text = std::str::from_utf8(&bytes).map_err(|_| odd("bytes that are not UTF-8 text"))?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(odd("nothing")) } else { Ok(Secret::new(text.to_owned())) }
    }

    fn start(&self, problem: &io::Error) -> CommandError {
        CommandError::Start { program: self.program.clone(), problem: problem.to_string() }
    }

    /// The program's file, judged, and the directories that lead to it. Whoever may write one of them says what is run, also
    /// in root's hands.
    fn file(&self) -> Result<PathBuf, CommandError> {
        let path = if self.program.starts_with('/') {
            PathBuf::from(&self.program)
        } else {
            let mut places = PATH.split(':').map(|dir| Path::new(dir).join(&self.program));
            let not_found = || CommandError::NotFound { program: self.program.clone() };
            places.find(|path| path.is_file()).ok_or_else(not_found)?
        };
        let meta = fs::metadata(&path).map_err(|problem| self.start(&problem))?;
        if !meta.is_file() {
            return Err(CommandError::Untrusted { path, found: "not a file".to_owned() });
        }
        // As it is written, and as it is once no link is left: whoever writes to a directory on either way decides
        // what is run just as well.
        let real = fs::canonicalize(&path).map_err(|problem| self.start(&problem))?;
        for part in real.ancestors().chain(path.ancestors().skip(1)) {
            let meta = fs::metadata(part).map_err(|problem| self.start(&problem))?;
            if let Some(found) = who_else_writes(&meta) {
                return Err(CommandError::Untrusted { path: part.to_owned(), found });
            }
        }
        Ok(path)
    }

    async fn run(&self, file: &Path) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let mut child = tokio::process::Command::new(file)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", PATH)
            .envs(KEPT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|problem| self.start(&problem))?;
        // The kernel short of memory is to take the program, not the daemon whose protection it inherits.
        if let Some(id) = child.id() {
            let _ = fs::write(format!("/proc/{id}/oom_score_adj"), "500");
        }
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let ended = tokio::time::timeout(self.patience, async {
            // Too much ends it at once: it may be waiting for us to take the rest.
            let (printed, said) = tokio::try_join!(kept(stdout), async { Ok(counted(stderr).await) })?;
            Ok((printed, said, child.wait().await.map_err(Some)?))
        });
        let ended = ended.await;
        if matches!(ended, Ok(Ok(_))) {
            group.0 = None; // its number may be another's by now
        } else {
            drop(group);
            let _ = tokio::time::timeout(REAP, child.wait()).await;
        }
        let program = self.program.clone();
        match ended {
            Err(_) => Err(CommandError::Late { program, patience: self.patience }),
            Ok(Err(Some(problem))) => Err(self.start(&problem)),
            Ok(Err(None)) => Err(CommandError::Output { program, found: "more than 64 KiB" }),
            Ok(Ok((printed, _, status))) if status.success() => Ok(printed),
            Ok(Ok((_, said, status))) => Err(CommandError::Failed { program, status, said }),
        }
    }
}

/// Who but root and this process's user could put something else there. In a directory with the sticky bit only what belongs
/// to oneself can be exchanged.
fn who_else_writes(meta: &fs::Metadata) -> Option<String> {
    if meta.uid() != 0 && meta.uid() != geteuid().as_raw() {
        return Some(format!("belongs to uid {}", meta.uid()));
    }
    let sticky = meta.is_dir() && meta.mode() & 0o1000 != 0;
    (meta.mode() & 0o022 != 0 && !sticky).then(|| format!("has mode {:04o}", meta.mode() & 0o7777))
}

/// Everything that the program started and that stayed in its group, killed when dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// What is printed; `None` if it is more than may be. Never moved while it grows: that would leave copies.
async fn kept(from: Option<impl AsyncRead + Unpin>) -> Result<Zeroizing<Vec<u8>>, Option<io::Error>> {
    let most = usize::try_from(MAX_BYTES).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(vec![0; most + 1]);
    let mut filled = 0;
    if let Some(mut from) = from {
        while filled <= most {
            match from.read(&mut bytes[filled..]).await.map_err(Some)? {
                0 => break,
                more => filled += more,
            }
        }
    }
    bytes.truncate(filled);
    if filled > most { Err(None) } else { Ok(bytes) }
}

/// How much comes, and nothing of it.
async fn counted(from: Option<impl AsyncRead + Unpin>) -> u64 {
    let (mut count, mut bytes) = (0, Zeroizing::new([0; 1024]));
    if let Some(mut from) = from {
        while let Ok(more @ 1..) = from.read(&mut *bytes).await {
            count += more as u64;
            bytes.zeroize();
        }
    }
    count
}

#[cfg(test)]
mod tests;
