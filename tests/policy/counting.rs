//! `max_continuous` and `max_grants_per_hour`: neither extensions, nor chains, nor other accounts of the
//! same person, nor restarts make a standing access.

use ephemerald::engine::{job::Target, policy::Policy, settings::RoleMode, time::Millis};

use super::{
    HOUR, MINUTE, check, open_policy, two_hours, world,
    world::{Fate, World, email},
};

#[test]
fn chained_grants_are_refused_once_they_add_up_and_a_rest_begins_anew() {
    let mut w = world(two_hours());
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(61 * MINUTE);
    w.grant("ada@example.com", "Manager", 59);
    w.run(HOUR);
    check!(w, w.result("j2").as_deref(), Some("granted"));
    w.grant("ada@example.com", "Manager", 5);
    w.run(5_000);
    check!(w, w.result("j3").as_deref(), Some("rejected/max_continuous"));
    w.run(58 * MINUTE);
    w.grant("ada@example.com", "Manager", 5);
    w.run(5_000);
    check!(w, w.result("j4").as_deref(), Some("rejected/max_continuous"));
    w.run(3 * MINUTE);
    w.grant("ada@example.com", "Manager", 60);
    w.run(5_000);
    check!(w, w.result("j5").as_deref(), Some("granted"));
}

#[test]
fn an_extension_counts_as_a_grant_does() {
    let mut w = world(two_hours());
    w.hire("ada@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Manager", 60);
    w.run(30 * MINUTE);
    let fits = w.extend(&grant, 89 * MINUTE);
    w.run(1_000);
    check!(w, w.result(&fits).as_deref(), Some("extended"));
    let beyond = w.extend(&grant, 91 * MINUTE);
    w.run(1_000);
    check!(w, w.result(&beyond).as_deref(), Some("rejected/max_continuous"));
}

#[test]
fn grants_that_overlap_are_counted_once() {
    let mut w = world(two_hours());
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 90);
    w.run(MINUTE);
    w.grant("ada@example.com", "Manager", 90);
    w.run(MINUTE);
    w.grant("ada@example.com", "Manager", 90);
    w.run(MINUTE);
    for job in ["j1", "j2", "j3"] {
        check!(w, w.result(job).as_deref(), Some("granted"));
    }
    w.grant("ada@example.com", "Manager", 118);
    w.run(MINUTE);
    check!(w, w.result("j4").as_deref(), Some("rejected/max_continuous"));
}

#[test]
fn what_was_promised_and_not_had_is_given_back() {
    let mut w = world(two_hours());
    w.hire("ada@example.com", &["Read Only"]);
    let grant = w.grant("ada@example.com", "Manager", 120);
    w.run(10 * MINUTE);
    w.revoke(&grant);
    w.run(MINUTE);
    w.grant("ada@example.com", "Manager", 100);
    w.run(MINUTE);
    check!(w, w.result("j3").as_deref(), Some("granted"));
}

#[test]
fn ephemeral_accounts_for_one_mailbox_are_one_person_with_that_persons_own_account() {
    let mut w = world(two_hours());
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 60);
    w.run(61 * MINUTE);
    let asked = |w: &mut World, requester: &str, n: u32| {
        let target = Target::Ephemeral {
            address: email(&format!("ada+tag{n}@example.com")),
            requester: email(requester),
            firstname: None,
            lastname: None,
        };
        w.grant_to(target, "Manager", 59);
        w.run(60 * MINUTE);
    };
    asked(&mut w, "Ada@Example.com", 1);
    check!(w, w.result("j2").as_deref(), Some("granted"));
    asked(&mut w, "ada+other@example.com", 2);
    check!(w, w.result("j3").as_deref(), Some("rejected/max_continuous"));
    asked(&mut w, "bob@example.com", 3);
    check!(w, w.result("j4").as_deref(), Some("granted"));
}

#[test]
fn the_count_survives_a_restart_and_the_end_of_all_that_it_counted() {
    let mut w = World::new(RoleMode::Single);
    w.settings.timing.watch = vec![Millis(MINUTE)];
    w.policy = Some(two_hours());
    w.start();
    w.run(1_000);
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 115);
    w.run(150 * MINUTE);
    check!(w, w.records("grant_closed").len(), 1);
    check!(w, w.records("account_closed").len(), 1);
    w.crash();
    w.start();
    w.run(1_000);
    w.grant("ada@example.com", "Manager", 20);
    w.run(5_000);
    check!(w, w.result("j2").as_deref(), Some("rejected/max_continuous"));
}

#[test]
fn a_grant_that_never_came_about_does_not_count() {
    let mut w = world(two_hours());
    w.hire("ada@example.com", &["Read Only"]);
    w.default_fate = Fate::Refused;
    w.grant("ada@example.com", "Manager", 120);
    w.run(5 * MINUTE);
    check!(w, w.result("j1").as_deref(), Some("failed/refused_by_jumpcloud"));
    w.default_fate = Fate::Fine;
    w.grant("ada@example.com", "Manager", 110);
    w.run(5_000);
    check!(w, w.result("j2").as_deref(), Some("granted"));
}

#[test]
fn a_count_that_no_rule_can_need_is_forgotten() {
    let mut w = world(two_hours());
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 5);
    w.run(30 * 24 * HOUR);
    check!(w, w.records("access_forgotten").len(), 0);
    w.run(2 * 24 * HOUR);
    check!(w, w.records("access_forgotten").len(), 1);
    check!(w, w.engine.as_ref().unwrap().state().usage.len(), 0);
}

#[test]
fn grants_within_an_hour_are_counted_over_all_accounts_and_a_restart() {
    let mut w = world(Policy { max_grants_per_hour: 2, ..open_policy() });
    w.hire("ada@example.com", &["Read Only"]);
    w.hire("bob@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 1);
    w.run(10 * MINUTE);
    w.grant("bob@example.com", "Manager", 1);
    w.run(10 * MINUTE);
    w.crash();
    w.start();
    w.run(1_000);
    w.grant("bob@example.com", "Manager", 1);
    w.run(5_000);
    check!(w, w.result("j3").as_deref(), Some("rejected/grants_per_hour"));
    w.run(40 * MINUTE);
    w.grant("bob@example.com", "Manager", 1);
    w.run(5_000);
    check!(w, w.result("j4").as_deref(), Some("granted"));
}
