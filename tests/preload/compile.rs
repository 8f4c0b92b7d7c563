//! Makes a library of C source that is preloaded into a program from outside.
//!
//! Refuses to be skipped: a C compiler is there wherever these tests are built, the ledger's SQLite needs it too.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The library, in `dir`.
pub(crate) fn compiled(source: &str, dir: &Path) -> PathBuf {
    let (file, library) = (dir.join("shim.c"), dir.join("shim.so"));
    fs::write(&file, source).unwrap();
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let built = Command::new(compiler)
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &file])
        .args(["-ldl", "-lpthread"])
        .status();
    assert!(built.is_ok_and(|status| status.success()), "shim.c does not compile");
    library
}
