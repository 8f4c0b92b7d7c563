//! What the service manager is told: that we are ready, that we make progress, how things stand.
//! (`sd_notify(3)`; without `NOTIFY_SOCKET` in the environment nothing is sent.)
//!
//! Refuses to speak for anybody but the loop: the watchdog is fed where grants are ended and nowhere else, so
//! that a loop that hangs is restarted.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::{
    clock,
    engine::time::{BootTime, Millis},
};

/// How often the status line may change.
const STATUS_EVERY: Millis = Millis(5_000);

/// The service manager, as seen from the loop.
#[derive(Debug)]
pub struct Service {
    /// How often the watchdog is fed: a quarter of what it allows.
    feed_every: Option<Millis>,
    fed: Option<BootTime>,
    spoke: Option<BootTime>,
    line: String,
}

impl Service {
    /// As the environment says. The watchdog's time is read once.
    #[must_use]
    pub fn of_the_environment() -> Self {
        let quarter = |limit: Duration| Millis(u64::try_from(limit.as_millis() / 4).unwrap_or(u64::MAX));
        let feed_every = sd_notify::watchdog_enabled().map(quarter);
        Self { feed_every, fed: None, spoke: None, line: String::new() }
    }

    /// The loop has begun: live grants are known and being ended.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// The policy is read anew; [`Service::ready`] says that it is over.
    pub fn reloading(&self) {
        let Ok(since) = NotifyState::monotonic_usec_now() else { return };
        tell(&[NotifyState::Reloading, since]);
    }

    /// No new work is taken.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// The loop has gone round once. `line` says how things stand, and is asked for only now and then.
    pub fn turned(&mut self, line: impl FnOnce() -> String) {
        let now = clock::now().boot;
        let is_due = |last: Option<BootTime>, every: Millis| last.is_none_or(|last| now.since(last) >= every);
        if self.feed_every.is_some_and(|every| is_due(self.fed, every)) {
            self.fed = Some(now);
            tell(&[NotifyState::Watchdog]);
        }
        if is_due(self.spoke, STATUS_EVERY) {
            self.spoke = Some(now);
            let line = line();
            if line != self.line {
                tell(&[NotifyState::Status(&line)]);
                self.line = line;
            }
        }
    }
}

/// A service manager that does not listen is its own problem: it will not hear the watchdog either.
fn tell(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(error = %error, "service manager: cannot be told");
    }
}
