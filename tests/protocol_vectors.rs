//! The published test vectors, schemas and code list, run through the code that ships.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use ephemerald::{
    control::{
        approval, jws,
        keys::{KEY_SET_TYP, KeyPair, KeySet, PublicKey},
        proof::{self, ProofClaims},
        rotation,
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

use files::*;
use generate::{
    more::{Approvals, Inventory, Rotations},
    session::Session,
};

#[path = "protocol_vectors/files.rs"]
mod files;
#[path = "protocol_vectors/generate.rs"]
mod generate;
#[path = "protocol_vectors/refusals.rs"]
mod refusals;

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

#[test]
fn every_job_vector_is_judged_as_published() {
    let file: Jobs = vectors("jobs.json");
    let verifier = file.verifier();
    for case in &file.cases {
        assert_eq!(judge(&verifier, &case.jws, case.now.unwrap_or(file.now)), case.expect, "{}", case.name);
    }
    assert!(file.cases.iter().filter(|c| c.expect.accepted).count() >= 5);
    assert!(file.cases.iter().filter(|c| !c.expect.accepted).count() >= 60);
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

#[test]
fn every_rotation_vector_is_judged_as_published() {
    let file: Rotations = vectors("rotations.json");
    let old = PublicKey::from_jwk(&file.old).unwrap();
    for case in &file.cases {
        let got = rotation::verify(&case.request, &file.agent_id, &file.origin, &old);
        assert_eq!(got.is_ok(), case.accepted, "{}: {got:?}", case.name);
    }
}

#[test]
fn every_approval_vector_is_counted_as_published() {
    let file: Approvals = vectors("approvals.json");
    for case in &file.cases {
        let keys: Vec<String> = file.approval_keys.values().cloned().collect();
        let got = approval::signers(&case.claims, &keys, Timestamp(file.now * 1000));
        let names = file.approval_keys.iter().filter(|(_, key)| got.contains(key));
        let names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
        assert_eq!(names, case.signed_by, "{}", case.name);
    }
    assert!(file.cases.iter().any(|case| case.signed_by.len() == 2));
}

#[test]
fn every_inventory_vector_is_hashed_as_published() {
    let file: Inventory = vectors("inventory.json");
    for case in &file.cases {
        let sha = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, case.canonical.as_bytes());
        let sha: String = sha.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(case.hash, sha, "{}: the published hash is of the published text", case.name);
        assert_eq!(wire::InventoryPage::hash_of(&case.items), case.hash, "{}", case.name);
    }
}

#[test]
fn the_published_session_and_walkthrough_are_what_the_code_makes() {
    let made = generate::session::session();
    assert_eq!(vectors::<Session>("session.json"), made);
    let walkthrough = fs::read_to_string(docs().join("walkthrough.md")).unwrap();
    assert!(walkthrough == generate::session::walkthrough(&made), "walkthrough.md: write the vectors anew");
}

#[test]
fn every_request_of_the_session_is_proven_by_the_key_in_force_and_no_proof_comes_twice() {
    let session: Session = vectors("session.json");
    let keys: Vec<PublicKey> =
        session.agent_keys.iter().map(|jwk| PublicKey::from_jwk(jwk).unwrap()).collect();
    let announced = session.exchanges.iter().position(|it| it.path.ends_with("rotate-key")).unwrap();
    let mut seen = BTreeSet::new();
    for (number, it) in session.exchanges.iter().enumerate() {
        let key = &keys[usize::from(number > announced)];
        let claims = proof::verify(it.authorization.strip_prefix("Agent ").unwrap(), key).unwrap();
        assert!(claims.covers("https://cp.example.com", "POST", &it.path, it.body.as_bytes()), "{}", it.name);
        let issuer = if number == 0 { keys[0].thumbprint() } else { session.agent_id.to_string() };
        assert_eq!((claims.iss, claims.iat), (issuer, it.now), "{}", it.name);
        assert!(seen.insert(claims.jti), "{}", it.name);
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
    fn own(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }
    vec![
        ("Result codes", "result_code", set(ResultCode::ALL, ResultCode::as_str)),
        ("Rules", "rule", set(Rule::ALL, Rule::as_str)),
        ("Event codes", "event_code", set(EventCode::ALL, EventCode::as_str)),
        ("End reasons", "end_reason", set(EndReason::ALL, EndReason::as_str)),
        ("Woken by", "woken_by", set(WokenBy::ALL, WokenBy::as_str)),
        ("Job types", "job_type", own(&JOB_TYPES)),
        ("Features", "feature", own(&wire::FEATURES)),
        ("Role modes", "role_mode", own(&wire::ROLE_MODES)),
        ("Targets", "target", own(&wire::TARGETS)),
        ("Problems", "problem", own(&wire::PROBLEMS)),
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

const MESSAGES: [(&str, Survives); 24] = [
    ("approval-claims", survives::<wire::ApprovalClaims>),
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
    ("offers", survives::<wire::Offers>),
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
