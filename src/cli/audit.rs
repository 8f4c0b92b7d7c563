//! `audit`: looks at the journal, takes it out, judges it.
//!
//! Refuses: writing to it; the chain is judged from the file alone, a daemon may be running on it.

mod excerpt;
mod export;
mod line;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{Exit, Failure, Output, output};
use crate::{
    config::Config,
    ledger::{self, LedgerError, Seq, VerifyReport, export::JournalFile},
};

/// What to do with the journal.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Verify the hash chain of the whole journal, or of an export
    Verify(Verify),
    /// Print records as JSON Lines that anybody can verify
    Export(export::Args),
}

/// What to verify.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// An export instead of this machine's journal; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A record that must be in the chain, as the control plane was told it; by default the newest one that
    /// it acknowledged to this machine
    #[arg(long, value_name = "SEQ:HASH", value_parser = acknowledged)]
    head: Option<Acknowledged>,
}

/// A record of which somebody else keeps the hash.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Acknowledged {
    seq: Seq,
    hash: String,
}

/// Does it; a broken chain is [`Exit::Verification`].
pub(super) fn run(config: &Config, command: &Command, form: Output) -> Result<Exit, Failure> {
    match command {
        Command::Verify(Verify { file: Some(file), head }) => excerpt::verify(file, head.as_ref(), form),
        Command::Verify(Verify { file: None, head }) => verify(config, head.as_ref(), form),
        Command::Export(args) => export::run(config, args),
    }
}

/// The journal's file, which must be there.
fn journal(config: &Config) -> Result<PathBuf, Failure> {
    let file = config.agent.state_dir.join(ledger::FILE_NAME);
    if file.exists() {
        return Ok(file);
    }
    let problem = format!(
        "{}: no ledger here; `ephemerald run` creates it at its first start. Is --config or --state-dir the right one?",
        file.display()
    );
    Err(Failure::new(Exit::Config, problem))
}

fn verify(config: &Config, head: Option<&Acknowledged>, form: Output) -> Result<Exit, Failure> {
    let file = journal(config)?;
    let report = output::told_of_rows(|walked| ledger::verify_telling(&file, walked));
    let report = report.map_err(failure)?;
    let noted = told(config);
    let head = head.or(noted.as_ref());
    let known = head.map(|head| holds(&file, head)).transpose()?;
    match form {
        Output::Json => output::json(&json!({
            "ok": report.is_intact() && known != Some(false),
            "ledger_id": report.ledger_id,
            "rows": report.rows,
            "head": {"seq": report.head.seq.0, "hash": hex(&report.head.hash)},
            "told": head.map(|told| json!({"seq": told.seq.0, "hash": told.hash})),
            "holds_head": known,
            "bad": report.bad.as_ref().map(|bad| json!({
                "seq": bad.seq.0, "expected": bad.expected, "found": bad.found, "problem": bad.problem,
            })),
        }))?,
        Output::Human => output::folded(&render(&report, head, known))?,
    }
    if let Some(bad) = &report.bad {
        let problem = format!(
            "{}: the journal does not verify: {}; keep the file as evidence before anything else",
            file.display(),
            bad.problem
        );
        return Err(Failure::new(Exit::Verification, problem));
    }
    verdict_of_head(head, known)
}

/// The newest record that the control plane has acknowledged, as this machine noted it beside the ledger.
fn told(config: &Config) -> Option<Acknowledged> {
    let noted = ledger::Acknowledged::load(&config.agent.state_dir).filter(|noted| noted.seq > 0)?;
    Some(Acknowledged { seq: Seq(noted.seq), hash: noted.hash })
}

/// Whether the journal holds that record with that hash.
fn holds(file: &Path, head: &Acknowledged) -> Result<bool, Failure> {
    let mut found = false;
    let journal = JournalFile::open(file).map_err(failure)?;
    journal
        .each(|row| {
            found |= row.seq == head.seq && hex(&row.hash) == head.hash;
            row.seq < head.seq
        })
        .map_err(failure)?;
    Ok(found)
}

fn verdict_of_head(head: Option<&Acknowledged>, known: Option<bool>) -> Result<Exit, Failure> {
    match (head, known) {
        (Some(head), Some(false)) => {
            let problem = format!(
                "record {} with the hash that the control plane was told is not in this journal: it was put back from a copy, cut, or is another agent's",
                head.seq.0
            );
            Err(Failure::new(Exit::Verification, problem))
        }
        _ => Ok(Exit::Done),
    }
}

fn acknowledged(text: &str) -> Result<Acknowledged, String> {
    let expected = "expected SEQ:HASH, the hash in 64 hexadecimal digits";
    let (seq, hash) = text.split_once(':').ok_or(expected)?;
    let hash = hash.to_ascii_lowercase();
    if hash.len() != 64 || !hash.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(expected.to_owned());
    }
    Ok(Acknowledged { seq: Seq(seq.parse().map_err(|_| expected)?), hash })
}

fn render(report: &VerifyReport, head: Option<&Acknowledged>, known: Option<bool>) -> String {
    let mut text = format!("ledger    {}\n", report.ledger_id);
    let verdict = match &report.bad {
        None => "one unbroken hash chain".to_owned(),
        Some(bad) => format!("verified, BROKEN at record {}", bad.seq.0),
    };
    let _ = writeln!(text, "records   {}, {verdict}", report.rows);
    let _ = writeln!(text, "head      {} {}", report.head.seq.0, hex(&report.head.hash));
    text + &said_of_head(head, known)
}

fn said_of_head(head: Option<&Acknowledged>, known: Option<bool>) -> String {
    let Some(head) = head else {
        return "told      nothing: no control plane has acknowledged a record to this machine\n".to_owned();
    };
    let verdict = if known == Some(true) { "is in the chain" } else { "is NOT HERE" };
    format!("told      record {}, which the control plane was told, {verdict}\n", head.seq.0)
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
