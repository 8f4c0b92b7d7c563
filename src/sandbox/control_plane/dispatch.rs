//! From decisions to signed jobs: approved requests become grant jobs, revocations become revoke
//! jobs, and tests may send whatever they like.
//!
//! Refuses nothing in an injected job on purpose: judging it is what the agent is tested for.

use rusqlite::Transaction;
use serde_json::{Map, Value, json};

use super::{
    Shared,
    admin_api::{JobSpec, Sent, SignWith, SyncSpec},
    agents,
    jobs::{self, NewJob},
    lifecycle::RequestState,
    offers,
    problem::Problem,
    requests::{self, ExtensionSpec, RequestView},
};
use crate::{
    control::{
        jws,
        keys::KeyPair,
        wire::{
            ExtendBody, GrantBody, JOB_TYP, JobBody, JobClaims, Request as AccessRequest, RevokeBody, VERSION,
        },
    },
    engine::ids::{AgentId, GrantId, JobId},
};

/// Seconds within which a revoke job may be started.
const REVOKE_WITHIN_S: i64 = 24 * 60 * 60;

/// Signs and queues a grant job for every approved request whose agent is enrolled and offers what it
/// needs; how many. The others wait.
pub(super) fn queue_approved(tx: &Transaction<'_>, shared: &Shared, now: i64) -> Result<usize, Problem> {
    let mut queued = 0;
    for request in requests::list(tx, Some(RequestState::Approved))? {
        let agent = agents::resolve(tx, request.spec.agent.as_ref()).ok().flatten();
        let Some(agent) = agent.filter(|agent| offers::check_grant(tx, agent, &request).is_ok()) else {
            continue;
        };
        queue_grant(tx, shared, &request, &agent, now)?;
        queued += 1;
    }
    Ok(queued)
}

/// Refuses a request whose agent is known and does not offer what it would need.
pub(super) fn check_offered(tx: &Transaction<'_>, request: &RequestView) -> Result<(), Problem> {
    match agents::resolve(tx, request.spec.agent.as_ref())? {
        Some(agent) => offers::check_grant(tx, &agent, request),
        None => Ok(()),
    }
}

fn queue_grant(
    tx: &Transaction<'_>,
    shared: &Shared,
    request: &RequestView,
    agent: &AgentId,
    now: i64,
) -> Result<(), Problem> {
    let spec = &request.spec;
    let number = requests::number(&request.number)?;
    let job = new_job_id();
    // Random beside the number: an agent's ledger may outlive this control plane's database.
    let grant = GrantId::new(&format!("grant-{number}-{}", agents::random_hex::<4>()))
        .expect("digits and hexadecimal make a valid id");
    let body = JobBody::Grant(GrantBody {
        grant_id: grant.clone(),
        target: spec.target.clone(),
        role: spec.role.clone(),
        duration_s: spec.duration_s,
        until: None,
        request: AccessRequest {
            number: Some(request.number.clone()),
            requester: Some(spec.requester.to_string()),
            approvers: request.approvers.iter().map(ToString::to_string).collect(),
            justification: spec.justification.clone(),
            approvals: Vec::new(),
        },
    });
    let jws = signed(shared, request, agent, &job, (now, i64::from(spec.start_within_s)), body);
    let new = NewJob { id: &job, agent, jws: &jws, request: Some(number), copies: copies(shared, 0) };
    jobs::queue(tx, &new, now)?;
    requests::queued(tx, number, agent, &grant, &job, now)
}

/// Signs and queues the revoke job of a request's grant.
pub(super) fn queue_revoke(
    tx: &Transaction<'_>,
    shared: &Shared,
    request: &RequestView,
    reason: &str,
    now: i64,
) -> Result<(), Problem> {
    let (Some(agent), Some(grant)) = (&request.agent, &request.grant_id) else {
        return Err(Problem::conflict(format!("{} has no grant to revoke", request.number)));
    };
    let job = new_job_id();
    let body = JobBody::Revoke(RevokeBody { grant_id: grant.clone(), reason: Some(reason.to_owned()) });
    let jws = signed(shared, request, agent, &job, (now, REVOKE_WITHIN_S), body);
    let number = Some(requests::number(&request.number)?);
    let new = NewJob { id: &job, agent, jws: &jws, request: number, copies: copies(shared, 0) };
    Ok(jobs::queue(tx, &new, now)?)
}

/// Signs and queues the job that extends a request's grant; it has a request number of its own.
pub(super) fn queue_extend(
    tx: &Transaction<'_>,
    shared: &Shared,
    request: &RequestView,
    asked: &ExtensionSpec,
    now: i64,
) -> Result<JobId, Problem> {
    let (Some(agent), Some(grant), RequestState::Granted) =
        (&request.agent, &request.grant_id, request.state)
    else {
        let state = request.state.name();
        return Err(Problem::conflict(format!(
            "{} is {state}: only granted access can be extended",
            request.number
        )));
    };
    if asked.duration_s == 0 {
        return Err(Problem::unprocessable("duration_s must be at least 1".to_owned()));
    }
    offers::check_type(tx, agent, &request.spec.integration, "extend")?;
    let requester = asked.requester.as_ref().unwrap_or(&request.spec.requester);
    requests::judge_approvers(requester, &asked.approvers)?;
    let number = requests::number(&request.number)?;
    let job = new_job_id();
    let own = format!("{}-{}", request.number, requests::jobs_of(tx, number)? + 1);
    let body = JobBody::Extend(ExtendBody {
        grant_id: grant.clone(),
        duration_s: asked.duration_s,
        request: AccessRequest {
            number: Some(own.clone()),
            requester: Some(requester.to_string()),
            approvers: asked.approvers.iter().map(ToString::to_string).collect(),
            justification: asked.justification.clone(),
            approvals: Vec::new(),
        },
    });
    let within_s = i64::from(request.spec.start_within_s);
    let jws = signed(shared, request, agent, &job, (now, within_s), body);
    let new = NewJob { id: &job, agent, jws: &jws, request: Some(number), copies: copies(shared, 0) };
    jobs::queue(tx, &new, now)?;
    let text = format!("extension {own} by {} s asked by {requester}; job {job} signed", asked.duration_s);
    requests::heard(tx, number, None, &text, now)?;
    Ok(job)
}

/// Signs and queues a job that asks for an inventory.
pub(super) fn queue_sync(
    tx: &Transaction<'_>,
    shared: &Shared,
    asked: SyncSpec,
    now: i64,
) -> Result<JobId, Problem> {
    if let Some(agent) = agents::resolve(tx, asked.agent.as_ref())? {
        offers::check_type(tx, &agent, &asked.integration, "sync")?;
    }
    let claims = json!({ "integration": asked.integration, "job": { "type": "sync" } });
    let spec = JobSpec { agent: asked.agent, claims, ..JobSpec::default() };
    Ok(inject(tx, shared, spec, now)?.job_id)
}

fn signed(
    shared: &Shared,
    request: &RequestView,
    agent: &AgentId,
    job: &JobId,
    (now, within_s): (i64, i64),
    body: JobBody,
) -> String {
    let claims = JobClaims {
        v: VERSION,
        iss: shared.url.clone(),
        aud: agent.clone(),
        job_id: job.clone(),
        iat: now / 1000,
        start_by: now / 1000 + within_s,
        integration: request.spec.integration.clone(),
        job: body,
    };
    let payload = serde_json::to_vec(&claims).expect("claims of checked names serialise");
    jws::sign(JOB_TYP, &shared.keys.signing(), &payload)
}

/// Queues a job of a test's own making.
pub(super) fn inject(
    tx: &Transaction<'_>,
    shared: &Shared,
    spec: JobSpec,
    now: i64,
) -> Result<Sent, Problem> {
    let agent = agents::resolve(tx, spec.agent.as_ref())?
        .ok_or_else(|| Problem::unprocessable("no agent is enrolled".to_owned()))?;
    let Value::Object(mut claims) = spec.claims else {
        return Err(Problem::unprocessable("claims must be an object".to_owned()));
    };
    fill_in(&mut claims, shared, &agent, now);
    // A claim that is no id at all is a fine thing to send; the row then has an id of its own.
    let job = claims["job_id"].as_str().and_then(|id| JobId::new(id).ok()).unwrap_or_else(new_job_id);
    let payload = Value::Object(claims).to_string();
    let stranger = KeyPair::from_seed(&agents::random());
    let good = shared.keys.signing();
    let key = match spec.key {
        SignWith::Good => good,
        SignWith::Previous => shared.keys.previous().ok_or_else(|| {
            Problem::unprocessable("there is no previous signing key: rotate first".to_owned())
        })?,
        SignWith::Forged => stranger.named(good.kid()),
        SignWith::Unknown => stranger,
    };
    let jws = spec.jws.unwrap_or_else(|| jws::sign(JOB_TYP, &key, payload.as_bytes()));
    let new =
        NewJob { id: &job, agent: &agent, jws: &jws, request: None, copies: copies(shared, spec.copies) };
    jobs::queue(tx, &new, now)?;
    Ok(Sent { job_id: job, agent, jws })
}

fn fill_in(claims: &mut Map<String, Value>, shared: &Shared, agent: &AgentId, now: i64) {
    let usual = [
        ("v", json!(VERSION)),
        ("iss", json!(shared.url)),
        ("aud", json!(agent)),
        ("job_id", json!(new_job_id())),
        ("iat", json!(now / 1000)),
        ("start_by", json!(now / 1000 + 300)),
    ];
    for (name, value) in usual {
        claims.entry(name).or_insert(value);
    }
}

fn copies(shared: &Shared, asked: u32) -> u32 {
    asked.max(u32::from(shared.faults.get().deliver_twice))
}

fn new_job_id() -> JobId {
    JobId::new(&format!("job-{}", agents::random_hex::<8>())).expect("hexadecimal is a valid id")
}
