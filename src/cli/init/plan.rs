//! From answers to files: which, where, whose, with which mode and text.
//!
//! Pure. Refuses to mix secret and plain text: a secret file shows a stand-in, never its text.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use super::{
    answers::Answers,
    draft::{self, ConnectionText},
    given::Layout,
    place::{Owner, Place},
    texts,
};
use crate::secrets::Secret;

/// Everything that will be there.
#[derive(Debug)]
pub(super) struct Plan {
    /// Made where they are missing, left alone where they are there.
    pub(super) dirs: Vec<PlannedDir>,
    /// In the order of writing: the main file, which names the others, comes last.
    pub(super) files: Vec<PlannedFile>,
}

/// A directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlannedDir {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) owner: Option<Owner>,
}

/// A file.
#[derive(Debug)]
pub(super) struct PlannedFile {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) owner: Option<Owner>,
    pub(super) content: Content,
}

/// What is in a file.
#[derive(Debug)]
pub(super) enum Content {
    /// A text for everybody.
    Text(String),
    /// A text that is long and tells nothing, and what is shown instead.
    Certificates {
        /// The text.
        pem: String,
        /// What is shown.
        shown: String,
    },
    /// A text that must not be seen, and what is shown instead.
    Secret {
        /// The text.
        text: Secret,
        /// What is shown.
        shown: String,
    },
}

impl Content {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) | Self::Certificates { pem: text, .. } => text.as_bytes(),
            Self::Secret { text, .. } => text.expose().as_bytes(),
        }
    }

    fn shown(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Secret { shown, .. } | Self::Certificates { shown, .. } => shown,
        }
    }
}

/// Where the files of an installation lie, here.
pub(super) struct Names {
    connection: PathBuf,
    policy: PathBuf,
    agent_token: PathBuf,
    control_ca: PathBuf,
}

impl Names {
    pub(super) const AGENT_TOKEN: &str = "agent-token";

    /// Where the credential of an integration lies.
    pub(super) fn connection(place: &Place, integration: &str) -> PathBuf {
        place.config_dir.join(format!("{integration}.json"))
    }

    fn of(place: &Place, integration: &str) -> Self {
        let dir = &place.config_dir;
        Self {
            connection: Self::connection(place, integration),
            policy: dir.join("policy.toml"),
            agent_token: dir.join(Self::AGENT_TOKEN),
            control_ca: dir.join("control-plane-ca.pem"),
        }
    }
}

impl Plan {
    /// What the answers come to at this place.
    pub(super) fn of(answers: Answers, place: &Place) -> Self {
        let names = Names::of(place, answers.integration.as_str());
        let inside = |file: &Path| place.seen_as.join(file.file_name().unwrap_or_default());
        let control_ca = answers.control_ca_pem.as_ref().map(|_| inside(&names.control_ca));
        let config = texts::config(&answers, place, &inside(&names.connection), control_ca.as_deref());
        let policy = texts::policy(&answers.policy);
        let readable = Readable::of(place);
        let ConnectionText { text, shown } = answers.connection;
        let mut files = vec![private(names.connection, place, text, shown)];
        if let Some(token) = answers.agent_token {
            files.push(private(names.agent_token, place, token, "(not shown)\n".to_owned()));
        }
        if let Some(pem) = answers.control_ca_pem {
            let shown = draft::certificates(&pem);
            files.push(readable.file(names.control_ca, Content::Certificates { pem, shown }));
        }
        files.push(readable.file(names.policy, Content::Text(policy)));
        files.push(readable.file(place.config_file.clone(), Content::Text(config)));
        let mut dirs = vec![readable.dir(&place.config_dir)];
        if place.layout != Layout::Container {
            dirs.push(PlannedDir { path: place.state_dir.clone(), mode: 0o700, owner: place.owner });
        }
        Self { dirs, files }
    }

    /// All of it, for a person to agree to.
    pub(super) fn preview(&self) -> String {
        let mut text = String::new();
        for dir in self.dirs.iter().filter(|dir| !dir.path.is_dir()) {
            let _ = writeln!(text, "{}  a directory, {}", dir.path.display(), whose(dir.mode, dir.owner));
        }
        for file in &self.files {
            let _ = writeln!(text, "\n{}  {}", file.path.display(), whose(file.mode, file.owner));
            for line in file.content.shown().lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
        text
    }
}

/// A file that nobody but the daemon may read, and root.
fn private(path: PathBuf, place: &Place, text: Secret, shown: String) -> PlannedFile {
    PlannedFile { path, mode: 0o600, owner: place.owner, content: Content::Secret { text, shown } }
}

/// Who may read what is no secret.
struct Readable {
    dir: u32,
    file: u32,
    owner: Option<Owner>,
}

impl Readable {
    fn of(place: &Place) -> Self {
        // Root's, so that the daemon cannot change what limits it; its group reads.
        let by_group = place.owner.map(|owner| Owner { uid: 0, ..owner });
        match place.layout {
            Layout::System => Self { dir: 0o750, file: 0o640, owner: by_group },
            Layout::User => Self { dir: 0o700, file: 0o600, owner: None },
            // The container's user is known by number only, and may be another one there.
            Layout::Container => Self { dir: 0o755, file: 0o644, owner: None },
        }
    }

    fn file(&self, path: PathBuf, content: Content) -> PlannedFile {
        PlannedFile { path, mode: self.file, owner: self.owner, content }
    }

    fn dir(&self, path: &Path) -> PlannedDir {
        PlannedDir { path: path.to_owned(), mode: self.dir, owner: self.owner }
    }
}

fn whose(mode: u32, owner: Option<Owner>) -> String {
    let owner = owner.map_or_else(String::new, |owner| format!(", uid {} gid {}", owner.uid, owner.gid));
    format!("mode {mode:04o}{owner}")
}
