//! `state`: has the state key vouch for a ledger that is there, or takes that back; the daemon must not run.
//!
//! Refuses: a ledger whose chain does not fit or that is in doubt, for what is authenticated once is believed from then
//! on; and to begin without being told that this is meant.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use serde_json::json;

use super::{Exit, Failure, Output, output};
use crate::{
    agent::{SEALED_FILES, keying},
    config::Config,
    control::identity::{IDENTITY_FILE, Identity},
    ledger::{self, LedgerError, Loaded, Opened, Seal, Sealed, Unsealable, codec},
    secrets::AtRest,
};

/// What to do with the state directory.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Authenticate every record with the state key, and seal the keys that lie beside the ledger
    Seal {
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Also what another state key has authenticated, which is lost
        #[arg(long)]
        anew: bool,
    },
    /// Take that back: before the state key is changed or given up
    Unseal {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Does it.
pub(super) fn run(config: &Config, command: &Command, form: Output) -> Result<Exit, Failure> {
    let (seal, yes) = match command {
        Command::Seal { yes, anew } => (Seal::Set { anew: *anew }, *yes),
        Command::Unseal { yes } => (Seal::Lift, *yes),
    };
    let dir = &config.agent.state_dir;
    let rest = key(config)?;
    let has_ledger = dir.join(ledger::FILE_NAME).exists();
    if !has_ledger && !dir.join(IDENTITY_FILE).exists() {
        let problem = format!(
            "{}: no ledger here, and no identity: the first start makes one that the state key has authenticated from its first record; is --config or --state-dir the right one?",
            dir.join(ledger::FILE_NAME).display()
        );
        return Err(Failure::new(Exit::Config, problem));
    }
    if !yes {
        confirm(seal, dir)?;
    }
    // An agent that has enrolled and was never started has no ledger yet.
    let run = || seal.run(dir, &keying(&rest), judge).map_err(failure);
    let done = has_ledger.then(run).transpose()?;
    let files = files(seal, dir, &rest)?;
    ledger::hand_over(dir).map_err(|error| Failure::new(Exit::Failed, error))?;
    match form {
        Output::Json => output::json(&json!({
            "sealed": seal != Seal::Lift, "ledger_id": done.as_ref().map(|done| &done.ledger_id),
            "seq": done.as_ref().map_or(0, |done| done.head.seq.0), "files": files,
        }))?,
        Output::Human => output::folded(&told(seal, done.as_ref(), &files))?,
    }
    Ok(Exit::Done)
}

/// The key, which must be there.
fn key(config: &Config) -> Result<AtRest, Failure> {
    match AtRest::read(config.agent.state_key.as_ref()) {
        AtRest::Plain => {
            let problem = "no state key: set agent.state_key_file, agent.state_key_credential or agent.state_key_command (docs/secrets.md)";
            Err(Failure::new(Exit::Config, problem))
        }
        AtRest::Unreadable(why) => Err(Failure::new(Exit::Config, format!("state key: {why}"))),
        rest => Ok(rest),
    }
}

/// What is authenticated once is believed from then on, so nothing may be in doubt.
fn judge(opened: &Opened, loaded: &Loaded) -> Result<(), String> {
    let (restored, _) = codec::restore(loaded, opened);
    let recovery = &restored.state.recovery;
    if let Some(doubt) = &recovery.doubt {
        let causes: Vec<&str> = doubt.causes.keys().map(|cause| cause.as_str()).collect();
        return Err(format!(
            "the ledger is in doubt ({}): look at it, and decide that first: `ephemerald ledger acknowledge`",
            causes.join(", ")
        ));
    }
    let new = restored.findings.iter().filter(|found| !recovery.marks.contains(&found.mark));
    match new.clone().next() {
        None => Ok(()),
        Some(first) => Err(format!(
            "{} findings are new ({}): start the daemon once, so that it records them, and decide them",
            new.count(),
            first.detail
        )),
    }
}

fn confirm(seal: Seal, dir: &Path) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, "nobody can be asked here: say --yes if this is meant"));
    }
    let what = match seal {
        Seal::Set { .. } => "Everything that this ledger holds now is believed from then on. Seal",
        Seal::Lift => "Its records are protected by nothing but their chain from then on. Unseal",
    };
    let failed = |error: io::Error| Failure::new(Exit::Failed, error);
    output::hint(&format!("{what} {}? Type yes:", dir.display()));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Failure::new(Exit::Refused, "nothing was changed")) }
}

/// The names of the key files that were changed.
fn files(seal: Seal, dir: &Path, rest: &AtRest) -> Result<Vec<&'static str>, Failure> {
    let mut changed = Vec::new();
    for (name, label) in SEALED_FILES {
        let path = dir.join(name);
        let done = if seal == Seal::Lift { rest.lay_open(label, &path) } else { rest.settle(label, &path) };
        let failed = |error| {
            Failure::new(Exit::Failed, format!("{error}. The ledger is done; run this again for the files"))
        };
        if done.map_err(failed)? {
            changed.push(name);
        }
    }
    let vouched = if seal == Seal::Lift { &AtRest::Plain } else { rest };
    let failed = |error| {
        Failure::new(Exit::Failed, format!("{error}. The rest is done; run this again for this file"))
    };
    if Identity::settle(dir, vouched).map_err(failed)? {
        changed.push(IDENTITY_FILE);
    }
    Ok(changed)
}

fn told(seal: Seal, done: Option<&Sealed>, files: &[&str]) -> String {
    let files = if files.is_empty() { "none".to_owned() } else { files.join(", ") };
    let Some(done) = done else {
        return format!("no ledger yet: the first start makes one by this key\nfiles changed: {files}\n");
    };
    let (id, last) = (&done.ledger_id, done.head.seq.0);
    match seal {
        Seal::Set { .. } => format!(
            "ledger {id}: records 1 to {last} are authenticated with the state key\nfiles sealed: {files}\n\nKeep the state key elsewhere too: without it the agent only revokes.\nEarlier backups are not authenticated: make a new one.\n"
        ),
        Seal::Lift => format!(
            "ledger {id}: no record of 1 to {last} is authenticated any more\nfiles laid open: {files}\n\nTake agent.state_key_… out of the configuration, or name the new key and run\n`ephemerald state seal`, before the daemon starts.\n"
        ),
    }
}

fn failure(error: Unsealable) -> Failure {
    let exit = match &error {
        Unsealable::Ledger(LedgerError::Locked { .. }) => Exit::Locked,
        Unsealable::Ledger(LedgerError::Io { .. } | LedgerError::DiskFull { .. }) => Exit::Failed,
        Unsealable::Ledger(LedgerError::Database { .. }) | Unsealable::Broken(_) => Exit::Verification,
        Unsealable::Ledger(_) => Exit::Config,
        Unsealable::OtherKey | Unsealable::Refused(_) => Exit::Refused,
    };
    Failure::new(exit, error)
}
