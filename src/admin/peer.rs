//! Who sits at the other end of the socket, by the kernel's word, and which group may.
//!
//! Refuses a connection of which the kernel names nobody.

use std::{fs, io};

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use tokio::net::UnixListener;

use crate::engine::order::Peer;

/// The peer of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(pub(super) Option<Peer>);

impl Connected<IncomingStream<'_, UnixListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let peer = stream.io().peer_cred().ok();
        Self(peer.map(|peer| Peer { uid: peer.uid(), gid: peer.gid(), pid: peer.pid() }))
    }
}

impl Caller {
    /// Root, or the daemon's own user.
    pub(super) fn is_of_the_house(self) -> bool {
        self.0.is_some_and(|peer| peer.uid == 0 || peer.uid == rustix::process::geteuid().as_raw())
    }
}

/// This process, as the kernel would name it.
#[must_use]
pub fn this_process() -> Peer {
    Peer {
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        pid: Some(rustix::process::getpid().as_raw_pid()),
    }
}

/// The number of a group. One from elsewhere (LDAP) is not in the file: it is given by its number.
///
/// # Errors
/// When it is no number and not in `/etc/group`.
pub(super) fn gid(name: &str) -> io::Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let known = fs::read_to_string("/etc/group")?;
    let line = known.lines().find(|line| line.split(':').next() == Some(name));
    let number = line.and_then(|line| line.split(':').nth(2)).and_then(|number| number.parse().ok());
    number.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such group in /etc/group"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_name_and_by_number_and_an_unknown_one_is_an_error() {
        assert_eq!(gid("root").unwrap(), 0);
        assert_eq!(gid("4711").unwrap(), 4711);
        assert!(gid("no-such-group-here").is_err());
    }

    #[test]
    fn root_and_the_daemons_own_user_are_of_the_house() {
        let own = rustix::process::geteuid().as_raw();
        let peer = |uid| Some(Peer { uid, gid: 0, pid: None });
        for (who, may) in [(peer(0), true), (peer(own), true), (peer(own ^ 0x5a5a), false), (None, false)] {
            assert_eq!(Caller(who).is_of_the_house(), may, "{who:?}");
        }
    }
}
