//! Where things go and whose they are.
//!
//! Decides from what is given and what the machine is; looks at nothing by itself, except in
//! [`Host::here`]. Refuses paths that are not absolute, because a service has no current directory.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::{
    super::Global,
    given::{Given, Layout},
};

/// The daemon's user as `systemd/sysusers.d` makes it.
const SERVICE_USER: &str = "ephemerald";
/// The user of the container image, from the `Dockerfile`.
const CONTAINER_ID: u32 = 65532;
/// Longest path that a Unix socket may have on Linux, without the final zero.
const SOCKET_MAX: usize = 107;

/// What the machine is, as far as it matters here.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) root: bool,
    pub(super) systemd: bool,
    pub(super) passwd: String,
    pub(super) home: Option<PathBuf>,
    pub(super) config_home: Option<PathBuf>,
    pub(super) state_home: Option<PathBuf>,
    pub(super) current_dir: PathBuf,
}

/// A user's number and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Where things go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) layout: Layout,
    /// The main configuration file, here.
    pub(super) config_file: PathBuf,
    /// The directory for everything beside it, here.
    pub(super) config_dir: PathBuf,
    /// The same directory as the daemon sees it.
    pub(super) seen_as: PathBuf,
    /// As the daemon sees it.
    pub(super) state_dir: PathBuf,
    /// As the daemon sees it.
    pub(super) socket: PathBuf,
    /// Who the daemon is, where that is somebody else and files can be given to it.
    pub(super) owner: Option<Owner>,
    pub(super) systemd: bool,
}

impl Host {
    /// This machine and this process.
    pub(super) fn here() -> Self {
        let dir = |name: &str| env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        Self {
            root: rustix::process::geteuid().is_root(),
            // What sd_booted(3) looks at.
            systemd: Path::new("/run/systemd/system").is_dir(),
            // A user from elsewhere (LDAP) is not found: systemd-sysusers makes a local one.
            passwd: fs::read_to_string("/etc/passwd").unwrap_or_default(),
            home: dir("HOME"),
            config_home: dir("XDG_CONFIG_HOME"),
            state_home: dir("XDG_STATE_HOME"),
            current_dir: env::current_dir().unwrap_or_default(),
        }
    }

    fn service_user(&self) -> Option<Owner> {
        let line = self.passwd.lines().find(|line| line.split(':').next() == Some(SERVICE_USER))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(uid)), Some(Ok(gid))) => Some(Owner { uid, gid }),
            _ => None,
        }
    }

    /// A system service for root, else the user's own.
    pub(super) fn usual_layout(&self) -> Layout {
        if self.root { Layout::System } else { Layout::User }
    }

    fn owner(&self, layout: Layout) -> Option<Owner> {
        match layout {
            _ if !self.root => None,
            Layout::System => self.service_user(),
            Layout::Container => Some(Owner { uid: CONTAINER_ID, gid: CONTAINER_ID }),
            Layout::User => None,
        }
    }
}

impl Place {
    /// Puts together what is given and what is usual.
    ///
    /// # Errors
    /// What is missing or contradicts itself.
    pub(super) fn of(given: &Given, global: &Global, host: &Host) -> Result<Self, String> {
        let layout = given.layout.unwrap_or_else(|| host.usual_layout());
        if global.config.is_some() && given.config_dir.is_some() {
            return Err("--config and config_dir: give one of them".to_owned());
        }
        let absolute = |path: &Path| host.current_dir.join(path);
        let usual = usual(layout, host);
        let config_file = match (&global.config, &given.config_dir) {
            (Some(file), _) => absolute(file),
            (None, Some(dir)) => absolute(dir).join("ephemerald.toml"),
            (None, None) => usual.clone()?.0.join("ephemerald.toml"),
        };
        let config_dir = config_file.parent().map(Path::to_owned).unwrap_or_default();
        let state_dir = match global.state_dir.as_ref().map(PathBuf::from).or_else(|| given.state_dir.clone())
        {
            Some(dir) => absolute(&dir),
            None => usual?.1,
        };
        let socket = match (&global.control_socket, layout) {
            (Some(socket), _) => absolute(Path::new(socket)),
            // The runtime directory of a user goes when he logs out, and the daemon makes none.
            (None, Layout::User) => state_dir.join("control.sock"),
            (None, _) => PathBuf::from("/run/ephemerald/control.sock"),
        };
        if socket.as_os_str().len() > SOCKET_MAX {
            return Err(format!(
                "{}: a socket's path has at most {SOCKET_MAX} bytes: give a shorter one with --control-socket",
                socket.display()
            ));
        }
        for path in [&config_file, &state_dir, &socket] {
            if path.to_str().is_none_or(|text| text.chars().any(char::is_control)) {
                return Err(format!("{}: expected a path of plain text", path.display()));
            }
        }
        let seen_as =
            if layout == Layout::Container { PathBuf::from("/etc/ephemerald") } else { config_dir.clone() };
        let owner = host.owner(layout);
        let systemd = host.systemd && layout == Layout::System;
        Ok(Self { layout, config_file, config_dir, seen_as, state_dir, socket, owner, systemd })
    }
}

impl Place {
    /// What a person should know about this place.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match (self.layout, self.owner) {
            (Layout::System, None) => notes.push(format!(
                "the files will belong to you, because there is no user {SERVICE_USER}, or you are not root: \
                 for the service, install it first (systemd-sysusers), then run this as root"
            )),
            (Layout::Container, None) => notes.push(format!(
                "give the connection file to the container's user: sudo chown {CONTAINER_ID} {}/*.json",
                self.config_dir.display()
            )),
            _ => {}
        }
        if self.layout == Layout::Container {
            let (here, there) = (self.config_dir.display(), self.seen_as.display());
            notes.push(format!("the container must see {here} as {there}"));
        }
        notes
    }
}

/// Configuration and state directory of a layout.
fn usual(layout: Layout, host: &Host) -> Result<(PathBuf, PathBuf), String> {
    match layout {
        Layout::System => Ok(("/etc/ephemerald".into(), "/var/lib/ephemerald".into())),
        Layout::Container => Ok((host.current_dir.join("etc"), "/var/lib/ephemerald".into())),
        Layout::User => {
            let home = host.home.as_ref();
            let below = |xdg: &Option<PathBuf>, usual: &str| {
                xdg.clone().or_else(|| Some(home?.join(usual))).map(|dir| dir.join("ephemerald"))
            };
            let dirs = (below(&host.config_home, ".config"), below(&host.state_home, ".local/state"));
            let (Some(config), Some(state)) = dirs else {
                return Err("$HOME is not set: give --config-dir and --state-dir".to_owned());
            };
            Ok((config, state))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host { home: Some("/h/ada".into()), current_dir: "/cwd".into(), ..Host::default() }
    }

    fn place(given: Given, host: &Host) -> Place {
        Place::of(&given, &Global::default(), host).unwrap()
    }

    #[test]
    fn root_gets_the_services_directories_and_its_user() {
        let passwd = "root:x:0:0::/:/bin/sh\nephemerald:x:990:991:d:/var/lib/ephemerald:/usr/sbin/nologin\n";
        let host = Host { root: true, systemd: true, passwd: passwd.into(), ..host() };
        let place = place(Given::default(), &host);
        assert_eq!(place.config_file, Path::new("/etc/ephemerald/ephemerald.toml"));
        assert_eq!(place.state_dir, Path::new("/var/lib/ephemerald"));
        assert_eq!(place.owner, Some(Owner { uid: 990, gid: 991 }));
        assert!(place.systemd);
    }

    #[test]
    fn a_plain_user_stays_at_home_and_owns_everything() {
        let place = place(Given::default(), &host());
        assert_eq!(place.config_file, Path::new("/h/ada/.config/ephemerald/ephemerald.toml"));
        assert_eq!(place.socket, Path::new("/h/ada/.local/state/ephemerald/control.sock"));
        assert_eq!(place.owner, None);
        assert!(Place::of(&Given::default(), &Global::default(), &Host::default()).is_err());
    }

    #[test]
    fn a_containers_files_lie_here_and_name_the_paths_inside() {
        let given =
            Given { layout: Some(Layout::Container), config_dir: Some("etc".into()), ..Given::default() };
        let place = place(given, &Host { root: true, ..host() });
        assert_eq!(place.config_dir, Path::new("/cwd/etc"));
        assert_eq!(place.seen_as, Path::new("/etc/ephemerald"));
        assert_eq!(place.owner, Some(Owner { uid: 65532, gid: 65532 }));
    }

    #[test]
    fn a_socket_that_linux_cannot_bind_is_refused_before_anything_is_written() {
        let given = Given { state_dir: Some("/x".repeat(60).into()), ..Given::default() };
        let said = Place::of(&given, &Global::default(), &host()).unwrap_err();
        assert!(said.contains("at most 107 bytes"), "{said}");
    }
}
