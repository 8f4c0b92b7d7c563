//! Several grants on one account: what one of them leaves to the others.

use ephemerald::engine::settings::RoleMode;

use super::{MINUTE, world};

#[test]
fn a_grant_that_ended_before_does_not_reappear_when_another_one_ends() {
    for mode in [RoleMode::Single, RoleMode::Multiple] {
        let mut w = world(mode);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        let first = w.grant("ada@example.com", "Help Desk", 10);
        w.run(MINUTE);
        let twin = w.grant("ada@example.com", "Manager", 20);
        w.run(MINUTE);
        w.grant("ada@example.com", "Manager", 60);
        w.run(90 * MINUTE);
        check!(w, w.roles_of(&ada), ["Read Only"]);
        check!(
            w,
            (w.ended(&first).as_deref(), w.ended(&twin).as_deref()),
            (Some("expired"), Some("expired"))
        );
        check!(w, w.records("grant_reappeared").len(), 0);
        check!(w, w.records("grant_gone").len(), 3);
    }
}

#[test]
fn a_role_that_does_not_compare_with_what_is_left_is_a_conflict_although_a_live_one_covers_it() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Command Runner"]);
    let a = w.grant("ada@example.com", "Administrator", 30);
    w.run(MINUTE);
    w.grant("ada@example.com", "Manager", 60); // j2
    w.run(MINUTE);
    check!(w, w.result("j2").as_deref(), Some("conflict/roles_incomparable"));
    w.run(30 * MINUTE);
    check!(
        w,
        (w.ended(&a).as_deref(), w.roles_of(&ada)),
        (Some("expired"), vec!["Command Runner".to_owned()])
    );
}

#[test]
fn what_a_lower_carried_and_a_read_does_not_show_is_written_away_once_as_after_a_raise() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 10);
    w.run(MINUTE);
    let lesser = w.grant("ada@example.com", "Help Desk", 60);
    w.run(10 * MINUTE);
    check!(w, w.roles_of(&ada), ["Help Desk"]); // by the lower that ended the higher one
    let written = w.records("attempt_started").len();
    // A person took it away; or it stands beside what is shown, which nobody can tell from here.
    w.human_sets(&ada, &["Read Only"]);
    w.run(120 * MINUTE);
    check!(w, w.records("attempt_started").len(), written + 1);
    check!(w, w.ended(&lesser).as_deref(), Some("revoked_externally"));
    check!(w, w.roles_of(&ada), ["Read Only"]);
}
