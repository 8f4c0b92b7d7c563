//! The control plane's keys and an approver's, and the way of a job from its claims to the engine: the
//! verification that ships, and what the agent makes of verified claims.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ephemerald::{
    control::{
        approval, jws,
        keys::{KeyPair, KeySet, sign_key_set},
        verify::{DEFAULT_MAX_SKEW, DEFAULT_MAX_START_BY, VerifiedJob, Verifier},
        wire::{JOB_TYP, JobBody, JobClaims, KeySetClaims, Request, Target},
    },
    engine::{
        ids::AgentId,
        job::{self, AccessRequest, Ask, ExtendJob, GrantJob, Job},
        time::{Millis, Timestamp},
    },
};

use super::world::{START, email};

pub(crate) struct Signer {
    key: KeyPair,
    approver: KeyPair,
    verifier: Verifier,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let (root, key) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
        let claims = KeySetClaims { v: 1, version: 1, iat: 0, keys: vec![key.public().to_jwk()] };
        let set = sign_key_set(&claims, &root);
        let keys = KeySet::verify(&set, &root.public().to_jwk(), &root.public().thumbprint()).unwrap();
        let verifier = Verifier {
            agent: AgentId::new("agent-1").unwrap(),
            keys,
            ledger_created_at: Timestamp(START - 1_000),
            max_start_by: DEFAULT_MAX_START_BY,
            max_skew: DEFAULT_MAX_SKEW,
        };
        Self { key, approver: KeyPair::from_seed(&[9; 32]), verifier }
    }

    /// The approver's public key, as the policy file writes it.
    pub(crate) fn approver(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.approver.public().as_bytes())
    }

    /// A person approves this job, looking at it.
    pub(crate) fn approve(&self, claims: &JobClaims, now: Timestamp) -> String {
        let seconds = now.0.div_euclid(1_000);
        approval::approve(claims, &self.approver, seconds, seconds + 3_600)
    }

    pub(crate) fn sign(&self, claims: &JobClaims) -> String {
        jws::sign(JOB_TYP, &self.key, &serde_json::to_vec(claims).unwrap())
    }

    /// The engine's job, if the signed text is one at this time.
    pub(crate) fn receive(&self, jws: &str, approver: Option<&String>, now: Timestamp) -> Option<Job> {
        let VerifiedJob { claims, jws, digest } = self.verifier.verify(jws, now).ok()?;
        let signed_by = approval::signers(&claims, approver, now);
        let request = |r: &Request| AccessRequest {
            number: r.number.clone(),
            requester: r.requester.clone(),
            approvers: r.approvers.clone(),
            justification: r.justification.clone(),
            signed_by: signed_by.clone(),
        };
        let seconds = |s: i64| Timestamp(s.saturating_mul(1_000));
        let ask = match &claims.job {
            JobBody::Grant(body) => {
                let grant = GrantJob {
                    grant: body.grant_id.clone(),
                    target: target(&body.target, body.grant_id.as_str()),
                    role: body.role.clone(),
                    duration: Millis::from_secs(body.duration_s),
                    until: body.until.map(seconds),
                };
                Ask::Grant(Box::new(grant), request(&body.request))
            }
            JobBody::Extend(body) => {
                let duration = Millis::from_secs(body.duration_s);
                Ask::Extend(ExtendJob { grant: body.grant_id.clone(), duration }, request(&body.request))
            }
            JobBody::Revoke(body) => Ask::Revoke(body.grant_id.clone()),
            JobBody::Sync {} => Ask::Sync,
            JobBody::Test {} => Ask::Test,
        };
        let start_by = seconds(claims.start_by);
        Some(Job { id: claims.job_id, digest, integration: claims.integration, start_by, ask, jws })
    }
}

/// As the agent does it, with a tag that the model JumpCloud knows.
fn target(target: &Target, grant: &str) -> job::Target {
    match target {
        Target::Email(email) => job::Target::Email(email.clone()),
        Target::AccountId(id) => job::Target::Account(id.clone()),
        Target::Ephemeral(person) => job::Target::Ephemeral {
            address: email(&format!("{}+tag{grant}@{}", person.requester.local(), person.requester.domain())),
            requester: person.requester.clone(),
            firstname: None,
            lastname: None,
        },
    }
}
