//! Tells the story: lines for eyes, or one JSON object a step.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::stage::Stage;
use crate::columns::{WIDTH, fold, wrapped};

/// Writes to standard output.
pub(super) struct Teller {
    json: bool,
    began: Instant,
    steps: u32,
}

impl Teller {
    pub(super) fn new(json: bool, began: Instant) -> Self {
        Self { json, began, steps: 0 }
    }

    /// A heading; not a step.
    pub(super) fn act(&self, title: &str) {
        if !self.json {
            say(&fold(&format!("\n  {title}\n")));
        }
    }

    /// Something that is being waited for; not a step.
    pub(super) fn aside(&self, text: &str) {
        if !self.json {
            say(&fold(&format!("        · {text}\n")));
        }
    }

    /// A step that was seen. `seen` says where and what.
    pub(super) fn step(&mut self, name: &str, text: &str, seen: &Value) {
        self.steps += 1;
        let at = self.began.elapsed();
        if self.json {
            let line = json!({"step": self.steps, "name": name, "ok": true, "at_ms": ms(at), "text": text, "seen": seen});
            return say(&format!("{line}\n"));
        }
        say(&format!("  {:>4.1}s ✓ {}\n", at.as_secs_f32(), below(text)));
    }

    pub(super) fn failed(&mut self, problem: &str, log: &str) {
        let at = self.began.elapsed();
        if self.json {
            let line = json!({"step": self.steps + 1, "ok": false, "at_ms": ms(at), "problem": problem});
            return say(&format!("{line}\n"));
        }
        let problem = below(problem);
        say(&format!("  {:>4.1}s ✗ {problem}\n\n  The agent's last log lines:\n{log}\n", at.as_secs_f32()));
    }

    pub(super) fn finished(&self) {
        let at = self.began.elapsed();
        if self.json {
            let line = json!({"finished": true, "ok": true, "steps": self.steps, "at_ms": ms(at)});
            return say(&format!("{line}\n"));
        }
        say(&format!(
            "\n  {} steps in {:.0} s, each seen in JumpCloud's state or at the control plane.\n",
            self.steps,
            at.as_secs_f32()
        ));
    }

    pub(super) fn what_next(&self, stage: &Stage) {
        if self.json {
            return say(&format!("{}\n", json!({"running": stage.places()})));
        }
        let exe = "ephemerald";
        let (config, data) = (stage.config.display(), stage.control_data.display());
        say(&format!(
            "\n  Everything keeps running until Ctrl-C. Try, in another terminal:\n\n\
             \x20   {exe} --config {config} status\n\
             \x20   {exe} --config {config} grants\n\
             \x20   {exe} --config {config} check\n\
             \x20   {exe} sandbox request --data-dir {data} --account help@example.com --role Manager --duration 30s\n\
             \x20   {exe} sandbox approve --data-dir {data} AR-… --by boss@example.com\n\
             \x20   {exe} sandbox requests --data-dir {data}\n\
             \x20   curl -s --cacert {ca} {url}/_sandbox/state\n\
             \x20   tail -f {log}\n\n",
            ca = stage.cloud_ca.display(),
            url = stage.cloud_url,
            log = stage.agent_log.display(),
        ));
    }
}

/// What was seen, behind its time.
fn below(text: &str) -> String {
    const LEAD: usize = 10;
    wrapped(text, WIDTH - LEAD).join(&format!("\n{:LEAD$}", ""))
}

fn ms(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

/// A reader who went away does not end the story.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
