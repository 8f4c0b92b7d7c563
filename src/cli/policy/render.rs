//! The answer for eyes, at most 80 columns.

use std::fmt::Write as _;

use super::{Report, Step};
use crate::columns::{WIDTH, wrapped};

/// Where the words of a rule begin.
const INDENT: usize = 31;

/// The rules, and what they make of the job; `all`: those that pass as well.
pub(super) fn text(report: &Report, all: bool) -> String {
    let mut out = String::new();
    let policy = &report.policy;
    let hash = policy.hash.get(..12).unwrap_or_default();
    let _ = writeln!(out, "policy    {}", policy.file.display());
    let _ = writeln!(out, "in force  {hash}, mode {}", policy.mode);
    if let Some(job) = &report.job {
        for (n, piece) in wrapped(&format!("{}: {}", job.job_id, job.asks), WIDTH - 10).iter().enumerate() {
            let _ = writeln!(out, "{:<10}{piece}", if n == 0 { "job" } else { "" });
        }
    }
    let gated = report.job.as_ref().is_none_or(|job| job.verdict != "not_gated");
    if gated {
        out.push('\n');
        for (n, step) in (1..).zip(&report.rules) {
            let tells = all || step.verdict != Some("passes");
            if tells {
                line(&mut out, n, step);
            }
        }
        out.push('\n');
    }
    out.push_str(&verdict(report));
    out
}

fn line(out: &mut String, n: usize, step: &Step) {
    let verdict = step.verdict.unwrap_or_default();
    let says = step.rule.map_or_else(|| step.says.clone(), |rule| format!("{rule}: {}", step.says));
    let mut begin = format!("{n:>3}  {:<16}{verdict:<9} ", step.name);
    for piece in wrapped(&says, WIDTH - INDENT) {
        let _ = writeln!(out, "{}", format!("{begin}{piece}").trim_end());
        begin = " ".repeat(INDENT);
    }
}

fn verdict(report: &Report) -> String {
    let Some(job) = &report.job else {
        return "These rules are asked in this order, of each grant and each extension, and the\n\
                first refusal decides. Nothing in a policy stops an ending.\n"
            .to_owned();
    };
    let open = report.rules.iter().any(|step| step.verdict == Some("open"));
    let rest = if open {
        "\nAn open rule needs what only the running agent knows: journal and JumpCloud.\n"
    } else {
        "\n"
    };
    match (job.verdict, job.rule, job.decided_by) {
        ("rejected", Some(rule), Some(by)) => format!("rejected, {rule}: the rule \"{by}\" decides\n"),
        ("not_gated", ..) => "not gated: no policy is asked about this job\n".to_owned(),
        ("dry_run", ..) => format!("dry_run: every rule passes; it would be planned and not done{rest}"),
        _ => format!("allowed: no rule refuses{rest}"),
    }
}
