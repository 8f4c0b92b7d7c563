//! Tenants in which a write of roles does something else than replacing them: nobody outside JumpCloud
//! knows what `roleName` and `roleNames` do, alone or beside each other.
//!
//! Whatever they do, a grant ends with the roles from before it, or, where no write takes a role away,
//! with an alarm and without a word of success.

#[path = "support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use ephemerald::engine::settings::RoleMode;
use world::{Fate, World, Writing};

const MINUTE: u64 = 60_000;
const ALL: [Writing; 5] =
    [Writing::Replaces, Writing::ReplacesFirst, Writing::Adds, Writing::Ignored, Writing::IgnoredWithSeveral];

fn world(mode: RoleMode, lone: Writing, plural: Writing) -> World {
    let mut world = World::new(mode);
    (world.cloud.lone, world.cloud.plural) = (lone, plural);
    world.start();
    world.run(1_000);
    world
}

/// The result of a grant, what was there while it lasted, what is there after its end, and whether an
/// alarm was given.
fn played(mode: RoleMode, had: &[&str], wanted: &str, lone: Writing, plural: Writing) -> Played {
    let mut w = world(mode, lone, plural);
    let ada = w.hire("ada@example.com", had);
    w.grant("ada@example.com", wanted, 60);
    w.run(MINUTE);
    let (result, during) = (w.result("j1").unwrap_or_default(), w.roles_of(&ada));
    w.run(90 * MINUTE);
    let warned = w.warnings.iter().any(|w| format!("{w:?}").starts_with("Escalated"));
    let alarmed = warned || !w.records("revocation_overdue").is_empty();
    let said_gone = !w.records("grant_gone").is_empty();
    Played { result, during, after: w.roles_of(&ada), alarmed, said_gone, story: w.story() }
}

struct Played {
    result: String,
    during: Vec<String>,
    after: Vec<String>,
    alarmed: bool,
    said_gone: bool,
    story: String,
}

impl Played {
    fn is_honest(&self, had: &[&str], wanted: &str, case: &str) {
        let restored = self.after == had;
        assert!(restored || self.alarmed, "{case}: left {:?} in silence\n{}", self.after, self.story);
        let gone = self.after.iter().all(|role| had.contains(&role.as_str()));
        assert!(gone || !self.said_gone, "{case}: said to be gone, and is not\n{}", self.story);
        let granted = self.result == "granted";
        let there = self.during.iter().any(|role| role == wanted);
        assert!(!granted || there, "{case}: granted, and not there\n{}", self.story);
    }
}

#[test]
fn a_grant_in_single_mode_ends_or_alarms_whatever_a_write_does() {
    let had = ["Read Only"];
    for lone in ALL {
        for plural in ALL {
            let case = format!("{lone:?}/{plural:?}");
            let played = played(RoleMode::Single, &had, "Manager", lone, plural);
            played.is_honest(&had, "Manager", &case);
            let adds_only = |w| matches!(w, Writing::Adds | Writing::Ignored | Writing::IgnoredWithSeveral);
            let stuck = lone == Writing::Adds && (adds_only(plural) || plural == Writing::ReplacesFirst);
            assert!(played.after == had || stuck, "{case}: {:?}\n{}", played.after, played.story);
            let works =
                matches!(lone, Writing::Replaces | Writing::ReplacesFirst | Writing::IgnoredWithSeveral);
            assert_eq!(played.result == "granted", works, "{case}: {}", played.result);
        }
    }
}

#[test]
fn a_grant_in_multiple_mode_ends_or_alarms_whatever_a_write_does() {
    for had in [&["Read Only"][..], &["Billing Only", "Read Only"]] {
        for lone in ALL {
            for plural in ALL {
                let case = format!("{had:?} {lone:?}/{plural:?}");
                let played = played(RoleMode::Multiple, had, "Command Runner", lone, plural);
                played.is_honest(had, "Command Runner", &case);
                let takes = |w| matches!(w, Writing::Replaces | Writing::ReplacesFirst);
                if had.len() == 1 && (takes(plural) || takes(lone)) {
                    assert_eq!(played.after, had, "{case}: one of the two fields could\n{}", played.story);
                }
                if plural == Writing::Replaces {
                    assert_eq!(played.result, "granted", "{case}");
                    assert_eq!(played.after, had, "{case}");
                }
            }
        }
    }
}

#[test]
fn where_each_field_only_adds_both_together_are_tried() {
    let mut w = world(RoleMode::Multiple, Writing::IgnoredWithSeveral, Writing::Adds);
    w.cloud.both_replace = true;
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Command Runner", 60);
    w.run(61 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
}

#[test]
fn where_nothing_takes_a_role_away_a_person_is_called_before_it_is_long_overdue() {
    let mut w = world(RoleMode::Multiple, Writing::Ignored, Writing::Adds);
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Command Runner", 60);
    w.run(60 * MINUTE + 20_000);
    assert!(w.records("revocation_overdue").is_empty(), "too early for that: {}", w.story());
    assert!(w.warnings.iter().any(|w| format!("{w:?}").starts_with("Escalated")), "{}", w.story());
}

#[test]
fn what_cannot_be_restored_for_long_goes_down_to_the_floor() {
    let mut w = world(RoleMode::Multiple, Writing::Replaces, Writing::Adds);
    let ada = w.hire("ada@example.com", &["Billing Only", "Read Only"]);
    w.grant("ada@example.com", "Command Runner", 60);
    w.run(60 * MINUTE + 30_000);
    assert_eq!(
        w.roles_of(&ada),
        ["Billing Only", "Command Runner", "Read Only"],
        "not at once: it may be a lag"
    );
    w.run(5 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
    assert!(w.warnings.iter().any(|w| format!("{w:?}").starts_with("Escalated")));
}

#[test]
fn a_raise_that_takes_the_requirement_of_mfa_away_fails_and_is_said_aloud() {
    let mut w = world(RoleMode::Single, Writing::Replaces, Writing::Replaces);
    w.cloud.resets_the_rest = true;
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    assert_eq!(w.result("j1").as_deref(), Some("failed/not_confirmed"), "{}", w.story());
    assert_eq!(w.roles_of(&ada), ["Read Only"]);
    assert!(w.warnings.iter().any(|w| format!("{w:?}").starts_with("GuardsFell")));
}

#[test]
fn where_a_second_role_cannot_be_seen_none_is_given() {
    let mut w = World::new(RoleMode::Multiple);
    w.cloud.hides_plural = true;
    w.start();
    w.run(1_000);
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Command Runner", 60);
    w.run(MINUTE);
    assert_eq!(w.result("j1").as_deref(), Some("rejected/not_observable"), "{}", w.story());
    assert_eq!(w.cloud.writes, 0);
}

#[test]
fn a_raise_that_was_never_shown_is_written_over_before_it_is_called_gone() {
    let mut w = world(RoleMode::Single, Writing::Replaces, Writing::Replaces);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::Lie];
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    assert_eq!(w.result("j1").as_deref(), Some("failed/not_confirmed"), "{}", w.story());
    assert_eq!(w.ended(&g).as_deref(), Some("failed"));
    assert_eq!((w.cloud.writes, w.roles_of(&ada)), (2, vec!["Read Only".to_owned()]), "{}", w.story());
}

#[test]
fn a_second_role_that_a_person_added_stays_and_ours_goes() {
    let mut w = world(RoleMode::Single, Writing::Replaces, Writing::Replaces);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 60);
    w.run(5 * MINUTE);
    w.human_sets(&ada, &["Billing Only", "Manager"]);
    w.run(90 * MINUTE);
    assert_eq!(w.roles_of(&ada), ["Billing Only"], "{}", w.story());
    assert!(w.ended(&g).is_some());
}

#[test]
fn what_is_shown_without_any_role_is_written_over_with_what_a_raise_displaced() {
    let mut w = world(RoleMode::Single, Writing::Adds, Writing::Replaces);
    w.cloud.hides_several = true;
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(MINUTE);
    assert_eq!(w.roles_of(&ada), ["Read Only"], "{}", w.story());
    assert_eq!(w.result("j1").as_deref(), Some("failed/not_confirmed"), "{}", w.story());
}
