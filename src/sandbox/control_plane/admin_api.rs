//! The operator side, `/v1/admin/*`: agent tokens, access requests and approvals, and for tests jobs
//! of any make, faults, and every report received.
//!
//! Refuses every peer that is not on loopback, every `Host` that is not this machine and every
//! request that a browser sent for another page, so a web site visited on this machine cannot
//! approve anything; and every bearer but the admin token, if there is one.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, Query, Request, State},
    http::{HeaderMap, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Shared, dispatch, enrolment,
    faults::Faults,
    jobs,
    lifecycle::{Happening, RequestState},
    oversight,
    problem::Problem,
    reports::{self, ResultView},
    requests::{self, ExtensionSpec, RequestSpec, RequestView},
    store::now_ms,
};
use crate::engine::ids::{AgentId, Email, IntegrationId, JobId};

/// A job of a test's own making.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSpec {
    /// Which agent may acquire it; may be left out while only one is enrolled.
    pub agent: Option<AgentId>,
    /// The claims. `v`, `iss`, `aud`, `job_id`, `iat` and `start_by` are filled in where missing;
    /// whatever is given is signed as it is, right or wrong.
    pub claims: Value,
    /// Which key signs.
    pub key: SignWith,
    /// Deliver this text instead of signing `claims`; `claims.job_id` still names the job.
    pub jws: Option<String>,
    /// Deliveries beyond the first.
    pub copies: u32,
}

/// Which key signs an injected job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignWith {
    /// The current job-signing key.
    #[default]
    Good,
    /// The job-signing key before the current one, whether it is still trusted or not.
    Previous,
    /// A key that nobody trusts, under the good key's `kid`.
    Forged,
    /// A key that nobody trusts, under its own `kid`.
    Unknown,
}

/// A job that was queued.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sent {
    /// The id under which results arrive.
    pub job_id: JobId,
    /// The agent that can acquire it.
    pub agent: AgentId,
    /// The signed job, as it will be delivered.
    pub jws: String,
}

/// What became of a job that was cancelled.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cancelled {
    /// It was never handed out, and never will be.
    pub dropped: bool,
}

/// A wish for an integration's inventory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncSpec {
    /// The agent's name for the JumpCloud organization.
    pub integration: IntegrationId,
    /// Which agent; may be left out while only one is enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
}

/// A job that was signed and waits for the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Queued {
    /// The id under which its result arrives.
    pub job_id: JobId,
}

#[derive(Serialize)]
struct Token {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    approvers: Vec<Email>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Filter {
    state: Option<RequestState>,
}

type App = State<Arc<Shared>>;
type Answer<T> = Result<Json<T>, Problem>;

/// The routes of the operator side.
pub(super) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/admin/tokens", post(new_token))
        .route("/v1/admin/requests", get(list).post(create))
        .route("/v1/admin/requests/{number}", get(show))
        .route("/v1/admin/requests/{number}/approve", post(approve))
        .route("/v1/admin/requests/{number}/revoke", post(revoke))
        .route("/v1/admin/requests/{number}/extend", post(extend))
        .route("/v1/admin/sync", post(sync))
        .route("/v1/admin/jobs", post(inject))
        .route("/v1/admin/jobs/{id}/cancel", post(cancel))
        .route("/v1/admin/results", get(results))
        .route("/v1/admin/faults", get(faults).post(set_faults))
        .merge(oversight::routes())
        .layer(middleware::from_fn_with_state(Arc::clone(shared), only_the_operator))
}

async fn only_the_operator(
    State(shared): App,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let headers = request.headers();
    if !peer.ip().is_loopback() || !host_is_local(headers) {
        return Err(Problem::forbidden("the operator side answers on this machine only".to_owned()));
    }
    if headers.contains_key(header::ORIGIN) {
        return Err(Problem::forbidden("the operator side does not answer browsers".to_owned()));
    }
    if !shared.admin_token_matches(bearer(headers)) {
        return Err(Problem::unauthorized("admin-token", "the admin token is missing or wrong".to_owned()));
    }
    Ok(next.run(request).await)
}

fn host_is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

async fn new_token(State(shared): App) -> Answer<Token> {
    let secret = shared.store.write(|tx| enrolment::new_token(tx, now_ms()))?;
    Ok(Json(Token { token: shared.agent_token(secret).to_text() }))
}

async fn create(State(shared): App, Json(spec): Json<RequestSpec>) -> Answer<RequestView> {
    shared
        .store
        .write(|tx| {
            let number = requests::create(tx, &spec, now_ms())?;
            requests::get(tx, number)
        })
        .map(Json)
}

async fn list(State(shared): App, Query(filter): Query<Filter>) -> Answer<Vec<RequestView>> {
    Ok(Json(shared.store.write(|tx| requests::list(tx, filter.state))?))
}

async fn show(State(shared): App, Path(number): Path<String>) -> Answer<RequestView> {
    shared.store.write(|tx| requests::get(tx, requests::number(&number)?)).map(Json)
}

async fn approve(
    State(shared): App,
    Path(number): Path<String>,
    Json(approval): Json<Approval>,
) -> Answer<RequestView> {
    let view = shared.store.write(|tx| {
        let number = requests::number(&number)?;
        dispatch::check_offered(tx, &requests::get(tx, number)?)?;
        requests::approve(tx, number, &approval.approvers, now_ms())?;
        dispatch::queue_approved(tx, &shared, now_ms())?;
        requests::get(tx, number)
    })?;
    shared.work.notify_waiters();
    Ok(Json(view))
}

async fn revoke(
    State(shared): App,
    Path(number): Path<String>,
    Json(revocation): Json<Revocation>,
) -> Answer<RequestView> {
    let view = shared.store.write(|tx| {
        let number = requests::number(&number)?;
        let reason = revocation.reason.as_deref().unwrap_or("ended by an operator");
        let state = requests::step(tx, number, Happening::Revoke, reason, now_ms())?;
        let view = requests::get(tx, number)?;
        if let Some(job) = &view.job_id {
            jobs::cancel(tx, job)?;
        }
        if state == RequestState::Ending {
            dispatch::queue_revoke(tx, &shared, &view, reason, now_ms())?;
        }
        Ok::<_, Problem>(view)
    })?;
    shared.work.notify_waiters();
    Ok(Json(view))
}

async fn extend(
    State(shared): App,
    Path(number): Path<String>,
    Json(asked): Json<ExtensionSpec>,
) -> Answer<Queued> {
    let job_id = shared.store.write(|tx| {
        let view = requests::get(tx, requests::number(&number)?)?;
        dispatch::queue_extend(tx, &shared, &view, &asked, now_ms())
    })?;
    shared.work.notify_waiters();
    Ok(Json(Queued { job_id }))
}

async fn sync(State(shared): App, Json(asked): Json<SyncSpec>) -> Answer<Queued> {
    let sent = shared.store.write(|tx| dispatch::queue_sync(tx, &shared, &asked, now_ms()))?;
    shared.work.notify_waiters();
    Ok(Json(Queued { job_id: sent.job_id }))
}

async fn inject(State(shared): App, Json(spec): Json<JobSpec>) -> Answer<Sent> {
    let sent = shared.store.write(|tx| dispatch::inject(tx, &shared, spec, now_ms()))?;
    shared.work.notify_waiters();
    Ok(Json(sent))
}

/// Nothing but the mark: a job in hand hears of it with its next heartbeat.
async fn cancel(State(shared): App, Path(id): Path<String>) -> Answer<Cancelled> {
    let job = JobId::new(&id).map_err(|_| Problem::not_found(format!("there is no job {id:?}")))?;
    let dropped = shared.store.write(|tx| jobs::cancel(tx, &job))?;
    Ok(Json(Cancelled { dropped }))
}

async fn results(State(shared): App) -> Answer<Vec<ResultView>> {
    Ok(Json(shared.store.write(reports::list)?))
}

async fn faults(State(shared): App) -> Answer<Faults> {
    Ok(Json(shared.faults.get()))
}

async fn set_faults(State(shared): App, Json(faults): Json<Faults>) -> Answer<Faults> {
    shared.faults.set(faults.clone());
    Ok(Json(faults))
}
