//! Received jobs. Bytes that begin with `{` are claims, signed here with the trusted key so that they get
//! past the signature; everything else is a compact JWS as received.
//!
//! Refuses a verified job without a signature that another check finds good, one that says anything that
//! its payload does not, one out of its time, and an approval that counts for another job.

use std::sync::OnceLock;

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ED25519, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ephemerald::{
    control::{
        approval::{approve, signers},
        jws,
        keys::{KeyPair, KeySet, sign_key_set},
        verify::{DEFAULT_MAX_SKEW, DEFAULT_MAX_START_BY, Refusal, VerifiedJob, Verifier},
        wire::{JOB_TYP, JobBody, JobClaims, KeySetClaims, MAX_APPROVAL_BYTES, MAX_APPROVALS, Request},
    },
    engine::{
        ids::{AgentId, JobId},
        time::Timestamp,
    },
    strict,
};
use serde_json::Value;

/// As in the published vectors.
const NOW: i64 = 1_795_500_000;
const BORN: i64 = 1_795_413_600;
const KID: &str = "jobs-2026-11";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Judges a received job.
pub fn jobs(data: &[u8]) {
    let jws = if data.first() == Some(&b'{') {
        jws::sign(JOB_TYP, signer(), data)
    } else {
        let Ok(text) = str::from_utf8(data) else { return };
        text.to_owned()
    };
    let judged = judge(&jws);
    assert_eq!(judged, judge(&jws), "the same job was judged in two ways");
    match &judged {
        Ok(job) => {
            assert!(is_signed(&jws), "verified without a signature");
            says_what_was_signed(job, &jws);
            is_in_time(&job.claims);
            approvals_count_for_this_job_only(&job.claims);
        }
        Err(refusal) if refusal.digest.is_some() || refusal.job_id.is_some() => {
            assert!(is_signed(&jws), "a forged job answers for {:?}", refusal.job_id);
        }
        Err(_) => assert!(!is_signed(&jws), "a signed job was refused as a forged one"),
    }
    one_changed_character_is_a_forgery(&jws, data);
}

fn signer() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::from_seed(&[2; 32]).named(KID))
}

fn judge(jws: &str) -> Result<VerifiedJob, Refusal> {
    static VERIFIER: OnceLock<Verifier> = OnceLock::new();
    let verifier = VERIFIER.get_or_init(|| {
        let root = KeyPair::from_seed(&[1; 32]);
        let mut key = signer().public().to_jwk();
        key.kid = Some(KID.to_owned());
        let claims = KeySetClaims { v: 1, version: 3, iat: BORN, keys: vec![key] };
        let set = sign_key_set(&claims, &root);
        Verifier {
            agent: AgentId::new("agent-7f3a").expect("a plain name"),
            keys: KeySet::verify(&set, &root.public().to_jwk(), root.kid()).expect("a key set of our own"),
            ledger_created_at: Timestamp(BORN * 1000),
            max_start_by: DEFAULT_MAX_START_BY,
            max_skew: DEFAULT_MAX_SKEW,
        }
    });
    verifier.verify(jws, Timestamp(NOW * 1000))
}

/// Not the way in which the program does it: by the header as a JSON value, over the received bytes.
fn is_signed(jws: &str) -> bool {
    let mut parts = jws.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let decoded = URL_SAFE_NO_PAD.decode(header).ok().zip(URL_SAFE_NO_PAD.decode(signature).ok());
    let Some((bytes, signature)) = decoded else { return false };
    let Ok(fields) = serde_json::from_slice::<Value>(&bytes) else { return false };
    if strict::check(&bytes).is_err() {
        return false;
    }
    let expected = serde_json::json!({"alg": "EdDSA", "typ": JOB_TYP, "kid": KID});
    let signed = &jws.as_bytes()[..header.len() + 1 + payload.len()];
    let key = UnparsedPublicKey::new(&ED25519, signer().public().as_bytes());
    jws.len() <= 64 * 1024 && fields == expected && key.verify(signed, &signature).is_ok()
}

fn says_what_was_signed(job: &VerifiedJob, jws: &str) {
    let payload = jws.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let payload = payload.expect("its signature was verified");
    assert_eq!(job.digest.0, digest(&SHA256, &payload).as_ref());
    assert_eq!(job.jws, jws);
    let mut said: Value = serde_json::from_slice(&payload).expect("a verified job is JSON");
    without_empty_lists(&mut said);
    let read = serde_json::to_value(&job.claims).expect("claims serialise");
    assert_eq!(read, said, "the job was read otherwise than it was signed");
    assert_eq!(job.claims.aud.as_str(), "agent-7f3a");
    assert_eq!(job.claims.v, 1);
}

/// An absent list and an empty one mean the same.
fn without_empty_lists(value: &mut Value) {
    if let Some(request) = value.pointer_mut("/job/request").and_then(Value::as_object_mut) {
        request.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
    }
}

fn is_in_time(claims: &JobClaims) {
    if matches!(claims.job, JobBody::Revoke(_)) {
        return;
    }
    assert!((BORN..=NOW + 120).contains(&claims.iat), "issued at {}", claims.iat);
    assert!((NOW..=NOW + 7 * 86_400).contains(&claims.start_by), "to be started by {}", claims.start_by);
}

fn approvals_count_for_this_job_only(claims: &JobClaims) {
    let grace = KeyPair::from_seed(&[7; 32]);
    let keys = [URL_SAFE_NO_PAD.encode(grace.public().as_bytes())];
    let now = Timestamp(NOW * 1000);
    let mut approved = claims.clone();
    let Some(request) = request(&mut approved) else { return };
    request.approvals.clear();
    let approval = approve(&approved, &grace, NOW - 60, NOW + 600);
    let fits = approval.len() <= MAX_APPROVAL_BYTES;
    request_of(&mut approved).approvals = vec![approval];
    assert_eq!(signers(&approved, &keys, now).len(), usize::from(fits), "one's own approval");
    assert!(signers(&approved, &[], now).is_empty(), "approved by a key that nobody named");
    assert!(signers(&approved, &keys, Timestamp((NOW + 600) * 1000)).is_empty(), "approved for ever");
    let mut other = approved.clone();
    other.job_id = JobId::new("another-job").expect("a plain name");
    assert!(other.job_id == claims.job_id || signers(&other, &keys, now).is_empty(), "approved another job");
    let mut longer = approved;
    match &mut longer.job {
        JobBody::Grant(grant) => grant.duration_s ^= 1,
        JobBody::Extend(extend) => extend.duration_s ^= 1,
        JobBody::Revoke(_) | JobBody::Sync {} | JobBody::Test {} => return,
    }
    assert!(signers(&longer, &keys, now).is_empty(), "approved another duration");
    let mut crowd = longer;
    let first = request_of(&mut crowd).approvals[0].clone();
    request_of(&mut crowd).approvals = vec![first; MAX_APPROVALS];
    assert!(signers(&crowd, &keys, now).is_empty(), "many wrong approvals made a right one");
}

fn request(claims: &mut JobClaims) -> Option<&mut Request> {
    match &mut claims.job {
        JobBody::Grant(grant) => Some(&mut grant.request),
        JobBody::Extend(extend) => Some(&mut extend.request),
        JobBody::Revoke(_) | JobBody::Sync {} | JobBody::Test {} => None,
    }
}

fn request_of(claims: &mut JobClaims) -> &mut Request {
    request(claims).expect("a grant or an extension")
}

/// Which one: the input says it, so that the fuzzer can look for a place.
fn one_changed_character_is_a_forgery(jws: &str, data: &[u8]) {
    if !jws.is_ascii() || jws.is_empty() {
        return;
    }
    let sum = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut bytes = jws.as_bytes().to_vec();
    let at = sum % bytes.len();
    let other = BASE64[(sum / bytes.len()) % 64];
    bytes[at] = if bytes[at] == other { b'.' } else { other };
    let changed = String::from_utf8(bytes).expect("ASCII");
    let refused = judge(&changed).expect_err("a changed job is none");
    assert!(refused.digest.is_none() || is_signed(&changed), "a changed job was believed");
    assert!(!is_signed(&changed) || !is_signed(jws), "two signatures of one job");
}
