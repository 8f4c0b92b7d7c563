//! What can be said without the network: configuration, policy, state directory, ledger, clock.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use rustix::fs::{Access, access};

use super::{
    super::{Exit, output},
    report::{Part, Verdict},
};
use crate::{
    admin::{client::AskError, view::StatusView},
    agent::keying,
    clock,
    config::{Loaded, policy_file},
    control::verify::DEFAULT_MAX_SKEW,
    engine::policy::Policy,
    ledger::{self, Keying, LedgerError},
    secrets::{AtRest, Source},
};

/// A difference of clocks that nobody needs to look at, in milliseconds.
const SMALL_SKEW_MS: u64 = 5_000;

pub(super) fn configuration(loaded: &Loaded) -> Verdict {
    let set = loaded.entries.iter().filter(|entry| entry.origin != "default").count();
    Verdict::ok(format!("{set} keys set, the rest by default (`config show` names the origins)"))
}

/// The policy, if there is one in order.
pub(super) fn policy(file: &Path, part: &mut Part<'_>) -> Option<Policy> {
    const ADVICE: &str =
        "mend the file; the daemon takes it when it changes. Without a policy nothing is raised";
    match policy_file::load(file) {
        Ok(policy) => {
            let (roles, hash) = (policy.roles.len(), policy.hash.get(..12).unwrap_or_default());
            let found = format!("{}: {roles} grantable roles, {hash}", file.display());
            let verdict = if let Some(problem) = policy_file::exposed(file) {
                Verdict::warn(found, &problem)
            } else if policy.dry_run {
                let advice = "write mode = \"enforce\" when the plans in the log are what you want";
                Verdict::warn(format!("{found}, dry run: nothing is changed"), advice)
            } else {
                Verdict::ok(found)
            };
            part.step("policy", verdict);
            Some(policy)
        }
        Err(error) => {
            let found = std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
            part.step("policy", Verdict::config(found, ADVICE));
            None
        }
    }
}

pub(super) fn state_dir(dir: &Path) -> Verdict {
    let shown = dir.display();
    let meta = match fs::metadata(dir) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let advice = "`ephemerald enroll` creates it, with mode 0700";
            return Verdict::warn(format!("{shown}: does not exist yet"), advice);
        }
        Err(error) => return Verdict::config(format!("{shown}: {error}"), "run this as the daemon's user"),
    };
    if !meta.is_dir() {
        return Verdict::config(format!("{shown}: not a directory"), "set agent.state_dir");
    }
    if access(dir, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Verdict::config(
            format!("{shown}: not writable"),
            "run this as the daemon's user, or chown it",
        );
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let advice = format!("chmod 700 {shown}");
        return Verdict::warn(format!("{shown}: mode {mode:04o}, others may look in"), &advice);
    }
    Verdict::ok(format!("{shown}: mode {mode:04o}, writable"))
}

/// Whether the state key is there, is one, and is the one of the ledger.
pub(super) fn state_key(source: &Source, dir: &Path) -> Verdict {
    let rest = AtRest::read(Some(source));
    let key = match keying(&rest) {
        Keying::Known(key) => key,
        Keying::Unreadable(why) => {
            let advice =
                "make it readable for the daemon's user: without it nothing is raised and nothing given back";
            return Verdict::config(why, advice);
        }
        Keying::None => return Verdict::ok("none"),
    };
    let file = dir.join(ledger::FILE_NAME);
    if !file.exists() {
        return Verdict::ok(format!("read from {}", source.kind()));
    }
    match ledger::is_authenticated(&file, &key) {
        Ok(true) => Verdict::ok(format!("read from {}, the ledger is authenticated with it", source.kind())),
        Ok(false) => {
            let advice = "stop the daemon and run `ephemerald state seal` before it starts again: it ends every grant of a ledger that it cannot believe, and gives nothing back";
            Verdict::config("the ledger is not authenticated with it", advice)
        }
        Err(error) => Verdict::config(error.to_string(), ""),
    }
}

pub(super) fn daemon(answer: &Result<StatusView, AskError>) -> Verdict {
    match answer {
        Ok(status) => Verdict::ok(format!("running, version {}", status.version)),
        Err(AskError::NotRunning(_)) => Verdict::warn("not running", "start it with `ephemerald run`"),
        Err(AskError::Forbidden(path)) => {
            let advice = "join the socket's group, or ask as root";
            Verdict::warn(format!("{}: no permission to ask it", path.display()), advice)
        }
        Err(error) => Verdict::fail(Exit::Transient, error.to_string(), "see the daemon's log"),
    }
}

/// A running daemon holds the ledger and speaks for it; nothing is locked or opened then.
pub(super) fn ledger(dir: &Path, daemon: Option<&StatusView>) -> Verdict {
    if let Some(status) = daemon {
        let held = format!("held by the running daemon, record {}", status.ledger.head_seq);
        let advice = "free the disk and see the daemon's log; nothing is raised meanwhile";
        return if status.ledger.ok {
            Verdict::ok(held)
        } else {
            Verdict::fail(Exit::Failed, format!("{held}, its last write FAILED"), advice)
        };
    }
    let file = dir.join(ledger::FILE_NAME);
    if !file.exists() {
        if dir.join("ledger.created").exists() {
            let advice =
                "`ephemerald ledger restore` a backup; an enrolled agent begins a new one and only revokes";
            return Verdict::config(format!("{}: missing, and one existed", file.display()), advice);
        }
        return Verdict::ok("none yet: the first start creates it");
    }
    match output::told_of_rows(|walked| ledger::verify_telling(&file, walked)) {
        Ok(report) if report.is_intact() => {
            Verdict::ok(format!("{} records, one unbroken hash chain", report.rows))
        }
        Ok(report) => {
            let problem = report.bad.map(|bad| bad.problem).unwrap_or_default();
            let advice = "keep the file as evidence, then see `ephemerald audit verify`";
            Verdict::fail(Exit::Verification, problem, advice)
        }
        Err(error @ LedgerError::Database { .. }) => {
            Verdict::fail(Exit::Verification, error.to_string(), "restore the ledger from a backup")
        }
        Err(error) => Verdict::config(error.to_string(), ""),
    }
}

/// The wall clock against those of the servers, `(who, UTC milliseconds ours was ahead)`.
pub(super) fn clock(dates: &[(String, i64)]) -> Verdict {
    let Some((who, ahead)) = dates.iter().max_by_key(|(_, ahead)| ahead.unsigned_abs()) else {
        let now = jiff::Timestamp::from_millisecond(clock::now().wall.0).map(|t| t.to_string());
        let advice = "compare it yourself; jobs and proofs are judged by it";
        return Verdict::warn(format!("{}, no server to compare with", now.unwrap_or_default()), advice);
    };
    let found = if ahead.unsigned_abs() <= SMALL_SKEW_MS {
        "within 5 s".to_owned()
    } else {
        format!("{} s {}", ahead.unsigned_abs() / 1000, if *ahead < 0 { "behind" } else { "ahead" })
    };
    let found = format!("{found} of {who}");
    const ADVICE: &str = "set the clock (NTP)";
    match ahead.unsigned_abs() {
        0..=SMALL_SKEW_MS => Verdict::ok(found),
        small if small <= DEFAULT_MAX_SKEW.0 => Verdict::warn(found, ADVICE),
        _ => Verdict::config(found, ADVICE),
    }
}
