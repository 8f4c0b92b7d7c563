//! `config show`: the effective configuration, each value with its origin.

use std::fmt::Write as _;

use super::{Exit, Failure, Output, output};
use crate::config::{Entry, Loaded};

/// Prints every key.
pub(super) fn run(loaded: &Loaded, form: Output) -> Result<Exit, Failure> {
    match form {
        Output::Json => output::json(&loaded.entries)?,
        Output::Human => output::text(&render(&loaded.entries))?,
    }
    Ok(Exit::Done)
}

/// One key a line, its origin as a comment below where it is not the default.
fn render(entries: &[Entry]) -> String {
    entries.iter().fold(String::new(), |mut text, entry| {
        let value = if entry.value.is_null() { "(unset)".to_owned() } else { entry.value.to_string() };
        let _ = writeln!(text, "{} = {value}\n    # {}", entry.key, entry.origin);
        text
    })
}
