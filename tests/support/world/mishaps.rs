//! What happens to the machine: the process dies, the disk takes nothing, the machine is off or asleep.

use ephemerald::engine::{
    input::Input,
    record::Seq,
    time::{BootId, BootTime, Millis},
};

use super::{Event, World};

impl World {
    /// The process dies: what is not on disk is gone, calls that were sent go on.
    pub(crate) fn crash(&mut self) {
        self.engine = None;
        for (key, event) in std::mem::take(&mut self.events) {
            if let Event::Apply(write, _) = event {
                // Nobody awaits it any more: the next process may have read what was there before it.
                self.events.insert(key, Event::Apply(write, true));
            }
        }
        self.boots += 1;
        self.ledger_down = false;
        let last = self.durable.last().map_or(Seq(0), |e| e.seq);
        self.all.retain(|e| e.seq <= last);
        self.witness.refold(&self.durable);
    }

    /// A write of the journal fails. Of what was under way, the first `kept` batches are on the disk all
    /// the same, which nobody is told.
    pub(crate) fn ledger_fails(&mut self, kept: usize) {
        let mut batches = 0;
        for (key, event) in std::mem::take(&mut self.events) {
            match event {
                Event::Durable(_, _, entries) => {
                    batches += 1;
                    if batches <= kept {
                        self.durable.extend(entries);
                    }
                }
                event => drop(self.events.insert(key, event)),
            }
        }
        self.ledger_down = true;
        self.input(Input::LedgerDown);
    }

    /// The journal was read anew: the engine is folded from what is on the disk.
    pub(crate) fn ledger_reopens(&mut self) {
        self.ledger_down = false;
        let now = self.now;
        let reckoning = self.engine.as_ref().map(|engine| engine.reckoning(now));
        self.crash();
        self.reckoning = reckoning;
        self.start();
    }

    /// The machine is off for a while.
    pub(crate) fn reboot_after(&mut self, ms: u64) {
        self.crash();
        self.apply_events_for(ms);
        self.now.boot_id = BootId(self.boots);
        self.now.boot = BootTime(5_000);
    }

    /// The machine sleeps: nothing of ours runs, both clocks go on, and so does JumpCloud.
    pub(crate) fn suspend(&mut self, ms: u64) {
        let until = self.now.boot.0 + ms;
        for ((at, n), event) in std::mem::take(&mut self.events) {
            match event {
                Event::Apply(write, late) if at <= until => self.apply_write(at, &write, late),
                event => drop(self.events.insert((at.max(until), n), event)),
            }
        }
        self.pass(until);
        self.input(Input::Tick);
    }

    /// What was sent before goes on; what is left of it is dated on the new boot's clock.
    fn apply_events_for(&mut self, ms: u64) {
        let until = self.now.boot.0 + ms;
        for ((at, n), event) in std::mem::take(&mut self.events) {
            match event {
                Event::Apply(write, late) if at <= until => self.apply_write(at, &write, late),
                event => {
                    self.events.insert((at.saturating_sub(until) + 5_000, n), event);
                }
            }
        }
        self.elapsed += ms;
        self.now.wall = self.now.wall + Millis(ms);
    }
}
