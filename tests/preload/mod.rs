//! A machine that can be moved in time, and a signal at an exact touch of the ledger's files: `shim.c`,
//! compiled here and preloaded into the shipped program from outside.
//!
//! Refuses to be skipped: a shim that cannot do its work ends the program with its own message.

mod compile;

use std::{
    ffi::OsString,
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use rustix::process::Signal;

const SOURCE: &str = include_str!("shim.c");

/// Touches of the ledger's files, to be added up.
pub(crate) mod sort {
    pub(crate) const READ: i64 = 1;
    pub(crate) const WRITE: i64 = 2;
    pub(crate) const SYNC: i64 = 4;
}

/// What the preloaded shim is told.
pub(crate) struct Orders {
    file: File,
    path: PathBuf,
    library: PathBuf,
}

impl Orders {
    /// Compiles the shim into `dir`; nothing is moved and nothing strikes.
    pub(crate) fn new(dir: &Path) -> Self {
        let library = compile::compiled(SOURCE, dir);
        let path = dir.join("shim.orders");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        file.write_all_at(&[0; 80], 0).unwrap();
        Self { file, path, library }
    }

    /// What the program's environment needs.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        vec![
            ("LD_PRELOAD".into(), self.library.clone().into()),
            ("EPHEMERALD_TEST_ORDERS".into(), self.path.clone().into()),
        ]
    }

    /// How far both clocks are ahead of the true ones, in milliseconds.
    pub(crate) fn move_clocks(&self, wall: i64, boot: i64) {
        self.put(1, boot);
        self.put(0, wall);
    }

    /// From now on touches of these sorts count; the signal comes before the `at`-th, or after it.
    pub(crate) fn strike(&self, at: u64, sorts: i64, signal: Signal, after: bool) {
        self.calm();
        self.put(4, signal.as_raw().into());
        self.put(5, after.into());
        self.put(2, at.try_into().unwrap());
        self.put(3, sorts);
    }

    /// Nothing counts and nothing strikes, and nothing has.
    pub(crate) fn calm(&self) {
        for place in [3, 2, 6, 7] {
            self.put(place, 0);
        }
    }

    /// From now on syncs of the ledger's files do not come back; or they do again.
    pub(crate) fn hang_syncs(&self, hang: bool) {
        self.put(8, hang.into());
    }

    /// Whether a sync waited.
    pub(crate) fn hung(&self) -> bool {
        self.get(9) != 0
    }

    /// Touches counted.
    pub(crate) fn seen(&self) -> u64 {
        self.get(6).try_into().unwrap()
    }

    /// Whether the signal was sent.
    pub(crate) fn fired(&self) -> bool {
        self.get(7) != 0
    }

    fn put(&self, place: u64, value: i64) {
        self.file.write_all_at(&value.to_ne_bytes(), place * 8).unwrap();
    }

    fn get(&self, place: u64) -> i64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, place * 8).unwrap();
        i64::from_ne_bytes(bytes)
    }
}
