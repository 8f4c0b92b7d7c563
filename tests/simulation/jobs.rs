//! What the control plane asks, once, twice, and at the worst instant.

use ephemerald::engine::{
    grant::Phase,
    ids::GrantId,
    input::Input,
    job::{Ask, Digest, Job, Target},
    order::{Deed, Order, Peer, Selection},
    time::Millis,
};

use super::{faults::someone, run::Run, world::email};

const ROLES: [&str; 7] = [
    "Administrator",
    "Administrator",
    "Manager",
    "Manager",
    "Help Desk",
    "Command Runner",
    "Administrator With Billing",
];

pub(crate) fn grant(run: &mut Run) {
    let wanted = run.chance.of(&ROLES);
    let id = someone(run);
    run.world.witness.aimed_at.insert(id.clone());
    let address = run.world.cloud.admins.get(&id).map(|a| a.email.clone());
    let n = run.delivered.len();
    let target = match (run.chance.between(0, 10), address) {
        (0..=1, _) => Target::Ephemeral {
            address: email(&format!("ada+tag{n}@example.com")),
            requester: email("ada@example.com"),
            firstname: None,
            lastname: None,
        },
        (2..=5, Some(address)) => Target::Email(address),
        _ => Target::Account(id),
    };
    let (mut job, grant) = run.world.grant_job(target, wanted, 1);
    if let Ask::Grant(ask, _) = &mut job.ask {
        ask.duration = Millis::from_secs(run.chance.of(&[20, 45, 90, 240, 600, 1_200]));
        if run.chance.percent(10) {
            ask.until = Some(run.real_wall() + Millis::from_secs(run.chance.between(1, 300)));
        }
    }
    run.grants.push(grant);
    run.hand_out(job);
}

fn some_grant(run: &mut Run) -> Option<GrantId> {
    let recent: Vec<GrantId> = run.grants.iter().rev().take(4).cloned().collect();
    (!recent.is_empty()).then(|| run.chance.of(&recent))
}

pub(crate) fn revoke(run: &mut Run) {
    let Some(grant) = some_grant(run) else { return };
    let job = Job { ask: Ask::Revoke(grant), ..run.world.next_job() };
    run.hand_out(job);
}

fn some_job(run: &mut Run) -> Option<Job> {
    let recent: Vec<Job> = run.delivered.iter().rev().take(5).cloned().collect();
    (!recent.is_empty()).then(|| run.chance.of(&recent))
}

pub(crate) fn cancel(run: &mut Run) {
    let Some(job) = some_job(run) else { return };
    run.world.input(Input::Cancelled(job.id));
}

pub(crate) fn again(run: &mut Run) {
    let Some(job) = some_job(run) else { return };
    run.world.witness.saw("duplicate");
    run.deliver(job);
}

pub(crate) fn equivocate(run: &mut Run) {
    let Some(mut job) = some_job(run) else { return };
    job.digest = Digest([0xee; 32]);
    run.deliver(job);
}

/// Somebody at the agent ends a grant, or stops raises for a while.
pub(crate) fn operator(run: &mut Run) {
    if run.chance.percent(40) { freeze(run) } else { operator_ends(run) }
}

fn freeze(run: &mut Run) {
    let order = || Order { by: Peer { uid: 0, gid: 0, pid: None }, remark: None };
    run.world.input(Input::Operator(Deed::Freeze, order()));
    run.world.witness.saw("freeze");
    let wait = run.chance.of(&[1, 40, 2_000, 70_000]);
    run.pass(wait);
    // A freeze that a crash took along was never promised: it is not among the records any more.
    let frozen = run.world.all.iter().rev().take_while(|entry| entry.record.kind() != "raises_thawed");
    let kinds: Vec<&str> = frozen.map(|entry| entry.record.kind()).collect();
    let since = kinds.iter().rposition(|kind| *kind == "raises_frozen").unwrap_or(0);
    if kinds[..since].contains(&"grant_accepted") {
        run.world.witness.violated("policy_is_local", "a grant was accepted while frozen".to_owned());
    }
    run.world.input(Input::Operator(Deed::Thaw, order()));
}

fn operator_ends(run: &mut Run) {
    let Some(grant) = some_grant(run) else { return };
    let by = Peer { uid: 0, gid: 0, pid: None };
    let deed = Deed::Revoke(Selection::of(grant));
    run.world.input(Input::Operator(deed, Order { by, remark: None }));
}

/// More time for one of the newest grants, whatever has become of it.
pub(crate) fn extend(run: &mut Run) {
    let Some(grant) = some_grant(run) else { return };
    let seconds = run.chance.of(&[20, 90, 240, 600, 1_200]);
    let job = run.world.extend_job(&grant, seconds * 1_000);
    run.world.witness.saw("extend asked");
    let id = job.id.clone();
    run.hand_out(job);
    if run.chance.percent(15) {
        run.world.input(Input::Cancelled(id));
    }
}

/// More time for a live grant, just before, at and after the instant of its end.
pub(crate) fn extend_at_the_end(run: &mut Run) {
    let active = run.world.witness.state.grants.values().filter(|g| g.phase == Phase::Active);
    let ends: Vec<_> = active.map(|g| (g.terms.grant.clone(), g.end)).collect();
    if ends.is_empty() {
        return;
    }
    let (grant, end) = run.chance.of(&ends);
    let lead = run.chance.of(&[0, 0, 1, 2, 3, 20, 299, 300, 301]);
    let wait = end.wakes_at(run.world.now).0.saturating_sub(run.world.now.boot.0 + lead);
    run.pass(wait);
    let job = run.world.extend_job(&grant, 90_000);
    run.world.witness.saw("extend at the end");
    run.hand_out(job);
}
