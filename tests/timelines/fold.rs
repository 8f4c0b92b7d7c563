//! What is remembered of a grant and its account at each step of its life: what an operator is shown, and what a
//! start would fold anew.

use ephemerald::engine::{
    account::{Account, AccountKey},
    codes::{EndReason, WokenBy},
    grant::{Grant, Phase},
    ids::{AccountId, GrantId, JobId},
    input::Input,
    job::{Ask, Digest, Job},
    observed::FaultClass,
    order::{Deed, Order, Peer, Selection},
    record::{Record, Seq},
    settings::RoleMode,
    state::{SeenJob, State},
    time::Timestamp,
};

use super::{MINUTE, world};
use crate::world::{Fate, World, role};

fn grant<'a>(w: &'a World, id: &GrantId) -> &'a Grant {
    &w.engine.as_ref().unwrap().state().grants[id]
}

fn account<'a>(w: &'a World, id: &AccountId) -> &'a Account {
    let accounts = &w.engine.as_ref().unwrap().state().accounts;
    accounts.iter().find(|(at, _)| at.account == AccountKey::Standing(id.clone())).unwrap().1
}

fn by_root() -> Order {
    Order { by: Peer { uid: 0, gid: 0, pid: None }, remark: None }
}

#[test]
fn a_grant_is_known_to_be_active_ending_gone_and_back_again_with_the_time_of_each() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 30);
    w.run(MINUTE);
    check!(
        w,
        (grant(&w, &g).phase, grant(&w, &g).answered, grant(&w, &g).gone_at),
        (Phase::Active, true, None)
    );
    let revoke = Job { ask: Ask::Revoke(g.clone()), ..w.next_job() };
    let asked: Timestamp = w.now.wall;
    w.input(Input::Job(Box::new(revoke.clone())));
    let found = grant(&w, &g);
    check!(w, (found.phase, found.reason), (Phase::Revoking, Some(EndReason::Requested)));
    check!(w, (found.ending_at, found.woken_by), (Some(asked), Some(WokenBy::Operator)));
    check!(w, found.revoke_jobs.clone(), [(revoke.id.clone(), revoke.digest)]);
    w.run(1_000);
    let found = grant(&w, &g);
    check!(w, (found.phase, found.revoke_jobs.len()), (Phase::Settling, 0));
    assert!(found.gone_at.is_some_and(|at| at > asked), "{}", w.story());
    w.human_sets(&ada, &["Manager"]);
    w.run(20_000);
    check!(w, w.records("grant_reappeared").len(), 1);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    assert!(grant(&w, &g).ending_at.is_some_and(|at| at > asked), "late since it came back, and not before");
}

#[test]
fn the_reason_that_is_kept_is_how_it_turned_out() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Help Desk", 30);
    w.run(30 * MINUTE - 500);
    w.human_sets(&ada, &["Administrator"]);
    w.run(MINUTE);
    check!(w, grant(&w, &g).reason, Some(EndReason::Superseded));
}

#[test]
fn an_overdue_revocation_is_told_with_its_tries_and_its_last_fault_and_who_ordered_it_stays_known() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let g = w.grant("ada@example.com", "Manager", 30);
    w.run(MINUTE);
    w.default_fate = Fate::Refused;
    w.input(Input::Operator(Deed::Revoke(Selection::of(g.clone())), by_root()));
    check!(w, grant(&w, &g).order.clone(), Some(by_root()));
    w.run(3 * MINUTE);
    let (found, held) = (grant(&w, &g), account(&w, &ada));
    check!(w, (found.phase, found.overdue_told_ms.is_some()), (Phase::Revoking, true));
    check!(w, held.last_fault.as_ref().map(|f| f.class), Some(FaultClass::Refused));
    assert!(held.attempts > 3 && held.open_attempt.is_none(), "{held:?}");
    let told = w.engine.as_ref().unwrap().attempts_of(found);
    check!(w, (told.0, told.1.is_some()), (held.attempts, true));
    w.default_fate = Fate::Fine;
    w.run(MINUTE);
    let held = account(&w, &ada);
    check!(w, (held.last_fault.clone(), held.wrote.clone()), (None, vec![role("Read Only")]));
    check!(w, w.ended(&g).as_deref(), Some("operator"));
}

#[test]
fn what_may_yet_be_written_is_remembered_until_a_later_write_has_been_answered() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.fates = vec![Fate::AnswerLost];
    w.grant("ada@example.com", "Manager", 30);
    w.run(1_000);
    check!(w, account(&w, &ada).open_attempt.as_ref().map(|attempt| attempt.n), Some(1));
    w.run(MINUTE);
    let held = account(&w, &ada);
    check!(w, (held.unproven, held.open_attempt.is_none(), held.attempts), (true, true, 1));
    check!(w, held.sent.iter().map(|s| s.ambiguous).collect::<Vec<_>>(), [true]);
    w.run(31 * MINUTE);
    check!(w, (account(&w, &ada).unproven, w.roles_of(&ada)), (false, vec!["Read Only".to_owned()]));
}

#[test]
fn an_account_whose_baseline_a_person_moved_is_known_to_be_edited() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Help Desk", 30);
    w.run(1_000);
    check!(w, account(&w, &ada).edited, false);
    w.human_sets(&ada, &["Administrator"]);
    w.run(2 * MINUTE);
    check!(
        w,
        (account(&w, &ada).edited, account(&w, &ada).baseline.clone()),
        (true, vec![role("Administrator")])
    );
}

#[test]
fn a_grant_that_failed_has_had_its_answer_though_its_account_is_still_looked_after() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.cloud.refuses = Some((role("Manager"), FaultClass::Refused));
    let g = w.grant("ada@example.com", "Manager", 30);
    w.run(1_000);
    check!(w, w.result("j1").as_deref(), Some("failed/refused_by_jumpcloud"));
    check!(w, (grant(&w, &g).answered, grant(&w, &g).phase.is_live()), (true, false));
    check!(w, w.engine.as_ref().unwrap().jobs_in_hand(), []);
}

#[test]
fn the_last_fault_that_is_told_is_also_one_after_which_nobody_knows_what_was_done() {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 30);
    w.run(MINUTE);
    w.default_fate = Fate::Dropped;
    w.run(33 * MINUTE);
    check!(w, account(&w, &ada).last_fault.as_ref().map(|f| f.class), Some(FaultClass::Ambiguous));
}

#[test]
fn an_answer_that_was_given_since_is_not_undone_by_the_acceptance_that_a_start_reads_after_it() {
    let mut w = world(RoleMode::Single);
    w.hire("ada@example.com", &["Read Only"]);
    w.grant("ada@example.com", "Manager", 30);
    w.run(MINUTE);
    let job = JobId::new("j1").unwrap();
    for (kept, expected) in [(Some(Seq(9_999)), Some(Seq(9_999))), (Some(Seq(1)), None), (None, None)] {
        let seen = SeenJob { digest: Digest([0; 32]), answer: kept, forget_at: Timestamp(7) };
        let mut state = State { jobs: [(job.clone(), seen)].into(), ..State::default() };
        let accepted = w.durable.iter().find(|e| matches!(e.record, Record::GrantAccepted(_))).unwrap();
        state.apply(accepted.seq, accepted.at, &accepted.record);
        check!(w, state.jobs[&job].answer, expected);
    }
}
