//! Backups of the ledger and of the keys that belong to it, and putting them back.
//!
//! Refuses: to write over anything, to leave half a backup behind under its name, and to take a key and an
//! identity of two different moments for a pair.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{failure, must_exist};
use crate::{
    cli::{Exit, Failure, Output, output},
    clock,
    config::Config,
    control::identity::{Identity, IdentityError, load_key},
    ledger::{self, Copied, Restore, RestoreError},
    secrets::AtRest,
};

/// Without these an agent must be enrolled anew; put back only where they are missing.
const IDENTITY: [&str; 3] = ["identity.json", "agent.key", "agent-next.key"];
/// Without this our own accounts are strangers and receipts say nothing.
const TAG_KEY: &str = "tag.key";
/// How often a key that changes while it is copied is copied again.
const TRIES: usize = 5;

/// Makes a backup while the daemon may run.
pub(super) fn backup(config: &Config, to: &Path, form: Output) -> Result<Exit, Failure> {
    let state = &config.agent.state_dir;
    must_exist(state)?;
    if to.symlink_metadata().is_ok() {
        let problem =
            format!("{}: exists; a backup never writes over anything: name a new directory", to.display());
        return Err(Failure::new(Exit::Usage, problem));
    }
    let draft = beside(to);
    // Half a backup of an earlier run is ours to remove.
    let _ = fs::remove_dir_all(&draft);
    DirBuilder::new().mode(0o700).create(&draft).map_err(|error| broken(&draft, &error))?;
    let made = fill(config, &draft);
    if made.is_err() {
        let _ = fs::remove_dir_all(&draft);
    }
    let (copied, files) = made?;
    fs::rename(&draft, to).map_err(|error| broken(to, &error))?;
    let parent = to.parent().filter(|dir| *dir != Path::new("")).unwrap_or_else(|| Path::new("."));
    sync(parent)?;
    match form {
        Output::Json => output::json(&json!({
            "dir": to, "ledger_id": copied.ledger_id, "seq": copied.head.seq.0, "files": files,
        }))?,
        Output::Human => output::folded(&format!(
            "ledger {} to record {}\nin {}\nwith {}\n\nIt holds keys: keep it as safe as the machine. Configuration, policy and connection\nfiles are not in it.\n",
            copied.ledger_id,
            copied.head.seq.0,
            to.display(),
            files.join(", ")
        ))?,
    }
    Ok(Exit::Done)
}

fn fill(config: &Config, draft: &Path) -> Result<(Copied, Vec<String>), Failure> {
    let state = &config.agent.state_dir;
    let copied = output::told_of_rows(|walked| {
        ledger::backup(&state.join(ledger::FILE_NAME), &draft.join(ledger::FILE_NAME), walked)
    })
    .map_err(failure)?;
    let mut files = copy_identity(config, draft)?;
    files.extend(copy(state, draft, TAG_KEY)?);
    let manifest = json!({
        "format": 1, "ledger_id": copied.ledger_id, "created_at": copied.created_at,
        "seq": copied.head.seq.0, "made_at": clock::now().wall.0, "files": files,
    });
    write(&draft.join("backup.json"), format!("{manifest:#}\n").as_bytes())?;
    sync(draft)?;
    Ok((copied, files))
}

/// Copies identity and key until they are of one moment.
fn copy_identity(config: &Config, draft: &Path) -> Result<Vec<String>, Failure> {
    let state = &config.agent.state_dir;
    let rest = AtRest::read(config.agent.state_key.as_ref());
    for _ in 0..TRIES {
        let mut files = Vec::new();
        for name in IDENTITY {
            let _ = fs::remove_file(draft.join(name));
            files.extend(copy(state, draft, name)?);
        }
        let pair = match (load_key(draft, &rest), Identity::load(draft, &rest)) {
            (Ok(Some(key)), Ok(Some(identity))) => identity.key == key.public().thumbprint(),
            // The state key cannot be read here, or does not vouch for them: a pair if nothing has changed meanwhile.
            (Err(IdentityError::Sealed { .. }), _) | (_, Err(IdentityError::Sealed { .. })) => {
                unchanged(state, draft)?
            }
            (Ok(_), Ok(_)) => true,
            (Err(error), _) | (_, Err(error)) => return Err(Failure::new(Exit::Config, error)),
        };
        if pair {
            return Ok(files);
        }
    }
    Err(Failure::new(Exit::Transient, "the agent's key is being changed: make the backup again in a minute"))
}

/// Whether identity and key are still what was copied.
fn unchanged(state: &Path, draft: &Path) -> Result<bool, Failure> {
    for name in IDENTITY {
        let read = |dir: &Path| match fs::read(dir.join(name)) {
            Ok(bytes) => Ok(Some(zeroize::Zeroizing::new(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(broken(&dir.join(name), &error)),
        };
        if read(state)? != read(draft)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn copy(state: &Path, draft: &Path, name: &str) -> Result<Option<String>, Failure> {
    let from = state.join(name);
    match fs::read(&from) {
        Ok(bytes) => {
            let bytes = zeroize::Zeroizing::new(bytes);
            write(&draft.join(name), &bytes)?;
            Ok(Some(name.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(broken(&from, &error)),
    }
}

/// Puts a backup back.
pub(super) fn restore(state: &Path, from: &Path, even_if_newer: bool, form: Output) -> Result<Exit, Failure> {
    let restore = Restore {
        backup: from,
        at: clock::now().wall.0,
        even_if_newer,
        if_missing: &IDENTITY,
        always: &[TAG_KEY],
    };
    let shelf = output::told_of_rows(|walked| restore.run(state, walked)).map_err(|error| match error {
        RestoreError::Ledger(error) => failure(error),
        RestoreError::Refused(refusal @ ledger::Refusal::Broken { .. }) => {
            Failure::new(Exit::Verification, refusal)
        }
        RestoreError::Refused(refusal) => Failure::new(Exit::Refused, refusal),
    })?;
    ledger::hand_over(state).map_err(failure)?;
    match form {
        Output::Json => output::json(&json!({
            "ledger_id": shelf.ledger_id, "seq": shelf.head.seq.0, "aside": shelf.aside, "files": shelf.files,
        }))?,
        Output::Human => {
            let files = if shelf.files.is_empty() {
                String::new()
            } else {
                format!(", with {}", shelf.files.join(", "))
            };
            let aside = shelf
                .aside
                .map_or_else(String::new, |dir| format!("What was there is in {}.\n", dir.display()));
            output::folded(&format!(
                "ledger {} to record {}{files}\n{aside}\nStart the daemon: it only revokes until it has compared this with the control plane.\n",
                shelf.ledger_id, shelf.head.seq.0
            ))?;
        }
    }
    Ok(Exit::Done)
}

fn beside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| broken(path, &error))
}

fn sync(dir: &Path) -> Result<(), Failure> {
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| broken(dir, &error))
}

fn broken(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("{}: {error}", path.display()))
}
