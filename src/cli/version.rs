//! `version`: which build this is.

use serde_json::json;

use super::{Exit, Failure, Output, output};

/// Prints the version.
pub(super) fn run(form: Output) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match form {
        Output::Json => output::json(&json!({"version": version, "sandbox": cfg!(feature = "sandbox")}))?,
        Output::Human => output::folded(&format!("ephemerald {version}\n"))?,
    }
    Ok(Exit::Done)
}
