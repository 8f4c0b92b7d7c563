//! `/live`, `/ready` and `/metrics` for probes and Prometheus: plain HTTP on an address that the
//! configuration must name, off otherwise.
//!
//! Refuses: every other path and method; anything that names an account, a grant or a person. A port that
//! cannot be had costs the probes and never an ending: it is said, and tried again.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
};

use super::{
    guarded::guarded,
    server::{ANSWER_TIMEOUT, Query, question},
    view::HealthView,
};

use crate::secrets::guard::Outlet;

/// How often a port that cannot be had is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// What Prometheus is told about the text: `OpenMetrics` 1.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers until told to stop.
pub async fn serve(address: SocketAddr, queries: mpsc::Sender<Query>, mut stop: watch::Receiver<bool>) {
    let Some(listener) = bind(address, &mut stop).await else { return };
    tracing::info!(%address, "probes: /live, /ready and /metrics are served");
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    if let Err(error) = axum::serve(listener, router(queries)).with_graceful_shutdown(stopped).await {
        tracing::error!(%address, error = %error, "probes: no longer served; endings are not affected");
    }
}

/// The listener, however long it takes; `None` when told to stop before.
async fn bind(address: SocketAddr, stop: &mut watch::Receiver<bool>) -> Option<TcpListener> {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Some(listener),
            Err(error) => tracing::error!(
                %address, error = %error,
                "probes: cannot listen (telemetry.listen); endings are not affected, it is tried again every 30 seconds"
            ),
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return None,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

pub(super) fn router(queries: mpsc::Sender<Query>) -> Router {
    Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .layer(map_response(|answer| guarded(Outlet::Probe, answer)))
        .with_state(queries)
}

type Queries = State<mpsc::Sender<Query>>;

async fn live(State(queries): Queries) -> Response {
    match ask(&queries, Query::Health).await {
        Some(health) if health.live => (StatusCode::OK, "live\n").into_response(),
        _ => hangs(),
    }
}

/// Says why not, in words that name no account.
async fn ready(State(queries): Queries) -> Response {
    match ask(&queries, Query::Health).await {
        Some(HealthView { ready: true, .. }) => (StatusCode::OK, "ready\n").into_response(),
        Some(health) => {
            let why: String = health.why_not.iter().map(|reason| format!("- {reason}\n")).collect();
            (StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{why}")).into_response()
        }
        None => hangs(),
    }
}

/// The figures, also for the operator's socket.
pub(super) async fn metrics(State(queries): Queries) -> Response {
    match ask(&queries, Query::Metrics).await {
        Some(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        None => hangs(),
    }
}

fn hangs() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the agent's loop does not answer\n").into_response()
}

async fn ask<T>(queries: &mpsc::Sender<Query>, query: impl FnOnce(oneshot::Sender<T>) -> Query) -> Option<T> {
    question(queries, query, ANSWER_TIMEOUT).await.ok().flatten()
}
