//! A chain of grants and extensions, each of them allowed by itself. Also what notices that
//! `max_continuous` is gone.

use ephemerald::engine::{policy::Policy, settings::RoleMode, time::Millis};

use super::world::{World, open_policy};

const HOUR: u64 = 3_600_000;

#[test]
pub(super) fn a_chain_of_grants_and_extensions_is_no_standing_access() {
    let mut w = World::new(RoleMode::Single);
    let (max_continuous, cool_down) = (Millis(3 * HOUR), Millis(2 * HOUR));
    w.policy = Some(Policy { max_continuous, cool_down, ..open_policy() });
    w.start();
    w.run(1_000);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    // For a day, something is asked for every quarter of an hour.
    for n in 0..96 {
        if n % 3 == 0 {
            w.grant("ada@example.com", "Manager", 60);
        } else if let Some(live) = w.witness.state.grants.keys().next_back().cloned() {
            w.extend(&live, HOUR);
        }
        w.run(HOUR / 4);
    }
    let states: Vec<(u64, bool)> = (w.cloud.history.iter().filter(|(_, id, _)| *id == ada))
        .map(|(at, _, roles)| {
            (*at, roles.as_ref().is_some_and(|r| r.iter().any(|r| r.as_str() == "Manager")))
        })
        .collect();
    let (mut longest, mut times) = (0, 0);
    for (had, lost) in states.iter().zip(states.iter().skip(1)).filter(|(had, _)| had.1) {
        longest = longest.max(lost.0 - had.0);
        times += 1;
    }
    assert!(times >= 4, "there is access again after each rest: {times}\n{}", w.story());
    assert!(longest <= 3 * HOUR + 10_000, "{longest} ms at once\n{}", w.story());
}
