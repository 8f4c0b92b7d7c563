//! Debian's tinyproxy: a proxy that somebody else wrote, with a log of its own.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};

pub(crate) struct Tiny {
    pub(crate) addr: SocketAddr,
    log: PathBuf,
    process: Child,
    _dir: tempfile::TempDir,
}

impl Tiny {
    /// `None`, said aloud, where it is not installed. With a user name and password, or open to all.
    pub(crate) async fn start(auth: Option<(&str, &str)>) -> Option<Self> {
        let found = Command::new("tinyproxy").arg("-v").stdout(Stdio::null()).status();
        if let Err(error) = found {
            crate::skipped("tinyproxy", &format!("{error}; install the package tinyproxy-bin"));
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let (log, config) = (dir.path().join("log"), dir.path().join("tinyproxy.conf"));
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut text = format!(
            "Listen 127.0.0.1\nPort {}\nTimeout 600\nLogFile {log:?}\nLogLevel Info\nMaxClients 50\n",
            addr.port()
        );
        if let Some((user, password)) = auth {
            text += &format!("BasicAuth {user} {password}\n");
        }
        fs::write(&config, text).unwrap();
        let mut command = Command::new("tinyproxy");
        command.arg("-d").arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let tiny = Self { addr, log, process: command.spawn().unwrap(), _dir: dir };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(addr).is_err() {
            assert!(Instant::now() < deadline, "tinyproxy does not listen: {}", tiny.log());
            sleep(Duration::from_millis(20)).await;
        }
        Some(tiny)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whom it was asked to dial, each once.
    pub(crate) fn dialled(&self) -> Vec<String> {
        let log = self.log();
        let targets = log.lines().filter_map(|line| line.split_once(": CONNECT ")?.1.split(' ').next());
        let mut targets: Vec<String> = targets.map(str::to_owned).collect();
        targets.sort();
        targets.dedup();
        targets
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
