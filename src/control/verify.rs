//! Is this job authentic, ours and fresh? A pure function of the received text and what is pinned.
//!
//! Refuses everything that is not; decides nothing else. Whether the job was seen before is the
//! ledger's to say, whether it may raise anything the policy's. The time rules bind every job but a
//! revoke: nothing gates an ending, and a revoke that comes late or twice only ends what is ours.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

use super::{
    jws::{self, JwsError},
    keys::KeySet,
    wire::{
        JOB_TYP, JOB_TYPES, JobBody, JobClaims, MAX_APPROVAL_BYTES, MAX_APPROVALS, MAX_JOB_BYTES, VERSION,
    },
};
use crate::engine::{
    codes::{ResultCode, Rule},
    ids::{AgentId, JobId},
    job::Digest,
    time::{Millis, Timestamp},
};
use crate::strict;

/// What jobs are judged against.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// This agent.
    pub agent: AgentId,
    /// The keys that may sign jobs.
    pub keys: KeySet,
    /// Jobs issued before this are from another life.
    pub ledger_created_at: Timestamp,
    /// How far away a start-by instant may be, and how long ago a job may have been issued.
    pub max_start_by: Millis,
    /// How far in the future a job may have been issued.
    pub max_skew: Millis,
}

/// Default of [`Verifier::max_start_by`]: 7 days.
pub const DEFAULT_MAX_START_BY: Millis = Millis::from_secs(7 * 24 * 3600);

/// Default of [`Verifier::max_skew`]: 2 minutes.
pub const DEFAULT_MAX_SKEW: Millis = Millis::from_secs(120);

/// A job that is authentic, ours and fresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedJob {
    /// What it says.
    pub claims: JobClaims,
    /// The compact JWS as received: the evidence.
    pub jws: String,
    /// SHA-256 of the payload's bytes; a job id that comes again with another digest is an
    /// equivocation, with another signature over the same payload it is not.
    pub digest: Digest,
}

/// A job that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its id, only if the signature verified: a forged job must not be able to answer for another.
    pub job_id: Option<JobId>,
    /// SHA-256 of the payload's bytes, only if the signature verified.
    pub digest: Option<Digest>,
    /// The result code to report.
    pub code: ResultCode,
    /// The rule to report, with `rejected`.
    pub rule: Option<Rule>,
}

impl Verifier {
    /// Judges one received job at `now`.
    ///
    /// # Errors
    /// [`Refusal`] with the code and rule to report.
    pub fn verify(&self, jws: &str, now: Timestamp) -> Result<VerifiedJob, Refusal> {
        let signed = jws::verify(jws, JOB_TYP, MAX_JOB_BYTES, |kid| self.keys.find(kid))
            .map_err(|error| Refusal::unsigned(rule_of(error)))?;
        let payload =
            Digest(digest(&SHA256, &signed.payload).as_ref().try_into().expect("SHA-256 has 32 bytes"));
        let claims = self.read(&signed.payload, payload)?;
        let refuse = |rule| Refusal::rejected(Some(claims.job_id.clone()), payload, rule);
        if !well_formed(&claims) {
            return Err(refuse(Rule::Malformed));
        }
        if !matches!(claims.job, JobBody::Revoke(_)) {
            self.judge_time(&claims, now).map_err(|why| match why {
                Untimely::Rule(rule) => refuse(rule),
                Untimely::Expired => {
                    Refusal { code: ResultCode::ExpiredBeforeStart, rule: None, ..refuse(Rule::Stale) }
                }
            })?;
        }
        Ok(VerifiedJob { claims, jws: jws.to_owned(), digest: payload })
    }

    fn read(&self, payload: &[u8], digest: Digest) -> Result<JobClaims, Refusal> {
        let malformed = || Refusal::rejected(None, digest, Rule::Malformed);
        strict::check(payload).map_err(|_| malformed())?;
        let outline: Outline = serde_json::from_slice(payload).map_err(|_| malformed())?;
        let refuse = |rule| Refusal::rejected(outline.job_id.clone(), digest, rule);
        // The audience comes first: what another agent is asked is not ours to judge.
        if outline.aud.as_deref().is_some_and(|aud| aud != self.agent.as_str()) {
            return Err(refuse(Rule::WrongAgent));
        }
        match outline.v {
            None => return Err(refuse(Rule::Malformed)),
            Some(v) if v != u64::from(VERSION) => return Err(refuse(Rule::UnsupportedVersion)),
            Some(_) => {}
        }
        if let Some(JobOutline { kind: Some(kind) }) = &outline.job
            && !JOB_TYPES.contains(&kind.as_str())
        {
            let code = ResultCode::UnsupportedJobType;
            return Err(Refusal { code, rule: None, ..refuse(Rule::Malformed) });
        }
        serde_json::from_slice(payload).map_err(|_| refuse(Rule::Malformed))
    }

    fn judge_time(&self, claims: &JobClaims, now: Timestamp) -> Result<(), Untimely> {
        let at = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
        let (issued, start_by) = (at(claims.iat), at(claims.start_by));
        // Whole seconds on both sides: a job issued in the second of the ledger's birth is ours.
        if claims.iat < self.ledger_created_at.0.div_euclid(1000) {
            return Err(Untimely::Rule(Rule::IssuedBeforeLedger));
        }
        if issued > now + self.max_skew {
            return Err(Untimely::Rule(Rule::IssuedInFuture));
        }
        if start_by < now {
            return Err(Untimely::Expired);
        }
        if start_by > now + self.max_start_by {
            return Err(Untimely::Rule(Rule::StartByTooFar));
        }
        if now.since(issued) > self.max_start_by {
            return Err(Untimely::Rule(Rule::Stale));
        }
        Ok(())
    }
}

impl Refusal {
    const fn unsigned(rule: Rule) -> Self {
        Self { job_id: None, digest: None, code: ResultCode::Rejected, rule: Some(rule) }
    }

    const fn rejected(job_id: Option<JobId>, digest: Digest, rule: Rule) -> Self {
        Self { job_id, digest: Some(digest), code: ResultCode::Rejected, rule: Some(rule) }
    }
}

enum Untimely {
    Rule(Rule),
    Expired,
}

const fn rule_of(error: JwsError) -> Rule {
    match error {
        JwsError::Shape { .. } => Rule::Malformed,
        JwsError::UnknownKey => Rule::UnknownKey,
        JwsError::Header | JwsError::Signature => Rule::BadSignature,
    }
}

fn well_formed(claims: &JobClaims) -> bool {
    let short = |text: &Option<String>, max: usize| text.as_ref().is_none_or(|text| text.len() <= max);
    let request = match &claims.job {
        JobBody::Grant(grant) => {
            if grant.duration_s == 0 {
                return false;
            }
            &grant.request
        }
        JobBody::Extend(extend) => {
            if extend.duration_s == 0 {
                return false;
            }
            &extend.request
        }
        JobBody::Revoke(revoke) => return short(&revoke.reason, 1024),
        JobBody::Sync {} | JobBody::Test {} => return true,
    };
    short(&request.number, 128)
        && short(&request.requester, 1024)
        && short(&request.justification, 4096)
        && request.approvers.len() <= 32
        && request.approvers.iter().all(|approver| approver.len() <= 1024)
        && request.approvals.len() <= MAX_APPROVALS
        && request.approvals.iter().all(|approval| approval.len() <= MAX_APPROVAL_BYTES)
}

/// Enough of a job to name what is wrong with it; unknown fields are allowed here only.
#[derive(Deserialize)]
struct Outline {
    #[serde(default, deserialize_with = "lenient")]
    v: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    aud: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    job_id: Option<JobId>,
    #[serde(default, deserialize_with = "lenient")]
    job: Option<JobOutline>,
}

#[derive(Deserialize)]
struct JobOutline {
    #[serde(default, rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
}

/// A field of the wrong kind counts as absent; the strict reading that follows refuses it.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
