//! A disk that fills up, or turns read-only, while grants are live. Needs root and `mount`; says so aloud
//! where it has neither, and shows nothing then.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::{
    machine::Machine,
    process::{PATIENCE, World, asking::Ask},
};

const WHO: &str = "amara@example.com";
const OTHER: &str = "bruno@example.com";

#[tokio::test]
async fn a_disk_that_fills_up_delays_no_ending_and_loses_no_result() {
    let Some((mut machine, disk)) = on_a_disk(Disk::memory).await else { return };
    let request = machine.world.approved(Ask::role(WHO, "Help Desk", 8)).await;
    machine.world.about(&request, "granted").await;
    let mut fillers = vec![disk.fill("filler")];
    // The log before the main file has room left in its pages: what is written until the disk says no.
    let waiting = machine.world.approved(Ask::role(OTHER, "Help Desk", 300)).await;
    machine.world.logs("journal: a write failed").await;
    // The ballast made room and the journal goes on; that room goes as well, before the end of the grant.
    machine.world.logs("journal: reopened and verified").await;
    fillers.push(disk.fill("another"));

    machine.world.sees(WHO, Some("Read Only")).await;
    machine.world.sees(OTHER, Some("Read Only")).await;

    for filler in fillers {
        fs::remove_file(filler).unwrap();
    }
    told_and_whole(&machine, &request).await;
    let job = waiting.job_id.clone().unwrap().to_string();
    machine.world.result(&job).await;
    machine.world.operator.revoke(&waiting.number, None).await.unwrap();
    machine.world.sees(OTHER, Some("Read Only")).await;
    assert_eq!(machine.world.results_of(&waiting).await.len(), 1, "one job, one result");
    rests(&mut machine).await;
}

#[tokio::test]
async fn a_disk_that_turns_read_only_delays_no_ending_and_after_its_repair_nothing_is_lost() {
    let Some((mut machine, disk)) = on_a_disk(Disk::file).await else { return };
    let request = machine.world.approved(Ask::role(WHO, "Help Desk", 5)).await;
    machine.world.about(&request, "granted").await;
    disk.turn_read_only();

    machine.world.sees(WHO, Some("Read Only")).await;
    machine.world.logs("journal: a write failed").await;
    let status = machine.status().await;
    assert!(!status.ledger.ok, "the status says that the journal takes nothing");
    assert!(!status.raises_paused.is_empty(), "and that nothing is raised: {status:?}");
    let waiting = machine.world.approved(Ask::role(OTHER, "Help Desk", 300)).await;
    // It may be asked for it or not, depending on whether a poll was under way when the disk failed.
    assert_eq!(machine.writes_to(OTHER), 0, "nothing is raised that cannot be written down");

    // An operator repairs it: the filesystem cannot be used until it is mounted anew.
    assert!(machine.world.agent.kill().await, "it ran until then");
    disk.repair();
    machine.world.agent.start();
    machine.world.agent.ready().await;
    told_and_whole(&machine, &request).await;
    // What the lost records told is found out anew; taking away twice is no harm, giving twice would be.
    assert_eq!(machine.spans(WHO).len(), 1, "given once");
    machine.world.about(&waiting, "granted").await;
    machine.world.operator.revoke(&waiting.number, None).await.unwrap();
    machine.ended_once(&waiting).await;
    machine.world.sees(OTHER, Some("Read Only")).await;
    rests(&mut machine).await;
}

/// The control plane hears of the end, and of nothing twice.
async fn told_and_whole(machine: &Machine, request: &ephemerald::sandbox::control_plane::RequestView) {
    let ended = machine.ended_once(request).await;
    assert_eq!(ended["reason"], "expired");
    let deadline = Instant::now() + PATIENCE;
    while !machine.status().await.ledger.ok {
        assert!(Instant::now() < deadline, "the journal is not taken up again");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Stops it; the journal fits together.
async fn rests(machine: &mut Machine) {
    assert!(machine.world.agent.kill().await);
    machine.verifies().await;
}

/// An agent whose state lies on a disk of its own.
async fn on_a_disk(mount: fn(&Path) -> Option<Disk>) -> Option<(Machine, Disk)> {
    let world = World::enrolled().await;
    // A job that the ledger forgot comes again with the poll after its lease: not in a minute.
    world.rewrite_config(|text| text.replace("[control_plane]", "[control_plane]\npoll_max = \"5s\""));
    let disk = mount(&world.files.state)?;
    Some((Machine::on(world).await, disk))
}

/// A small disk over the state directory, gone with the test.
struct Disk {
    dir: PathBuf,
    image: Option<PathBuf>,
}

impl Disk {
    /// In memory, of a few MiB.
    fn memory(dir: &Path) -> Option<Self> {
        Self::over(dir, None, |dir| mount(&["-t", "tmpfs", "-o", "size=5m,mode=0700", "tmpfs"], dir))
    }

    /// An ext4 in a file.
    fn file(dir: &Path) -> Option<Self> {
        let image = dir.with_extension("img");
        File::create(&image).unwrap().set_len(24 << 20).unwrap();
        let made = run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        let from = image.clone();
        Self::over(dir, Some(image), move |dir| made && mount(&["-o", "loop", text(&from)], dir))
    }

    /// Puts what is in `dir` onto the disk that `mount` puts over it.
    fn over(dir: &Path, image: Option<PathBuf>, mount: impl FnOnce(&Path) -> bool) -> Option<Self> {
        let before = dir.with_extension("before");
        assert!(run(Command::new("cp").arg("-a").arg(dir).arg(&before)));
        if !mount(dir) {
            eprintln!("SKIPPED: cannot mount here (not root?); nothing about this disk was shown");
            return None;
        }
        assert!(run(Command::new("cp").arg("-a").arg(before.join(".")).arg(dir)));
        assert!(run(Command::new("sync").arg("-f").arg(dir)));
        Some(Self { dir: dir.to_owned(), image })
    }

    /// Takes all the space that is left.
    fn fill(&self, name: &str) -> PathBuf {
        let path = self.dir.join(name);
        let mut file = File::create(&path).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        path
    }

    /// As after an error of the disk below: everything can be read, nothing written.
    fn turn_read_only(&self) {
        assert!(run(Command::new("mount").args(["-o", "remount,abort"]).arg(&self.dir)));
        assert!(File::create(self.dir.join("probe")).is_err(), "it is read-only");
    }

    /// Checked and mounted anew.
    fn repair(&self) {
        let image = self.image.as_ref().unwrap();
        assert!(run(Command::new("umount").arg(&self.dir)));
        // It exits with 1 when it mended something.
        run(Command::new("fsck.ext4").args(["-p"]).arg(image));
        assert!(mount(&["-o", "loop", text(image)], &self.dir));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the agent may be closing its files still.
        run(Command::new("umount").arg("--lazy").arg(&self.dir));
    }
}

fn mount(how: &[&str], dir: &Path) -> bool {
    run(Command::new("mount").args(how).arg(dir))
}

fn run(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
