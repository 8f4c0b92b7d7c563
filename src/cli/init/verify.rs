//! Whether the agent can be started with what was written.
//!
//! Reads the files back, from their final places, with the loaders that the agent uses. Refuses a
//! configuration that something beside it (`conf.d`) turns into another one. The checks of owner and
//! mode that the agent makes are against its own user, who may be another one than ours.

use std::{fs, path::Path};

use zeroize::Zeroizing;

use super::{place::Place, plan::Plan, write};
use crate::{
    config::{Config, Sources, policy_file},
    jumpcloud::Connection,
    secrets::{Secret, Source},
};

/// Loads everything.
///
/// # Errors
/// What does not load, in its loader's words.
pub(super) fn loads(plan: &Plan, place: &Place) -> Result<(), String> {
    if let Some(odd) = plan.files.iter().find(|file| !write::is_there(file)) {
        return Err(format!("{}: it does not read back as it was written", odd.path.display()));
    }
    let sources = Sources { file: Some(place.config_file.clone()), ..Sources::default() };
    let config = Config::load(&sources).map_err(|error| error.to_string())?.config;
    let here = |seen: &Path| {
        let path = place.config_dir.join(seen.strip_prefix(&place.seen_as).ok()?);
        plan.files.iter().any(|file| file.path == path).then_some(path)
    };
    let policy = here(&config.policy_file).filter(|_| config.agent.state_dir == place.state_dir);
    let policy = policy.ok_or_else(|| overridden(place, "policy.file or agent.state_dir"))?;
    policy_file::load(&policy).map_err(|error| error.to_string())?;
    let connections = config.integrations.iter().filter_map(|integration| match &integration.connection {
        Source::File(path) => here(path),
        Source::Credential(_) | Source::Command(_) => None,
    });
    let mut read = 0;
    for path in connections {
        let text = fs::read_to_string(&path).map(Zeroizing::new);
        let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
        let text = Secret::new(text.as_str().to_owned());
        Connection::parse(&text, &path.display().to_string()).map_err(|error| error.to_string())?;
        read += 1;
    }
    if read == 0 {
        return Err(overridden(place, "integration"));
    }
    Ok(())
}

fn overridden(place: &Place, key: &str) -> String {
    let dir = place.config_dir.join("conf.d");
    format!("a file in {} sets {key} to something else: move it away", dir.display())
}
