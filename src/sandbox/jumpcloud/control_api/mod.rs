//! The control API of the simulated JumpCloud, `/_sandbox/…`: [`Console`] over HTTP.
//!
//! Needs no key and therefore refuses everybody who is not on this machine, and web pages.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, Query, Request, State as Extract},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

mod more;

use super::{
    account::Account,
    console::{Console, Edit, Refused},
    contract,
    faults::Rules,
    shown,
    state::State,
    switches::Switches,
};

/// The longest a reader of the log is kept waiting.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The routes of the control API.
pub(super) fn router(console: Console) -> Router {
    Router::new()
        .route("/_sandbox/state", get(show_state))
        .route("/_sandbox/log", get(show_log))
        .route("/_sandbox/history/{who}", get(show_history))
        .route("/_sandbox/reset", post(reset))
        .route("/_sandbox/admins", get(show_state).post(create))
        .route("/_sandbox/admins/{who}", put(change).delete(delete))
        .route("/_sandbox/faults", get(show_faults).post(add_faults).put(set_faults).delete(clear_faults))
        .route("/_sandbox/switches", get(show_switches).put(set_switches))
        .merge(contract::router())
        .merge(more::router())
        .route_layer(middleware::from_fn(this_machine_only))
        .with_state(console)
}

/// A browser page of another site is on this machine too, but cannot leave out `Origin` when it
/// writes.
async fn this_machine_only(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if peer.ip().is_loopback() && !request.headers().contains_key("origin") {
        return next.run(request).await;
    }
    let said = json!({"error": "the control API of the sandbox serves programs on this machine only"});
    (StatusCode::FORBIDDEN, Json(said)).into_response()
}

async fn show_state(Extract(console): Extract<Console>) -> Json<Value> {
    Json(of(&console.state()))
}

fn of(state: &State) -> Value {
    let shown = |account: &Account| shown::admin_to_the_sandbox(account, state);
    let admins: Vec<Value> = state.accounts.iter().map(shown).collect();
    json!({
        "organization": state.organization,
        "organizationName": state.organization_name,
        "organizations": state.organizations,
        "provider": state.provider,
        "roles": state.roles,
        "admins": admins,
        "serviceAccounts": state.service_accounts.iter().map(more::service).collect::<Vec<_>>(),
    })
}

#[derive(Default, Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
    /// How long to wait for a change after `since`, in milliseconds.
    #[serde(default)]
    wait_ms: u64,
}

async fn show_log(Extract(console): Extract<Console>, Query(from): Query<Since>) -> Json<Value> {
    let wait = Duration::from_millis(from.wait_ms).min(WAIT_MAX);
    // Whether time ran out or not, what there is gets shown.
    let _ = timeout(wait, console.changed_after(from.since)).await;
    Json(json!({"entries": console.log_since(from.since), "last": console.log_end()}))
}

async fn show_history(Extract(console): Extract<Console>, Path(who): Path<String>) -> Response {
    let Some(id) = console.id_of(&who) else {
        return (StatusCode::NOT_FOUND, Json(json!({"error": Refused::NoSuchAdmin(who).to_string()})))
            .into_response();
    };
    let changes: Vec<Value> = console
        .roles_over_time(&id)
        .into_iter()
        .map(|(at_ms, roles)| json!({"at_ms": at_ms, "roles": roles}))
        .collect();
    Json(json!({"account": id, "roles_at_start": console.roles_at_start(&id), "changes": changes}))
        .into_response()
}

async fn reset(Extract(console): Extract<Console>) -> Json<Value> {
    console.reset();
    show_state(Extract(console)).await
}

async fn create(Extract(console): Extract<Console>, Json(edit): Json<Edit>) -> Response {
    shown(&console, console.create(&edit))
}

async fn change(
    Extract(console): Extract<Console>,
    Path(who): Path<String>,
    Json(edit): Json<Edit>,
) -> Response {
    shown(&console, console.change(&who, &edit))
}

async fn delete(Extract(console): Extract<Console>, Path(who): Path<String>) -> Response {
    shown(&console, console.delete(&who))
}

fn shown(console: &Console, done: Result<Account, Refused>) -> Response {
    match done {
        Ok(account) => Json(shown::admin_to_the_sandbox(&account, &console.state())).into_response(),
        Err(refused) => refusal(&refused),
    }
}

fn refusal(refused: &Refused) -> Response {
    let status = match refused {
        Refused::NoSuchAdmin(_) => StatusCode::NOT_FOUND,
        Refused::Invalid(_) => StatusCode::BAD_REQUEST,
    };
    (status, Json(json!({"error": refused.to_string()}))).into_response()
}

async fn show_faults(Extract(console): Extract<Console>) -> Json<Value> {
    Json(json!({"faults": console.faults()}))
}

async fn add_faults(Extract(console): Extract<Console>, Json(rules): Json<Rules>) -> Json<Value> {
    console.add_faults(rules.faults);
    show_faults(Extract(console)).await
}

async fn set_faults(Extract(console): Extract<Console>, Json(rules): Json<Rules>) -> Json<Value> {
    console.set_faults(rules.faults, rules.seed);
    show_faults(Extract(console)).await
}

async fn clear_faults(Extract(console): Extract<Console>) -> Json<Value> {
    console.set_faults(Vec::new(), 1);
    show_faults(Extract(console)).await
}

async fn show_switches(Extract(console): Extract<Console>) -> Json<Switches> {
    Json(console.switches())
}

async fn set_switches(Extract(console): Extract<Console>, Json(switches): Json<Switches>) -> Json<Switches> {
    console.set_switches(switches);
    show_switches(Extract(console)).await
}
