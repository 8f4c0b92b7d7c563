//! The order in which things become durable and happen, as a small model, explored to the last state.
//!
//! One grant of one account; the process may die between any two steps, the network loses and delays, the
//! control plane repeats itself. The order that the agent keeps holds; each order that leaves one rule out is
//! kept here as well and must fail, or the model would prove nothing. What it assumes: the settling time
//! is longer than any delay of JumpCloud. It is evidence about the order, not about the program: that is what
//! the simulation is for.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod order;

use order::{Order, Rule};
use stateright::{Checker as _, Model as _};

/// What each order breaks, by the name of the property. An empty list: nothing.
const VERDICTS: [(Option<Rule>, &[&str]); 7] = [
    (None, &[]),
    (
        Some(Rule::IntentBeforeEffect),
        &["no_untracked_access", "no_second_effect", "gone_in_the_end", "reported_in_the_end"],
    ),
    (Some(Rule::LookBeforeRepeating), &["no_second_effect"]),
    (Some(Rule::FenceByWaiting), &["no_second_effect"]),
    (Some(Rule::SettleBeforeClosing), &["no_untracked_access", "gone_in_the_end"]),
    (Some(Rule::NeverGiveUp), &["no_untracked_access", "gone_in_the_end"]),
    (Some(Rule::ReportInTheSameTransaction), &["reported_in_the_end"]),
];

#[test]
fn the_order_holds_and_every_order_that_leaves_a_rule_out_fails() {
    for (without, broken) in VERDICTS {
        let checked = Order { without }.checker().threads(1).spawn_bfs().join();
        let mut found: Vec<&str> = checked.discoveries().into_keys().collect();
        found.sort_unstable();
        let mut expected = broken.to_vec();
        expected.sort_unstable();
        let what = without.map_or_else(|| "all rules".to_owned(), |rule| format!("without {rule:?}"));
        println!("{what}: {} states, {found:?}", checked.unique_state_count());
        for (name, path) in checked.discoveries().into_iter().filter(|_| found != expected) {
            println!("{name}: {:#?}", path.into_actions());
        }
        assert_eq!(found, expected, "{what}");
        // `at_rest` is reached, or nothing was ever judged.
        assert!(checked.unique_state_count() > 500, "{what}");
    }
}
