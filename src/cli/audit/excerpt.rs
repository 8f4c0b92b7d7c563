//! Verifies an export, with nothing but the export.
//!
//! Refuses to call an excerpt whole: where records were left out, each of the others is judged by itself,
//! and how many gaps there are is said.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use serde_json::{Value, json};

use super::{
    Acknowledged, hex,
    line::{End, FORMAT, Header, Record},
    said_of_head, verdict_of_head,
};
use crate::{
    cli::{Exit, Failure, Output, output},
    ledger::export::genesis,
};

/// What was found.
#[derive(Debug, Default)]
struct Found {
    ledger_id: String,
    records: u64,
    /// Places where records are not there.
    gaps: u64,
    /// The last record, and the hash that the next one must follow.
    last: (u64, String),
    /// The record that somebody else keeps the hash of: there with it, or there with another.
    known: Option<bool>,
    ended: bool,
}

/// Reads and judges it.
pub(super) fn verify(file: &Path, head: Option<&Acknowledged>, form: Output) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Config, format!("{}: {error}", file.display()));
    let judged = if file == Path::new("-") {
        judge(io::stdin().lock(), head)
    } else {
        judge(BufReader::new(File::open(file).map_err(failed)?), head)
    };
    let found = match judged {
        Ok(found) => found,
        Err(Bad::Unreadable(error)) => return Err(failed(error)),
        Err(Bad::NotAnExport) => {
            let problem = format!("{}: expected the first line of an export, {FORMAT:?}", file.display());
            return Err(Failure::new(Exit::Config, problem));
        }
        Err(Bad::Broken { line, problem }) => {
            let problem =
                format!("{}: line {line}: {problem}: THIS EXPORT IS NOT WHAT WAS EXPORTED", file.display());
            return Err(Failure::new(Exit::Verification, problem));
        }
    };
    let known = head.map(|_| found.known == Some(true));
    match form {
        Output::Json => output::json(&json!({
            "ok": known != Some(false), "ledger_id": found.ledger_id, "records": found.records,
            "gaps": found.gaps, "whole": found.gaps == 0,
            "head": {"seq": found.last.0, "hash": found.last.1}, "holds_head": known,
        }))?,
        Output::Human => output::folded(&render(&found, head, known))?,
    }
    verdict_of_head(head, known)
}

enum Bad {
    Unreadable(io::Error),
    NotAnExport,
    Broken { line: usize, problem: String },
}

fn judge(lines: impl BufRead, head: Option<&Acknowledged>) -> Result<Found, Bad> {
    let mut found = Found::default();
    for (number, line) in (1..).zip(lines.lines()) {
        let line = line.map_err(Bad::Unreadable)?;
        if number == 1 {
            let header: Header = serde_json::from_str(&line).map_err(|_| Bad::NotAnExport)?;
            if header.export != FORMAT {
                return Err(Bad::NotAnExport);
            }
            found.last = (0, hex(&genesis(&header.ledger_id).hash));
            found.ledger_id = header.ledger_id;
            continue;
        }
        found.take(&line, head).map_err(|problem| Bad::Broken { line: number, problem })?;
    }
    if found.ledger_id.is_empty() {
        return Err(Bad::NotAnExport);
    }
    if !found.ended {
        let problem = "the last line is missing: it was cut off".to_owned();
        return Err(Bad::Broken { line: usize::try_from(found.records + 2).unwrap_or(0), problem });
    }
    Ok(found)
}

impl Found {
    fn take(&mut self, line: &str, head: Option<&Acknowledged>) -> Result<(), String> {
        if self.ended {
            return Err("there is more behind the last line".to_owned());
        }
        let value: Value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
        if value.get("end").is_some() {
            return self.end(&serde_json::from_value(value).map_err(|error| error.to_string())?);
        }
        let record: Record = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if let Some(problem) = record.problem() {
            return Err(format!("record {}: {problem}", record.seq));
        }
        if record.seq <= self.last.0 {
            return Err(format!("record {} comes behind record {}", record.seq, self.last.0));
        }
        if record.seq > self.last.0 + 1 {
            self.gaps += 1;
        } else if record.prev != self.last.1 {
            return Err(format!("record {} does not follow the one before it", record.seq));
        }
        if let Some(head) = head.filter(|head| head.seq.0 == record.seq) {
            self.known = Some(record.hash == head.hash);
        }
        self.records += 1;
        self.last = (record.seq, record.hash);
        Ok(())
    }

    fn end(&mut self, end: &End) -> Result<(), String> {
        if end.records != self.records {
            return Err(format!("expected {} records, found {}", end.records, self.records));
        }
        if end.end < self.last.0 || (end.end == self.last.0 && end.hash != self.last.1) {
            return Err("the end is not the last record's".to_owned());
        }
        if end.end > self.last.0 {
            self.gaps += 1;
            self.last = (end.end, end.hash.clone());
        }
        self.ended = true;
        Ok(())
    }
}

fn render(found: &Found, head: Option<&Acknowledged>, known: Option<bool>) -> String {
    let verdict = match found.gaps {
        0 => "one unbroken hash chain".to_owned(),
        1 => "each as it was written; 1 gap, so what is left out is not judged".to_owned(),
        n => format!("each as it was written; {n} gaps, so what is left out is not judged"),
    };
    let mut text = format!("ledger    {}\n", found.ledger_id);
    let _ = writeln!(text, "records   {}, {verdict}", found.records);
    let _ = writeln!(text, "head      {} {}", found.last.0, found.last.1);
    if head.is_some() { text + &said_of_head(head, known) } else { text }
}
