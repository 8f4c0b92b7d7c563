//! The agent's machine in the hands of a test: its process stopped and continued, its clocks moved, it
//! booted anew; and what JumpCloud showed meanwhile, in true time.

use std::{fs, time::Duration};

use ephemerald::{
    admin::{client, view::StatusView},
    sandbox::{control_plane::RequestView, jumpcloud::Event},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    preload::Orders,
    process::{PATIENCE, World},
};

/// A world whose agent runs on a machine that can be moved.
pub(crate) struct Machine {
    pub(crate) world: World,
    pub(crate) orders: Orders,
}

impl Machine {
    /// Enrolled, started and ready.
    pub(crate) async fn ready() -> Self {
        Self::on(World::enrolled().await).await
    }

    /// As [`Machine::ready`], with an enrolled world of the test's own making.
    pub(crate) async fn on(mut world: World) -> Self {
        let orders = Orders::new(&world.files.root);
        world.agent.environment.extend(orders.environment());
        let world = world.started().await;
        Self { world, orders }
    }

    /// Around a process that was started by itself: its clocks and its disk cannot be moved.
    pub(crate) fn around(world: World) -> Self {
        let orders = Orders::new(&world.files.root);
        Self { world, orders }
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        let id = self.world.agent.running.as_ref().and_then(|child| child.id()).expect("a process runs");
        Pid::from_raw(id.try_into().unwrap()).unwrap()
    }

    /// Sends the agent's process a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until the process stands still.
    pub(crate) async fn stands_still(&self) {
        let stat = format!("/proc/{}/stat", self.pid().as_raw_nonzero());
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(&stat).unwrap().contains(") T ") {
            assert!(Instant::now() < deadline, "the process is not stopped\n{}", self.world.agent.tail());
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the process has ended by itself; its exit code.
    pub(crate) async fn ends(&mut self) -> Option<i32> {
        let mut child = self.world.agent.running.take().unwrap();
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("the agent does not stop\n{}", self.world.agent.tail()))
            .unwrap()
            .code()
    }

    /// The machine is off and on again: another boot, whose clock begins anew, and a wall clock that is
    /// `wall` milliseconds ahead of the true one.
    pub(crate) async fn reboots(&mut self, wall: i64) {
        assert!(self.world.agent.kill().await, "it ran until then");
        let id = self.world.files.root.join("boot-id");
        fs::write(&id, "11111111-2222-3333-4444-555555555555\n").unwrap();
        self.world.agent.environment.push(("EPHEMERALD_TEST_BOOT_ID".into(), id.into()));
        let up = fs::read_to_string("/proc/uptime").unwrap();
        let up: i64 = up.split('.').next().unwrap().parse().unwrap();
        self.orders.move_clocks(wall, 2_000 - up * 1000);
        self.world.agent.start();
    }

    /// What the agent says of itself.
    pub(crate) async fn status(&self) -> StatusView {
        client::status(&self.world.files.socket).await.unwrap()
    }

    /// Waits until the agent believes its clock, or does not.
    pub(crate) async fn trusts_its_clock(&self, trusted: bool) {
        let deadline = Instant::now() + PATIENCE;
        let now = || client::status(&self.world.files.socket);
        while now().await.ok().is_none_or(|status| status.clock.trusted != trusted) {
            assert!(Instant::now() < deadline, "trusted is not {trusted}\n{}", self.world.agent.tail());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// How long JumpCloud showed the account with other roles than at the start, in true milliseconds, each
    /// time; all are over.
    pub(crate) fn spans(&self, account: &str) -> Vec<i64> {
        let id = self.world.cloud.id_of(account).unwrap();
        let baseline = self.world.cloud.roles_at_start(&id).unwrap();
        let (mut spans, mut since) = (Vec::new(), None);
        for (at, roles) in self.world.cloud.roles_over_time(&id) {
            match since {
                None if roles != baseline => since = Some(at),
                Some(from) if roles == baseline => {
                    spans.push(at - from);
                    since = None;
                }
                _ => {}
            }
        }
        assert_eq!(since, None, "{account} has its access still");
        spans
    }

    /// How often JumpCloud carried out a write to the account.
    pub(crate) fn writes_to(&self, account: &str) -> usize {
        let ours = |event: &Event| matches!(event, Event::Changed(changed) if changed.email == account);
        self.world.cloud.log_since(0).iter().filter(|entry| ours(&entry.event)).count()
    }

    /// Waits for the end of the grant; it had one result, which was that it was granted.
    pub(crate) async fn ended_once(&self, request: &RequestView) -> Value {
        let ended = self.world.about(request, "grant_ended").await;
        assert_eq!(self.world.results_of(request).await, ["granted"], "one job, one result");
        ended
    }

    /// The journal fits together.
    pub(crate) async fn verifies(&self) {
        let said = self.world.agent.command(&["audit", "verify"]).await;
        assert_eq!(said.code, Some(0), "{}", said.text);
    }
}
