//! The state key at a start: what it is to the ledger and to the keys that lie beside it.
//!
//! Refuses nothing: a key that cannot be read is told to the ledger, which then believes nobody, and to whoever needs a
//! sealed file. Endings go on.

use std::{path::Path, sync::Arc};

use crate::{
    config::Config,
    control::key_file,
    ledger::{JournalKey, Keying},
    secrets::{AtRest, TagKey},
};

/// The tag key's file in the state directory.
pub const TAG_KEY: &str = "tag.key";

/// The files that a state key seals, each with its label.
pub const FILES: [(&str, &str); 3] =
    [(TAG_KEY, TagKey::LABEL), (key_file::KEY, key_file::LABEL), (key_file::NEXT, key_file::LABEL)];

/// What authenticates the journal.
#[must_use]
pub fn keying(rest: &AtRest) -> Keying {
    match rest {
        AtRest::Plain => Keying::None,
        AtRest::Sealed(key) => Keying::Known(Arc::new(JournalKey::new(&key.derive("ephemerald journal")))),
        AtRest::Unreadable(why) => Keying::Unreadable(why.clone()),
    }
}

/// Reads the key that the configuration names.
pub(super) fn read(config: &Config) -> AtRest {
    let rest = AtRest::read(config.agent.state_key.as_ref());
    if let AtRest::Unreadable(error) = &rest {
        tracing::error!(
            error,
            "state key: cannot be read; nothing is raised and nothing given back; make it readable and restart the daemon"
        );
    }
    rest
}

/// Seals what lies in the state directory as it is.
pub(super) fn settle(dir: &Path, rest: &AtRest) {
    let mut sealed = Vec::new();
    for (name, label) in FILES {
        match rest.settle(label, &dir.join(name)) {
            Ok(true) => sealed.push(name),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(error, "state key: a file cannot be sealed with it; it is used as it is")
            }
        }
    }
    if !sealed.is_empty() {
        tracing::info!(
            files = sealed.join(", "),
            "state key: files that lay unsealed in the state directory are sealed with it"
        );
    }
}
