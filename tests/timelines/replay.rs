//! T17: everything was lost, the agent enrolled anew, and somebody has kept the old jobs.

use ephemerald::{
    control::{
        keys::KeySet,
        verify::{DEFAULT_MAX_SKEW, DEFAULT_MAX_START_BY, Verifier},
        wire::Jwk,
    },
    engine::{codes::Rule, ids::AgentId, time::Timestamp},
};
use serde_json::Value;

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
