//! What a disk may hold after a power cut, from a recording of what was done to it.
//!
//! The strictest reading of POSIX: a change of a file is safe once the file was synced, a change of a name
//! once its directory was; of all the others any part may be there, in any order, in sectors. What a sync
//! that failed should have brought there is never safe, whatever later syncs say.

use std::{collections::BTreeMap, fs, path::Path};

const SECTOR: usize = 512;

/// One line of a recording.
pub(crate) enum Line {
    /// Something changed.
    Change(Change),
    /// A word of the process itself.
    Mark(String),
}

pub(crate) enum Change {
    Create(String),
    Write(String, usize, Vec<u8>),
    Size(String, usize),
    Rename(String, String),
    Unlink(String),
    /// A file, or the directory under the empty name; whether it succeeded.
    Sync(String, bool),
}

/// Reads a recording of what happened in `dir`.
pub(crate) fn recording(file: &Path, dir: &Path) -> Vec<Line> {
    let bytes = fs::read(file).unwrap();
    let (mut rest, mut lines) = (bytes.as_slice(), Vec::new());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let head = String::from_utf8(rest[..end].to_vec()).unwrap();
        let mut words = head.splitn(4, ' ');
        let mut word = || words.next().unwrap();
        let (kind, number, len, path) =
            (word(), word().parse().unwrap(), word().parse::<usize>().unwrap(), word());
        let data = &rest[end + 1..end + 1 + len];
        rest = &rest[end + 1 + len..];
        if kind == "mark" {
            lines.push(Line::Mark(path.to_owned()));
        } else if let Some(change) = change(kind, number, path, data, dir) {
            lines.push(Line::Change(change));
        }
    }
    lines
}

/// None for what is not ours, or holds nothing that a start would believe.
fn change(kind: &str, number: usize, path: &str, data: &[u8], dir: &Path) -> Option<Change> {
    let name = |path: &str| {
        let name = path.strip_prefix(dir.to_str().unwrap())?.trim_start_matches('/');
        // A file without a name any more ends so; the index of the log is made anew from the log.
        let ignored = name.contains(" (deleted)") || ["ledger.ballast", "ledger.lock"].contains(&name);
        (!ignored && !name.ends_with("-shm")).then(|| name.to_owned())
    };
    let file = name(path)?;
    Some(match kind {
        "create" => Change::Create(file),
        "write" => Change::Write(file, number, data.to_vec()),
        "size" => Change::Size(file, number),
        "rename" => Change::Rename(file, name(std::str::from_utf8(data).unwrap())?),
        "unlink" => Change::Unlink(file),
        "sync" => Change::Sync(file, true),
        "fail" => Change::Sync(file, false),
        other => panic!("{other} is no change"),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// A later sync makes it safe.
    Open,
    /// It is there.
    Safe,
    /// Its sync failed: it may be there or not, for ever.
    Doomed,
}

#[derive(Clone)]
enum Part {
    Write(usize, Vec<u8>),
    Size(usize),
}

#[derive(Clone)]
enum Naming {
    Set(String, usize),
    Move(String, String),
    Remove(String),
}

/// What is safe of it, and what came after.
type File = (Vec<u8>, Vec<(Part, Fate)>);

/// A disk under way.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    safe_names: BTreeMap<String, usize>,
    namings: Vec<Naming>,
}

/// The content of a directory.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// What becomes of the changes that are not safe.
pub(crate) enum Cut<'a> {
    /// Each is there or not.
    Whole(&'a mut dyn FnMut() -> bool),
    /// Each sector of each is there or not.
    Torn(&'a mut dyn FnMut() -> bool),
}

impl Disk {
    /// One that holds this, safely.
    pub(crate) fn holding(image: &Image) -> Self {
        let names: BTreeMap<String, usize> = image.keys().cloned().zip(0..).collect();
        let files = image.values().map(|bytes| (bytes.clone(), Vec::new())).collect();
        Self { files, safe_names: names.clone(), names, namings: Vec::new() }
    }

    pub(crate) fn take(&mut self, change: &Change) {
        match change {
            Change::Create(name) => {
                self.names.insert(name.clone(), self.files.len());
                self.namings.push(Naming::Set(name.clone(), self.files.len()));
                self.files.push((Vec::new(), Vec::new()));
            }
            Change::Write(name, at, data) => self.part(name, Part::Write(*at, data.clone())),
            Change::Size(name, size) => self.part(name, Part::Size(*size)),
            Change::Rename(from, to) => self.rename(Naming::Move(from.clone(), to.clone())),
            Change::Unlink(name) => self.rename(Naming::Remove(name.clone())),
            Change::Sync(name, done) if name.is_empty() => {
                if *done {
                    for naming in self.namings.drain(..) {
                        apply(&mut self.safe_names, &naming);
                    }
                }
            }
            Change::Sync(name, done) => {
                let Some(id) = self.names.get(name) else { return };
                let (safe, parts) = &mut self.files[*id];
                for (_, fate) in parts.iter_mut().filter(|(_, fate)| *fate == Fate::Open) {
                    *fate = if *done { Fate::Safe } else { Fate::Doomed };
                }
                let settled = parts.iter().take_while(|(_, fate)| *fate == Fate::Safe).count();
                for (part, _) in parts.drain(..settled) {
                    put(safe, &part, &mut || true);
                }
            }
        }
    }

    /// How many changes are not safe.
    pub(crate) fn loose(&self) -> usize {
        let parts = self.files.iter().flat_map(|(_, parts)| parts);
        parts.filter(|(_, fate)| *fate != Fate::Safe).count() + self.namings.len()
    }

    /// What a cut at this moment leaves.
    pub(crate) fn cut(&self, cut: Cut<'_>) -> Image {
        let (torn, chance) = match cut {
            Cut::Whole(chance) => (false, chance),
            Cut::Torn(chance) => (true, chance),
        };
        let mut names = self.safe_names.clone();
        for naming in &self.namings {
            if chance() {
                apply(&mut names, naming);
            }
        }
        let mut contents = Vec::new();
        for (safe, parts) in &self.files {
            let mut bytes = safe.clone();
            for (part, fate) in parts {
                if *fate == Fate::Safe {
                    put(&mut bytes, part, &mut || true);
                } else if torn {
                    put(&mut bytes, part, chance);
                } else if chance() {
                    put(&mut bytes, part, &mut || true);
                }
            }
            contents.push(bytes);
        }
        names.into_iter().map(|(name, id)| (name, contents[id].clone())).collect()
    }

    fn part(&mut self, name: &str, part: Part) {
        let Some(id) = self.names.get(name) else { return };
        self.files[*id].1.push((part, Fate::Open));
    }

    fn rename(&mut self, naming: Naming) {
        apply(&mut self.names, &naming);
        self.namings.push(naming);
    }
}

fn apply(names: &mut BTreeMap<String, usize>, naming: &Naming) {
    match naming {
        Naming::Set(name, id) => drop(names.insert(name.clone(), *id)),
        Naming::Move(from, to) => {
            if let Some(id) = names.remove(from) {
                names.insert(to.clone(), id);
            }
        }
        Naming::Remove(name) => drop(names.remove(name)),
    }
}

/// Sector by sector, those that `chance` takes; where an earlier one is missing there are zeros.
fn put(bytes: &mut Vec<u8>, part: &Part, chance: &mut dyn FnMut() -> bool) {
    let (at, data) = match part {
        Part::Write(at, data) => (*at, data),
        Part::Size(size) => {
            if chance() {
                bytes.resize(*size, 0);
            }
            return;
        }
    };
    let mut from = 0;
    while from < data.len() {
        let sector_end = (at + from) / SECTOR * SECTOR + SECTOR;
        let until = data.len().min(sector_end - at);
        if chance() {
            if bytes.len() < at + until {
                bytes.resize(at + until, 0);
            }
            bytes[at + from..at + until].copy_from_slice(&data[from..until]);
        }
        from = until;
    }
}

#[test]
fn the_model_forgets_what_was_not_synced_and_never_trusts_a_sync_that_failed() {
    let write = |byte| Change::Write("a".to_owned(), 0, vec![byte; 1_024]);
    let mut disk = Disk::default();
    disk.take(&Change::Create("a".to_owned()));
    disk.take(&write(1));
    disk.take(&Change::Sync("a".to_owned(), true));
    assert!(disk.cut(Cut::Whole(&mut || false)).is_empty(), "its name was never synced");
    disk.take(&Change::Sync(String::new(), true));
    disk.take(&write(2));
    assert_eq!(disk.cut(Cut::Whole(&mut || false))["a"], [1; 1_024]);
    let mut first = [true, false].into_iter();
    let torn = disk.cut(Cut::Torn(&mut || first.next().unwrap()));
    assert_eq!((torn["a"][0], torn["a"][512]), (2, 1));
    disk.take(&Change::Sync("a".to_owned(), false));
    disk.take(&Change::Sync("a".to_owned(), true));
    assert_eq!(disk.cut(Cut::Whole(&mut || false))["a"], [1; 1_024]);
    disk.take(&write(3));
    disk.take(&Change::Sync("a".to_owned(), true));
    assert_eq!(disk.cut(Cut::Whole(&mut || false))["a"], [3; 1_024]);
}
