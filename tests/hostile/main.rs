//! A control plane that turned hostile: it signs whatever it likes with the right keys, and still no
//! account ever shows anything that the local policy does not allow.
//!
//! Random policies as files, random streams of signed jobs through the verification and the engine that
//! ship, in a world that loses answers and kills the process. Afterwards the model JumpCloud's history,
//! and nothing else, is held against the policy by a judge that shares no code with the engine.
//!
//! ```text
//! cargo test --test hostile -- --nocapture                        # 2,000 cases
//! cargo test --release --test hostile -- --ignored --nocapture    # 100,000, or EPHEMERALD_CASES
//! EPHEMERALD_SEED=17 cargo test --test hostile one_seed -- --nocapture
//! ```
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "the counts are part of what is shown")]

#[path = "../simulation/chance.rs"]
mod chance;
mod judge;
mod rules;
mod signer;
mod stream;
#[path = "../support/world/mod.rs"]
#[allow(dead_code, reason = "each test file uses its own part of the world")]
mod world;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use ephemerald::engine::{
    policy::{Policy, Requirements},
    time::Millis,
};
use stream::Stream;

/// What must have happened at least this often in 2,000 cases, lest they prove nothing.
const QUOTAS: [(&str, u64); 24] = [
    ("raised", 3_000),
    ("granted", 3_000),
    ("extended", 500),
    ("dry_run", 400),
    ("restart", 500),
    ("repeat", 1_000),
    ("ephemeral", 200),
    ("rejected/role_not_grantable", 500),
    ("rejected/role_manages_admins", 100),
    ("rejected/duration_too_long", 500),
    ("rejected/protected_account", 100),
    ("rejected/account_not_allowed", 100),
    ("rejected/own_account", 20),
    ("rejected/ephemeral_not_allowed", 100),
    ("rejected/domain_not_allowed", 50),
    ("rejected/request_number_required", 50),
    ("rejected/justification_required", 50),
    ("rejected/approvers_required", 50),
    ("rejected/requester_is_approver", 50),
    ("rejected/approval_required", 100),
    ("rejected/outside_hours", 100),
    ("rejected/quota", 50),
    ("rejected/grants_per_hour", 50),
    ("rejected/max_continuous", 100),
];

#[test]
fn no_stream_of_signed_jobs_leads_outside_the_policy() {
    run(2_000);
}

#[test]
#[ignore = "long: cargo test --release --test hostile -- --ignored --nocapture"]
fn no_stream_of_signed_jobs_leads_outside_the_policy_in_a_hundred_thousand_cases() {
    run(std::env::var("EPHEMERALD_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000));
}

/// A way in which the engine's policy is looser than the file.
type Loosened = (&'static str, fn(&mut Policy));

/// The judge sees each rule that is missing: without this, two thousand quiet cases say nothing.
#[test]
fn an_engine_without_one_of_the_rules_is_found_out() {
    let loosened: [Loosened; 13] = [
        ("dry_run", |p| p.dry_run = false),
        ("roles", |p| {
            let any = |role: &str| (world::role(role), Millis(86_400_000));
            p.roles = rules::ROLES.into_iter().map(any).collect();
        }),
        ("denied_roles", |p| p.denied_roles.clear()),
        ("max_duration", |p| p.max_duration = Millis(u64::MAX)),
        ("protected_accounts", |p| p.protected_accounts.clear()),
        ("accounts.allow", |p| p.accounts_allow.clear()),
        ("accounts.deny", |p| p.accounts_deny.clear()),
        ("require", |p| p.require = Requirements { signatures: 1, ..Requirements::default() }),
        ("approval_keys", |p| p.approval_keys.clear()),
        ("hours", |p| p.hours = None),
        ("max_live_grants", |p| p.max_live_grants = u32::MAX),
        ("max_grants_per_hour", |p| p.max_grants_per_hour = u32::MAX),
        ("max_continuous", |p| p.max_continuous = Millis(u64::MAX)),
    ];
    for (rule, loosen) in loosened {
        let found = (0..2_000).find(|seed| {
            let mut stream = Stream::under(*seed, loosen);
            stream.play();
            judge::outside(&stream).is_some()
        });
        println!("without {rule}: found out by seed {found:?}");
        assert!(found.is_some(), "nothing shows that {rule} is missing");
    }
}

#[test]
fn one_seed() {
    let Some(seed) = std::env::var("EPHEMERALD_SEED").ok().and_then(|n| n.parse().ok()) else { return };
    let judged = judged(seed);
    assert!(judged.violation.is_none(), "{}\n{:?}", judged.story, judged.violation);
}

struct Judged {
    seed: u64,
    seen: BTreeMap<String, u64>,
    violation: Option<String>,
    story: String,
}

fn judged(seed: u64) -> Judged {
    let mut stream = Stream::new(seed);
    let panicked = catch_unwind(AssertUnwindSafe(|| stream.play())).is_err();
    let found = if panicked { Some("the engine panicked".to_owned()) } else { judge::outside(&stream) };
    let story = found.as_ref().map(|_| stream.story()).unwrap_or_default();
    Judged { seed, seen: stream.seen(), violation: found, story }
}

fn run(cases: u64) {
    let halves: Vec<_> = (0..2)
        .map(|half| {
            std::thread::spawn(move || {
                let mut total: BTreeMap<String, u64> = BTreeMap::new();
                let mut broken: Vec<Judged> = Vec::new();
                for one in (0..cases).filter(|seed| seed % 2 == half).map(judged) {
                    one.seen.iter().for_each(|(what, n)| *total.entry(what.clone()).or_default() += n);
                    if one.violation.is_some() && broken.len() < 20 {
                        broken.push(one);
                    }
                }
                (total, broken)
            })
        })
        .collect();
    let mut total: BTreeMap<String, u64> = BTreeMap::new();
    let mut broken: Vec<Judged> = Vec::new();
    for (seen, more) in halves.into_iter().map(|half| half.join().unwrap()) {
        seen.into_iter().for_each(|(what, n)| *total.entry(what).or_default() += n);
        broken.extend(more);
    }
    println!("hostile control plane: {cases} cases");
    total.iter().for_each(|(what, n)| println!("{n:>9}  {what}"));
    broken.sort_by_key(|one| one.seed);
    if let Some(first) = broken.first() {
        let seeds: Vec<u64> = broken.iter().map(|one| one.seed).collect();
        panic!(
            "{}\npolicy_is_local: {}\nseeds: {seeds:?}\n\
             EPHEMERALD_SEED={} cargo test --test hostile one_seed -- --nocapture",
            first.story,
            first.violation.as_ref().unwrap(),
            first.seed
        );
    }
    let few = |(what, least): &&(&str, u64)| total.get(*what).copied().unwrap_or(0) < least * cases / 2_000;
    let missing: Vec<_> = QUOTAS.iter().filter(few).collect();
    assert!(missing.is_empty(), "happened too seldom: {missing:?}");
}
