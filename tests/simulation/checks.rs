//! The invariants, by the names that the design gives them.

use std::collections::{BTreeMap, BTreeSet};

use ephemerald::engine::{
    Engine,
    account::AccountKey,
    codes::ResultCode,
    grant::GrantKind,
    ids::{AccountId, GrantId, JobId, RoleName},
    record::Record,
    time::{Millis, Now, Timestamp},
};

use super::{
    run::Run,
    world::{World, witness},
};

/// How long after its end a grant's access may still show while JumpCloud answers.
const BOUND_MS: u64 = 30_000;
/// What a disturbance may leave behind: a late write, a watch that looks again, one backoff.
const AFTERMATH_MS: u64 = 200_000;
/// A job id is remembered for a day beyond its start-by instant.
const FORGOTTEN_MS: u64 = 24 * 3_600_000;
/// By how much clocks may differ unseen.
pub(crate) const CLOCKS_DIFFER_MS: u64 = 60_000;
/// The wheel's own slack, and a turn of the disk.
const SLACK_MS: u64 = 2_100;

/// After each event.
pub(crate) fn always(run: &mut Run) {
    let Some(engine) = run.world.engine.as_ref() else { return };
    run.world.witness.check_fold(engine.state());
    let found = time_helped(engine, run);
    if let Some(what) = found {
        run.world.witness.violated("time_never_helps", what);
    }
    if run.world.elapsed >= run.disturbed.max(run.world.witness.faulty_at) + AFTERMATH_MS {
        no_access_outlives_its_grant(run);
    }
}

/// A grant is live for no longer than the end in force allows, in time that really passed, beyond what a
/// clock that lagged unseen over a reboot can hide.
fn time_helped(engine: &Engine, run: &Run) -> Option<String> {
    let elapsed = run.world.elapsed;
    engine.state().grants.values().filter(|g| g.phase.is_live()).find_map(|g| {
        let limit = run.world.witness.limits.get(&(g.terms.grant.clone(), g.end.at))?;
        // Less than the threshold cannot be told from an honest clock, at the acceptance as later.
        let lag = run.unseen_lags.get(&g.terms.grant).copied().unwrap_or_default() + CLOCKS_DIFFER_MS;
        (elapsed > limit + SLACK_MS + lag)
            .then(|| format!("{} lives at {elapsed}, until {limit}", g.terms.grant))
    })
}

/// While JumpCloud answers and nobody touches the account, a role is gone 30 s after its end.
fn no_access_outlives_its_grant(run: &mut Run) {
    let mut found = Vec::new();
    let order = witness::order();
    for (id, admin) in &run.world.cloud.admins {
        if run.touched.contains(id) {
            continue;
        }
        let mut allowed = run.standing.get(id).cloned().unwrap_or_default();
        allowed.extend(run.standing.contains_key(id).then(|| super::world::role("Read Only"))); // the floor
        let over = |g: &GrantId| {
            let state = &run.world.witness.state;
            let live = state.grants.get(g).is_some_and(|g| g.phase.is_live());
            let ended = run.ended.get(g).copied().unwrap_or(run.world.elapsed);
            !live && run.world.elapsed > ended + BOUND_MS
        };
        for (grant, (key, role)) in &run.given {
            if is_of(key, id, admin.email.as_str()) && !over(grant) {
                allowed.push(role.clone());
            }
        }
        if !order.all_covered(&allowed, &admin.roles) {
            found.push(format!("{}: {id} shows {:?}, due {allowed:?}", run.world.elapsed, admin.roles));
        }
    }
    for what in found {
        run.world.witness.violated("no_access_outlives_its_grant", what);
    }
}

fn is_of(key: &AccountKey, id: &AccountId, address: &str) -> bool {
    match key {
        AccountKey::Standing(account) => account == id,
        AccountKey::Ephemeral(email) => email.as_str() == address,
    }
}

/// After healing, with the watch over.
pub(crate) fn in_the_end(run: &mut Run) {
    nobody_has_what_only_we_gave(run);
    jobs(run);
    every_way_is_closed(run);
    a_right_clock_is_believed(run);
}

/// Once the time was told, and the clock is right, by this process and by the next.
fn a_right_clock_is_believed(run: &mut Run) {
    for life in ["this", "the next"] {
        if run.world.engine.as_ref().is_some_and(|engine| !engine.is_clock_trusted()) {
            let what = format!("{life} process does not believe its clock");
            run.world.witness.violated("a_right_clock_is_believed", what);
        }
        if life == "this" {
            run.world.crash();
            run.world.start();
        }
    }
}

fn nobody_has_what_only_we_gave(run: &mut Run) {
    let invariant = if run.gated { "nothing_gates_an_ending" } else { "no_access_outlives_its_grant" };
    let order = witness::order();
    let mut found = Vec::new();
    for (id, admin) in &run.world.cloud.admins {
        let mut own: Vec<RoleName> = run.standing.get(id).cloned().unwrap_or_default();
        own.push(super::world::role("Read Only")); // the floor
        let held = &admin.roles;
        if !run.standing.contains_key(id) {
            found.push(format!("{id} ({}) was made by us and is still there", admin.email));
        } else if !held.iter().all(|r| order.any_covers(&own, r)) {
            found.push(format!("{id} shows {held:?}, ever its own: {own:?}"));
        }
    }
    for what in found {
        run.world.witness.violated(invariant, what);
    }
}

/// `one_job_one_effect` and `every_job_is_answered`, from durable records alone.
fn jobs(run: &mut Run) {
    let mut answers: BTreeMap<JobId, Vec<String>> = BTreeMap::new();
    let (mut taken, mut grants) = (BTreeSet::new(), BTreeSet::new());
    let starts: BTreeMap<&JobId, Timestamp> =
        run.delivered.iter().map(|job| (&job.id, job.start_by)).collect();
    let mut twice = Vec::new();
    for entry in &run.world.durable {
        match &entry.record {
            Record::GrantAccepted(terms)
                if !taken.insert(terms.job.clone()) || !grants.insert(terms.grant.clone()) =>
            {
                twice.push(format!("{} is accepted a second time", terms.job));
            }
            // So late that its id is forgotten, and it is not carried out either.
            Record::JobAnswered(a)
                if matches!(
                    a.code,
                    ResultCode::ExpiredBeforeStart | ResultCode::Rejected | ResultCode::AlreadyEnded
                ) && answers.contains_key(&a.job)
                    && starts.get(&a.job).is_some_and(|by| entry.at > *by + Millis(FORGOTTEN_MS)) => {}
            Record::JobAnswered(a) => answers.entry(a.job.clone()).or_default().push(a.code.to_string()),
            Record::GrantExtended(e) => answers.entry(e.job.clone()).or_default().push("extended".to_owned()),
            Record::ExtensionDropped(e) => answers.entry(e.job.clone()).or_default().push(e.code.to_string()),
            Record::GrantActive(a) => {
                answers.entry(a.about.grant_job.clone()).or_default().push("granted".to_owned());
            }
            Record::GrantEnding(e) if e.rule.is_some() => {
                answers.entry(e.about.grant_job.clone()).or_default().push("not granted".to_owned());
            }
            _ => {}
        }
    }
    let witness = &mut run.world.witness;
    twice.into_iter().for_each(|what| witness.violated("one_job_one_effect", what));
    for job in &run.delivered {
        let found = answers.get(&job.id).map_or(&[][..], Vec::as_slice);
        if found.len() != 1 {
            witness.violated("every_job_is_answered", format!("{} {:?}: {found:?}", job.id, job.ask));
        }
    }
}

fn every_way_is_closed(run: &mut Run) {
    let Some(engine) = run.world.engine.as_ref() else { return };
    let state = engine.state();
    let open: Vec<String> =
        state.grants.values().map(|g| format!("{} {:?}", g.terms.grant, g.phase)).collect();
    let accounts: Vec<String> = state.accounts.keys().map(|a| a.account.as_str().to_owned()).collect();
    if !open.is_empty() || !accounts.is_empty() {
        let what = format!("still open: {open:?} on {accounts:?}");
        run.world.witness.violated("every_grant_is_closed", what);
    }
}

/// What the engine's records say of grants, in time that really passed.
pub(crate) fn take_note(run: &mut Run, from: usize) {
    for entry in run.world.all.get(from..).unwrap_or_default() {
        match &entry.record {
            Record::GrantAccepted(terms) => {
                let known = latest_passed(&run.world).unwrap_or_default();
                if known - terms.accepted_at.0 > 2 * 60_000 {
                    let what = format!(
                        "{} is accepted {} ms before a time in the journal",
                        terms.grant,
                        known - terms.accepted_at.0
                    );
                    run.world.witness.violated("no_grant_under_a_clock_known_to_be_wrong", what);
                }
                run.given.insert(terms.grant.clone(), (terms.account.clone(), terms.role.clone()));
                if terms.kind == GrantKind::Ephemeral {
                    run.seen_ephemeral += 1;
                }
            }
            Record::GrantEnding(ending) => {
                run.ended.insert(ending.about.grant.clone(), run.world.elapsed);
            }
            _ => {}
        }
    }
}

/// The latest time that the journal holds and that had really passed when it was written, whatever was written since.
/// A time that had not come yet proves nothing to a later start: what a clock says that is ahead, the engine does not
/// believe.
pub(crate) fn latest_passed(world: &World) -> Option<i64> {
    world.durable.iter().filter(|e| !world.ahead.contains(&e.seq)).map(|e| e.at.0).max()
}

/// Whether a reboot's clock lags without anybody being able to see it, and by how much.
pub(crate) fn unseen_lag(now: Now, newest: Option<i64>, really: i64) -> u64 {
    let lag = u64::try_from(really - now.wall.0).unwrap_or(0);
    let seen = newest.is_some_and(|newest| newest - now.wall.0 > 60_000);
    if seen { 0 } else { lag }
}
