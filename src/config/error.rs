//! What can be wrong with a configuration or policy file, in words that say where and what next.
//!
//! Refuses: quoting the user and password part of a URL, and words that could be a key.

use std::{io, path::PathBuf};

/// Why a configuration or a policy was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or directory cannot be read.
    #[error("cannot read {path}: check that it exists and that the daemon's user may read it", path = .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// No file that is read in one go.
    #[error("{path}: expected a regular file of at most {} KiB, found {found}", .most / 1024, path = path.display())]
    NotAFile {
        /// Where it lies.
        path: PathBuf,
        /// The most that is read, in bytes.
        most: u64,
        /// What is there.
        found: String,
    },
    /// A policy that anybody on the machine could widen.
    #[error("{path}: everybody may write it, so it bounds nothing; run: chmod o-w {path}", path = .0.display())]
    OpenToAll(PathBuf),
    /// A file is not TOML, or holds a type that its key does not take.
    #[error("{origin}: {problem}")]
    Syntax {
        /// The file or variable.
        origin: String,
        /// Line, column and what the parser says.
        problem: String,
    },
    /// A key that does not exist.
    #[error("{origin}: unknown key `{key}`{}", hint(.nearest.as_deref()))]
    UnknownKey {
        /// The file, variable or flag.
        origin: String,
        /// The key, with its section.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A value that its key does not take.
    #[error("{origin}: `{key}`: expected {expected}, found {found}")]
    Value {
        /// The file, variable or flag.
        origin: String,
        /// The key, with its section.
        key: String,
        /// What the key takes.
        expected: String,
        /// What is there, masked.
        found: String,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

/// The known key that looks most like `key`, if any is near enough to be meant.
pub(super) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let likeness = |candidate: &str| {
        let last = |text: &str| text.rsplit('.').next().unwrap_or("").to_owned();
        let whole = strsim::jaro_winkler(key, candidate);
        let tail = strsim::jaro_winkler(&last(key), &last(candidate));
        whole.min(1.0).midpoint(tail)
    };
    known
        .map(|candidate| (likeness(candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score > 0.75)
        .map(|(_, candidate)| candidate.to_owned())
}
