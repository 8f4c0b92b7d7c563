//! The policy file while the agent runs: read at the start, at SIGHUP, and when it has changed.
//!
//! A bad file keeps the policy in force and says so; each reload says what it changed, key by key.
//! Refuses to take a file that is still being written: a change counts once it has stood for a look, so
//! that half a file, which may allow more than the whole, is never in force.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use super::turn::Turn;
use crate::{config::policy_file, engine::input::Input};

/// How often the file is looked at. Two looks that agree make a change.
const LOOK: Duration = Duration::from_millis(500);

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: (u64, u64),
    length: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Turn {
    /// Reads the policy anew because somebody asked for it, and tells the service manager.
    pub(super) fn reload(&mut self) {
        self.service.reloading();
        self.load_policy();
        self.service.ready();
    }

    /// Reads the policy anew; a bad file keeps the old policy and says so.
    pub(super) fn load_policy(&mut self) {
        match policy_file::load(&self.parts.policy_file) {
            Ok(policy) => {
                tracing::info!(policy.hash = %policy.hash, policy.dry_run = policy.dry_run, policy.roles = policy.roles.len(), "policy: in force");
                let old = self.parts.policy.as_ref();
                for change in old.map(|old| policy_file::changes(old, &policy)).unwrap_or_default() {
                    let policy_file::Change { key, from, to } = change;
                    tracing::info!(policy.hash = %policy.hash, key, from, to, "policy: changed");
                }
                if let Some(problem) = policy_file::exposed(&self.parts.policy_file) {
                    tracing::error!(
                        problem,
                        "policy: whoever gets into the agent could widen what it may grant"
                    );
                }
                self.parts.policy_error = None;
                self.parts.policy = Some(policy);
            }
            Err(error) => {
                let kept = self.parts.policy.is_some();
                if kept {
                    tracing::error!(error = %error, kept, "policy: cannot be read; the one in force before stays in force");
                } else {
                    tracing::error!(error = %error, kept, "policy: cannot be read; without a policy nothing is raised");
                }
                self.parts.policy_error = Some(error.to_string());
            }
        }
        let policy = self.parts.policy.clone();
        self.feed(Input::Policy(policy.map(Box::new)));
    }
}

/// Asks for a reload whenever the file has changed since this call. What is at the path counts, so a
/// link that is put elsewhere is a change, too.
pub(super) fn watch_file(file: PathBuf, reload: mpsc::Sender<()>, mut stop: watch::Receiver<bool>) {
    let mut known = std::fs::metadata(&file).ok().map(|found| Stamp::of(&found));
    tokio::spawn(async move {
        let mut seen = known;
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = stamp(&file).await;
            if now != known && now == seen {
                known = now;
                if reload.send(()).await.is_err() {
                    return;
                }
            }
            seen = now;
        }
    });
}

pub(super) async fn stamp(file: &Path) -> Option<Stamp> {
    // Not on the loop's own thread: a file system that hangs must not delay an ending.
    tokio::fs::metadata(file).await.ok().map(|found| Stamp::of(&found))
}

impl Stamp {
    fn of(found: &std::fs::Metadata) -> Self {
        Self {
            inode: (found.dev(), found.ino()),
            length: found.len(),
            written: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}
