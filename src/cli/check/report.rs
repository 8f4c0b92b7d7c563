//! The steps of a check and their verdicts.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::Exit;

/// All steps, in order.
#[derive(Debug, Default)]
pub(super) struct Report {
    steps: Vec<Step>,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
struct Step {
    part: String,
    step: &'static str,
    #[serde(flatten)]
    verdict: Verdict,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    status: Status,
    found: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    advice: String,
    #[serde(skip)]
    exit: Exit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Warn,
    Fail,
}

impl Verdict {
    pub(super) fn ok(found: impl Into<String>) -> Self {
        Self { status: Status::Ok, found: found.into(), advice: String::new(), exit: Exit::Done }
    }

    /// The agent works, and somebody should know.
    pub(super) fn warn(found: impl Into<String>, advice: &str) -> Self {
        Self { status: Status::Warn, found: found.into(), advice: advice.to_owned(), exit: Exit::Done }
    }

    pub(super) fn fail(exit: Exit, found: impl Into<String>, advice: &str) -> Self {
        Self { status: Status::Fail, found: found.into(), advice: advice.to_owned(), exit }
    }

    /// A failure that a change of files mends.
    pub(super) fn config(found: impl Into<String>, advice: &str) -> Self {
        Self::fail(Exit::Config, found, advice)
    }
}

/// The steps of one part of the whole.
pub(super) struct Part<'a> {
    steps: &'a mut Vec<Step>,
    name: String,
}

impl Part<'_> {
    pub(super) fn step(&mut self, step: &'static str, verdict: Verdict) {
        self.steps.push(Step { part: self.name.clone(), step, verdict });
    }
}

impl Report {
    pub(super) fn part(&mut self, name: &str) -> Part<'_> {
        Part { steps: &mut self.steps, name: name.to_owned() }
    }

    /// What to exit with: that of the failure that is the most for a person to mend.
    pub(super) fn exit(&self) -> Exit {
        let found = |exit: &Exit| self.steps.iter().any(|step| step.verdict.exit == *exit);
        let order = [Exit::Verification, Exit::Config, Exit::Refused, Exit::Transient, Exit::Failed];
        order.into_iter().find(found).unwrap_or(Exit::Done)
    }

    pub(super) fn json(&self) -> Value {
        json!({"ok": self.exit() == Exit::Done, "exit_code": self.exit() as u8, "steps": self.steps})
    }

    /// A heading a part, a line a step, and below it what to do.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        let mut part = "";
        for Step { part: own, step, verdict } in &self.steps {
            if own != part {
                let _ = writeln!(text, "{}{own}", if part.is_empty() { "" } else { "\n" });
                part = own;
            }
            let mark = match verdict.status {
                Status::Ok => "ok",
                Status::Warn => "WARN",
                Status::Fail => "FAIL",
            };
            let _ = writeln!(text, "  {mark:<4}  {step:<16} {}", clean(&verdict.found));
            if !verdict.advice.is_empty() {
                let _ = writeln!(text, "{:25}-> {}", "", verdict.advice);
            }
        }
        let count = |status| self.steps.iter().filter(|step| step.verdict.status == status).count();
        let (failed, warned) = (count(Status::Fail), count(Status::Warn));
        let _ = writeln!(text, "\n{} steps, {warned} warnings, {failed} failures", self.steps.len());
        text
    }
}

/// Names that others chose must not move the cursor; the lines of our own errors stay lines.
fn clean(text: &str) -> String {
    let lines = text.trim_end().lines();
    let lines = lines.map(|line| line.chars().map(|c| if c.is_control() { '?' } else { c }).collect());
    lines.collect::<Vec<String>>().join("\n                         ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_that_a_person_must_mend_decides_the_exit_code() {
        let mut report = Report::default();
        assert_eq!(report.exit(), Exit::Done);
        report.part("a").step("x", Verdict::warn("odd", "look"));
        assert_eq!(report.exit(), Exit::Done);
        report.part("a").step("y", Verdict::fail(Exit::Transient, "down", "wait"));
        assert_eq!(report.exit(), Exit::Transient);
        report.part("b").step("z", Verdict::config("bad key", "mend it"));
        assert_eq!(report.exit(), Exit::Config);
        assert_eq!(report.json()["exit_code"], 3);
        assert_eq!(report.json()["steps"][2]["status"], "fail");
    }

    #[test]
    fn advice_stands_below_its_step_and_control_characters_do_nothing() {
        let mut report = Report::default();
        report.part("integration main").step("key", Verdict::config("a\u{1b}[2Jb", "chmod 600"));
        let text = report.render();
        assert!(text.contains("FAIL  key              a?[2Jb\n"), "{text}");
        assert!(text.contains("-> chmod 600\n"), "{text}");
    }
}
