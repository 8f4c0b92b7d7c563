//! T10: the key is swapped for another organization's.

use ephemerald::engine::{
    action::Warning,
    input::Input,
    job::{Job, Target},
    observed::FaultClass,
    settings::RoleMode,
};

use super::{
    MINUTE, world,
    world::{World, jc, role},
};

fn warned(w: &World) -> usize {
    w.warnings.iter().filter(|warning| matches!(warning, Warning::WrongOrganization(i) if *i == jc())).count()
}

/// The key is swapped while the process runs, or by a restart.
fn swap(w: &mut World, restart: bool) {
    w.abroad = true;
    if restart {
        w.crash();
        w.start();
    }
    w.run(3 * MINUTE); // the regular look at live grants finds out
}

#[test]
pub(crate) fn t10_with_another_organizations_key_nothing_closes_and_nothing_is_written_until_the_right_one_is_back()
 {
    for restart in [true, false] {
        let mut w = world(RoleMode::Single);
        let ada = w.hire("ada@example.com", &["Read Only"]);
        let g = w.grant("ada@example.com", "Manager", 30);
        w.run(10 * MINUTE);
        let writes = w.cloud.writes;
        swap(&mut w, restart);
        check!(w, warned(&w), 1);

        let raise = w.grant("ada@example.com", "Administrator", 30); // j2
        let longer = w.extend(&g, 60 * MINUTE); // j3
        let test: Job = w.next_job(); // j4 asks for a test
        w.input(Input::Job(Box::new(test)));
        w.run(MINUTE);
        check!(w, w.result("j2").as_deref(), Some("rejected/credential"));
        check!(w, w.result(&longer).as_deref(), Some("rejected/credential"));
        check!(w, w.result("j4").as_deref(), Some("failed/credential"));
        assert!(!w.engine.as_ref().unwrap().state().grants.contains_key(&raise));

        w.run(60 * MINUTE);
        check!(w, w.cloud.writes, writes);
        check!(w, w.records("grant_gone").len(), 0);
        check!(w, w.roles_of(&ada), ["Manager"]);
        assert!(!w.records("revocation_overdue").is_empty(), "it is said aloud\n{}", w.story());

        w.abroad = false;
        w.run(20_000);
        check!(w, w.roles_of(&ada), ["Read Only"]);
        check!(w, w.ended(&g).as_deref(), Some("expired"));
    }
}

#[test]
fn t10_an_ephemeral_account_is_not_taken_for_gone_in_another_organization() {
    for restart in [true, false] {
        let mut w = world(RoleMode::Single);
        let people = w.cloud.admins.len();
        let g = w.grant_ephemeral(30, "Help Desk");
        w.run(10 * MINUTE);
        swap(&mut w, restart);
        w.run(60 * MINUTE);
        check!(w, w.records("grant_gone").len(), 0);
        check!(w, w.cloud.admins.len(), people + 1);
        w.abroad = false;
        w.run(30_000);
        check!(w, w.cloud.admins.len(), people);
        check!(w, w.ended(&g).as_deref(), Some("expired"));
    }
}

#[test]
fn t10_an_organization_that_does_not_say_its_name_proves_no_absence() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 30);
    w.run(10 * MINUTE);
    w.nameless = true;
    swap(&mut w, true);
    w.run(60 * MINUTE);
    check!(w, w.records("grant_gone").len(), 0);
    w.abroad = false;
    w.nameless = false;
    w.run(40_000);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    check!(w, w.ended(&g).as_deref(), Some("expired"));
}

#[test]
fn an_organization_whose_word_is_old_is_asked_again_before_anything_is_raised() {
    let mut w = World::new(RoleMode::Single);
    w.policy.as_mut().unwrap().ephemeral = None; // or somebody would look for orphans
    w.start();
    w.run(20 * MINUTE); // no grants: nobody looks
    w.nameless = true;
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 30);
    w.run(MINUTE);
    check!(w, w.result("j1").as_deref(), Some("failed/not_observable"));
    check!(w, w.roles_of(&ada), ["Read Only"]);
    w.nameless = false;
    w.grant("ada@example.com", "Manager", 30);
    w.run(MINUTE);
    check!(w, w.result("j2").as_deref(), Some("granted"));
}

#[test]
fn until_a_new_key_has_said_whose_it_is_nobody_is_raised_by_what_the_old_one_said() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.owner = "ada@example.com";
    w.org_unreadable = Some(FaultClass::Ambiguous); // accounts can be read, and nobody says whose the key is
    w.input(Input::CredentialChanged(jc()));
    w.grant_to(Target::Account(ada.clone()), "Manager", 30);
    w.run(20_000);
    check!(w, (w.result("j1"), w.cloud.writes), (None, 0));
    w.org_unreadable = None;
    w.run(MINUTE);
    check!(w, w.result("j1").as_deref(), Some("rejected/own_account"));
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_new_key_is_tried_at_once_although_the_circuit_is_broken() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.down = true;
    w.sync();
    w.run(MINUTE);
    w.down = false;
    let reads = w.cloud.reads;
    w.input(Input::CredentialChanged(jc()));
    check!(w, w.cloud.reads, reads + 3);
    w.run(100);
    w.grant("ada@example.com", "Manager", 5); // j2
    w.run(500);
    check!(w, w.result("j2").as_deref(), Some("granted"));
}

#[test]
fn a_new_key_is_asked_whose_it_is_although_nothing_waits_for_the_answer() {
    let mut w = world(RoleMode::Single);
    w.run(MINUTE);
    let reads = w.cloud.reads;
    w.input(Input::CredentialChanged(jc()));
    check!(w, w.cloud.reads, reads + 3);
}

#[test]
fn an_ending_that_the_old_key_could_not_make_is_made_with_the_new_one_at_once() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 5);
    w.run(MINUTE);
    w.cloud.refuses = Some((role("Read Only"), FaultClass::Credential));
    w.run(30 * MINUTE);
    check!(w, w.roles_of(&ada), ["Manager"]);
    w.cloud.refuses = None;
    w.input(Input::CredentialChanged(jc()));
    w.run(500);
    check!(w, w.roles_of(&ada), ["Read Only"]);
}

#[test]
fn a_wrong_organization_is_asked_again_a_few_times_a_minute_and_no_more() {
    let mut w = world(RoleMode::Single);
    w.abroad = true;
    w.input(Input::CredentialChanged(jc()));
    w.run(5_000);
    let reads = w.cloud.reads;
    w.run(5 * MINUTE);
    let asked = w.cloud.reads - reads;
    assert!((15..=40).contains(&asked), "{asked} reads in five minutes");
}
