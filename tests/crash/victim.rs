//! The agent's process and the moment at which it is killed: a reader on its log pulls the trigger as
//! soon as the line is there, before anything else in this test runs.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process::{Files, PATIENCE};

/// When to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// This long after the start.
    After(Duration),
    /// This long after the next write of this sort was handed out.
    Write(Sort, Duration),
}

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Raise,
    Lower,
    Create,
    Delete,
}

/// A running agent.
pub(crate) struct Victim {
    child: Child,
    reader: JoinHandle<u64>,
    trigger: Arc<Mutex<Option<Moment>>>,
}

impl Victim {
    /// Starts it; it is killed at `moment`.
    pub(crate) fn start(files: &Files, moment: Option<Moment>) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(&files.log).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ephemerald"))
            .arg("--config")
            .arg(&files.config)
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let pid = Pid::from_child(&child);
        let trigger = Arc::new(Mutex::new(moment));
        let seen = Arc::clone(&trigger);
        let reader = thread::spawn(move || read(out, log, pid, &seen));
        Self { child, reader, trigger }
    }

    /// Waits until the trigger was pulled; kills it anyway when its moment does not come. The number of
    /// the last record that it logged.
    pub(crate) async fn dies(mut self) -> u64 {
        let moment = *self.trigger.lock().unwrap();
        let limit = match moment {
            Some(Moment::After(wait)) => wait,
            Some(Moment::Write(..)) | None => Duration::from_secs(6),
        };
        let deadline = tokio::time::Instant::now() + limit;
        while self.alive() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let _ = self.child.kill();
        self.child.wait().unwrap();
        self.reader.join().unwrap()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stops(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.alive() {
            assert!(tokio::time::Instant::now() < deadline, "the agent does not stop");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.reader.join().unwrap();
    }

    /// Whether it still runs.
    pub(crate) fn alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

/// Copies the log and pulls the trigger.
fn read(out: ChildStdout, mut log: File, pid: Pid, trigger: &Mutex<Option<Moment>>) -> u64 {
    let mut last = 0;
    for line in BufReader::new(out).lines() {
        let Ok(line) = line else { break };
        let parsed: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(seq) = parsed["seq"].as_u64().filter(|_| parsed["kind"].is_string()) {
            last = last.max(seq);
            let armed = *trigger.lock().unwrap();
            if let Some(Moment::Write(sort, wait)) = armed
                && sort_of(&parsed) == Some(sort)
            {
                thread::sleep(wait);
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        writeln!(log, "{line}").unwrap();
    }
    last
}

fn sort_of(line: &Value) -> Option<Sort> {
    if line["kind"] != "attempt_started" {
        return None;
    }
    let ours = line["account"].as_str()?.contains('@');
    Some(match (line["raise"].as_bool()?, ours) {
        (true, true) => Sort::Create,
        (true, false) => Sort::Raise,
        (false, true) => Sort::Delete,
        (false, false) => Sort::Lower,
    })
}
