//! The k-th change of the disk fails, for k = 1, 2, … until there is no k-th change any more: no promise
//! that the ledger made is broken, whichever it was.

use std::{fs, path::Path};

use crate::{
    is_extended,
    shim::{self, Failing, Shim},
    workload::{After, Life, Plan, kept},
};

#[test]
fn whichever_change_of_the_disk_fails_nothing_that_was_promised_is_lost() {
    shim::play("closure::sweep", false);
}

#[test]
#[ignore = "the extended run"]
fn whichever_change_of_the_disk_fails_nothing_that_was_promised_is_lost_at_length() {
    shim::play("closure::sweep", true);
}

#[tokio::test]
#[ignore = "runs inside of the process that the tests above start"]
async fn sweep() {
    let Some(shim) = Shim::here() else { return };
    let plan = Plan::of(if is_extended() { 60 } else { 9 });
    for failing in [Failing::Dying, Failing::Filling, Failing::Once] {
        let (mut points, mut kept_more) = (0, 0);
        for at in 1.. {
            let (fired, more) = point(&shim, &plan, at, failing).await;
            kept_more += usize::from(more);
            if fired == 0 {
                break;
            }
            points += 1;
        }
        println!("{failing:?}: {points} points, exhausted; {kept_more} kept more than they promised");
        assert!(points > 100, "the shim sees the disk, or this shows nothing");
    }
}

/// How many failures were made, and whether more is there than was promised.
async fn point(shim: &Shim, plan: &Plan, at: usize, failing: Failing) -> (usize, bool) {
    let (dir, image) = (shim.place("ledger"), shim.aside("image"));
    for old in [&dir, &image] {
        let _ = fs::remove_dir_all(old);
    }
    ballast(shim, &dir);
    let mut life = Life::new(plan, shim);
    shim.arm(at, failing);
    let after = if matches!(failing, Failing::Once) { After::Reopen } else { After::Stop };
    let whole = life.live(&dir, after).await;
    // What a process that dies now leaves behind.
    copy(&dir, &image);
    let promised = life.promises.clone();
    life.close().await;
    let (_, fired) = shim.disarm();
    let told = |error: String| panic!("{failing:?} at {at}: {error}");
    let head = kept(&image, &promised, plan).await.unwrap_or_else(told);
    // And where the process lives to close it, whenever there is time.
    if is_extended() || at.is_multiple_of(4) {
        kept(&dir, &life.promises, plan).await.unwrap_or_else(told);
    }
    assert!(whole || fired > 0, "{failing:?} at {at}: it gave up without a failure");
    if matches!(failing, Failing::Once) && whole {
        assert!(life.failures <= fired);
    }
    (fired, head > promised.durable)
}

/// The ballast is made beforehand: a megabyte a point would be most of the work.
pub(crate) fn ballast(shim: &Shim, dir: &Path) {
    let one = shim.aside("ballast");
    if !one.exists() {
        fs::write(&one, vec![0x5a; 1 << 20]).unwrap();
    }
    fs::create_dir_all(dir).unwrap();
    fs::hard_link(one, dir.join("ledger.ballast")).unwrap();
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name != "ledger.ballast" {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}
