//! Many grants at once: which ends are admitted, and whose turn it is.

use ephemerald::engine::{codes::ResultCode, settings::RoleMode};

use super::{MINUTE, world};
use crate::world::World;

#[test]
fn of_grants_that_end_together_no_more_are_given_than_can_be_taken_back_in_time() {
    let mut w = World::new(RoleMode::Single);
    w.settings.integrations[0].rate_per_second = 2; // room for ten endings in half a minute
    w.start();
    w.run(1_000);
    for n in 0..60 {
        w.hire(&format!("p{n}@example.com"), &["Read Only"]);
    }
    for n in 0..60 {
        w.grant_for(&format!("p{n}@example.com"), "Manager", 3 * MINUTE);
        w.run(2_000);
    }
    let refused = w.answers.values().flatten().filter(|(code, _)| *code == ResultCode::RateRefused).count();
    println!("{refused} of 60 refused");
    assert!(refused > 0 && refused < 30);
    w.run(10 * MINUTE);
    let late: Vec<_> = w.records("revocation_overdue");
    assert!(late.is_empty(), "{}", w.story());
    let manager = |n: usize| {
        let id = w.cloud.by_email(&format!("p{n}@example.com")).unwrap();
        w.roles_of(&id) == ["Manager"]
    };
    assert!(!(0..60).any(manager), "{}", w.story());
}

#[test]
fn among_endings_the_longest_overdue_goes_first_and_of_two_the_one_that_reaches_further() {
    let mut w = world(RoleMode::Single);
    let names = ["first", "a", "b", "c", "d"];
    let accounts = names.map(|name| w.hire(&format!("{name}@example.com"), &["Read Only"]));
    let all = ["Help Desk", "Help Desk", "Administrator", "Help Desk", "Manager"];
    for (name, role) in names.into_iter().zip(all) {
        // All end at one instant, but two a moment before; one of them takes the request that is there.
        let earlier = if matches!(name, "first" | "c") { 10 } else { 0 };
        w.grant_for(&format!("{name}@example.com"), role, 10 * MINUTE - earlier);
    }
    w.run(MINUTE);
    w.settings.integrations[0].rate_per_second = 1;
    w.crash();
    w.start();
    w.run(12 * MINUTE);
    let ended: Vec<_> = w
        .cloud
        .history
        .iter()
        .filter(|(_, _, roles)| roles.as_ref().is_some_and(|roles| roles[0].as_str() == "Read Only"))
        .skip(names.len())
        .map(|(_, id, _)| names[accounts.iter().position(|account| account == id).unwrap()])
        .collect();
    check!(w, ended, ["first", "c", "b", "d", "a"]);
}
