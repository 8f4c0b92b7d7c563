//! The published test vectors, schemas and code list, run through the code that ships.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use ephemerald::{
    control::{
        jws,
        keys::{KEY_SET_TYP, KeyPair, KeySet, PublicKey},
        proof::{self, ProofClaims},
        token::AgentToken,
        verify::Verifier,
        wire::{self, JOB_TYP, JOB_TYPES, Jwk, KeySetClaims},
    },
    engine::{
        codes::{EndReason, EventCode, ResultCode, Rule, WokenBy},
        ids::AgentId,
        time::{Millis, Timestamp},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[path = "protocol_vectors/generate.rs"]
mod generate;

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/protocol")
}

fn read(path: &str) -> Value {
    let path = docs().join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn vectors<T: for<'a> Deserialize<'a>>(file: &str) -> T {
    serde_json::from_value(read(&format!("vectors/{file}"))).unwrap()
}

/// `vectors/jobs.json`.
#[derive(Serialize, Deserialize)]
struct Jobs {
    about: String,
    agent_id: AgentId,
    ledger_created_at: i64,
    now: i64,
    max_start_by_s: u64,
    max_skew_s: u64,
    root: Jwk,
    key_set: String,
    cases: Vec<JobCase>,
}

#[derive(Serialize, Deserialize)]
struct JobCase {
    name: String,
    jws: String,
    expect: JobExpect,
}

#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
struct JobExpect {
    accepted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

impl Jobs {
    fn verifier(&self) -> Verifier {
        let pinned = self.root.kid.clone().unwrap();
        Verifier {
            agent: self.agent_id.clone(),
            keys: KeySet::verify(&self.key_set, &self.root, &pinned).unwrap(),
            ledger_created_at: Timestamp(self.ledger_created_at * 1000),
            max_start_by: Millis::from_secs(self.max_start_by_s),
            max_skew: Millis::from_secs(self.max_skew_s),
        }
    }
}

fn judge(verifier: &Verifier, jws: &str, now: i64) -> JobExpect {
    let hex = |digest| serde_json::to_value::<ephemerald::engine::job::Digest>(digest).unwrap();
    let hex = |digest| hex(digest).as_str().unwrap().to_owned();
    match verifier.verify(jws, Timestamp(now * 1000)) {
        Ok(job) => JobExpect {
            accepted: true,
            code: None,
            rule: None,
            job_id: Some(job.claims.job_id.to_string()),
            digest: Some(hex(job.digest)),
        },
        Err(refusal) => JobExpect {
            accepted: false,
            code: Some(refusal.code.to_string()),
            rule: refusal.rule.map(|rule| rule.to_string()),
            job_id: refusal.job_id.map(|id| id.to_string()),
            digest: refusal.digest.map(hex),
        },
    }
}

/// `vectors/key-sets.json`.
#[derive(Serialize, Deserialize)]
struct KeySets {
    about: String,
    pinned_root: String,
    held: String,
    cases: Vec<KeySetCase>,
}

#[derive(Serialize, Deserialize)]
struct KeySetCase {
    name: String,
    root: Jwk,
    key_set: String,
    accepted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
}

/// `vectors/proofs.json`.
#[derive(Serialize, Deserialize)]
struct Proofs {
    about: String,
    agent_key: Jwk,
    cases: Vec<ProofCase>,
}

#[derive(Serialize, Deserialize)]
struct ProofCase {
    name: String,
    origin: String,
    method: String,
    path: String,
    body: String,
    proof: String,
    accepted: bool,
}

/// `vectors/agent-tokens.json`.
#[derive(Serialize, Deserialize)]
struct Tokens {
    about: String,
    cases: Vec<TokenCase>,
}

#[derive(Serialize, Deserialize)]
struct TokenCase {
    name: String,
    token: String,
    accepted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// `vectors/thumbprints.json`.
#[derive(Serialize, Deserialize)]
struct Thumbprints {
    about: String,
    cases: Vec<ThumbprintCase>,
}

#[derive(Serialize, Deserialize)]
struct ThumbprintCase {
    name: String,
    jwk: Jwk,
    accepted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thumbprint: Option<String>,
}

#[test]
fn every_job_vector_is_judged_as_published() {
    let file: Jobs = vectors("jobs.json");
    let verifier = file.verifier();
    for case in &file.cases {
        assert_eq!(judge(&verifier, &case.jws, file.now), case.expect, "{}", case.name);
    }
    assert!(file.cases.iter().filter(|c| c.expect.accepted).count() >= 5);
    assert!(file.cases.iter().filter(|c| !c.expect.accepted).count() >= 25);
}

#[test]
fn every_key_set_vector_is_judged_as_published() {
    let file: KeySets = vectors("key-sets.json");
    let root = file.cases[0].root.clone();
    let held = KeySet::verify(&file.held, &root, &file.pinned_root).unwrap();
    for case in &file.cases {
        let got = held.successor(&case.key_set, &case.root, &file.pinned_root);
        assert_eq!(got.as_ref().ok().map(KeySet::version), case.version, "{}: {got:?}", case.name);
        assert_eq!(got.is_ok(), case.accepted, "{}", case.name);
    }
}

#[test]
fn every_proof_vector_is_judged_as_published() {
    let file: Proofs = vectors("proofs.json");
    let key = PublicKey::from_jwk(&file.agent_key).unwrap();
    for case in &file.cases {
        let got = proof::verify(&case.proof, &key);
        let covers = got
            .is_ok_and(|claims| claims.covers(&case.origin, &case.method, &case.path, case.body.as_bytes()));
        assert_eq!(covers, case.accepted, "{}", case.name);
    }
}

#[test]
fn every_agent_token_vector_is_judged_as_published() {
    let file: Tokens = vectors("agent-tokens.json");
    for case in &file.cases {
        let got = AgentToken::parse(&case.token);
        assert_eq!(got.as_ref().ok().map(|token| token.url.clone()), case.url, "{}: {got:?}", case.name);
        assert_eq!(got.is_ok(), case.accepted, "{}", case.name);
    }
}

#[test]
fn every_thumbprint_vector_is_computed_as_published() {
    let file: Thumbprints = vectors("thumbprints.json");
    for case in &file.cases {
        let got = PublicKey::from_jwk(&case.jwk).ok().map(|key| key.thumbprint());
        assert_eq!(got, case.thumbprint, "{}", case.name);
        assert_eq!(got.is_some(), case.accepted, "{}", case.name);
    }
}

/// The words in the first column of the table under `## heading` of `codes.md`.
fn listed(heading: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(docs().join("codes.md")).unwrap();
    let section = text.split("\n## ").find(|s| s.starts_with(heading)).unwrap_or_else(|| panic!("{heading}"));
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let words: Vec<String> = rows.map(|row| row.split('`').next().unwrap().to_owned()).collect();
    let set: BTreeSet<String> = words.iter().cloned().collect();
    assert_eq!(set.len(), words.len(), "{heading}: a word twice");
    set
}

/// Every enumeration of the protocol: heading in `codes.md`, name in `schemas/codes.json`, words.
fn enumerations() -> Vec<(&'static str, &'static str, BTreeSet<String>)> {
    fn set<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> BTreeSet<String> {
        all.iter().map(|value| word(*value).to_owned()).collect()
    }
    vec![
        ("Result codes", "result_code", set(ResultCode::ALL, ResultCode::as_str)),
        ("Rules", "rule", set(Rule::ALL, Rule::as_str)),
        ("Event codes", "event_code", set(EventCode::ALL, EventCode::as_str)),
        ("End reasons", "end_reason", set(EndReason::ALL, EndReason::as_str)),
        ("Woken by", "woken_by", set(WokenBy::ALL, WokenBy::as_str)),
        ("Job types", "job_type", JOB_TYPES.into_iter().map(str::to_owned).collect()),
    ]
}

#[test]
fn the_published_code_list_is_the_one_in_the_code() {
    for (heading, _, words) in enumerations() {
        assert_eq!(listed(heading), words, "{heading}");
    }
}

#[test]
fn the_enumerations_in_the_schemas_are_those_in_the_code() {
    let codes = read("schemas/codes.json");
    for (_, name, words) in enumerations() {
        let listed: BTreeSet<String> = serde_json::from_value(codes["$defs"][name]["enum"].clone()).unwrap();
        assert_eq!(listed, words, "{name}");
    }
}

/// Reads an example as the message it is, writes it, and compares: nothing is lost, nothing added.
fn survives<T: Serialize + for<'a> Deserialize<'a>>(file: &str, example: &Value) {
    let message: T =
        serde_json::from_value(example.clone()).unwrap_or_else(|e| panic!("{file}: {e}\n{example}"));
    assert_eq!(&serde_json::to_value(&message).unwrap(), example, "{file}");
}

type Survives = fn(&str, &Value);

const MESSAGES: [(&str, Survives); 22] = [
    ("acquire-request", survives::<wire::AcquireRequest>),
    ("acquire-answer", survives::<wire::AcquireAnswer>),
    ("agent-token", survives::<AgentToken>),
    ("enroll-request", survives::<wire::EnrollRequest>),
    ("enroll-answer", survives::<wire::EnrollAnswer>),
    ("heartbeat-request", survives::<wire::HeartbeatRequest>),
    ("heartbeat-answer", survives::<wire::HeartbeatAnswer>),
    ("inventory-request", survives::<wire::InventoryRequest>),
    ("inventory-answer", survives::<wire::InventoryAnswer>),
    ("job-claims", survives::<wire::JobClaims>),
    ("key-set-claims", survives::<KeySetClaims>),
    ("problem", survives::<wire::Problem>),
    ("proof-claims", survives::<ProofClaims>),
    ("recover-request", survives::<wire::RecoverRequest>),
    ("recover-answer", survives::<wire::RecoverAnswer>),
    ("reports-request", survives::<wire::ReportsRequest>),
    ("reports-answer", survives::<wire::ReportsAnswer>),
    ("rotate-key-request", survives::<wire::RotateKeyRequest>),
    ("rotate-key-answer", survives::<wire::RotateKeyAnswer>),
    ("rotation-claims", survives::<wire::RotationClaims>),
    ("status-request", survives::<wire::StatusRequest>),
    ("status-answer", survives::<wire::StatusAnswer>),
];

#[test]
fn every_example_in_the_schemas_is_the_message_it_claims_to_be() {
    for (name, survives) in MESSAGES {
        let schema = read(&format!("schemas/{name}.json"));
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        let examples = schema["examples"].as_array().unwrap_or_else(|| panic!("{name} has no examples"));
        assert!(!examples.is_empty(), "{name}");
        examples.iter().for_each(|example| survives(name, example));
    }
}

#[test]
fn every_schema_file_is_a_message_of_this_list() {
    let mut known: BTreeSet<String> = MESSAGES.iter().map(|(name, _)| format!("{name}.json")).collect();
    known.insert("codes.json".to_owned());
    let found = fs::read_dir(docs().join("schemas")).unwrap();
    let found = found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(known, found);
}

#[test]
fn the_examples_in_the_job_schema_cover_every_job_type() {
    let schema = read("schemas/job-claims.json");
    let examples = schema["examples"].as_array().unwrap();
    let types: BTreeSet<&str> = examples.iter().map(|e| e["job"]["type"].as_str().unwrap()).collect();
    assert_eq!(types, JOB_TYPES.into_iter().collect());
}

#[test]
#[ignore = "writes docs/protocol/vectors: cargo test --test protocol_vectors -- --ignored"]
fn write_the_vectors() {
    generate::all();
}
