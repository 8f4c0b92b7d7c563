//! What goes wrong, and what people do meanwhile.

use ephemerald::engine::{
    account::AccountKey,
    action::Warning,
    grant::Phase,
    ids::{AccountId, GrantId},
    input::Input,
    job::{Ask, Digest, Job, Target},
    policy::Policy,
    record::Record,
    time::{Millis, Timestamp},
};

use super::{
    checks,
    run::Run,
    world::{Fate, email, open_policy, role},
};

const ROLES: [&str; 7] = [
    "Administrator",
    "Administrator",
    "Manager",
    "Manager",
    "Help Desk",
    "Command Runner",
    "Administrator With Billing",
];

/// One thing that people, the control plane or the world do.
pub(crate) fn something_happens(run: &mut Run) {
    let wild = run.wildness;
    match run.chance.between(0, 100) {
        0..=34 => grant(run),
        35..=44 => revoke(run),
        45..=49 => cancel(run),
        50..=56 => again(run),
        57..=58 => equivocate(run),
        59..=60 => operator_ends(run),
        61..=70 if wild > 0 || run.chance.percent(30) => console(run),
        71..=76 if wild > 0 => outage(run),
        77..=80 if wild > 0 => close_gates(run),
        81..=84 if wild > 1 => jump(run),
        85..=87 if wild > 1 => reboot(run),
        88..=91 if wild > 0 => crash(run),
        _ => {}
    }
}

fn someone(run: &mut Run) -> AccountId {
    let people: Vec<AccountId> = run.standing.keys().skip(2).cloned().collect();
    run.chance.of(&people)
}

fn grant(run: &mut Run) {
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

fn revoke(run: &mut Run) {
    let Some(grant) = some_grant(run) else { return };
    let job = Job { ask: Ask::Revoke(grant), ..run.world.next_job() };
    run.hand_out(job);
}

fn some_job(run: &mut Run) -> Option<Job> {
    let recent: Vec<Job> = run.delivered.iter().rev().take(5).cloned().collect();
    (!recent.is_empty()).then(|| run.chance.of(&recent))
}

fn cancel(run: &mut Run) {
    let Some(job) = some_job(run) else { return };
    run.world.input(Input::Cancelled(job.id));
}

fn again(run: &mut Run) {
    let Some(job) = some_job(run) else { return };
    run.world.witness.saw("duplicate");
    run.deliver(job);
}

fn equivocate(run: &mut Run) {
    let Some(mut job) = some_job(run) else { return };
    job.digest = Digest([0xee; 32]);
    run.deliver(job);
}

fn operator_ends(run: &mut Run) {
    let Some(grant) = some_grant(run) else { return };
    run.world.input(Input::OperatorEnds(grant));
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

fn is_known(run: &Run, id: &AccountId) -> bool {
    run.world.witness.state.accounts.values().any(|a| a.id.as_ref() == Some(id))
}

/// T3: what no permitted write takes away is escalated, and a person takes it away. Where no person
/// made the tangle, there is none to escalate.
pub(crate) fn somebody_looks(run: &mut Run) {
    for warning in std::mem::take(&mut run.world.warnings) {
        let Warning::Escalated(at) = warning else { continue };
        let AccountKey::Standing(id) = &at.account else { continue };
        if run.touched.contains(id) {
            run.world.witness.saw("escalation");
            run.world.witness.stirred.insert(id.clone(), run.world.elapsed);
            run.world.human_sets(id, &["Read Only"]);
            run.standing.get_mut(id).unwrap().push(role("Read Only"));
        } else {
            run.world.witness.violated("no_escalation_without_a_person", format!("{id}"));
        }
    }
}

fn outage(run: &mut Run) {
    let length = run.chance.of(&[2_000, 20_000, 100_000, 240_000]);
    match run.chance.between(0, 4) {
        0 => run.world.org_unreadable = true,
        1 => run.world.blind = true,
        _ => run.world.down = true,
    }
    run.reads_back_at = run.world.elapsed + length;
    run.world.witness.saw("outage");
    run.disturb();
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
    run.disturb();
    run.world.input(Input::Tick);
}

fn reboot(run: &mut Run) {
    note_crash(run);
    let off = run.chance.of(&[8_000, 60_000, 1_800_000]);
    run.world.reboot_after(off);
    let newest = run.world.durable.iter().map(|e| e.at.0).max();
    let really = run.real_wall().0;
    run.world.now.wall = Timestamp(match run.chance.between(0, 6) {
        0 => 946_684_800_000,
        1 => really - i64::try_from(run.chance.between(1, 10_800_000)).unwrap(),
        2 => really + i64::try_from(run.chance.between(1, 10_800_000)).unwrap(),
        _ => really,
    });
    let lag = checks::unseen_lag(run.world.now, newest, really);
    // Less than the 60 s threshold cannot be told from an honest clock, at the acceptance as here.
    run.unseen_lag_ms = run.unseen_lag_ms.max(lag + 60_000);
    run.world.witness.saw("reboot");
    restart(run);
}

fn crash(run: &mut Run) {
    note_crash(run);
    run.world.crash();
    let off = run.chance.of(&[1, 300, 5_000, 60_000]);
    run.world.run(off);
    restart(run);
}

fn restart(run: &mut Run) {
    run.disturb();
    run.world.start();
    run.disturb();
    run.after_step();
    let open: Vec<Job> = run.delivered.iter().rev().take(12).cloned().collect();
    let answered = |j: &Job| {
        run.world.durable.iter().any(|e| matches!(&e.record, Record::JobAnswered(a) if a.job == j.id))
    };
    let open: Vec<Job> = open.into_iter().filter(|j| !answered(j)).collect();
    open.into_iter().for_each(|job| run.deliver(job));
}

fn note_crash(run: &mut Run) {
    run.crashes += 1;
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
        matches!(g.phase, Phase::Applying | Phase::Revoking | Phase::Indeterminate)
            || matches!(g.terms.account, AccountKey::Ephemeral(_)) && g.phase.is_live()
    });
    let odds = 1 + u64::from(delicate) * 10 + u64::from(run.world.is_unsynced()) * 10;
    if run.chance.between(0, 1_000) < odds {
        crash(run);
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
