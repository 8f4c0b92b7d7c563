//! What lies on the disk is for the daemon's user alone: looked at when it starts.
//!
//! Refuses nothing: the files in there have modes of their own and are checked when they are read. A directory
//! that others may enter is closed, and it is said.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

const OURS: u32 = 0o700;

/// Closes the state directory to others.
pub(super) fn close(dir: &Path) {
    let Ok(found) = fs::metadata(dir) else { return }; // made by the ledger, closed
    let mode = found.permissions().mode() & 0o7777;
    if mode & !OURS & 0o777 == 0 {
        return;
    }
    let was = format!("{mode:04o}");
    let dir_shown = dir.display();
    match fs::set_permissions(dir, fs::Permissions::from_mode(OURS)) {
        Ok(()) => {
            tracing::warn!(dir = %dir_shown, was, "state directory: others could enter it; its mode is 0700 now");
        }
        Err(error) => {
            tracing::error!(dir = %dir_shown, was, error = %error, run = format!("chmod 700 {dir_shown}"), "state directory: others can enter it, and it cannot be closed from here");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_kept_out_and_what_is_closed_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o755, 0o770, 0o701, 0o700] {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
            close(dir.path());
            assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, OURS, "{mode:o}");
        }
        close(&dir.path().join("none"));
    }
}
