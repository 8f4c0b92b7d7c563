//! The disk between a process and libc (`shim.c`): compiled here, preloaded into a process that runs one
//! of the ignored tests of this file, and given orders from inside of it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::compile::compiled;

const CONTROL: &str = "EPHEMERALD_TEST_SHIM";
const SOURCE: &str = include_str!("shim.c");

/// Runs an ignored test of this file on the disk that can fail. What it prints is printed.
pub(crate) fn play(test: &str, extended: bool) {
    // In memory where possible: syncs are counted and written down, not waited for.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let root = dir.path().canonicalize().unwrap();
    let library = compiled(SOURCE, &root);
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", test, "--ignored", "--nocapture"]).env(CONTROL, &root).env("LD_PRELOAD", &library);
    if extended {
        child.env("EPHEMERALD_DISK_EXTENDED", "1");
    }
    let output = child.output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    assert!(output.status.success() && text.contains("1 passed"), "{test}: {text}");
}

/// The shim's ear, inside of the process.
pub(crate) struct Shim {
    root: PathBuf,
}

/// How the disk fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failing {
    /// The change and all later ones, with EIO.
    Dying,
    /// The same with ENOSPC, after one half of the first if it is a write.
    Filling,
    /// That one change only, with EIO.
    Once,
    /// That one sync only, with EIO; other changes are not counted.
    Sync,
}

impl Shim {
    /// Inside of the process that [`play`] started; none when somebody else runs ignored tests.
    pub(crate) fn here() -> Option<Self> {
        let shim = Self { root: env::var_os(CONTROL)?.into() };
        fs::create_dir_all(shim.root.join("under-test")).unwrap();
        Some(shim)
    }

    /// A directory on the disk that can fail.
    pub(crate) fn place(&self, name: &str) -> PathBuf {
        self.root.join("under-test").join(name)
    }

    /// A path on a disk that never fails.
    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The `at`-th change from now on fails.
    pub(crate) fn arm(&self, at: usize, failing: Failing) {
        // EIO and ENOSPC as Linux numbers them everywhere.
        let (error, how) = match failing {
            Failing::Dying => (5, "for-ever"),
            Failing::Filling => (28, "short"),
            Failing::Once => (5, "once"),
            Failing::Sync => (5, "sync"),
        };
        self.order(&format!("arm {at} {error} {how}"));
    }

    /// Nothing fails any more. Changes seen since it was armed, and failures made.
    pub(crate) fn disarm(&self) -> (usize, usize) {
        let answer = self.order("off");
        let (seen, fired) = answer.split_once(' ').unwrap();
        (seen.parse().unwrap(), fired.parse().unwrap())
    }

    /// Every change is written down into this file until [`Self::stop`].
    pub(crate) fn record(&self, file: &Path) {
        self.order(&format!("record {}", file.display()));
    }

    /// Nothing is written down any more.
    pub(crate) fn stop(&self) {
        self.order("record -");
    }

    /// A word between the changes.
    pub(crate) fn mark(&self, text: &str) {
        self.order(&format!("mark {text}"));
    }

    fn order(&self, text: &str) -> String {
        let control = self.root.join("shim.control");
        // One write, which the shim takes for itself.
        fs::write(&control, text).unwrap();
        fs::read_to_string(control).unwrap()
    }
}
