//! The keys that say where a secret comes from: `…_file`, `…_credential`, `…_command`.
//!
//! Refuses: two of them at once, a path that is not absolute, a credential whose name leads elsewhere, a
//! command without a program.

use std::time::Duration;

use super::{ConfigError, validate::Check};
use crate::{
    engine::{ids::IntegrationId, time::Millis},
    secrets::{Command, Source},
};

/// What is written of one secret, and where.
pub(super) struct Said<'a> {
    /// The section, such as `integration.0`.
    pub(super) at: &'a str,
    /// What the keys begin with, such as `connection`.
    pub(super) of: &'static str,
    pub(super) file: Option<&'a String>,
    pub(super) credential: Option<&'a String>,
    pub(super) command: Option<&'a Vec<String>>,
}

impl Said<'_> {
    /// The one that is given, and its key; `None` if there is none.
    pub(super) fn one(&self, check: &Check<'_>) -> Result<Option<(Source, String)>, ConfigError> {
        let key = |kind| format!("{}.{}_{kind}", self.at, self.of);
        let given = [self.file.is_some(), self.credential.is_some(), self.command.is_some()];
        if given.into_iter().filter(|given| *given).count() > 1 {
            let found = if given == [true; 3] { "all of them" } else { "two of them" };
            return Err(check.bad(self.at, &self.expected(), found));
        }
        Ok(if let Some(path) = self.file {
            let key = key("file");
            Some((Source::File(check.path(&key, path)?), key))
        } else if let Some(name) = self.credential {
            // Becomes a file name in the credentials directory.
            let key = key("credential");
            check.name(&key, name, IntegrationId::new)?;
            Some((Source::Credential(name.clone()), key))
        } else if let Some(argv) = self.command {
            let key = key("command");
            let expected = "a program and its arguments: [\"/usr/bin/vault\", \"kv\", …], by an absolute path or a bare name";
            // Not what was found: an argument may be what should not be here.
            let found = if argv.is_empty() { "an empty list" } else { "something else as its first element" };
            let command = Command::new(argv, patience(check)?);
            Some((Source::Command(command.ok_or_else(|| check.bad(&key, expected, found))?), key))
        } else {
            None
        })
    }

    /// As [`Said::one`], where there must be one.
    pub(super) fn needed(&self, check: &Check<'_>) -> Result<Source, ConfigError> {
        let one = self.one(check)?.map(|(source, _)| source);
        one.ok_or_else(|| check.bad(self.at, &self.expected(), "none of them"))
    }

    fn expected(&self) -> String {
        let of = self.of;
        format!("exactly one of `{of}_file`, `{of}_credential` and `{of}_command`")
    }
}

/// How long any of the commands may take.
pub(super) fn patience(check: &Check<'_>) -> Result<Duration, ConfigError> {
    let text = &check.merged.raw.agent.command_timeout;
    let range = Millis::from_secs(1)..=Millis::from_secs(60);
    Ok(Duration::from_millis(check.duration("agent.command_timeout", text, &range)?.0))
}
