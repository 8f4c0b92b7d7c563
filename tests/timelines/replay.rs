//! Jobs that come again: what is remembered of a job, and for how long, must be enough. T17: everything was lost, the agent
//! enrolled anew, and somebody has kept the old jobs.

use ephemerald::{
    control::{
        keys::KeySet,
        verify::{DEFAULT_MAX_SKEW, DEFAULT_MAX_START_BY, Verifier},
        wire::Jwk,
    },
    engine::{
        codes::Rule,
        ids::{AccountId, AgentId},
        input::Input,
        job::{Job, Target},
        settings::RoleMode,
        state::JOB_MEMORY_MS,
        time::{Millis, Timestamp},
    },
};
use serde_json::Value;

use super::{
    MINUTE, world,
    world::{START, World, email},
};

const MEMORY: u64 = JOB_MEMORY_MS.unsigned_abs();

/// A grant of five minutes that may start within `startable` milliseconds, carried out and over.
fn carried_out(startable: u64) -> (World, AccountId, Job) {
    let mut w = world(RoleMode::Single);
    let ada = w.hire("ada@example.com", &["Read Only"]);
    let (job, _) = w.grant_job(Target::Email(email("ada@example.com")), "Manager", 5);
    let job = Job { start_by: w.now.wall + Millis(startable), ..job };
    w.input(Input::Job(Box::new(job.clone())));
    w.run(MINUTE);
    check!(w, w.roles_of(&ada), ["Manager"]);
    w.run(5 * MINUTE);
    check!(w, w.roles_of(&ada), ["Read Only"]);
    (w, ada, job)
}

/// The same signed bytes come again, and nothing comes of it.
fn comes_again(w: &mut World, ada: &AccountId, job: &Job) {
    w.input(Input::Job(Box::new(job.clone())));
    w.run(MINUTE);
    check!(w, w.records("grant_accepted").len(), 1);
    check!(w, w.roles_of(ada), ["Read Only"]);
}

/// Until a sweep has forgotten a job that was carried out: eight days after the end of its grant.
fn forgotten(w: &mut World, job: &Job) {
    w.run(8 * MEMORY + 6 * MINUTE - w.elapsed);
    check!(w, w.engine.as_ref().unwrap().state().jobs.contains_key(&job.id), false);
}

#[test]
fn a_job_that_was_carried_out_is_not_carried_out_again_before_or_after_it_is_forgotten() {
    for startable in [10 * MINUTE, 7 * 24 * 60 * MINUTE] {
        // On both sides of its last startable moment, after its grant was forgotten (a day later), and around the moment at
        // which it is itself. Each in a world of its own, because what comes again is remembered anew.
        let around = |at: u64| [at - MINUTE, at, at + MINUTE];
        let instants = [startable, 2 * MEMORY, startable + MEMORY, 8 * MEMORY + 5 * MINUTE];
        for at in instants.into_iter().flat_map(around) {
            let (mut w, ada, job) = carried_out(startable);
            w.run(at.saturating_sub(w.elapsed));
            comes_again(&mut w, &ada, &job);
            w.run(10 * MINUTE);
            comes_again(&mut w, &ada, &job);
        }
    }
}

#[test]
fn a_job_that_was_forgotten_is_not_new_again_under_a_clock_that_was_set_back() {
    for rebooted in [false, true] {
        let (mut w, ada, job) = carried_out(10 * MINUTE);
        forgotten(&mut w, &job);
        if rebooted {
            w.reboot_after(8_000);
        }
        w.now.wall = Timestamp(START + 60_000);
        if rebooted {
            w.start();
        }
        w.run(1_000);
        comes_again(&mut w, &ada, &job);
        w.run(30 * MINUTE);
        comes_again(&mut w, &ada, &job);
    }
}

#[test]
fn t17_a_job_of_the_lost_ledger_is_refused_by_the_new_agent_id_and_by_the_new_ledgers_age() {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/protocol/vectors/jobs.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(vectors).unwrap()).unwrap();
    let now = Timestamp(vectors["now"].as_i64().unwrap() * 1000);
    let root: Jwk = serde_json::from_value(vectors["root"].clone()).unwrap();
    let keys =
        KeySet::verify(vectors["key_set"].as_str().unwrap(), &root, root.kid.as_ref().unwrap()).unwrap();
    let job = vectors["cases"][0]["jws"].as_str().unwrap();
    let before = Verifier {
        agent: AgentId::new(vectors["agent_id"].as_str().unwrap()).unwrap(),
        keys,
        ledger_created_at: Timestamp(vectors["ledger_created_at"].as_i64().unwrap() * 1000),
        max_start_by: DEFAULT_MAX_START_BY,
        max_skew: DEFAULT_MAX_SKEW,
    };
    before.verify(job, now).unwrap();

    let enrolled_anew =
        Verifier { agent: AgentId::new("agent-of-the-new-ledger").unwrap(), ..before.clone() };
    assert_eq!(enrolled_anew.verify(job, now).unwrap_err().rule, Some(Rule::WrongAgent));
    // Even a control plane that gave the old id again: the job is older than the ledger.
    let same_name = Verifier { ledger_created_at: now, ..before };
    assert_eq!(same_name.verify(job, now).unwrap_err().rule, Some(Rule::IssuedBeforeLedger));
}
