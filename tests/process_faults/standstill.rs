//! The loop that ends grants stands still while its process lives, and what may stand still without it: the
//! disk, the log, the service manager.
//!
//! What is shown by silence ("the watchdog is not fed") is counted against what goes on meanwhile: first it is
//! seen how long it takes the loop to feed several times; then, with the loop alone held, that time passes again
//! and is filled with signals, each of which another thread of the process is seen to take. A loop that fed from
//! anywhere but its own thread would be heard.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{net::UnixStream, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use ephemerald::sandbox::control_plane::RequestView;
use rustix::process::Signal;
use tokio::{
    net::UnixDatagram,
    time::{Instant, sleep, timeout},
};

use crate::{
    machine::Machine,
    process::{PATIENCE, World, asking::Ask},
};

const WHO: &str = "amara@example.com";
const FED: &str = "WATCHDOG=1";

#[tokio::test]
async fn a_loop_that_hangs_in_a_living_process_feeds_no_watchdog_and_the_next_process_ends_what_came_due() {
    let Some((mut machine, manager, request, hold)) = hung_over_an_end().await else { return };

    // What the service manager does then: an abort, and the same program again.
    machine.signal(Signal::ABORT);
    hold.let_go_of_the_dead(machine.pid().as_raw_nonzero().get()).await;
    let mut child = machine.world.agent.running.take().unwrap();
    let ended = timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.signal(), Some(Signal::ABORT.as_raw()), "{ended:?}");
    machine.world.sees(WHO, Some("Help Desk")).await;
    machine.world.agent.start();

    manager.hears("READY=1").await;
    machine.world.sees(WHO, Some("Read Only")).await;
    let end = machine.ended_once(&request).await;
    assert_eq!((&end["reason"], &end["evidence"]["woken_by"]), (&"expired".into(), &"start".into()));
    manager.hears(FED).await;
    machine.world.about(&request, "grant_settled").await;
    assert_eq!(machine.writes_to(WHO), 2, "given once, taken once");
}

#[tokio::test]
async fn a_loop_that_goes_on_after_it_hung_ends_what_came_due_at_once_and_feeds_again() {
    let Some((machine, manager, request, hold)) = hung_over_an_end().await else { return };

    drop(hold);

    machine.world.sees(WHO, Some("Read Only")).await;
    assert_eq!(machine.ended_once(&request).await["reason"], "expired");
    manager.hears(FED).await;
    machine.world.about(&request, "grant_settled").await;
    assert_eq!(machine.writes_to(WHO), 2, "given once, taken once");
}

/// A restart would not mend the disk, and this process still ends grants: so it is not for the watchdog.
#[tokio::test]
async fn a_disk_sync_that_hangs_delays_no_ending_and_the_loop_feeds_on() {
    let (machine, manager) = watched().await;
    let request = machine.world.approved(Ask::role(WHO, "Help Desk", 4)).await;
    machine.world.about(&request, "granted").await;
    machine.orders.hang_syncs(true);

    machine.world.sees(WHO, Some("Read Only")).await;
    let deadline = Instant::now() + PATIENCE;
    while !machine.orders.hung() {
        assert!(Instant::now() < deadline, "the ending is written down some time");
        sleep(Duration::from_millis(5)).await;
    }
    manager.so_far().await;
    for _ in 0..4 {
        manager.hears(FED).await;
    }
    assert!(machine.status().await.ledger.ok, "nothing has failed so far");

    machine.orders.hang_syncs(false);
    assert_eq!(machine.ended_once(&request).await["reason"], "expired");
    machine.world.about(&request, "grant_settled").await;
    assert_eq!(machine.writes_to(WHO), 2, "given once, taken once");
}

#[tokio::test]
async fn a_service_manager_that_does_not_listen_delays_no_ending_and_hears_what_it_must_once_it_does() {
    let mut world = World::enrolled().await;
    let manager = Manager::of(&mut world, "1");
    manager.fill();
    // Not by waiting for it to be ready: that is what is asked about.
    let machine = Machine::on(world).await;
    let request = machine.world.approved(Ask::role(WHO, "Help Desk", 3)).await;
    machine.world.about(&request, "granted").await;
    machine.world.sees(WHO, Some("Read Only")).await;
    assert_eq!(machine.ended_once(&request).await["reason"], "expired");

    manager.hears("READY=1").await;
    manager.hears(FED).await;
}

/// As a container's engine that is stuck, or a journal that is.
#[tokio::test]
async fn a_log_that_nobody_reads_delays_no_ending_and_says_later_that_lines_were_lost() {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    writer.set_nonblocking(false).unwrap();
    let mut world = World::enrolled().await;
    world.agent.start_into(writer.into());
    world.agent.ready().await;
    let machine = Machine::around(world);
    let request = machine.world.approved(Ask::role(WHO, "Help Desk", 3)).await;
    machine.world.about(&request, "granted").await;
    machine.world.sees(WHO, Some("Read Only")).await;
    assert_eq!(machine.ended_once(&request).await["reason"], "expired");

    let told = tokio::task::spawn_blocking(move || {
        reader.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
        lines.find(|line| !line.is_empty()).unwrap()
    });
    let told: serde_json::Value = serde_json::from_str(&told.await.unwrap()).unwrap();
    assert!(told["lines"].as_u64().unwrap() > 10, "{told}");
}

/// A grant that is over, its access still there, in a process whose loop alone is held; `None`: not here.
async fn hung_over_an_end() -> Option<(Machine, Manager, RequestView, Hold)> {
    let (machine, manager) = watched().await;
    let holder = Hold::program(&machine.world.files.root);
    manager.so_far().await;
    let begun = Instant::now();
    for _ in 0..4 {
        manager.hears(FED).await;
    }
    let four_times = begun.elapsed();
    let request = machine.world.approved(Ask::role(WHO, "Help Desk", 8)).await;
    let granted = machine.world.about(&request, "granted").await;
    let end: jiff::Timestamp = granted["ends_at"].as_str().unwrap().parse().unwrap();

    // One thread runs everything but the disk: the first one.
    let hold = Hold::on(&holder, machine.pid().as_raw_nonzero().get())?;
    manager.so_far().await;
    let (begun, mut taken) = (Instant::now(), 0);
    while taken < 8 || begun.elapsed() < four_times || jiff::Timestamp::now() < end + Duration::from_secs(1) {
        others_take_a_signal(&machine).await;
        taken += 1;
    }
    let heard = manager.so_far().await;
    assert!(heard.is_empty(), "the loop is held and somebody speaks for it: {heard:?}");
    machine.world.sees(WHO, Some("Help Desk")).await;
    Some((machine, manager, request, hold))
}

/// The process lives: one of its threads takes a signal, which a stopped process would leave pending.
async fn others_take_a_signal(machine: &Machine) {
    let pid = machine.pid().as_raw_nonzero().get();
    machine.signal(Signal::HUP);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap();
        if u64::from_str_radix(pending.trim(), 16).unwrap() == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "no thread of the process takes a signal: {status}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// A running agent, and the service manager that watches it.
async fn watched() -> (Machine, Manager) {
    let mut world = World::enrolled().await;
    let manager = Manager::of(&mut world, "1");
    let machine = Machine::on(world).await;
    manager.hears("READY=1").await;
    (machine, manager)
}

/// The service manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    /// Watches what will be started, which has this many seconds for each turn.
    fn of(world: &mut World, seconds: &str) -> Self {
        let path = world.files.root.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        world.agent.environment.push(("NOTIFY_SOCKET".into(), path.clone().into()));
        world.agent.environment.push(("WATCHDOG_USEC".into(), format!("{seconds}000000").into()));
        Self { socket, path }
    }

    async fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, self.socket.recv(&mut buffer)).await;
        let length = read.expect("the agent says nothing to its service manager").unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Waits for these words.
    async fn hears(&self, words: &str) {
        while !self.next().await.contains(words) {}
    }

    /// What was said until now and not heard yet: all that comes before a word of our own.
    async fn so_far(&self) -> Vec<String> {
        let ours = UnixDatagram::unbound().unwrap();
        let read = async {
            let mut all = Vec::new();
            loop {
                match self.next().await {
                    word if word == "our own" => return all,
                    word => all.push(word),
                }
            }
        };
        let (sent, all) = tokio::join!(ours.send_to(b"our own", &self.path), read);
        sent.unwrap();
        all
    }

    /// Leaves no room for a word.
    fn fill(&self) {
        let other = std::os::unix::net::UnixDatagram::unbound().unwrap();
        other.set_nonblocking(true).unwrap();
        while other.send_to(b"somebody else's", &self.path).is_ok() {}
    }
}

/// One thread that is held (`hold.c`); dropped: it goes on.
struct Hold(Child);

impl Hold {
    fn program(dir: &Path) -> PathBuf {
        let (source, program) = (dir.join("hold.c"), dir.join("hold"));
        fs::write(&source, include_str!("hold.c")).unwrap();
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        assert!(Command::new(compiler).arg("-o").args([&program, &source]).status().unwrap().success());
        program
    }

    /// `None`, said aloud, where no process may hold another.
    fn on(program: &Path, thread: i32) -> Option<Self> {
        let mut command = Command::new(program);
        command.arg(thread.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        if said != "held\n" {
            assert_eq!(child.wait().unwrap().code(), Some(77), "{said}");
            eprintln!(
                "SKIPPED: no process may hold another here (not root?); nothing about a hung loop was shown"
            );
            return None;
        }
        Some(Self(child))
    }

    /// Waits until the thread is dead, and lets go only then.
    async fn let_go_of_the_dead(self, thread: i32) {
        let stat = format!("/proc/{thread}/stat");
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            assert!(Instant::now() < deadline, "an abort does not end it");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
