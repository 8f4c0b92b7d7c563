//! From verified claims to the engine's jobs. The shell's part: the tagged address of an ephemeral
//! account needs the tag key, and the engine holds no key.

use super::assemble::{Parts, org_of};
use crate::{
    clock,
    control::{
        approval,
        verify::{Refusal as Unverified, VerifiedJob},
        wire::{self, JobBody},
    },
    engine::{
        Engine,
        codes::{ResultCode, Rule},
        ids::{Email, IntegrationId, JobId},
        input::Refusal,
        job::{AccessRequest, Ask, Digest, ExtendJob, GrantJob, Job, Target},
        time::{Millis, Timestamp},
    },
};

/// The job that the claims ask for.
///
/// # Errors
/// A refusal, if an ephemeral account's address cannot be made.
pub(super) fn job(verified: &VerifiedJob, engine: &Engine, parts: &Parts) -> Result<Job, Refusal> {
    let claims = &verified.claims;
    let refuse = |rule| Refusal {
        job: claims.job_id.clone(),
        digest: verified.digest,
        code: ResultCode::Rejected,
        rule: Some(rule),
    };
    let ask = match &claims.job {
        JobBody::Grant(body) => {
            let grant = GrantJob {
                grant: body.grant_id.clone(),
                target: target(body, &claims.integration, engine, parts).map_err(refuse)?,
                role: body.role.clone(),
                duration: Millis::from_secs(body.duration_s),
                until: body.until.map(seconds),
            };
            Ask::Grant(Box::new(grant), request(&body.request, claims, parts))
        }
        JobBody::Revoke(body) => Ask::Revoke(body.grant_id.clone()),
        JobBody::Extend(body) => {
            let duration = Millis::from_secs(body.duration_s);
            let request = request(&body.request, claims, parts);
            Ask::Extend(ExtendJob { grant: body.grant_id.clone(), duration }, request)
        }
        JobBody::Sync {} => Ask::Sync,
        JobBody::Test {} => Ask::Test,
    };
    Ok(Job {
        id: claims.job_id.clone(),
        digest: verified.digest,
        integration: claims.integration.clone(),
        start_by: seconds(claims.start_by),
        ask,
        jws: verified.jws.clone(),
    })
}

/// What is answered to a delivery that did not verify.
pub(super) fn refusal(delivered_as: JobId, unverified: &Unverified) -> Refusal {
    Refusal {
        // Without a verified body, one answer for each id that an envelope claims is enough.
        digest: unverified.digest.unwrap_or_else(|| digest_of(&delivered_as)),
        job: unverified.job_id.clone().unwrap_or(delivered_as),
        code: unverified.code,
        rule: unverified.rule,
    }
}

fn target(
    body: &wire::GrantBody,
    integration: &IntegrationId,
    engine: &Engine,
    parts: &Parts,
) -> Result<Target, Rule> {
    Ok(match &body.target {
        wire::Target::Email(email) => Target::Email(email.clone()),
        wire::Target::AccountId(id) => Target::Account(id.clone()),
        wire::Target::Ephemeral(person) => Target::Ephemeral {
            address: address(body, &person.requester, integration, engine, parts)?,
            requester: person.requester.clone(),
            firstname: person.firstname.clone(),
            lastname: person.lastname.clone(),
        },
    })
}

fn address(
    body: &wire::GrantBody,
    requester: &Email,
    integration: &IntegrationId,
    engine: &Engine,
    parts: &Parts,
) -> Result<Email, Rule> {
    let policy = parts.policy.as_ref().ok_or(Rule::NoPolicy)?;
    let rules = policy.ephemeral.as_ref().ok_or(Rule::EphemeralNotAllowed)?;
    let domain = requester.domain();
    if !rules.domains.contains(&domain) {
        return Err(Rule::DomainNotAllowed);
    }
    let key = parts.tag_key.as_ref().ok_or(Rule::EphemeralNotAllowed)?;
    if engine.integrations().all(|i| i.id != *integration) {
        return Err(Rule::UnknownIntegration);
    }
    let org = org_of(engine, integration).ok_or(Rule::NotObservable)?;
    let own = parts.settings.integrations.iter().find(|i| i.id == *integration);
    let template = own.and_then(|i| i.email_template.as_deref()).unwrap_or(&rules.template);
    key.address(template, requester, &domain, &org, &body.grant_id).map_err(|_| Rule::Malformed)
}

/// What the person asked for, and which of the policy's approvers have signed exactly this job.
fn request(request: &wire::Request, claims: &wire::JobClaims, parts: &Parts) -> AccessRequest {
    let keys = parts.policy.iter().flat_map(|policy| policy.approval_keys.values());
    AccessRequest {
        number: request.number.clone(),
        requester: request.requester.clone(),
        approvers: request.approvers.clone(),
        justification: request.justification.clone(),
        signed_by: approval::signers(claims, keys, clock::now().wall),
    }
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1000))
}

fn digest_of(job: &JobId) -> Digest {
    let sha = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, job.as_str().as_bytes());
    Digest(sha.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}
