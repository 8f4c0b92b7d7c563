//! A plan on a real disk: whole, undone, backed up.

use super::{super::plan::Content, *};

fn plan(root: &Path, text: &str) -> Plan {
    let file = |name: &str, mode| PlannedFile {
        path: root.join("etc").join(name),
        mode,
        owner: None,
        content: Content::Text(text.to_owned()),
    };
    let dir = |name: &str| PlannedDir { path: root.join(name), mode: 0o700, owner: None };
    Plan { dirs: vec![dir("etc"), dir("deep/state")], files: vec![file("a", 0o600), file("b", 0o640)] }
}

fn names(root: &Path) -> Vec<String> {
    let mut open = vec![root.to_owned()];
    let mut names = Vec::new();
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            names.push(entry.strip_prefix(root).unwrap().display().to_string());
            if entry.is_dir() {
                open.push(entry);
            }
        }
    }
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_plan_is_carried_out_with_its_modes_and_again_without_a_change() {
    let root = tempfile::tempdir().unwrap();
    let plan = plan(root.path(), "x");
    let first = carry_out(&plan, false, || Ok(())).unwrap();
    assert_eq!((first.new.len(), first.same.len()), (2, 0));
    assert_eq!(names(root.path()), ["deep", "deep/state", "etc", "etc/a", "etc/b"]);
    assert_eq!((mode(&root.path().join("etc/a")), mode(&root.path().join("etc/b"))), (0o600, 0o640));
    let second = carry_out(&plan, false, || Ok(())).unwrap();
    assert_eq!((second.new.len(), second.same.len()), (0, 2));
}

#[test]
fn what_does_not_load_is_taken_away_with_everything_that_was_made_for_it() {
    let root = tempfile::tempdir().unwrap();
    let error = carry_out(&plan(root.path(), "x"), false, || Err("line 3".to_owned())).unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
    assert!(names(root.path()).is_empty(), "{:?}", names(root.path()));
}

#[test]
fn a_step_that_fails_half_way_leaves_the_disk_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    carry_out(&plan(root.path(), "old"), false, || Ok(())).unwrap();
    let before = names(root.path());
    let mut second = plan(root.path(), "new");
    // Longer than a name may be: the second file cannot be written.
    second.files[1].path.set_file_name("n".repeat(300));
    carry_out(&second, true, || Ok(())).unwrap_err();
    assert_eq!(names(root.path()), before);
    // A directory cannot be backed up: the first file has been replaced by then.
    second.files[1].path = root.path().join("deep");
    carry_out(&second, true, || Ok(())).unwrap_err();
    assert_eq!(names(root.path()), before);
    assert_eq!(fs::read(root.path().join("etc/a")).unwrap(), b"old");
}

#[test]
fn other_files_are_named_and_kept_and_with_force_backed_up_each_time() {
    let root = tempfile::tempdir().unwrap();
    carry_out(&plan(root.path(), "one"), false, || Ok(())).unwrap();
    let said = carry_out(&plan(root.path(), "two"), false, || Ok(())).unwrap_err().to_string();
    assert!(said.contains("etc/a") && said.contains("etc/b") && said.contains("--force"), "{said}");
    assert_eq!(fs::read(root.path().join("etc/a")).unwrap(), b"one");
    for text in ["two", "three"] {
        carry_out(&plan(root.path(), text), true, || Ok(())).unwrap();
    }
    let read = |name: &str| fs::read_to_string(root.path().join("etc").join(name)).unwrap();
    assert_eq!([read("a"), read("a.bak-1"), read("a.bak-2")], ["three", "one", "two"]);
}

#[test]
fn a_forced_change_that_does_not_load_brings_the_old_file_back() {
    let root = tempfile::tempdir().unwrap();
    carry_out(&plan(root.path(), "old"), false, || Ok(())).unwrap();
    let before = names(root.path());
    carry_out(&plan(root.path(), "new"), true, || Err("no".to_owned())).unwrap_err();
    assert_eq!(names(root.path()), before);
    assert_eq!(fs::read(root.path().join("etc/b")).unwrap(), b"old");
}

#[test]
fn a_directory_that_is_open_to_others_is_named_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let state = root.path().join("deep/state");
    fs::create_dir_all(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let plan = plan(root.path(), "x");
    let notes = odd_dirs(&plan);
    assert!(
        notes.len() == 1 && notes[0].contains("chmod 0700") && notes[0].contains("deep/state"),
        "{notes:?}"
    );
    carry_out(&plan, false, || Ok(())).unwrap();
    assert_eq!(mode(&state), 0o755);
}
