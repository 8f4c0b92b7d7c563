//! What an operator sees at a terminal of 80 columns and 24 lines.

use std::{
    fs::File,
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

/// A command at a pseudo-terminal, and everything that was written to it.
fn at_a_terminal(world: &World, args: &[&str]) -> (tokio::process::Child, Arc<Mutex<String>>) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    tcsetwinsize(&controller, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let device = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_ephemerald"));
    command.arg("--config").arg(&world.files.config).args(args).kill_on_drop(true);
    command.stdin(Stdio::null()).stderr(Stdio::from(device.try_clone().unwrap())).stdout(Stdio::from(device));
    let child = command.spawn().unwrap();
    let screen = Arc::new(Mutex::new(String::new()));
    let (mut eye, shown) = (File::from(controller), Arc::clone(&screen));
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = eye.read(&mut bytes) {
            shown.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    });
    (child, screen)
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

    let (_watch, screen) = at_a_terminal(&world, &["grants", "watch"]);
    let frames = || -> Vec<String> {
        let text = screen.lock().unwrap().replace('\r', "");
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

    let (mut revoke, told) = at_a_terminal(&world, &["revoke", "--all"]);
    assert_eq!(revoke.wait().await.unwrap().code(), Some(0));
    until("the end", || told.lock().unwrap().contains("1 grant is gone")).await;
    assert!(told.lock().unwrap().contains("0 of 1 proven gone"), "{:?}", told.lock().unwrap());
    until("the grant's end", || frames().last().is_some_and(|frame| frame.contains("0 live"))).await;
    for frame in frames() {
        assert!(frame.lines().count() <= 24, "{frame}");
        assert!(frame.lines().all(|line| line.chars().count() <= 80), "{frame}");
    }
}
