//! The agent side, `/v1/agent/*`, as the protocol has it.
//!
//! Refuses every request without a valid proof before looking at what it says.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use rusqlite::Transaction;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    LONG_POLL_S, Shared, agents, dispatch, enrolment, instances, inventory, jobs, offers,
    problem::Problem,
    proofs::{self, Sender},
    reports, requests,
    store::{StoreError, now_ms, server_time},
};
use crate::{
    control::{
        keys::PublicKey,
        rotation,
        wire::{
            AcquireAnswer, AcquireRequest, Delivery, EnrollAnswer, EnrollRequest, HeartbeatAnswer,
            HeartbeatRequest, InventoryAnswer, InventoryRequest, JournalHead, NONCE_HEADER, RecoverAnswer,
            RecoverRequest, ReportsAnswer, RotateKeyAnswer, RotateKeyRequest, StatusAnswer, StatusRequest,
        },
    },
    engine::ids::JobId,
};

/// The most jobs in one answer, whatever capacity the agent claims.
const MOST_JOBS: u32 = 100;
/// The longest body.
const MOST_BYTES: usize = 2 << 20;
/// The most reports in one request.
const MOST_REPORTS: usize = 100;

type App = State<Arc<Shared>>;
type Answer<T> = Result<Json<T>, Problem>;

/// The routes of the agent side.
pub(super) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/agent/enroll", post(enroll))
        .route("/v1/agent/jobs/acquire", post(acquire))
        .route("/v1/agent/jobs/{id}/heartbeat", post(heartbeat))
        .route("/v1/agent/reports", post(take_reports))
        .route("/v1/agent/status", post(status))
        .route("/v1/agent/inventory", post(take_inventory))
        .route("/v1/agent/recover", post(recover))
        .route("/v1/agent/rotate-key", post(rotate_key))
        .route("/v1/agent/{*unknown}", post(unknown_call))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), outage_and_nonce))
}

async fn outage_and_nonce(State(shared): App, request: Request, next: Next) -> Response {
    let mut response = match shared.faults.outage_s() {
        Some(seconds) => Problem::unavailable(seconds).into_response(),
        None => next.run(request).await,
    };
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        response = Problem::too_large().into_response();
    }
    if let Ok(nonce) = HeaderValue::from_str(&shared.nonces.current(shared.faults.get().nonce_s)) {
        response.headers_mut().insert(HeaderName::from_static(NONCE_HEADER), nonce);
    }
    response
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::malformed(format!("the body is not this message: {error}")))
}

async fn unknown_call() -> Problem {
    Problem::not_found("this control plane does not have this call".to_owned())
}

async fn enroll(State(shared): App, parts: Parts, body: Bytes) -> Answer<EnrollAnswer> {
    let request: EnrollRequest = parse(&body)?;
    let key = PublicKey::from_jwk(&request.key).map_err(|error| Problem::malformed(error.to_string()))?;
    proofs::check_enrolment(&shared, &parts, &body, &key)?;
    let version = offers::agree(&shared, request.offers.as_ref())?;
    let enrolled = shared.store.write(|tx| {
        let agent = enrolment::enroll(tx, &request.secret, &key, now_ms())?;
        offers::keep(tx, &agent, request.offers.as_ref())?;
        dispatch::queue_approved(tx, &shared, now_ms())?;
        Ok::<_, Problem>(agent)
    });
    if enrolled.as_ref().is_err_and(Problem::is_about_the_token) {
        shared.store.write(|tx| enrolment::note_leak(tx, &request.secret, &key, now_ms()))?;
    }
    let agent_id = enrolled?;
    Ok(Json(EnrollAnswer {
        agent_id,
        root: shared.keys.root.public().to_jwk(),
        key_set: shared.keys.key_set().1,
        version: Some(version),
        server_time: server_time(),
    }))
}

async fn acquire(State(shared): App, parts: Parts, body: Bytes) -> Answer<AcquireAnswer> {
    let sender = proofs::check(&shared, &parts, &body)?;
    let request: AcquireRequest = parse(&body)?;
    let version = offers::agree(&shared, request.offers.as_ref())?;
    shared.store.write(|tx| offers::keep(tx, &sender.agent, request.offers.as_ref()))?;
    let deadline = now_ms() + i64::from(request.wait_s.min(LONG_POLL_S)) * 1000;
    let mut stop = shared.stop.clone();
    loop {
        // Listening starts before looking, so that a job queued in between is not slept through.
        let mut work = std::pin::pin!(shared.work.notified());
        work.as_mut().enable();

        let (jobs, next_expiry) = shared.store.write(|tx| hand_out(tx, &shared, &sender, &request))?;
        let now = now_ms();
        if !jobs.is_empty() || now >= deadline || *stop.borrow() {
            let poll_after_s = shared.faults.get().poll_after_s.map(u32::from);
            return Ok(Json(AcquireAnswer {
                jobs,
                poll_after_s,
                version: Some(version),
                server_time: server_time(),
            }));
        }
        let until = next_expiry.unwrap_or(deadline).clamp(now, deadline);
        let wait = Duration::from_millis(u64::try_from(until - now).unwrap_or(0));
        tokio::select! {
            () = work => {}
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

fn hand_out(
    tx: &Transaction<'_>,
    shared: &Shared,
    sender: &Sender,
    request: &AcquireRequest,
) -> Result<(Vec<Delivery>, Option<i64>), Problem> {
    let agent = &sender.agent;
    // Asked again at each look: the later process may have spoken while this one's poll was waiting.
    if instances::is_replaced(tx, agent, sender.epoch)? {
        return Ok((Vec::new(), None));
    }
    let now = now_ms();
    let capacity = request.capacity.min(MOST_JOBS);
    let leased = jobs::lease(tx, agent, &request.known, capacity, now, shared.lease_until(now))?;
    let mut deliveries = Vec::with_capacity(leased.len());
    for job in leased {
        if let Some(number) = job.request {
            requests::leased(tx, number, &job.id, now)?;
        }
        deliveries.push(Delivery { job_id: job.id, jws: job.jws, lease_s: shared.lease_s() });
    }
    Ok((deliveries, jobs::next_expiry(tx, agent)?))
}

async fn heartbeat(
    State(shared): App,
    Path(id): Path<String>,
    parts: Parts,
    body: Bytes,
) -> Answer<HeartbeatAnswer> {
    let sender = proofs::check(&shared, &parts, &body)?;
    let _: HeartbeatRequest = parse(&body)?;
    let unknown = || Problem::not_found("this agent holds no such job".to_owned());
    let id = JobId::new(&id).map_err(|_| unknown())?;
    let renewed =
        shared.store.write(|tx| jobs::renew(tx, &sender.agent, &id, shared.lease_until(now_ms())))?;
    let cancelled = renewed.ok_or_else(unknown)?;
    Ok(Json(HeartbeatAnswer { lease_s: shared.lease_s(), cancelled, server_time: server_time() }))
}

#[derive(Deserialize)]
struct AnyReports {
    reports: Vec<Value>,
    #[serde(default)]
    journal: Option<JournalHead>,
}

async fn take_reports(State(shared): App, parts: Parts, body: Bytes) -> Answer<ReportsAnswer> {
    let Sender { agent, .. } = proofs::check(&shared, &parts, &body)?;
    let AnyReports { reports, journal } = parse(&body)?;
    if reports.is_empty() || reports.len() > MOST_REPORTS {
        return Err(Problem::malformed(format!("a request holds 1 to {MOST_REPORTS} reports")));
    }
    let mut acked = shared.store.write(|tx| {
        let receive = |report| reports::receive(tx, &agent, report, now_ms()).transpose();
        agents::note_head(tx, &agent, journal.as_ref(), now_ms())?;
        reports.iter().filter_map(receive).collect::<Result<Vec<_>, StoreError>>()
    })?;
    if shared.faults.takes_ack() {
        acked.clear();
    }
    Ok(Json(ReportsAnswer { acked, refused: Vec::new(), server_time: server_time() }))
}

async fn status(State(shared): App, parts: Parts, body: Bytes) -> Answer<StatusAnswer> {
    let Sender { agent, replaced, .. } = proofs::check(&shared, &parts, &body)?;
    let status: StatusRequest = parse(&body)?;
    let version = offers::agree(&shared, status.offers.as_ref())?;
    let text = String::from_utf8_lossy(&body);
    let (journal, rotate_key, queued) = shared.store.write(|tx| {
        offers::keep(tx, &agent, status.offers.as_ref())?;
        // What could not be signed for the agent as it was may be possible now.
        let queued = dispatch::queue_approved(tx, &shared, now_ms())?;
        let journal = agents::set_status(tx, &agent, &status, &text, now_ms())?;
        Ok::<_, Problem>((journal, agents::wished_away(tx, &agent)?, queued))
    })?;
    if queued > 0 {
        shared.work.notify_waiters();
    }
    let (newest, key_set) = shared.keys.key_set();
    let key_set = match shared.faults.get().key_set {
        Some(how) => Some(shared.keys.bad_set(how)),
        None => (status.key_set_version < newest).then_some(key_set),
    };
    Ok(Json(StatusAnswer {
        server_time: server_time(),
        poll_after_s: shared.faults.get().poll_after_s.map(u32::from),
        key_set,
        rotate_key,
        replaced,
        version: Some(version),
        journal,
    }))
}

async fn take_inventory(State(shared): App, parts: Parts, body: Bytes) -> Answer<InventoryAnswer> {
    let Sender { agent, .. } = proofs::check(&shared, &parts, &body)?;
    let (request, raw): (InventoryRequest, Value) = (parse(&body)?, parse(&body)?);
    let missing = shared.store.write(|tx| inventory::receive(tx, &agent, &request, &raw, now_ms()))?;
    Ok(Json(InventoryAnswer { missing, server_time: server_time() }))
}

async fn recover(State(shared): App, parts: Parts, body: Bytes) -> Answer<RecoverAnswer> {
    let Sender { agent, .. } = proofs::check(&shared, &parts, &body)?;
    let request: RecoverRequest = parse(&body)?;
    let (grants, cursor) =
        shared.store.write(|tx| reports::believed(tx, &agent, request.cursor.as_deref()))?;
    Ok(Json(RecoverAnswer { grants, cursor, server_time: server_time() }))
}

async fn rotate_key(State(shared): App, parts: Parts, body: Bytes) -> Answer<RotateKeyAnswer> {
    let Sender { agent, key: old, .. } = proofs::check(&shared, &parts, &body)?;
    let request: RotateKeyRequest = parse(&body)?;
    if shared.faults.get().refuse_rotations {
        return Err(Problem::conflict("this control plane takes no new keys".to_owned()));
    }
    let new = rotation::verify(&request, &agent, &shared.url, &old)
        .map_err(|error| Problem::malformed(error.to_string()))?;
    shared.store.write(|tx| agents::add_key(tx, &agent, &new))?;
    if shared.faults.takes_rotation() {
        return Err(Problem::unavailable(1));
    }
    Ok(Json(RotateKeyAnswer { key: new.thumbprint(), server_time: server_time() }))
}
