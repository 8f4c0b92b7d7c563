//! The HTTP side of the simulated JumpCloud: reads a request, lets a fault strike, answers.
//!
//! A client that gives up does not stop what it asked for: as with a real service, the effect may
//! come after the client left. Refuses bodies over 1 MiB.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{self, Query},
    http::{HeaderMap, Response, request::Parts},
};
use tokio::time::sleep;

use super::{
    api::Request,
    contract::Sent,
    faults::{Fault, Strike},
    log::Event,
    reply::Reply,
    wire::Answer,
    world::{Shared, World, received},
};
use crate::clock;

/// The largest body read, in bytes.
const BODY_MAX: usize = 1 << 20;

/// Unix milliseconds.
pub(super) fn now_ms() -> i64 {
    clock::now().wall.0
}

/// Everything that is not the sandbox's own control API.
pub(super) fn router(shared: Shared) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(
    extract::State(shared): extract::State<Shared>,
    request: axum::http::Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_MAX).await else {
        return Answer::plain(Reply::error(413, "Payload Too Large")).into_response().await;
    };
    let shown = parts.uri.path_and_query().map_or("/", |both| both.as_str()).to_owned();
    let sent = Sent::of(&parts, &body);
    let request = read(&parts, body.to_vec());
    let dealt = tokio::spawn(deal(shared, request, shown, sent)).await;
    match dealt {
        Ok(answer) => answer.into_response().await,
        Err(_) => Answer::plain(Reply::error(500, "the sandbox failed")).into_response().await,
    }
}

fn read(parts: &Parts, body: Vec<u8>) -> Request {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    Request {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: query.map(|Query(pairs)| pairs).unwrap_or_default(),
        key: text_of(&parts.headers, "x-api-key"),
        authorization: text_of(&parts.headers, "authorization"),
        org_id: text_of(&parts.headers, "x-org-id"),
        body,
    }
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

async fn deal(shared: Shared, request: Request, shown: String, sent: Sent) -> Answer {
    let (strike, epoch) = shared.lock().strike(&request);
    if let Some(Strike { delay_ms, .. }) = strike
        && delay_ms > 0
    {
        sleep(Duration::from_millis(delay_ms)).await;
    }
    let fault = strike.map_or(Fault::Latency, |strike| strike.fault);
    if let Fault::Late { after_ms, .. } = fault {
        tokio::spawn(execute_late(shared.clone(), request.clone(), after_ms, epoch));
    }
    let mut world = shared.lock();
    let answer = carry_out(&mut world, &request, &shown, &fault, epoch);
    world.see(now_ms(), &sent, &answer, &fault);
    answer
}

/// A request that was kept waiting over a reset goes unanswered, as its client's world is gone.
fn carry_out(world: &mut World, request: &Request, shown: &str, fault: &Fault, epoch: u64) -> Answer {
    if world.epoch() != epoch {
        return Answer::Cut;
    }
    let now = now_ms();
    let mut done = act(world, request, fault, now);
    if let Answer::Whole { reply, .. } = &mut done.answer {
        reply.reshape_error(world.switches.error_body);
    }
    let mut entry = received(request, shown, done.answer.status(), done.executed);
    entry.fault = match fault {
        Fault::Latency => done.limited.then(|| "rate_limit".to_owned()),
        fault => Some(fault.kind().to_owned()),
    };
    world.log_request(now, entry, done.events);
    done.answer
}

/// A reset forgets what was still to come.
async fn execute_late(shared: Shared, request: Request, after_ms: u64, epoch: u64) {
    sleep(Duration::from_millis(after_ms)).await;
    let mut world = shared.lock();
    if world.epoch() != epoch {
        return;
    }
    let now = now_ms();
    let (_, events) = world.execute(&request, now);
    world.log_events(now, events);
}

struct Done {
    answer: Answer,
    executed: bool,
    /// Whether the request was one too many.
    limited: bool,
    events: Vec<Event>,
}

impl Done {
    const fn new(answer: Answer, executed: bool) -> Self {
        Self { answer, executed, limited: false, events: Vec::new() }
    }
}

fn act(world: &mut World, request: &Request, fault: &Fault, now: i64) -> Done {
    let without = |answer| Done::new(answer, false);
    match fault {
        Fault::TooManyRequests { retry_after } => {
            let reply = Reply::error(429, "Too Many Requests");
            without(Answer::Whole { reply, retry_after: retry_after.clone() })
        }
        Fault::ErrorBefore { status } => without(Answer::plain(Reply::error(*status, "Service error"))),
        Fault::ResetBefore => without(Answer::Cut),
        Fault::Html { status, executed: false } => without(Answer::Html(*status)),
        Fault::Unauthorized => without(Answer::plain(Reply::unauthorized())),
        Fault::Forbidden => without(Answer::plain(Reply::error(403, "Forbidden"))),
        Fault::Echo { status } => without(Answer::plain(Reply::error(*status, &request.credentials()))),
        Fault::NoEffect => without(Answer::plain(world.rehearse(request, now))),
        Fault::Late { hang: true, .. } => Done::new(Answer::Never, true),
        Fault::Late { hang: false, .. } => {
            Done::new(Answer::plain(Reply::error(504, "Gateway Timeout")), true)
        }
        _ => {
            let left = match world.count(request, now) {
                Ok(left) => left,
                Err(refusal) => return Done { limited: true, ..Done::new(Answer::plain(*refusal), false) },
            };
            let (mut reply, events) = world.execute(request, now);
            left.tell(&mut reply, &world.switches);
            Done { events, ..Done::new(after_effect(fault, reply), true) }
        }
    }
}

fn after_effect(fault: &Fault, reply: Reply) -> Answer {
    match fault {
        Fault::ErrorAfter { status } => Answer::plain(Reply::error(*status, "Service error")),
        Fault::ResetAfter => Answer::Cut,
        Fault::ResetMidBody => Answer::CutInBody(reply),
        Fault::Html { status, .. } => Answer::Html(*status),
        Fault::SlowBody { pause_ms } => Answer::Slow { reply, pause: Duration::from_millis(*pause_ms) },
        Fault::Truncated => Answer::Truncated(reply),
        _ => Answer::plain(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{faults::Faults, state::State, switches::Switches},
        *,
    };

    #[test]
    fn a_request_kept_waiting_over_a_reset_has_no_effect_and_no_answer() {
        let state = State::populated("jca_owner", 0);
        let path = format!("/api/users/{}", state.accounts[2].id);
        let mut world = World::new(state, Switches::default(), Faults::new(Vec::new(), 1), None);
        let delete = Request {
            method: "DELETE".to_owned(),
            path,
            key: Some("jca_owner".to_owned()),
            ..Request::default()
        };
        let (_, epoch) = world.strike(&delete);
        world.reset();
        let answer = carry_out(&mut world, &delete, "", &Fault::Latency, epoch);
        assert!(matches!(answer, Answer::Cut));
        assert_eq!((world.state.accounts.len(), world.log.since(0).len()), (10, 0));

        let (_, epoch) = world.strike(&delete);
        carry_out(&mut world, &delete, "", &Fault::Latency, epoch);
        assert_eq!(world.state.accounts.len(), 9);
    }
}
