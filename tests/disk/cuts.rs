//! The power goes at any moment of a ledger's life, and once more while it is opened afterwards: what was
//! promised is there, nothing is there by halves, and nothing is begun anew.

use std::{
    collections::HashSet,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::Path,
};

use crate::{
    Dice,
    closure::ballast,
    is_extended,
    model::{Change, Cut, Disk, Image, Line, recording},
    shim::{self, Failing, Shim},
    workload::{After, Life, Plan, Promises, kept, open},
};

/// Changes and words after a failed sync at which the power goes.
const AFTERWARDS: usize = 80;

#[test]
fn a_power_cut_at_any_moment_takes_nothing_that_was_promised() {
    shim::play("cuts::power", false);
}

#[test]
#[ignore = "the extended run"]
fn a_power_cut_at_any_moment_takes_nothing_that_was_promised_at_length() {
    shim::play("cuts::power", true);
}

#[tokio::test]
#[ignore = "runs inside of the process that the tests above start"]
async fn power() {
    let Some(shim) = Shim::here() else { return };
    let plan = Plan::of(if is_extended() { 24 } else { 5 });
    let mut cutter = Cutter {
        shim: &shim,
        plan: &plan,
        dice: Dice(20_261_126),
        known: HashSet::new(),
        sampled: if is_extended() { 12 } else { 1 },
        exhausted: if is_extended() { 8 } else { 3 },
        doubled: if is_extended() { 3 } else { 150 },
        tried: Counts::default(),
    };
    cutter.life(None).await;
    // And where a sync fails, and the ledger goes on.
    let step = if is_extended() { 1 } else { 4 };
    for at in (1..).step_by(step) {
        if !cutter.life(Some(at)).await {
            break;
        }
    }
    println!("{:?}", cutter.tried);
    assert!(cutter.tried.images > 300 && cutter.tried.twice > 20, "or this shows nothing");
}

/// What was tried: lives, moments, different images, images of a second cut, moments whose every set was tried.
#[derive(Debug, Default)]
struct Counts {
    lives: usize,
    moments: usize,
    images: usize,
    twice: usize,
    exhausted: usize,
}

struct Cutter<'a> {
    shim: &'a Shim,
    plan: &'a Plan,
    dice: Dice,
    known: HashSet<u64>,
    /// Random cuts a moment, of whole changes and of sectors.
    sampled: usize,
    /// Up to so many changes that are not safe, every set of them is tried.
    exhausted: usize,
    /// Each so many-th image is cut once more while it is opened.
    doubled: usize,
    tried: Counts,
}

impl Cutter<'_> {
    /// A life on a disk on which one sync fails, or none; the cuts of it, from that sync on. False when none
    /// failed any more.
    async fn life(&mut self, failing: Option<usize>) -> bool {
        let (dir, tape) = (self.shim.place("ledger"), self.shim.aside("tape"));
        let _ = fs::remove_dir_all(&dir);
        ballast(self.shim, &dir);
        self.shim.record(&tape);
        self.shim.arm(failing.unwrap_or(usize::MAX >> 1), Failing::Sync);
        let mut life = Life::new(self.plan, self.shim);
        life.live(&dir, After::Reopen).await;
        life.close().await;
        let (_, fired) = self.shim.disarm();
        self.shim.stop();
        if failing.is_some() && fired == 0 {
            return false;
        }
        self.tried.lives += 1;
        self.cuts(&recording(&tape, &dir), failing).await;
        true
    }

    async fn cuts(&mut self, lines: &[Line], failing: Option<usize>) {
        let (mut disk, mut promises) = (Disk::default(), Promises::default());
        let failed = |line: &Line| matches!(line, Line::Change(Change::Sync(_, false)));
        let from = lines.iter().position(failed).unwrap_or(0);
        let until = if failing.is_some() { from + AFTERWARDS } else { lines.len() };
        for (at, line) in lines.iter().enumerate() {
            match line {
                Line::Mark(text) => heard(&mut promises, text),
                Line::Change(change) => disk.take(change),
            }
            if !(from..until).contains(&at) {
                continue;
            }
            self.tried.moments += 1;
            // Reports may be on their way out at any time.
            let mut asked = promises.clone();
            asked.maybe_acked = (1..=promises.durable).collect();
            for image in self.images(&disk, &promises) {
                let told = format!("failing {failing:?}, cut after line {at} of {}", lines.len());
                self.try_image(&image, &asked, &told).await;
            }
        }
    }

    /// What a cut at this moment may leave: nothing, everything, every set if there are few, some if not.
    /// One that was tried under the same promises is not tried again.
    fn images(&mut self, disk: &Disk, promises: &Promises) -> Vec<Image> {
        let mut images = vec![disk.cut(Cut::Whole(&mut || false)), disk.cut(Cut::Whole(&mut || true))];
        let loose = disk.loose();
        if (1..=self.exhausted).contains(&loose) {
            self.tried.exhausted += 1;
            for set in 0_u32..1 << loose {
                let mut bits = (0..loose).map(|bit| set >> bit & 1 == 1);
                images.push(disk.cut(Cut::Whole(&mut || bits.next().unwrap_or(false))));
            }
        }
        for _ in 0..if loose > 0 { self.sampled } else { 0 } {
            let dice = &mut self.dice;
            images.push(disk.cut(Cut::Whole(&mut || dice.below(2) == 0)));
            let often = 2 + dice.below(6);
            images.push(disk.cut(Cut::Torn(&mut || dice.below(often) != 0)));
        }
        images.retain(|image| self.known.insert(sum(image, promises)));
        images
    }

    async fn try_image(&mut self, image: &Image, promises: &Promises, told: &str) {
        let dir = self.shim.place("image");
        self.lay(&dir, image);
        self.tried.images += 1;
        if self.tried.images.is_multiple_of(self.doubled) {
            self.cut_again(&dir, image, promises, told).await;
            self.lay(&dir, image);
        }
        if let Err(error) = kept(&dir, promises, self.plan).await {
            panic!("{told}: {error}\nleft: {:?}", sizes(image));
        }
    }

    /// Opens it on a disk whose power goes again meanwhile.
    async fn cut_again(&mut self, dir: &Path, image: &Image, promises: &Promises, told: &str) {
        let tape = self.shim.aside("second");
        self.shim.record(&tape);
        let (ledger, _, _) = open(dir).await.unwrap_or_else(|error| panic!("{told}: {error}"));
        ledger.close().await;
        self.shim.stop();
        let mut disk = Disk::holding(image);
        for line in recording(&tape, dir) {
            if let Line::Change(change) = &line {
                disk.take(change);
            }
            for again in self.images(&disk, promises) {
                let second = self.shim.place("second");
                self.lay(&second, &again);
                self.tried.twice += 1;
                if let Err(error) = kept(&second, promises, self.plan).await {
                    panic!("{told}, and again: {error}\nleft: {:?}", sizes(&again));
                }
            }
        }
    }

    fn lay(&self, dir: &Path, image: &Image) {
        let _ = fs::remove_dir_all(dir);
        ballast(self.shim, dir);
        for (name, bytes) in image {
            fs::write(dir.join(name), bytes).unwrap();
        }
    }
}

fn heard(promises: &mut Promises, text: &str) {
    let (word, number) = text.split_once(' ').unwrap_or((text, "0"));
    let number = number.parse().unwrap();
    match word {
        "opened" => promises.opened = true,
        "durable" => promises.durable = number,
        "acked" => drop(promises.acked.insert(number)),
        "noted" => promises.noted = number,
        other => panic!("{other} is no promise"),
    }
}

fn sum(image: &Image, promises: &Promises) -> u64 {
    let mut hasher = DefaultHasher::new();
    (promises.opened, promises.durable, promises.noted, &promises.acked).hash(&mut hasher);
    image.hash(&mut hasher);
    hasher.finish()
}

fn sizes(image: &Image) -> Vec<(&str, usize)> {
    image.iter().map(|(name, bytes)| (name.as_str(), bytes.len())).collect()
}
