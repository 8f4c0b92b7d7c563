//! The agent's process and the moment at which it is killed: a reader on its log pulls the trigger as
//! soon as the line is there, before anything else in this test runs; the preloaded shim kills at an exact
//! touch of the ledger's files; and what both servers see is asked for every two milliseconds.

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

use super::{
    moment::{Moment, Sort},
    watchers,
};
use crate::{
    preload::{Orders, sort},
    process::{PATIENCE, World},
};

/// Longest wait for a moment that does not come; then it is killed wherever it is.
const LIMIT: Duration = Duration::from_secs(4);

/// A running agent.
pub(crate) struct Victim {
    child: Child,
    reader: JoinHandle<u64>,
    moment: Moment,
}

impl Victim {
    /// Starts it; it is killed at `moment`.
    pub(crate) fn start(world: &World, orders: &Arc<Orders>, moment: Moment) -> Self {
        let files = &world.files;
        match moment {
            Moment::Opening(at) => {
                orders.strike(at, sort::READ | sort::WRITE | sort::SYNC, Signal::KILL, false)
            }
            _ => orders.calm(),
        }
        let log = OpenOptions::new().create(true).append(true).open(&files.log).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ephemerald"))
            .arg("--config")
            .arg(&files.config)
            .arg("run")
            .envs(orders.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let trigger =
            Trigger { pid: Pid::from_child(&child), moment: Mutex::new(moment), orders: Arc::clone(orders) };
        let reader = thread::spawn(move || read(out, log, &trigger));
        Self { child, reader, moment }
    }

    /// Waits until the trigger was pulled; kills it anyway when its moment does not come. The number of
    /// the last record that it logged.
    pub(crate) async fn dies(mut self, world: &World) -> u64 {
        let limit = if let Moment::After(wait) = self.moment { wait } else { LIMIT };
        let deadline = tokio::time::Instant::now() + limit;
        let mut watcher = watchers::of(self.moment, world).await;
        while self.alive() && tokio::time::Instant::now() < deadline {
            if let Some(watcher) = &mut watcher
                && watcher.has_come(world).await
            {
                break;
            }
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

struct Trigger {
    pid: Pid,
    moment: Mutex<Moment>,
    orders: Arc<Orders>,
}

impl Trigger {
    /// Looks at one record that was logged.
    fn logged(&self, line: &Value) {
        let mut moment = self.moment.lock().unwrap();
        match *moment {
            Moment::Write(sort, wait) if sort_of(line) == Some(sort) => self.pull(wait),
            Moment::Record(kind, wait) if line["kind"] == kind => self.pull(wait),
            Moment::Commit(kind, at) if line["kind"] == kind => {
                self.orders.strike(at, sort::WRITE | sort::SYNC, Signal::KILL, false);
                *moment = Moment::Struck;
            }
            _ => {}
        }
    }

    /// The wait is part of the moment that was drawn, and nothing is waited for: it says how far behind the line the
    /// kill falls.
    fn pull(&self, wait: Duration) {
        thread::sleep(wait);
        let _ = kill_process(self.pid, Signal::KILL);
    }
}

/// Copies the log and pulls the trigger.
fn read(out: ChildStdout, mut log: File, trigger: &Trigger) -> u64 {
    let mut last = 0;
    for line in BufReader::new(out).lines() {
        let Ok(line) = line else { break };
        let parsed: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(seq) = parsed["seq"].as_u64().filter(|_| parsed["kind"].is_string()) {
            last = last.max(seq);
            trigger.logged(&parsed);
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
