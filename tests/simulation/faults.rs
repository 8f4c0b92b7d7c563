//! What goes wrong, and what people do meanwhile.

use ephemerald::engine::{
    account::AccountKey,
    action::{Entry, Warning},
    grant::Phase,
    ids::AccountId,
    input::Input,
    job::Job,
    observed::FaultClass,
    policy::Policy,
    record::Record,
    time::Timestamp,
};

use super::{
    checks, jobs,
    run::Run,
    world::{Fate, email, open_policy, role},
};

const DAY: u64 = 24 * 3_600_000;

/// One thing that people, the control plane or the world do.
pub(crate) fn something_happens(run: &mut Run) {
    let wild = run.wildness;
    match run.chance.between(0, 100) {
        0..=34 => jobs::grant(run),
        35..=44 => jobs::revoke(run),
        45..=49 => jobs::cancel(run),
        50..=56 => jobs::again(run),
        57..=58 => jobs::equivocate(run),
        59..=60 => jobs::operator(run),
        61..=70 if wild > 0 || run.chance.percent(30) => console(run),
        71..=76 if wild > 0 => outage(run),
        77..=80 if wild > 0 => close_gates(run),
        81..=84 if wild > 1 => jump(run),
        85..=87 if wild > 1 => reboot(run),
        88..=90 if wild > 0 => crash(run),
        91 if wild > 0 => suspend(run),
        92..=93 if wild > 0 => disk_fails(run),
        94..=96 => jobs::extend(run),
        97..=99 => jobs::extend_at_the_end(run),
        _ => {}
    }
}

pub(crate) fn someone(run: &mut Run) -> AccountId {
    let people: Vec<AccountId> = run.standing.keys().skip(2).cloned().collect();
    run.chance.of(&people)
}

/// A person in the console: promotes, demotes, deletes, re-addresses.
fn console(run: &mut Run) {
    let id = if run.chance.percent(20) {
        let made: Vec<AccountId> =
            run.world.cloud.admins.keys().filter(|id| !run.standing.contains_key(*id)).cloned().collect();
        if made.is_empty() { someone(run) } else { run.chance.of(&made) }
    } else {
        someone(run)
    };
    let now = run.world.elapsed;
    run.touched.insert(id.clone());
    run.world.witness.stirred.insert(id.clone(), now);
    run.world.witness.saw("console");
    match run.chance.between(0, 20) {
        0 => {
            run.world.cloud.admins.remove(&id);
        }
        // An account of ours under another address before anybody has read its id is beyond knowing.
        1..=2 if run.standing.contains_key(&id) || is_known(run, &id) => {
            if let Some(admin) = run.world.cloud.admins.get_mut(&id) {
                admin.email = email(&format!("moved{now}@example.com"));
            }
        }
        _ => {
            let to = run.chance.of(&["Read Only", "Help Desk", "Manager", "Command Runner", "Administrator"]);
            if let Some(ever) = run.standing.get_mut(&id) {
                ever.push(role(to));
            }
            run.world.human_sets(&id, &[to]);
        }
    }
}

/// Whether a crash leaves the agent knowing that it made this account.
fn is_known(run: &Run, id: &AccountId) -> bool {
    let found = |e: &Entry| matches!(&e.record, Record::AccountFound { id: found, .. } if found == id);
    run.world.durable.iter().any(found)
}

/// T3: what no permitted write takes away is escalated, and a person takes it away. Where no person
/// made the tangle, and JumpCloud neither refused a write nor answered one that it never made, there is none.
pub(crate) fn somebody_looks(run: &mut Run) {
    for warning in std::mem::take(&mut run.world.warnings) {
        let Warning::Escalated(at) = warning else { continue };
        let AccountKey::Standing(id) = &at.account else { continue };
        if run.touched.contains(id) {
            run.world.witness.saw("escalation");
            run.world.witness.stirred.insert(id.clone(), run.world.elapsed);
            run.world.human_sets(id, &["Read Only"]);
            run.standing.get_mut(id).unwrap().push(role("Read Only"));
        } else if run.world.witness.in_vain.get(id).copied().unwrap_or(0) >= 1 {
            run.world.witness.saw("escalation of writes in vain"); // the agent goes on by itself
        } else {
            run.world.witness.violated("no_escalation_without_a_person", format!("{id}"));
        }
    }
}

fn outage(run: &mut Run) {
    let length = run.chance.of(&[2_000, 2_000, 20_000, 20_000, 100_000, 240_000, 4 * 3_600_000]);
    if length > 3_600_000 {
        run.world.witness.saw("outage of hours");
    }
    if run.chance.percent(20) {
        return silence(run, length);
    }
    match run.chance.between(0, 4) {
        0 => run.world.org_unreadable = Some(run.chance.of(&[FaultClass::Forbidden, FaultClass::Ambiguous])),
        1 => run.world.blind = true,
        _ => run.world.down = true,
    }
    run.reads_back_at = run.world.elapsed + length;
    run.world.witness.saw("outage");
    run.disturb();
}

/// The control plane says nothing, neither jobs nor the time.
fn silence(run: &mut Run, length: u64) {
    run.silent_until = run.silent_until.max(run.world.elapsed + length);
    run.world.witness.saw("silence of the control plane");
}

/// Where a clock is wrong, there is often no network that could tell.
fn silence_perhaps(run: &mut Run) {
    if run.chance.percent(40) {
        let length = run.chance.of(&[120_000, 1_800_000, 4 * 3_600_000]);
        silence(run, length);
    }
}

pub(crate) fn closed_policy(run: &mut Run) -> Option<Policy> {
    let open = open_policy();
    match run.chance.between(0, 3) {
        0 => None,
        1 => Some(Policy { dry_run: true, ..open }),
        _ => {
            let protected_accounts = run.world.cloud.admins.values().map(|a| a.email.clone()).collect();
            Some(Policy { protected_accounts, max_live_grants: 0, ..open })
        }
    }
}

fn close_gates(run: &mut Run) {
    let policy = if run.chance.percent(50) { Some(open_policy()) } else { closed_policy(run) };
    run.world.policy.clone_from(&policy);
    run.world.input(Input::Policy(policy.map(Box::new)));
}

/// The wall clock steps while the process runs.
fn jump(run: &mut Run) {
    let hour = 3_600_000;
    let by = run.chance.of(&[-3 * hour, -hour, -30_000, -2_000, 2_000, 30_000, hour, 87_600 * hour]);
    let to = if run.chance.percent(40) { run.real_wall().0 } else { run.world.now.wall.0 + by };
    run.world.now.wall = Timestamp(to);
    run.world.witness.saw("wall clock jump");
    silence_perhaps(run);
    run.disturb();
    run.world.input(Input::Tick);
}

/// The machine sleeps, perhaps between a commit and its raise, perhaps over an end.
fn suspend(run: &mut Run) {
    let off = run.chance.of(&[8_000, 60_000, 1_800_000, 8 * 3_600_000]);
    run.disturb();
    run.world.witness.saw("suspend");
    run.world.suspend(off);
    run.disturb();
    run.after_step();
}

fn reboot(run: &mut Run) {
    note_crash(run);
    let off = run.chance.of(&[8_000, 60_000, 1_800_000]);
    run.world.reboot_after(off);
    let newest = checks::latest_passed(&run.world);
    let really = run.real_wall().0;
    run.world.now.wall = Timestamp(match run.chance.between(0, 6) {
        0 => 946_684_800_000,
        1 => really - i64::try_from(run.chance.between(1, 10_800_000)).unwrap(),
        2 => really + i64::try_from(run.chance.between(1, 10_800_000)).unwrap(),
        _ => really,
    });
    let lag = checks::unseen_lag(run.world.now, newest, really);
    let live = run.world.witness.state.grants.values().filter(|grant| grant.phase.is_live());
    for grant in live.map(|grant| grant.terms.grant.clone()) {
        // What a clock hides at one reboot it may hide at the next as well; it is not added up.
        let known = run.unseen_lags.entry(grant).or_default();
        *known = lag.max(*known);
    }
    run.world.witness.saw("reboot");
    silence_perhaps(run);
    restart(run);
}

fn crash(run: &mut Run) {
    note_crash(run);
    run.world.crash();
    let off = run.chance.of(&[1, 300, 300, 5_000, 5_000, 60_000, 3 * DAY]);
    if off >= DAY {
        run.world.witness.saw("days off");
    }
    run.world.run(off);
    restart(run);
}

/// A write of the journal fails; what was under way may be on the disk all the same.
fn disk_fails(run: &mut Run) {
    if run.world.ledger_down || run.world.engine.is_none() {
        return;
    }
    if run.world.is_unsynced() {
        run.world.witness.saw("ledger lost before durable");
    }
    let kept = run.chance.between(0, 3);
    run.world.ledger_fails(usize::try_from(kept).unwrap());
    run.ledger_back_at = run.world.elapsed + run.chance.of(&[1_000, 30_000, 120_000]);
    run.world.witness.saw("ledger lost");
    run.disturb();
    run.after_step();
}

/// The journal takes records again: what is on the disk is all that is known.
pub(crate) fn disk_is_back(run: &mut Run) {
    run.world.ledger_reopens();
    started(run);
}

fn restart(run: &mut Run) {
    run.disturb();
    run.world.start();
    started(run);
}

fn started(run: &mut Run) {
    run.disturb();
    run.after_step();
    let open: Vec<Job> = run.delivered.iter().rev().take(12).cloned().collect();
    let answered = run.answered();
    let open: Vec<Job> = open.into_iter().filter(|j| !answered.contains(&j.id)).collect();
    open.into_iter().for_each(|job| run.deliver(job));
}

fn note_crash(run: &mut Run) {
    run.crashes += 1;
    run.forget_what_is_not_durable();
    let witness = &mut run.world.witness;
    let phases: Vec<Phase> = witness.state.grants.values().map(|g| g.phase).collect();
    let in_phase = [
        (Phase::Applying, "crash in applying"),
        (Phase::Indeterminate, "crash in indeterminate"),
        (Phase::Revoking, "crash in revoking"),
        (Phase::Settling, "crash in settling"),
    ];
    in_phase.iter().filter(|(p, _)| phases.contains(p)).for_each(|(_, name)| witness.saw(name));
    if run.world.is_unsynced() {
        run.world.witness.saw("crash before durable");
    }
}

/// Each event may be the process's last, the delicate ones more often.
pub(crate) fn crash_perhaps(run: &mut Run) {
    if run.healing || run.wildness == 0 || run.crashes >= 4 * run.wildness || run.world.engine.is_none() {
        return;
    }
    let delicate = run.world.witness.state.grants.values().any(|g| {
        !g.extensions.is_empty()
            || matches!(g.phase, Phase::Applying | Phase::Revoking | Phase::Indeterminate)
            || matches!(g.terms.account, AccountKey::Ephemeral(_)) && g.phase.is_live()
    });
    let odds = 1 + u64::from(delicate) * 10 + u64::from(run.world.is_unsynced()) * 10;
    if run.chance.between(0, 1_000) < odds {
        if run.chance.percent(20) { disk_fails(run) } else { crash(run) }
    }
}

/// What becomes of the writes to come.
pub(crate) fn choose_fates(run: &mut Run) {
    if run.healing || run.wildness == 0 {
        return;
    }
    while run.world.fates.len() < 3 {
        let fate = if run.chance.percent(100 - 25 * run.wildness) { Fate::Fine } else { bad_fate(run) };
        run.world.fates.push(fate);
    }
}

fn bad_fate(run: &mut Run) -> Fate {
    let late = Fate::Late(run.chance.between(11_000, 100_000));
    run.chance.of(&[
        Fate::AnswerLost,
        Fate::Dropped,
        late,
        late,
        Fate::Lie,
        Fate::Throttled,
        Fate::Refused,
        Fate::Unreachable,
    ])
}
