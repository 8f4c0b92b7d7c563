//! The commands that come next, exactly as they are to be typed.
//!
//! Pure. Refuses to put a secret into a command.

use std::path::Path;

use serde::Serialize;

use super::{given::Layout, place::Place};
use crate::config::DEFAULT_FILE;

/// One command and what it is for.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    pub(super) what: &'static str,
    pub(super) command: String,
}

/// The way from the files to a running agent. `program` is how we were called.
pub(super) fn steps(place: &Place, program: &str, token: Option<&Path>, enrolled: bool) -> Vec<Step> {
    let step = |what, command| Step { what, command };
    let mut steps = Vec::new();
    let commands = Commands { place, program };
    if let (Layout::System, false, Some(owner), Some(dir)) =
        (place.layout, place.systemd, place.owner, place.socket.parent())
    {
        let dir = quoted(&dir.display().to_string());
        let make = format!("install -d -m 0750 -o {} -g {} {dir}", owner.uid, owner.gid);
        steps.push(step("make the socket's directory, at each boot", make));
    }
    if !enrolled {
        match token {
            Some(token) => {
                steps.push(step("enrol with the control plane, once", commands.enroll(token)));
                let spent = format!("rm {}", quoted(&token.display().to_string()));
                steps.push(step("the token is spent: delete it", spent));
            }
            None => {
                let what = "enrol with the control plane, once: paste its agent token";
                steps.push(step(what, commands.of("enroll")));
            }
        }
    }
    steps.push(step("test every step", commands.of("check")));
    steps.push(step("start", commands.start()));
    steps.push(step("look", commands.of("status")));
    steps
}

struct Commands<'a> {
    place: &'a Place,
    program: &'a str,
}

impl Commands<'_> {
    fn enroll(&self, token: &Path) -> String {
        let file = quoted(&token.display().to_string());
        if self.place.layout == Layout::Container {
            return format!("docker compose -f deploy/compose/agent.yaml run --rm -T agent enroll < {file}");
        }
        self.of(&format!("enroll --token-file {file}"))
    }

    fn start(&self) -> String {
        match self.place.layout {
            Layout::Container => "docker compose -f deploy/compose/agent.yaml up -d".to_owned(),
            // The unit reads the default file.
            Layout::System if self.place.systemd && self.is_default() => {
                "systemctl enable --now ephemerald".to_owned()
            }
            _ => self.of("run"),
        }
    }

    /// As the daemon's user where that is another one: it alone may read the credential.
    fn of(&self, command: &str) -> String {
        let program = quoted(self.program);
        match self.place.layout {
            Layout::Container if command == "status" => {
                "docker compose -f deploy/compose/agent.yaml exec agent /usr/bin/ephemerald status".to_owned()
            }
            Layout::Container => {
                format!("docker compose -f deploy/compose/agent.yaml run --rm agent {command}")
            }
            Layout::System | Layout::User => {
                let user = if self.place.owner.is_some() { "runuser -u ephemerald -- " } else { "" };
                let file = if self.is_default() {
                    String::new()
                } else {
                    format!("--config {} ", quoted(&self.place.config_file.display().to_string()))
                };
                format!("{user}{program} {file}{command}")
            }
        }
    }

    fn is_default(&self) -> bool {
        self.place.config_file == Path::new(DEFAULT_FILE)
    }
}

/// As a shell reads it as one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{super::place::Owner, *};

    fn place(layout: Layout, dir: &str) -> Place {
        Place {
            layout,
            config_file: Path::new(dir).join("ephemerald.toml"),
            config_dir: dir.into(),
            seen_as: dir.into(),
            state_dir: "/var/lib/ephemerald".into(),
            socket: "/run/ephemerald/control.sock".into(),
            owner: None,
            systemd: false,
        }
    }

    fn commands(place: &Place, token: Option<&str>, enrolled: bool) -> Vec<String> {
        let steps = steps(place, "ephemerald", token.map(Path::new), enrolled);
        steps.into_iter().map(|step| step.command).collect()
    }

    #[test]
    fn a_service_is_asked_as_its_user_and_started_by_systemd() {
        let owner = Some(Owner { uid: 990, gid: 991 });
        let place = Place { owner, systemd: true, ..place(Layout::System, "/etc/ephemerald") };
        assert_eq!(
            commands(&place, None, false),
            [
                "runuser -u ephemerald -- ephemerald enroll",
                "runuser -u ephemerald -- ephemerald check",
                "systemctl enable --now ephemerald",
                "runuser -u ephemerald -- ephemerald status",
            ]
        );
    }

    #[test]
    fn a_users_own_agent_is_named_by_its_file_in_words_of_the_shell() {
        let place = place(Layout::User, "/h/a b's");
        let file = r"'/h/a b'\''s/ephemerald.toml'";
        assert_eq!(
            commands(&place, None, true),
            ["check", "run", "status"].map(|command| format!("ephemerald --config {file} {command}"))
        );
    }

    #[test]
    fn a_container_reads_the_token_from_a_file_outside_of_it() {
        let commands = commands(&place(Layout::Container, "/srv/etc"), Some("/srv/etc/agent-token"), false);
        assert!(commands[0].ends_with("run --rm -T agent enroll < /srv/etc/agent-token"), "{commands:?}");
        assert_eq!(commands[1], "rm /srv/etc/agent-token");
    }
}
