//! `policy explain`, `policy test`: what the policy file says, and what it makes of a job. Nothing else
//! is asked: no daemon, no journal, no network.
//!
//! The rules are those that the engine asks, in the same order. Refuses to guess what only the agent
//! knows: such a rule is open.

mod case;
mod render;
mod words;

use std::path::PathBuf;

use serde::Serialize;

use super::{Exit, Failure, Output, output};
use crate::{
    config::{Config, policy_file},
    engine::policy::{Check, Policy, Verdict},
};
use case::Case;

/// What to do with the policy.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Say whether the policy would let a job pass, and which rule decides
    Test(Question),
    /// Say all rules in force in words; with a job, what each says to it
    Explain(Explain),
}

/// A job, and when it would be judged.
#[derive(Debug, clap::Args)]
pub(super) struct Question {
    /// File with the claims of a job, as in docs/protocol/schemas/job-claims.json
    #[arg(value_name = "JOB.json")]
    job: PathBuf,
    #[command(flatten)]
    more: More,
}

/// Perhaps a job.
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// File with the claims of a job
    #[arg(value_name = "JOB.json")]
    job: Option<PathBuf>,
    #[command(flatten)]
    more: More,
}

/// What a job's claims do not say.
#[derive(Debug, clap::Args)]
struct More {
    /// Judge as if it were this instant (RFC 3339); now, if absent
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// For an extension: the role of the grant that is extended
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// For an extension: the account of that grant
    #[arg(long, value_name = "EMAIL")]
    account: Option<String>,
}

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Report {
    policy: InForce,
    rules: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<About>,
}

#[derive(Debug, Serialize)]
struct InForce {
    file: PathBuf,
    hash: String,
    mode: &'static str,
}

/// A rule, and what it says to the job.
#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct About {
    job_id: String,
    asks: String,
    /// `allowed`, `dry_run`, `rejected`, `not_gated`
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<&'static str>,
}

/// Answers from the files alone.
pub(super) fn run(config: &Config, command: &Command, form: Output) -> Result<Exit, Failure> {
    let policy = policy_file::load(&config.policy_file).map_err(|e| Failure::new(Exit::Config, e))?;
    let (job, more, all) = match command {
        Command::Test(question) => (Some(&question.job), &question.more, false),
        Command::Explain(explain) => (explain.job.as_ref(), &explain.more, true),
    };
    let case = job.map(|file| Case::read(file, config, &policy, more)).transpose()?;
    let report = report(config, &policy, case.as_ref());
    match form {
        Output::Json => output::json(&report)?,
        Output::Human => output::folded(&render::text(&report, all))?,
    }
    let rejected = report.job.as_ref().is_some_and(|job| job.verdict == "rejected");
    Ok(if rejected { Exit::Refused } else { Exit::Done })
}

fn report(config: &Config, policy: &Policy, case: Option<&Case>) -> Report {
    let mode = if policy.dry_run { "dry_run" } else { "enforce" };
    let in_force = InForce { file: config.policy_file.clone(), hash: policy.hash.clone(), mode };
    let mut rules: Vec<Step> = Check::ALL.iter().map(|check| step(*check, policy, case)).collect();
    rules.extend(case.and_then(Case::configured));
    let job = case.map(|case| {
        let decides = rules.iter().find(|step| step.rule.is_some());
        let verdict = match decides {
            _ if !case.is_gated() => "not_gated",
            Some(_) => "rejected",
            None if policy.dry_run => "dry_run",
            None => "allowed",
        };
        About {
            job_id: case.job_id().to_owned(),
            asks: case.asks(),
            verdict,
            rule: decides.and_then(|step| step.rule),
            decided_by: decides.map(|step| step.name),
        }
    });
    Report { policy: in_force, rules, job }
}

fn step(check: Check, policy: &Policy, case: Option<&Case>) -> Step {
    let verdict = case.and_then(|case| case.ask(check, policy));
    let (verdict, rule) = match verdict {
        None => (None, None),
        Some(Verdict::Passes) => (Some("passes"), None),
        Some(Verdict::Open) => (Some("open"), None),
        Some(Verdict::Refuses(rule)) => (Some("refuses"), Some(rule.as_str())),
    };
    Step { name: words::name(check), says: words::says(check, policy), verdict, rule }
}
