//! The contract with JumpCloud: the project's description is whole, agrees with what JumpCloud
//! publishes, and is what every exchange is held against.
//!
//! `EPHEMERALD_JUMPCLOUD_DOCS` names the directory of JumpCloud's published documents; without it, the
//! tests say that they used the project's own description instead.

#![cfg(feature = "sandbox")]
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod agreement;
mod description;
mod exchanges;
mod guard;
mod simulation;
mod twin;

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    sync::Once,
};

use ephemerald::sandbox::jumpcloud::contract::documents_of_environment;
use serde_json::Value;

/// The project's description.
fn description() -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/jumpcloud/openapi.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The names of JumpCloud's files, by the name that `x-document` has for them.
const FILES: [(&str, &str); 2] =
    [("v1", "jumpcloud-v1-admin.swagger.json"), ("v2", "jumpcloud-v2-admin.swagger.json")];

/// JumpCloud's documents by name; a twin made from our own description where they are not at hand.
fn published() -> Vec<(String, Value)> {
    let Some(dir) = documents_of_environment() else {
        say("JumpCloud's documents are not at hand: used the project's own description instead");
        return twin::documents(&description());
    };
    let read = |(name, file): &(&str, &str)| {
        let path = dir.join(file);
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        ((*name).to_owned(), serde_json::from_slice(&text).unwrap())
    };
    say(&format!("held against JumpCloud's documents in {}", dir.display()));
    FILES.iter().map(read).collect()
}

/// Once, and past the capture of a test that passes: a reader of the run must see which it was.
fn say(text: &str) {
    static SAID: Once = Once::new();
    #[allow(clippy::explicit_write, reason = "eprintln is captured")]
    SAID.call_once(|| writeln!(io::stderr(), "contract: {text}").unwrap());
}
