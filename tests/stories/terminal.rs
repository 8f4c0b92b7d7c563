//! What an operator sees at a terminal of 80 columns and 24 lines.

use std::{
    fs::{self, File},
    io::Read as _,
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::process::{PATIENCE, World, asking::Ask};

/// Begins each drawing of the screen.
const REDRAW: &str = "\u{1b}[H\u{1b}[J";

/// A command at a pseudo-terminal.
pub(crate) struct Seen {
    child: tokio::process::Child,
    /// Everything that was written to it.
    screen: Arc<Mutex<String>>,
    eye: thread::JoinHandle<()>,
}

impl Seen {
    /// Both outputs of the command go there.
    pub(crate) fn by(mut command: tokio::process::Command) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        tcsetwinsize(&controller, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let device = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        command.kill_on_drop(true).stdin(Stdio::null());
        let child = command.stderr(device.try_clone().unwrap()).stdout(device).spawn().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut eye, shown) = (File::from(controller), Arc::clone(&screen));
        let eye = thread::spawn(move || {
            let (mut bytes, mut all) = ([0; 4096], Vec::new());
            while let Ok(n @ 1..) = eye.read(&mut bytes) {
                all.extend_from_slice(&bytes[..n]);
                *shown.lock().unwrap() = String::from_utf8_lossy(&all).into_owned();
            }
        });
        Self { child, screen, eye }
    }

    pub(crate) fn so_far(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    async fn killed(mut self) {
        self.child.kill().await.unwrap();
    }

    /// The exit code, and all that was written.
    pub(crate) async fn whole(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().await.unwrap().code();
        // With the last process that has the terminal its reader ends.
        tokio::task::spawn_blocking(|| self.eye.join().unwrap()).await.unwrap();
        let screen = self.screen.lock().unwrap().clone();
        (code, screen)
    }
}

fn at_a_terminal(world: &World, args: &[&str]) -> Seen {
    let mut command = world.agent.program();
    command.args(args);
    Seen::by(command)
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what} was not seen");
}

#[tokio::test]
async fn a_watch_counts_down_on_one_screen_and_a_revocation_shows_its_progress() {
    let world = World::ready().await;
    let request = world.approved(Ask::role("dmitri@example.com", "Manager", 300)).await;
    world.about(&request, "granted").await;

    let watch = at_a_terminal(&world, &["grants", "watch"]);
    let frames = || -> Vec<String> {
        let text = watch.so_far().replace('\r', "");
        text.split(REDRAW).skip(1).map(str::to_owned).collect()
    };
    let lefts = || {
        let frames = frames();
        let rows = frames.iter().filter_map(|f| f.lines().find(|row| row.contains("dmitri@example.com")));
        let lefts = rows.filter_map(|row| row.rsplit("active").next()).map(|left| left.trim().to_owned());
        let mut lefts: Vec<String> = lefts.collect();
        lefts.dedup();
        lefts
    };
    until("a countdown", || lefts().len() >= 3).await;
    assert!(lefts().iter().all(|left| left.starts_with("4m ")), "{:?}", lefts());

    let (code, told) = at_a_terminal(&world, &["revoke", "--all"]).whole().await;
    assert!(code == Some(0) && told.contains("1 grant is gone"), "{told:?}");
    assert!(told.contains("0 of 1 proven gone"), "{told:?}");
    until("the grant's end", || frames().last().is_some_and(|frame| frame.contains("0 live"))).await;
    for frame in frames() {
        assert!(frame.lines().count() <= 24, "{frame}");
        assert!(frame.lines().all(|line| line.chars().count() <= 80), "{frame}");
    }
}

#[tokio::test]
async fn an_error_fits_the_terminal_and_is_one_line_for_another_program() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("ephemerald.toml");
    fs::write(&config, format!("[agent]\nstate_dir = {:?}\n", dir.path().join("state"))).unwrap();
    let command = || {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_ephemerald"));
        command.env_clear().arg("--config").arg(&config).args(["audit", "verify"]);
        command
    };
    let (code, screen) = Seen::by(command()).whole().await;
    assert_eq!(code, Some(3), "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");

    let output = command().output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.lines().count() == 1 && said.chars().count() > 80, "{said}");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&screen), words(&said), "nothing is lost");
}

#[tokio::test]
async fn the_log_has_colours_at_a_terminal_alone_and_not_where_nobody_wants_them() {
    let world = World::enrolled().await;
    let run = |no_color: Option<&str>| {
        let mut command = world.agent.program();
        command.args(["run", "--log-format", "human"]).env_remove("NO_COLOR");
        command.envs(no_color.map(|value| ("NO_COLOR", value)));
        command
    };
    for (no_color, coloured) in [(None, true), (Some(""), true), (Some("1"), false), (Some("0"), false)] {
        let daemon = Seen::by(run(no_color));
        until("the daemon", || daemon.so_far().contains("policy: in force")).await;
        let screen = daemon.so_far();
        assert_eq!(screen.contains("\u{1b}[32mINFO"), coloured, "{no_color:?}: {screen:?}");
        assert_eq!(screen.contains('\u{1b}'), coloured, "{no_color:?}: {screen:?}");
        daemon.killed().await;
    }
    let file = world.files.root.join("plain.log");
    let _daemon = run(None).stdout(File::create(&file).unwrap()).spawn().unwrap();
    let log = || fs::read_to_string(&file).unwrap();
    until("the daemon", || log().contains("policy: in force")).await;
    assert!(log().contains(" INFO ") && !log().contains('\u{1b}'), "{:?}", log());
}
