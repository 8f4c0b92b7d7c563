//! A clock that was set back before a reboot, through a real ledger: what a start reads of it must be enough to know.

use ephemerald::{
    engine::{
        settings::RoleMode,
        time::{BootId, BootTime, Timestamp},
    },
    ledger::Keying,
};

use crate::{
    forgery::{append, records, restored},
    world::World,
};

const MINUTE: u64 = 60_000;
const THREE_HOURS: i64 = 3 * 60 * 60_000;

#[tokio::test]
async fn the_last_time_that_was_known_to_be_right_is_read_at_a_start_and_ends_what_a_clock_that_lags_would_lengthen()
 {
    let mut w = World::new(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.start();
    w.run(1_000);
    w.grant("ada@example.com", "Manager", 4 * 60);
    w.run(3 * 60 * MINUTE + 20 * MINUTE);
    let right = w.now.wall;
    w.now.wall = Timestamp(right.0 - THREE_HOURS); // still later than the grant's beginning
    w.grant("ada@example.com", "Help Desk", 5); // refused, and the last record
    w.run(MINUTE);
    let dir = tempfile::tempdir().unwrap();
    append(dir.path(), Keying::None, &records(&w.durable)).await;

    let found = restored(dir.path(), Keying::None).await;
    let told = found.newest.unwrap();
    assert!(
        right.since(told).0 >= THREE_HOURS.cast_unsigned() - 2 * MINUTE,
        "the last record has the wrong time"
    );
    let (_, seen) = found.state.time_seen.expect("the time that was seen is loaded");
    let seen = seen.wall;
    assert!(right.since(seen).0 <= 5 * MINUTE + 30_000, "{seen:?} of {right:?}");

    w.crash();
    w.durable.clear();
    (w.now.boot, w.now.boot_id) = (BootTime(5_000), BootId(99));
    w.start_on(found, 7);
    w.run(5 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
}
