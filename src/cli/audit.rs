//! `audit`: looks at the journal.
//!
//! Refuses: writing anything; the chain is judged from the file alone, a daemon may be running on it.

use std::fmt::Write as _;

use serde_json::json;

use super::{Exit, Failure, Output, output};
use crate::{
    config::Config,
    ledger::{self, LedgerError, VerifyReport},
};

/// What to do with the journal.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Verify the hash chain of the whole journal
    Verify,
}

/// Does it; a broken chain is [`Exit::Verification`].
pub(super) fn run(config: &Config, command: &Command, form: Output) -> Result<Exit, Failure> {
    match command {
        Command::Verify => verify(config, form),
    }
}

fn verify(config: &Config, form: Output) -> Result<Exit, Failure> {
    let file = config.agent.state_dir.join(ledger::FILE_NAME);
    if !file.exists() {
        let problem = format!(
            "{}: no ledger here; `ephemerald run` creates it at its first start. Is --config or --state-dir the right one?",
            file.display()
        );
        return Err(Failure::new(Exit::Config, problem));
    }
    let report = ledger::verify(&file).map_err(failure)?;
    match form {
        Output::Json => output::json(&json!({
            "ok": report.is_intact(),
            "ledger_id": report.ledger_id,
            "rows": report.rows,
            "head": {"seq": report.head.seq.0, "hash": hex(&report.head.hash)},
            "bad": report.bad.as_ref().map(|bad| json!({
                "seq": bad.seq.0, "expected": bad.expected, "found": bad.found, "problem": bad.problem,
            })),
        }))?,
        Output::Human => output::text(&render(&report))?,
    }
    if let Some(bad) = &report.bad {
        let problem = format!(
            "{}: the journal does not verify: {}; keep the file as evidence before anything else",
            file.display(),
            bad.problem
        );
        return Err(Failure::new(Exit::Verification, problem));
    }
    Ok(Exit::Done)
}

fn render(report: &VerifyReport) -> String {
    let mut text = format!("ledger    {}\n", report.ledger_id);
    let verdict = match &report.bad {
        None => "one unbroken hash chain".to_owned(),
        Some(bad) => format!("verified, BROKEN at record {}", bad.seq.0),
    };
    let _ = writeln!(text, "records   {}, {verdict}", report.rows);
    let _ = writeln!(text, "head      {} {}", report.head.seq.0, hex(&report.head.hash));
    text
}

/// A file that cannot be read as a ledger is a state directory to be put in order.
fn failure(error: LedgerError) -> Failure {
    let exit = match error {
        LedgerError::Database { .. } | LedgerError::Lost { .. } => Exit::Verification,
        _ => Exit::Config,
    };
    Failure::new(exit, error)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
