//! `ledger check`: everything that can be said of a ledger from its files, and what to do about it.
//!
//! Refuses: to lock or to change anything; a daemon may be running on it.

use std::fmt::Write as _;

use serde_json::json;

use super::{doubts::time, failure, look, must_exist};
use crate::{
    cli::{Exit, Failure, Output, output},
    config::Config,
    engine::{Restored, grant::Phase, recovery::Recovery, time::Timestamp},
    ledger::{CheckReport, codec},
};

/// Below this much free space the next backup or a busy day may fill the disk.
const LITTLE: u64 = 64 << 20;

/// Looks, prints, and exits with 7 if anything does not verify.
pub(super) fn run(config: &Config, form: Output) -> Result<Exit, Failure> {
    must_exist(&config.agent.state_dir)?;
    let (report, unlooked) = look(config).map_err(failure)?;
    let (restored, unreadable) = codec::restore(&report.loaded, &report.opened);
    let authentic = Authentic::of(config, &report, unlooked);
    let problems = problems(&report, unreadable.len());
    let advice = advice(&report, &restored.state.recovery, !problems.is_empty());
    match form {
        Output::Json => output::json(&value(&report, &restored, (&problems, &advice), &authentic))?,
        Output::Human => output::folded(&render(&report, &restored, (&problems, &advice), &authentic))?,
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Verification })
}

/// The same for somebody else's eyes; a ledger that cannot be read is told as such.
pub(in crate::cli) fn told(config: &Config) -> serde_json::Value {
    match look(config) {
        Err(error) => json!({"problem": error.to_string()}),
        Ok((report, unlooked)) => {
            let authentic = Authentic::of(config, &report, unlooked);
            let (restored, unreadable) = codec::restore(&report.loaded, &report.opened);
            let problems = problems(&report, unreadable.len());
            let advice = advice(&report, &restored.state.recovery, !problems.is_empty());
            value(&report, &restored, (&problems, &advice), &authentic)
        }
    }
}

/// Whether the state key vouches for the ledger.
enum Authentic {
    Yes,
    No,
    NoKey,
    /// The key cannot be read here; why.
    Unlooked(String),
}

impl Authentic {
    fn of(config: &Config, report: &CheckReport, unlooked: Option<String>) -> Self {
        let apart = || report.loaded.quarantined.iter().any(|bad| bad.unproven.is_some());
        match unlooked {
            Some(why) => Self::Unlooked(why),
            None if config.agent.state_key.is_none() => Self::NoKey,
            None if report.opened.unproven.is_empty() && !apart() => Self::Yes,
            None => Self::No,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Yes => "yes, with the state key".to_owned(),
            Self::No => "NO".to_owned(),
            Self::NoKey => "there is no state key".to_owned(),
            Self::Unlooked(why) => format!("not looked at: {why}"),
        }
    }

    /// `null`: nobody can say.
    const fn value(&self) -> Option<bool> {
        match self {
            Self::Yes => Some(true),
            Self::No => Some(false),
            Self::NoKey | Self::Unlooked(_) => None,
        }
    }
}

/// What does not verify.
fn problems(report: &CheckReport, unreadable: usize) -> Vec<String> {
    let mut found: Vec<String> = report.chain.bad.iter().map(|bad| bad.problem.clone()).collect();
    found.extend(report.file_problems.iter().map(|line| format!("SQLite: {line}")));
    found.extend(report.opened.quarantined.iter().map(|bad| bad.problem.clone()));
    found.extend(report.opened.unproven.iter().map(|bad| bad.problem.clone()));
    let whole = report.opened.unproven.iter().any(|bad| bad.mark.starts_with("unkeyed:"));
    let apart = report.loaded.quarantined.iter().filter(|bad| !(whole && bad.unproven.is_some()));
    found.extend(apart.map(|bad| format!("{}: {}", bad.stream, bad.problem)));
    if unreadable > 0 {
        found.push(format!("{unreadable} rows hold no record of this version"));
    }
    if let Some(marker) = report.marker.as_ref().filter(|marker| **marker != report.opened.ledger_id) {
        found.push(format!("ledger {} lies where ledger {marker} lived", report.opened.ledger_id));
    }
    if report.opened.is_behind {
        let last = report.opened.acknowledged.as_ref().map_or(0, |noted| noted.seq);
        let head = report.opened.head.seq.0;
        found
            .push(format!("record {last} was acknowledged by the control plane; the journal ends at {head}"));
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|line| seen.insert(line.clone()));
    found
}

fn advice(report: &CheckReport, recovery: &Recovery, damaged: bool) -> Vec<String> {
    let mut advice = Vec::new();
    let mut say = |text: &str| advice.push(text.to_owned());
    if damaged {
        say("keep a copy of the files as evidence before anything else");
        say("start the daemon: it ends every grant that can be read, and raises nothing");
    }
    if recovery.is_revoke_only() && !recovery.heard {
        say("let the daemon reach the control plane, so that it hears what is believed to be live");
    }
    if !recovery.claims.is_empty() {
        say("look at `ephemerald ledger claims` and in the JumpCloud console, then decide each claim");
    }
    if recovery.is_revoke_only() && recovery.claims.is_empty() {
        say("when it is understood: `ephemerald ledger acknowledge --why …` (docs/ledger.md)");
    }
    if recovery.bar.is_some() && !recovery.is_revoke_only() {
        say("accounts are barred until they are explained: `ephemerald ledger explain`");
    }
    if report.free < LITTLE {
        say("free some space on the disk");
    }
    advice
}

/// How many grants are past their end and not proven gone.
fn ending(restored: &Restored) -> usize {
    restored.state.grants.values().filter(|grant| grant.phase == Phase::Revoking).count()
}

fn believed(recovery: &Recovery) -> String {
    let Some(doubt) = &recovery.doubt else { return "yes".to_owned() };
    let causes: Vec<&str> = doubt.causes.keys().map(|cause| cause.as_str()).collect();
    format!("NO, revoke-only since {}: {}", time(doubt.since), causes.join(", "))
}

fn render(
    report: &CheckReport,
    restored: &Restored,
    (problems, advice): (&[String], &[String]),
    authentic: &Authentic,
) -> String {
    let (opened, recovery) = (&report.opened, &restored.state.recovery);
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10} {}", output::cell(value, 69));
    };
    line("ledger", &opened.ledger_id);
    line("created", &format!("{}, schema {}", time(Timestamp(opened.created_at)), report.schema.0));
    let chain = if report.chain.is_intact() { "one unbroken hash chain" } else { "BROKEN" };
    line("records", &format!("{}, {chain}", report.chain.rows));
    line("authentic", &authentic.shown());
    let live = restored.state.grants.values().filter(|g| g.phase.is_live()).count();
    line("grants", &format!("{live} live, {} ending", ending(restored)));
    line("outbox", &format!("{} to be acknowledged", report.outbox));
    let known = opened.acknowledged.as_ref().filter(|noted| noted.ledger_id == opened.ledger_id);
    line(
        "known",
        &known.map_or_else(
            || "nothing yet".to_owned(),
            |noted| format!("to record {} by the control plane", noted.seq),
        ),
    );
    let kept = if opened.ballast { "kept back for endings: 1 MiB" } else { "NOTHING kept back for endings" };
    line("size", &format!("{} KiB and {} KiB of log; {kept}", report.bytes.0 >> 10, report.bytes.1 >> 10));
    line("free", &format!("{} MiB", report.free >> 20));
    line("believed", &believed(recovery));
    for (cause, detail) in recovery.doubt.iter().flat_map(|doubt| &doubt.causes) {
        line("", &format!("{}: {detail}", cause.as_str()));
    }
    line("claims", &format!("{} open", recovery.claims.len()));
    for problem in problems {
        line("PROBLEM", problem);
    }
    for (n, todo) in advice.iter().enumerate() {
        line(if n == 0 { "to do" } else { "" }, todo);
    }
    text
}

fn value(
    report: &CheckReport,
    restored: &Restored,
    (problems, advice): (&[String], &[String]),
    authentic: &Authentic,
) -> serde_json::Value {
    let (opened, recovery) = (&report.opened, &restored.state.recovery);
    let quarantined: Vec<_> = report
        .loaded
        .quarantined
        .iter()
        .map(|bad| {
            let raw = bad.raw.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
            json!({ "seq": bad.seq.map(|seq| seq.0), "stream": bad.stream, "problem": bad.problem, "raw": raw })
        })
        .collect();
    json!({
        "ok": problems.is_empty(),
        "ledger_id": opened.ledger_id,
        "created_at": opened.created_at,
        "schema": report.schema.0,
        "records": report.chain.rows,
        "authentic": authentic.value(),
        "live": restored.state.live_grants(),
        "ending": ending(restored),
        "outbox": report.outbox,
        "acknowledged": opened.acknowledged,
        "bytes": { "file": report.bytes.0, "log": report.bytes.1, "free": report.free },
        "ballast": opened.ballast,
        "revoke_only": recovery.is_revoke_only(),
        "causes": recovery.doubt.iter().flat_map(|doubt| doubt.causes.keys()).map(|cause| cause.as_str()).collect::<Vec<_>>(),
        "heard": recovery.heard,
        "claims": recovery.claims.len(),
        "barred": recovery.bar.is_some(),
        "problems": problems,
        "to_do": advice,
        "quarantined": quarantined,
    })
}
