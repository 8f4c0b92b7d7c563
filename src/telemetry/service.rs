//! What the service manager is told: that we are ready, that we make progress, how things stand.
//! (`sd_notify(3)`; without `NOTIFY_SOCKET` in the environment nothing is sent.)
//!
//! Refuses to speak for anybody but the loop: the watchdog is fed where grants are ended and nowhere else, so
//! that a loop that hangs is restarted. Refuses to wait for a service manager that does not listen: an ending
//! does not need one.

use std::{
    env,
    fmt::Write as _,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

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
    /// It did not listen when it should have heard that we are ready, without which it ends us after a while.
    owes_ready: bool,
}

impl Service {
    /// As the environment says. The watchdog's time is read once.
    #[must_use]
    pub fn of_the_environment() -> Self {
        let quarter = |limit: Duration| Millis(u64::try_from(limit.as_millis() / 4).unwrap_or(u64::MAX));
        let feed_every = sd_notify::watchdog_enabled().map(quarter);
        Self { feed_every, fed: None, spoke: None, line: String::new(), owes_ready: false }
    }

    /// The loop has begun: live grants are known and being ended.
    pub fn ready(&mut self) {
        self.owes_ready = !tell(&[NotifyState::Ready]);
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
        if self.owes_ready {
            self.ready();
        }
        let now = clock::now().boot;
        let is_due = |last: Option<BootTime>, every: Millis| last.is_none_or(|last| now.since(last) >= every);
        if self.feed_every.is_some_and(|every| is_due(self.fed, every)) && tell(&[NotifyState::Watchdog]) {
            self.fed = Some(now);
        }
        if is_due(self.spoke, STATUS_EVERY) {
            self.spoke = Some(now);
            let line = line();
            if line != self.line && tell(&[NotifyState::Status(&line)]) {
                self.line = line;
            }
        }
    }
}

/// False: it does not listen just now, and this is to be said again.
fn tell(what: &[NotifyState<'_>]) -> bool {
    match send(what) {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(error = %error, "service manager: cannot be told");
            error.kind() != io::ErrorKind::WouldBlock
        }
    }
}

/// Sends, or fails at once: the loop would wait until somebody reads what was sent before.
fn send(what: &[NotifyState<'_>]) -> io::Result<()> {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&name)?,
    };
    let text = what.iter().fold(String::new(), |mut text, state| {
        let _ = writeln!(text, "{state}"); // writing into memory does not fail
        text
    });
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(text.as_bytes(), &address).map(drop)
}
